/**
 * The contract of a Codec (src/compress/codec.ts), as a suite that every codec must pass. Call
 * `codecContract` at the top level of a test file.
 *
 * Zpages are read and written in the middle of larger arrays, and the bytes around them are
 * checked. A codec that is off by one, or that writes more than it returns, fails.
 */

import { heapStats } from "bun:jsc";
import { beforeAll, describe, expect, test } from "bun:test";
import { type Codec, codecName } from "../../src/compress/codec.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { loadPages } from "../pages/load.ts";

/** Offsets that are not aligned, and differ for page and zpage. */
const PAGE_AT = 13;
const ZPAGE_AT = 7;
const ROOM_BYTES = 3 * PAGE_BYTES;
const FENCE = 0xa5;

/** A codec with the arrays that it works on. */
export class CodecRig {
  readonly codec: Codec;
  readonly page = new Uint8Array(ROOM_BYTES);
  readonly zpage = new Uint8Array(ROOM_BYTES);

  constructor(codec: Codec) {
    this.codec = codec;
  }

  compress(page: Uint8Array, zpageBytesMax = 2 * PAGE_BYTES): number {
    this.page.set(page, PAGE_AT);
    this.zpage.fill(FENCE);
    return this.codec.compress(this.page, PAGE_AT, this.zpage, ZPAGE_AT, zpageBytesMax);
  }

  zpageOf(page: Uint8Array): Uint8Array {
    const zpageBytes = this.compress(page);
    return this.zpage.slice(ZPAGE_AT, ZPAGE_AT + zpageBytes);
  }

  /**
   * @returns whether it was accepted. For any bytes, nothing outside the page may have
   * changed.
   */
  decompress(zpage: Uint8Array): boolean {
    this.zpage.fill(FENCE);
    this.zpage.set(zpage, ZPAGE_AT);
    this.page.fill(FENCE);
    const ok = this.codec.decompress(this.zpage, ZPAGE_AT, zpage.length, this.page, PAGE_AT);
    if (!isFenced(this.page, PAGE_AT, ok ? PAGE_BYTES : 0)) throw new Error("wrote elsewhere");
    if (!isFenced(this.zpage, ZPAGE_AT, zpage.length)) throw new Error("changed its source");
    return ok;
  }

  decompressed(): Uint8Array {
    return this.page.slice(PAGE_AT, PAGE_AT + PAGE_BYTES);
  }
}

const FENCES = new Uint8Array(ROOM_BYTES).fill(FENCE);

/** Whether the fence is intact everywhere but in `byteCount` bytes at `at`. */
function isFenced(bytes: Uint8Array, at: number, byteCount: number): boolean {
  const end = at + byteCount;
  const before = Buffer.compare(bytes.subarray(0, at), FENCES.subarray(0, at));
  return before === 0 && Buffer.compare(bytes.subarray(end), FENCES.subarray(end)) === 0;
}

/** Every recorded page, edge cases included. */
function allPages(): Uint8Array[] {
  return loadPages().flatMap(({ pages }) => {
    const count = pages.length / PAGE_BYTES;
    const page = (_: unknown, at: number) => pages.slice(at * PAGE_BYTES, (at + 1) * PAGE_BYTES);
    return Array.from({ length: count }, page);
  });
}

/** `allocates`: a codec on functions of the runtime that return new arrays. */
export function codecContract(
  id: number,
  load: () => Promise<Codec>,
  { allocates = false }: { allocates?: boolean } = {},
): void {
  describe(`the contract of codec "${codecName(id)}"`, () => {
    let rig: CodecRig;
    const pages = allPages();
    beforeAll(async () => {
      rig = new CodecRig(await load());
    });

    roundTrips(() => rig, pages, id);
    hostileBytes(() => rig, pages);
    if (!allocates) steadyState(() => rig, pages);
  });
}

function roundTrips(rigOf: () => CodecRig, pages: readonly Uint8Array[], id: number): void {
  test("has the id and the name of the table of codecs", () => {
    expect(rigOf().codec.id).toBe(id);
    expect(rigOf().codec.name).toBe(codecName(id));
  });

  test("decompress() restores every page, and compress() is deterministic", () => {
    const rig = rigOf();
    for (const page of pages) {
      const zpage = rig.zpageOf(page);
      expect(rig.zpageOf(page)).toEqual(zpage);
      expect(rig.decompress(zpage)).toBe(true);
      expect(Buffer.compare(rig.decompressed(), page)).toBe(0);
    }
  });

  test("compress() writes at most targetBytesMax bytes, else returns 0 and writes nothing", () => {
    const rig = rigOf();
    for (const page of pages) {
      const zpageBytes = rig.zpageOf(page).length;
      expect(rig.compress(page, zpageBytes)).toBe(zpageBytes);
      expect(isFenced(rig.zpage, ZPAGE_AT, zpageBytes)).toBe(true);
      for (const tooFew of [zpageBytes - 1, 1, 0]) {
        if (tooFew >= zpageBytes) continue;
        expect(rig.compress(page, tooFew)).toBe(0);
        expect(isFenced(rig.zpage, 0, 0)).toBe(true);
      }
    }
  });

  test("compress() does not change the page", () => {
    const rig = rigOf();
    for (const page of pages) {
      rig.page.fill(FENCE);
      rig.compress(page);
      expect(Buffer.compare(rig.decompressed(), page)).toBe(0);
      expect(isFenced(rig.page, PAGE_AT, PAGE_BYTES)).toBe(true);
    }
  });
}

/** A few pages of each class, for tests that try thousands of variants of each page. */
function someOf(pages: readonly Uint8Array[], count: number): Uint8Array[] {
  const random = new SeededRandom(7);
  return Array.from({ length: count }, () => pages[below(random, pages.length)] ?? fail());
}

function fail(): never {
  throw new Error("there are no pages");
}

function hostileBytes(rigOf: () => CodecRig, pages: readonly Uint8Array[]): void {
  /** Checks with a page that worked before that the codec still works. */
  const expectGood = (page: Uint8Array, zpage: Uint8Array): void => {
    expect(rigOf().decompress(zpage)).toBe(true);
    expect(Buffer.compare(rigOf().decompressed(), page)).toBe(0);
    expect(rigOf().zpageOf(page)).toEqual(zpage);
  };

  test("decompress() refuses a zpage cut off at any length", () => {
    for (const page of someOf(pages, 12)) {
      const zpage = rigOf().zpageOf(page);
      for (let length = 0; length < zpage.length; length += 1) {
        if (rigOf().decompress(zpage.subarray(0, length))) throw new Error(`accepts ${length}`);
      }
      expectGood(page, zpage);
    }
  });

  test("decompress() refuses a zpage that is followed by more bytes", () => {
    for (const page of someOf(pages, 40)) {
      const zpage = rigOf().zpageOf(page);
      for (const extra of [1, 2, 3, 16, 255, PAGE_BYTES]) {
        for (const byte of [0x00, 0x10, 0xff]) {
          const longer = new Uint8Array(zpage.length + extra).fill(byte);
          longer.set(zpage);
          expect(rigOf().decompress(longer)).toBe(false);
        }
      }
      expectGood(page, zpage);
    }
  });

  test("decompress() survives every single flipped bit", () => {
    for (const page of someOf(pages, 5)) {
      const zpage = rigOf().zpageOf(page);
      const flipped = zpage.slice();
      for (let bit = 0; bit < zpage.length * 8; bit += 1) {
        const at = bit >> 3;
        flipped[at] = (zpage[at] ?? 0) ^ (1 << (bit & 7));
        // Some zpages decompress to another page. The checksum detects that.
        rigOf().decompress(flipped);
        flipped[at] = zpage[at] ?? 0;
      }
      expectGood(page, zpage);
    }
  });

  test("decompress() survives random bytes of any length", () => {
    const random = new SeededRandom(11);
    const [page = fail()] = someOf(pages, 1);
    const zpage = rigOf().zpageOf(page);
    for (let round = 0; round < 10_000; round += 1) {
      const length = below(random, round % 2 === 0 ? 64 : 2 * PAGE_BYTES);
      rigOf().decompress(crypto.getRandomValues(new Uint8Array(length)));
    }
    expectGood(page, zpage);
  });
}

function steadyState(rigOf: () => CodecRig, pages: readonly Uint8Array[]): void {
  /** Compresses and decompresses `rounds` pages. Nothing here allocates but the codec. */
  const run = (rounds: number): void => {
    const { codec, page, zpage } = rigOf();
    for (let round = 0; round < rounds; round += 1) {
      const source = pages[round % pages.length] ?? fail();
      const zpageBytes = codec.compress(source, 0, zpage, ZPAGE_AT, 2 * PAGE_BYTES);
      codec.decompress(zpage, ZPAGE_AT, zpageBytes, page, PAGE_AT);
      // Refused pages must not allocate either.
      codec.decompress(zpage, ZPAGE_AT, zpageBytes - 1, page, PAGE_AT);
    }
  };

  test("allocates no memory for a page", () => {
    run(20_000);
    Bun.gc(true);
    const before = heapStats();
    run(50_000);
    // Without a collection, only the capacity grows. A view for each page would take 3 MB of it.
    expect(heapStats().heapCapacity - before.heapCapacity).toBeLessThan(1024 * 1024);
    Bun.gc(true);
    expect(heapStats().heapSize - before.heapSize).toBeLessThan(256 * 1024);
  });
}
