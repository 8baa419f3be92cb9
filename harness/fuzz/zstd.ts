/**
 * zstd: frames that are none, for the zstd of the runtime, and for libzstd where this machine has
 * it, with and without a dictionary. libzstd works between pages that end the process when they are
 * touched.
 */
import { BunZstd } from "../../src/compress/bun-zstd.ts";
import { Zstd, ZstdWithDictionaries } from "../../src/compress/native/zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "../../src/compress/native/zstd-library.ts";
import { below, type Random } from "../../src/core/random.ts";
import { findLibrary } from "../../src/memory/system-library.ts";
import { loadPageClass } from "../pages/load.ts";
import { CodecTarget } from "./codec-target.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";
import { guardCodec } from "./guarded-memory.ts";
import { mutate, randomBytes } from "./mutate.ts";

const found = findLibrary(ZSTD_LIBRARY);
const about = "decompression of frames that are none, and round trips of pages";
const smokeRuns = 2000;
const DICTIONARY_BYTES = 16 * 1024;
const BLOCK_HEADER_BYTES = 3;

export const bunZstd: Fuzzer = {
  name: "zstd-bun",
  about: `${about}, with the zstd of the runtime`,
  smokeRuns,
  open: async () => new CodecTarget({ codec: new BunZstd(), hostile }),
};

/** None on a machine without libzstd. */
export const nativeZstd: readonly Fuzzer[] =
  "path" in found
    ? [
        { name: "zstd", about, smokeRuns, open: async () => openPlain(found.path) },
        {
          name: "zstd-dictionary",
          about: `${about}, with a dictionary`,
          smokeRuns,
          open: async () => openWithDictionary(found.path),
        },
      ]
    : [];

function openPlain(path: string): FuzzTarget {
  const codec = new Zstd(new ZstdLibrary(path));
  return new CodecTarget({ codec, hostile, ...guardCodec(codec) });
}

function openWithDictionary(path: string): FuzzTarget {
  const library = new ZstdLibrary(path);
  const codec = new ZstdWithDictionaries(library);
  const dictionary = library.train(loadPageClass("python").pages, DICTIONARY_BYTES);
  check(dictionary !== null && codec.add(7, dictionary), "no dictionary came of the training");
  codec.select(7);
  return new CodecTarget({ codec, hostile, ...guardCodec(codec) });
}

/**
 * Most frames get a header that fits them again: otherwise they would be refused unread, and
 * libzstd would not see them.
 */
function hostile(random: Random, good: Uint8Array): Uint8Array {
  const headerBytes = 2 + (good[0] ?? 0);
  const madeUp = below(random, 4) === 0;
  const bad = madeUp ? randomBytes(random, below(random, 300)) : mutate(random, good);
  if (bad.length <= headerBytes + BLOCK_HEADER_BYTES || below(random, 8) === 0) return bad;
  bad.set(good.subarray(0, headerBytes));
  const contentBytes = bad.length - headerBytes - BLOCK_HEADER_BYTES;
  const type = below(random, 16) === 0 ? below(random, 4) : 2;
  const header = (contentBytes << 3) | (type << 1) | 1;
  for (let i = 0; i < BLOCK_HEADER_BYTES; i += 1) bad[headerBytes + i] = header >> (8 * i);
  return bad;
}
