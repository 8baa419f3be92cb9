/**
 * Opens the codecs of a node: raw, and lz4 on the system's library or in WebAssembly.
 *
 *     --codec auto     the library, if it passes its check; else lz4-wasm, and a line in the log
 *     --codec native   the library, or the node does not start
 *     --codec wasm     lz4-wasm
 *     --codec raw      pages are not compressed
 */
import type { Codec } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { NativeLz4 } from "../compress/native/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { ConfigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Memory } from "../core/memory.ts";
import type { NodeConfig } from "../node/config.ts";
import { describeError } from "./exit.ts";
import { type LibraryEnvironment, usableLibrary } from "./usable-library.ts";

export interface CodecsEnvironment extends LibraryEnvironment {
  readonly memory: Memory;
  readonly log: Log;
}

/**
 * The codecs by id. A server compresses nothing, so it opens no library. Throws BAD_CONFIG when
 * the setting is `native` and the library cannot be used.
 */
export async function openCodecs(
  env: CodecsEnvironment,
  { codec, role }: Pick<NodeConfig, "codec" | "role">,
): Promise<readonly Codec[]> {
  const { memory, log } = env;
  const raw = new Raw(memory);
  if (role === "server" || codec === "raw" || codec === "wasm")
    return [raw, await Lz4.load(memory)];
  const opened = await openNative(env);
  if ("codec" in opened) return [raw, opened.codec];
  const { isMissing, reason } = opened;
  if (codec === "native") {
    const help = "install liblz4, or use --codec auto";
    throw new ConfigError("BAD_CONFIG", `Cannot use --codec native: ${reason}: ${help}`);
  }
  log.write(isMissing ? "info" : "warn", "ramster", `lz4-wasm compresses the pages: ${reason}`);
  return [raw, await Lz4.load(memory)];
}

type Opened = { readonly codec: Codec } | { readonly isMissing: boolean; readonly reason: string };

async function openNative(env: LibraryEnvironment): Promise<Opened> {
  const found = await usableLibrary("lz4", env);
  if (!("path" in found)) return found;
  try {
    return { codec: new NativeLz4(found.path) };
  } catch (error) {
    return { isMissing: false, reason: describeError(error) };
  }
}
