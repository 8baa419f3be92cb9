/**
 * lz4: blocks that are none, for lz4-wasm, and for liblz4 where this machine has it. liblz4 works
 * between pages that end the process when they are touched.
 */
import { LZ4_BLOCK_BYTES_MAX, Lz4 } from "../../src/compress/lz4.ts";
import { LZ4_LIBRARY, NativeLz4 } from "../../src/compress/native/lz4.ts";
import { below, type Random } from "../../src/core/random.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { findLibrary } from "../../src/memory/system-library.ts";
import { CodecTarget } from "./codec-target.ts";
import { check, type Fuzzer } from "./fuzzer.ts";
import { guardCodec } from "./guarded-memory.ts";
import { mutate, randomBytes } from "./mutate.ts";

const about = "decompression of blocks that are none, and round trips of pages";

export const lz4: Fuzzer = {
  name: "lz4",
  about,
  smokeRuns: 3000,
  open: async () => {
    const codec = await Lz4.load(new HeapMemory());
    const checkCodec = () => check(codec.restarts === 0, "the module trapped");
    return new CodecTarget({ codec, hostile, checkCodec });
  },
};

const found = findLibrary(LZ4_LIBRARY);

/** None on a machine without liblz4. */
export const nativeLz4: readonly Fuzzer[] =
  "path" in found
    ? [
        {
          name: "lz4-native",
          about: `${about}, with liblz4`,
          smokeRuns: 3000,
          open: async () => {
            const codec = new NativeLz4(found.path);
            return new CodecTarget({ codec, hostile, ...guardCodec(codec) });
          },
        },
      ]
    : [];

function hostile(random: Random, good: Uint8Array): Uint8Array {
  const bad = below(random, 4) === 0 ? madeUp(random) : mutate(random, good);
  return bad.subarray(0, LZ4_BLOCK_BYTES_MAX + 1);
}

/** Random bytes, half of them behind a token that asks for long lengths. */
function madeUp(random: Random): Uint8Array {
  const bytes = randomBytes(random, below(random, 300));
  if (bytes.length > 0 && below(random, 2) === 0) bytes[0] = (bytes[0] ?? 0) | 0xf0;
  return bytes;
}
