/**
 * lz4: blocks that were mutated, truncated or invented are decompressed to a page in the middle of
 * bytes that must not change. After each block the codec must still work.
 */
import { LZ4_BLOCK_BYTES_MAX, Lz4 } from "../../src/compress/lz4.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";
import { mutate, randomBytes } from "./mutate.ts";

export const lz4: Fuzzer = {
  name: "lz4",
  about: "decompression of blocks that are none, and round trips of pages",
  smokeRuns: 3000,
  open: async () => new Lz4Target(await Lz4.load(new HeapMemory())),
};

/** On both sides of the page in `target`. */
const FENCE_BYTES = 64;
const FENCE = 0xc3;

class Lz4Target implements FuzzTarget {
  private readonly codec: Lz4;
  private readonly target = new Uint8Array(FENCE_BYTES + PAGE_BYTES + FENCE_BYTES);

  constructor(codec: Lz4) {
    this.codec = codec;
  }

  run(random: Random): void {
    const page = pageOf(random);
    const block = new Uint8Array(LZ4_BLOCK_BYTES_MAX);
    const blockBytes = this.codec.compress(page, 0, block, 0, block.length);
    check(blockBytes > 0, "a page that does not fit the longest block");
    const good = block.subarray(0, blockBytes);
    const hostile = below(random, 4) === 0 ? madeUp(random) : mutate(random, good);
    const before = hostile.slice();
    const isPage = this.decompress(hostile);
    check(Buffer.from(hostile).equals(before), "the source was written to");
    if (!isPage) {
      check(
        this.target.every((byte) => byte === FENCE),
        "a refused block was written all the same",
      );
    }
    check(this.decompress(good), "a good block is refused after a bad one");
    const back = this.target.subarray(FENCE_BYTES, FENCE_BYTES + PAGE_BYTES);
    check(Buffer.from(back).equals(page), "a page comes back otherwise");
    check(this.codec.restarts === 0, "the module trapped");
  }

  private decompress(block: Uint8Array): boolean {
    this.target.fill(FENCE);
    const isPage = this.codec.decompress(block, 0, block.length, this.target, FENCE_BYTES);
    for (let i = 0; i < FENCE_BYTES; i += 1) {
      const behind = this.target[FENCE_BYTES + PAGE_BYTES + i];
      check(this.target[i] === FENCE && behind === FENCE, "written outside the page");
    }
    return isPage;
  }
}

/** From all alike to all random: a page of runs, each of one byte, of a word, or of noise. */
function pageOf(random: Random): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  for (let at = 0; at < PAGE_BYTES; ) {
    const end = Math.min(PAGE_BYTES, at + 1 + below(random, 1 << below(random, 13)));
    const period = [1, 4, 64, PAGE_BYTES][below(random, 4)] ?? 1;
    for (const start = at; at < end; at += 1) {
      page[at] = at - start < period ? random.u32() : (page[at - period] ?? 0);
    }
  }
  return page;
}

/** Random bytes, half of them behind a token that asks for long lengths. */
function madeUp(random: Random): Uint8Array {
  const bytes = randomBytes(random, below(random, 300));
  if (bytes.length > 0 && below(random, 2) === 0) bytes[0] = (bytes[0] ?? 0) | 0xf0;
  return bytes;
}
