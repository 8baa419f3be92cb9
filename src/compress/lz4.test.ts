import { heapStats } from "bun:jsc";
import { beforeAll, describe, expect, test } from "bun:test";
import { CodecRig, codecContract } from "../../harness/contract/codec.ts";
import { loadPageClass } from "../../harness/pages/load.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { openMemory } from "../memory/open-memory.ts";
import { CODEC } from "./codec.ts";
import { LZ4_BLOCK_BYTES_MAX, Lz4, type Lz4Exports } from "./lz4.ts";

codecContract(CODEC.LZ4, () => Lz4.load(openMemory()));

/** Private fields of Lz4, for tests that break them. */
interface Inside {
  wasm: Lz4Exports;
  bytes: Uint8Array;
}

let codec: Lz4;
let rig: CodecRig;
let inside: Inside;

beforeAll(async () => {
  codec = await Lz4.load(openMemory());
  rig = new CodecRig(codec);
  inside = codec as unknown as Inside;
});

const compiled = loadPageClass("compiler").pages.slice(0, PAGE_BYTES);

function expectGood(): void {
  expect(rig.decompress(rig.zpageOf(compiled))).toBe(true);
  expect(rig.decompressed()).toEqual(compiled);
}

/** The bytes that continue a length of 15 in a token (the LZ4 block format description). */
function lengthTail(rest: number): number[] {
  return [...new Array<number>(Math.floor(rest / 255)).fill(255), rest % 255];
}

/** A block: `literals`, one match at `offset`, and five literals as the last sequence. */
function matchBlock(literals: readonly number[], offset: number, matchBytes: number): Uint8Array {
  const token = (literals.length << 4) | 15;
  const match = [offset & 0xff, offset >> 8, ...lengthTail(matchBytes - 19)];
  return new Uint8Array([token, ...literals, ...match, 0x50, 1, 2, 3, 4, 5]);
}

describe("Lz4.decompress()", () => {
  test("decompresses a block that was written by hand", () => {
    expect(rig.decompress(matchBlock([1, 2, 3, 4], 4, PAGE_BYTES - 9))).toBe(true);
    expect([...rig.decompressed().subarray(0, 10)]).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2]);
    expect([...rig.decompressed().subarray(-6)]).toEqual([3, 1, 2, 3, 4, 5]);
  });

  test("refuses an offset before the start, a run past the end and a page of another size", () => {
    for (const offset of [5, 6, 255, 256, 4096, 32_768, 65_535]) {
      expect(rig.decompress(matchBlock([1, 2, 3, 4], offset, PAGE_BYTES - 9))).toBe(false);
    }
    for (const matchBytes of [19, PAGE_BYTES - 10, PAGE_BYTES - 8, PAGE_BYTES, 60_000, 500_000]) {
      expect(rig.decompress(matchBlock([1, 2, 3, 4], 4, matchBytes))).toBe(false);
    }
    expectGood();
  });

  test("refuses lengths that continue to the end of the bytes", () => {
    for (const token of [0xf0, 0x0f, 0xff, 0x1f]) {
      for (const byte of [0, 1, 0xff]) {
        for (const length of [1, 2, 3, 20, 300, PAGE_BYTES, LZ4_BLOCK_BYTES_MAX]) {
          const block = new Uint8Array(length).fill(byte);
          block[0] = token;
          expect(rig.decompress(block)).toBe(false);
        }
      }
    }
    expectGood();
  });

  test("refuses a block with a size in front of it, whatever the size", () => {
    for (const claimed of [0, PAGE_BYTES, PAGE_BYTES + 1, 1 << 20, 0x7fff_ffff, 0xffff_ffff]) {
      const block = rig.zpageOf(compiled);
      const prefixed = new Uint8Array(4 + block.length);
      new DataView(prefixed.buffer).setUint32(0, claimed, true);
      prefixed.set(block, 4);
      expect(rig.decompress(prefixed)).toBe(false);
    }
    expect(inside.bytes.length).toBeLessThan(2 * 1024 * 1024);
    expectGood();
  });

  test("shows no bytes of an earlier page, even for the forbidden offset of zero", () => {
    const marked = loadPageClass("incompressible").pages.slice(0, PAGE_BYTES).fill(0xee, 1024);
    const zpage = rig.zpageOf(marked);
    const zero = matchBlock([1, 2, 3, 4], 0, PAGE_BYTES - 9);
    let first: Uint8Array | null = null;
    for (let round = 0; round < 50; round += 1) {
      for (let again = 0; again < round % 4; again += 1) rig.decompress(zpage);
      if (round % 3 === 0) rig.compress(marked);
      if (!rig.decompress(zero)) continue;
      const page = rig.decompressed();
      expect(page.includes(0xee)).toBe(false);
      // The first words may hold links of the module's allocator.
      first ??= page;
      expect(page.subarray(64)).toEqual(first.subarray(64));
    }
  });
});

describe("Lz4 after faults", () => {
  test("does not leak or grow over 100,000 hostile zpages", () => {
    const random = new SeededRandom(3);
    const zpage = rig.zpageOf(compiled);
    const hostile = zpage.slice();
    const { page } = rig;
    const attack = (rounds: number): void => {
      for (let round = 0; round < rounds; round += 1) {
        for (let hit = 0; hit < 4; hit += 1) hostile[below(random, hostile.length)] = random.u32();
        const length = 1 + below(random, hostile.length);
        codec.decompress(hostile, 0, round % 2 === 0 ? length : hostile.length, page, 0);
        if (round % 16 === 0) hostile.set(zpage);
      }
    };
    attack(10_000);
    Bun.gc(true);
    const before = heapStats();
    const wasmBytes = inside.bytes.length;
    attack(100_000);
    Bun.gc(true);
    const after = heapStats();
    expect(after.heapSize - before.heapSize).toBeLessThan(256 * 1024);
    expect(after.objectCount - before.objectCount).toBeLessThan(500);
    expect(inside.bytes.length).toBe(wasmBytes);
    expect(codec.restarts).toBe(0);
    expectGood();
  });

  test("hostile zpages change only the module's own buffers", () => {
    const random = new SeededRandom(5);
    const zpage = rig.zpageOf(compiled);
    // The module allocates between these two from now on.
    const fenceBytes = 8192;
    const fences = [0, 1].map(() => inside.wasm.__wbindgen_malloc(fenceBytes));
    expectGood(); // The memory may have grown: this renews the views.
    for (const fence of fences) inside.bytes.fill(0xc3, fence, fence + fenceBytes);
    const readOnly = Buffer.from(inside.bytes.slice(1_048_576, 1_048_576 + 1024));
    for (let round = 0; round < 20_000; round += 1) {
      const hostile = zpage.slice();
      for (let hit = 0; hit < 3; hit += 1) hostile[below(random, hostile.length)] = random.u32();
      codec.decompress(hostile, 0, hostile.length, rig.page, 0);
    }
    for (const fence of fences) {
      const bytes = inside.bytes.slice(fence, fence + fenceBytes);
      expect(bytes.every((byte) => byte === 0xc3)).toBe(true);
      inside.wasm.__wbindgen_free(fence, fenceBytes);
    }
    expect(readOnly.equals(inside.bytes.slice(1_048_576, 1_048_576 + 1024))).toBe(true);
    expectGood();
  });

  test("a page survives a trap, and the instance is replaced", () => {
    const zpage = rig.zpageOf(compiled);
    for (let round = 1; round <= 20; round += 1) {
      const broken = inside.wasm;
      // The allocator's own variables come after the module's constants.
      inside.bytes.fill(0xff, 1_050_000, 1_051_000);
      if (round % 2 === 0) expect(rig.decompress(zpage)).toBe(true);
      else expect(rig.zpageOf(compiled)).toEqual(zpage);
      expect(codec.restarts).toBe(round);
      expect(inside.wasm).not.toBe(broken);
      expectGood();
    }
  });

  test("a zpage that traps in every instance is refused", async () => {
    const trapping = await Lz4.load(openMemory());
    const trap = (): never => {
      throw new WebAssembly.RuntimeError("unreachable");
    };
    (trapping as unknown as { tryDecompress: () => boolean }).tryDecompress = trap;
    const zpage = rig.zpageOf(compiled);
    expect(trapping.decompress(zpage, 0, zpage.length, rig.page, 0)).toBe(false);
    expect(trapping.restarts).toBe(2);
  });

  test("views are renewed when the module's memory grows", () => {
    inside.wasm.memory.grow(1);
    expect(inside.bytes.length).toBe(0);
    expectGood();
    inside.wasm.memory.grow(1);
    expect(rig.decompress(new Uint8Array([0xf0]))).toBe(false);
    expectGood();
  });
});

test("Lz4 works on plain ArrayBuffers and gives the same zpages there", async () => {
  const other = new CodecRig(await Lz4.load(new HeapMemory()));
  const zpage = rig.zpageOf(compiled);
  expect(other.zpageOf(compiled)).toEqual(zpage);
  expect(other.decompress(zpage)).toBe(true);
  expect(other.decompressed()).toEqual(compiled);
});
