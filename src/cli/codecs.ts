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
import { LIBRARIES, type LibraryName } from "../compress/native/libraries.ts";
import { NativeLz4 } from "../compress/native/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { ConfigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Memory } from "../core/memory.ts";
import { findLibrary, libraryDirectories } from "../memory/system-library.ts";
import type { NodeConfig } from "../node/config.ts";
import { describeError } from "./exit.ts";
import { checkInProcess } from "./library-check.ts";

export interface CodecsEnvironment {
  readonly memory: Memory;
  readonly log: Log;
  /** Where libraries are. Default: the directories of the system. */
  readonly directories?: readonly string[];
  /** Tries a library. @returns what is wrong with it, or null. */
  readonly check?: (name: LibraryName, path: string) => Promise<string | null>;
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

async function openNative({
  directories = libraryDirectories(),
  check = checkInProcess,
}: CodecsEnvironment): Promise<Opened> {
  const found = findLibrary(LIBRARIES.lz4, directories);
  if (!("path" in found)) return found;
  const fault = await check("lz4", found.path);
  if (fault !== null) return { isMissing: false, reason: fault };
  try {
    return { codec: new NativeLz4(found.path) };
  } catch (error) {
    return { isMissing: false, reason: describeError(error) };
  }
}
