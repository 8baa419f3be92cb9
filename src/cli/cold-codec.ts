/**
 * Opens what compresses cold pages again, and what decompresses them on the thread that serves.
 *
 *     --cold-codec zstd   libzstd of the system, with dictionaries, if it passes its check; else
 *                         the zstd of the runtime, without dictionaries, and a line in the log
 *     --cold-codec none   cold pages stay as they are
 *
 * Zpages have an age with `--placement blocks` alone, and servers have no pages of their own. In
 * swap mode libzstd is needed.
 *
 * The check runs beside that of liblz4, so that a start takes no longer.
 */

import { type StartWorker, workerStarter } from "../cold/start-worker.ts";
import { WorkerRecompressor } from "../cold/worker-recompressor.ts";
import { BunZstd } from "../compress/bun-zstd.ts";
import { CODEC, type Codec, DICTIONARY_SLOTS } from "../compress/codec.ts";
import { NativeLz4 } from "../compress/native/lz4.ts";
import { Zstd, ZstdWithDictionaries } from "../compress/native/zstd.ts";
import { ZstdLibrary } from "../compress/native/zstd-library.ts";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { NodeConfig } from "../node/config.ts";
import { describeError } from "./exit.ts";
import { coldWorkerPath } from "./program.ts";
import { type LibraryEnvironment, usableLibrary } from "./usable-library.ts";

export interface ColdCodecEnvironment extends LibraryEnvironment {
  readonly clock: Clock;
  readonly log: Log;
  /** Default: the Worker of this program. */
  readonly startWorker?: StartWorker;
}

export interface ColdCodec {
  /** Null: cold pages stay as they are. */
  readonly recompressor: WorkerRecompressor | null;
  /** By id: the codecs of hot pages, and those that decompress cold ones. */
  readonly codecs: readonly Codec[];
}

/**
 * `opening`: what `openCodecs` returns. Resolves when the Worker is ready, or has failed for the
 * first time. So its memory is there when that of the process is locked.
 */
export async function openRecompressor(
  env: ColdCodecEnvironment,
  config: Pick<NodeConfig, "role" | "codec" | "coldCodec" | "placement" | "swap">,
  opening: Promise<readonly Codec[]>,
): Promise<ColdCodec> {
  const isWanted = config.coldCodec === "zstd" && config.placement === "blocks";
  if (!isWanted || config.role === "server" || config.codec === "raw") {
    return { recompressor: null, codecs: await opening };
  }
  const inSwapMode = config.swap !== "off";
  const [hot, library] = await Promise.all([opening, openLibrary(env, inSwapMode)]);
  // The zstd of the runtime allocates for each page, which a node in swap mode must not do.
  if (library === null && inSwapMode) return { recompressor: null, codecs: hot };
  const lz4 = hot[CODEC.LZ4];
  const decompressor =
    library === null ? null : new ZstdWithDictionaries(library, { compresses: false });
  const start = env.startWorker ?? workerStarter(coldWorkerPath());
  const recompressor = new WorkerRecompressor(
    { clock: env.clock, log: env.log, start },
    {
      library: library?.name ?? `the zstd of Bun ${Bun.version}`,
      decompressor,
      lz4Path: lz4 instanceof NativeLz4 ? lz4.path : null,
      zstdPath: library?.path ?? null,
    },
  );
  await recompressor.started;
  const codecs = [...hot];
  codecs[CODEC.ZSTD] = library === null ? new BunZstd() : new Zstd(library);
  for (let slot = 0; slot < DICTIONARY_SLOTS && decompressor !== null; slot += 1) {
    codecs[CODEC.ZSTD_DICTIONARY + slot] = decompressor;
  }
  return { recompressor, codecs };
}

/** Null: it cannot be used, and the log says why. */
async function openLibrary(
  env: ColdCodecEnvironment,
  inSwapMode: boolean,
): Promise<ZstdLibrary | null> {
  const found = await usableLibrary("zstd", env);
  let reason = "";
  if ("path" in found) {
    try {
      return new ZstdLibrary(found.path);
    } catch (error) {
      reason = describeError(error);
    }
  } else {
    reason = found.reason;
  }
  const level = "isMissing" in found && found.isMissing ? "info" : "warn";
  const what = inSwapMode
    ? "cold pages are not compressed again"
    : "the zstd of this program compresses cold pages, without dictionaries";
  env.log.write(level, "ramster", `${what}: ${reason}`);
  return null;
}
