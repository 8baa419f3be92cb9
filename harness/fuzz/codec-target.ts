/**
 * The target of the fuzzers of codecs: zpages that were mutated, truncated or invented are
 * decompressed to a page in the middle of bytes that must not change. After each zpage the codec
 * must still work.
 */
import type { Codec } from "../../src/compress/codec.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { check, type FuzzTarget } from "./fuzzer.ts";

/** On both sides of the page in `target`. */
const FENCE_BYTES = 64;
const FENCE = 0xc3;
const FENCES = new Uint8Array(FENCE_BYTES + PAGE_BYTES + FENCE_BYTES).fill(FENCE);
/** Longer than any zpage. */
const ZPAGE_BYTES_MAX = PAGE_BYTES + 256;

export interface CodecTargetOptions {
  readonly codec: Codec;
  /** A bad zpage, made of a good one or invented. */
  readonly hostile: (random: Random, good: Uint8Array) => Uint8Array;
  /** Throws when the codec noticed a fault that it repaired. */
  readonly checkCodec?: () => void;
  /** Where zpages are decompressed from: see guarded-memory.ts. */
  readonly guarded?: Uint8Array;
  readonly close?: () => void;
}

export class CodecTarget implements FuzzTarget {
  private readonly options: CodecTargetOptions;
  private readonly target = new Uint8Array(FENCE_BYTES + PAGE_BYTES + FENCE_BYTES);

  constructor(options: CodecTargetOptions) {
    this.options = options;
  }

  run(random: Random): void {
    const { codec, checkCodec } = this.options;
    const page = pageOf(random);
    const zpage = new Uint8Array(ZPAGE_BYTES_MAX);
    const zpageBytes = codec.compress(page, 0, zpage, 0, zpage.length);
    check(zpageBytes > 0, "a page that does not fit the longest zpage");
    const good = zpage.subarray(0, zpageBytes);
    const hostile = this.options.hostile(random, good);
    const before = hostile.slice();
    const isPage = this.decompress(hostile);
    check(Buffer.from(hostile).equals(before), "the source was written to");
    if (!isPage) {
      const isUntouched = Buffer.compare(this.target, FENCES) === 0;
      check(isUntouched, "a refused zpage was written all the same");
    }
    check(this.decompress(good), "a good zpage is refused after a bad one");
    const back = this.target.subarray(FENCE_BYTES, FENCE_BYTES + PAGE_BYTES);
    check(Buffer.from(back).equals(page), "a page comes back otherwise");
    checkCodec?.();
  }

  close(): void {
    this.options.close?.();
  }

  private decompress(zpage: Uint8Array): boolean {
    this.target.fill(FENCE);
    const { codec, guarded } = this.options;
    let [source, at] = [zpage, 0];
    if (guarded !== undefined && zpage.length <= guarded.length) {
      source = guarded;
      at = guarded.length - zpage.length;
      guarded.set(zpage, at);
    }
    const isPage = codec.decompress(source, at, zpage.length, this.target, FENCE_BYTES);
    if (guarded !== undefined && source === guarded) {
      const isSame = Buffer.compare(guarded.subarray(at), zpage) === 0;
      check(isSame, "the source was written to");
    }
    const end = FENCE_BYTES + PAGE_BYTES;
    const before = this.target.subarray(0, FENCE_BYTES);
    const isInside =
      Buffer.compare(before, FENCES.subarray(0, FENCE_BYTES)) === 0 &&
      Buffer.compare(this.target.subarray(end), FENCES.subarray(end)) === 0;
    check(isInside, "written outside the page");
    return isPage;
  }
}

/** From all alike to all random: a page of runs, each of one byte, of a word, or of noise. */
function pageOf(random: Random): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  for (let at = 0; at < PAGE_BYTES; ) {
    const end = Math.min(PAGE_BYTES, at + 1 + below(random, 1 << below(random, 13)));
    const period = [1, 4, 64, PAGE_BYTES][below(random, 4)] ?? 1;
    const start = at;
    for (; at < Math.min(end, start + period); at += 1) page[at] = random.u32();
    // The rest of the run repeats what is in front of it.
    for (; at < end; at += Math.min(at - start, end - at)) {
      page.copyWithin(at, start, Math.min(at, start + end - at));
    }
  }
  return page;
}
