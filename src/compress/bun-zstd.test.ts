import { describe, expect, test } from "bun:test";
import { CodecRig, codecContract } from "../../harness/contract/codec.ts";
import { loadPages } from "../../harness/pages/load.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { findLibrary } from "../memory/system-library.ts";
import { BunZstd } from "./bun-zstd.ts";
import { CODEC } from "./codec.ts";
import { Zstd } from "./native/zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "./native/zstd-library.ts";

// The runtime makes a new array for each page.
codecContract(CODEC.ZSTD, async () => new BunZstd(), { allocates: true });

const found = findLibrary(ZSTD_LIBRARY);
const path = "path" in found ? found.path : null;

describe.skipIf(path === null)("beside libzstd", () => {
  test("each decompresses what the other has compressed", () => {
    const own = new CodecRig(new BunZstd());
    const native = new CodecRig(new Zstd(new ZstdLibrary(path ?? "")));
    for (const { pages } of loadPages()) {
      for (let at = 0; at < pages.length; at += PAGE_BYTES) {
        const page = pages.slice(at, at + PAGE_BYTES);
        expect(own.decompress(native.zpageOf(page))).toBe(true);
        expect(own.decompressed()).toEqual(page);
        expect(native.decompress(own.zpageOf(page))).toBe(true);
        expect(native.decompressed()).toEqual(page);
      }
    }
  });
});

test("a frame of another shape is refused unread", () => {
  const rig = new CodecRig(new BunZstd());
  const repeated = (bytes: number, { window = 0x10, descriptor = 0 } = {}) => {
    const header = (bytes << 3) | 3;
    const parts = [header & 0xff, (header >> 8) & 0xff, header >> 16];
    return new Uint8Array([descriptor, window, ...parts, 0x5a]);
  };
  expect(rig.decompress(repeated(PAGE_BYTES))).toBe(true);
  expect(rig.decompressed()).toEqual(new Uint8Array(PAGE_BYTES).fill(0x5a));
  for (const bytes of [0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1, 2 * PAGE_BYTES]) {
    expect(rig.decompress(repeated(bytes))).toBe(false);
  }
  for (const descriptor of [1, 2, 3, 4, 0x20, 0x40, 0x60, 0xff]) {
    expect(rig.decompress(repeated(PAGE_BYTES, { descriptor }))).toBe(false);
  }
  // A window of 2 TiB takes no memory.
  expect(rig.decompress(repeated(PAGE_BYTES, { window: 0xf8 }))).toBe(false);
});

test("arrays that threads share are taken", () => {
  const codec = new BunZstd();
  const shared = new Uint8Array(new SharedArrayBuffer(3 * PAGE_BYTES));
  shared.fill(7, 0, PAGE_BYTES);
  const byteCount = codec.compress(shared, 0, shared, PAGE_BYTES, PAGE_BYTES);
  expect(byteCount).toBeGreaterThan(0);
  expect(codec.decompress(shared, PAGE_BYTES, byteCount, shared, 2 * PAGE_BYTES)).toBe(true);
  expect(shared.slice(2 * PAGE_BYTES)).toEqual(shared.slice(0, PAGE_BYTES));
});
