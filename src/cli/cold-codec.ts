/**
 * Opens what compresses cold pages again, and what decompresses them on the thread that serves.
 *
 *     --cold-codec zstd   libzstd of the system, with dictionaries, if it passes its check; else
 *                         the zstd of the runtime, without dictionaries, and a line in the log
 *     --cold-codec none   cold pages stay as they are
 *
 * The check runs beside that of liblz4, so that a start takes no longer.
 */

import { type StartWorker, workerStarter } from "../cold/start-worker.ts";
import { WorkerRecompressor } from "../cold/worker-recompressor.ts";
import { BunZstd } from "../compress/bun-zstd.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { NativeLz4 } from "../compress/native/lz4.ts";
import { Zstd, ZstdWithDictionaries } from "../compress/native/zstd.ts";
import { ZstdLibrary } from "../compress/native/zstd-library.ts";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { describeError } from "./exit.ts";
import { coldWorkerPath } from "./program.ts";
import { type LibraryEnvironment, usableLibrary } from "./usable-library.ts";

export const COLD_CODECS = ["zstd", "none"] as const;

export interface ColdCodecSettings {
  readonly coldCodec: (typeof COLD_CODECS)[number];
}

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
  /** The codec of CODEC.ZSTD_DICTIONARY. It only decompresses. Null: there are no dictionaries. */
  readonly dictionaries: ZstdWithDictionaries | null;
}

/**
 * `opening`: what `openCodecs` returns. Resolves when the Worker is ready, or has failed for the
 * first time. So its memory is there when that of the process is locked.
 */
export async function openRecompressor(
  env: ColdCodecEnvironment,
  { coldCodec }: ColdCodecSettings,
  opening: Promise<readonly Codec[]>,
): Promise<ColdCodec> {
  if (coldCodec === "none") {
    return { recompressor: null, codecs: await opening, dictionaries: null };
  }
  const [hot, library] = await Promise.all([opening, openLibrary(env)]);
  const lz4 = hot[CODEC.LZ4];
  const start = env.startWorker ?? workerStarter(coldWorkerPath());
  const recompressor = new WorkerRecompressor(
    { clock: env.clock, log: env.log, start },
    {
      library: library?.name ?? `the zstd of Bun ${Bun.version}`,
      lz4Path: lz4 instanceof NativeLz4 ? lz4.path : null,
      zstdPath: library?.path ?? null,
    },
  );
  await recompressor.started;
  const codecs = [...hot];
  codecs[CODEC.ZSTD] = library === null ? new BunZstd() : new Zstd(library);
  if (library === null) return { recompressor, codecs, dictionaries: null };
  const dictionaries = new ZstdWithDictionaries(library, { compresses: false });
  codecs[CODEC.ZSTD_DICTIONARY] = dictionaries;
  return { recompressor, codecs, dictionaries };
}

/** Null: it cannot be used, and the log says why. */
async function openLibrary(env: ColdCodecEnvironment): Promise<ZstdLibrary | null> {
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
  const line = `the zstd of this program compresses cold pages, without dictionaries: ${reason}`;
  env.log.write(level, "ramster", line);
  return null;
}
