/** The libraries that codecs can use, by name: how each is opened, and how it is checked. */
import { openMemory } from "../../memory/open-memory.ts";
import { Lz4 } from "../lz4.ts";
import { faultOf } from "./check.ts";
import { LZ4_LIBRARY, NativeLz4 } from "./lz4.ts";
import { samplePages } from "./sample.ts";
import { Zstd, ZstdWithDictionaries } from "./zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "./zstd-library.ts";

/** The file name of each library in the system's directories. */
export const LIBRARIES = { lz4: LZ4_LIBRARY, zstd: ZSTD_LIBRARY } as const;
export type LibraryName = keyof typeof LIBRARIES;

export function isLibraryName(name: string): name is LibraryName {
  return Object.hasOwn(LIBRARIES, name);
}

const DICTIONARY_BYTES = 16 * 1024;

/**
 * Tries the library at `path` on a sample of pages. A bad library may crash this process.
 *
 * @returns what is wrong with it, or null. Throws NOT_SUPPORTED when it cannot be opened.
 */
export function checkLibrary(name: LibraryName, path: string): Promise<string | null> {
  return name === "lz4" ? checkLz4(path) : checkZstd(path);
}

async function checkLz4(path: string): Promise<string | null> {
  const wasm = await Lz4.load(openMemory());
  return faultOf(new NativeLz4(path), wasm, samplePages());
}

/** Nothing else here reads zstd's frames, so it is checked against itself. */
async function checkZstd(path: string): Promise<string | null> {
  const pages = samplePages();
  const library = new ZstdLibrary(path);
  const plain = new Zstd(library);
  const fault = faultOf(plain, plain, pages);
  if (fault !== null) return fault;
  const dictionary = library.train(pages, DICTIONARY_BYTES);
  if (dictionary === null) return "it trains no dictionary";
  const codec = new ZstdWithDictionaries(library);
  if (!codec.add(1, dictionary)) return "it refuses its own dictionary";
  codec.select(1);
  return faultOf(codec, codec, pages);
}
