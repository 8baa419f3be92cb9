import { describe, expect, test } from "bun:test";
import { CodecRig, codecContract } from "../../../harness/contract/codec.ts";
import { loadPageClass } from "../../../harness/pages/load.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import { findLibrary } from "../../memory/system-library.ts";
import { CODEC } from "../codec.ts";
import { dictionaryNumberOf } from "../zstd-frame.ts";
import { Zstd, ZstdWithDictionaries } from "./zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "./zstd-library.ts";

const found = findLibrary(ZSTD_LIBRARY);
const path = "path" in found ? found.path : null;
const why = path === null ? " (skipped: no libzstd here)" : "";

/** Trained on the pages of one class: enough of them, and it brings something. */
function trained(library: ZstdLibrary, name: "python" | "database" = "python"): Uint8Array {
  const dictionary = library.train(loadPageClass(name).pages, 16 * 1024);
  if (dictionary === null) throw new Error("no dictionary came of the training");
  return dictionary;
}

function withDictionary(library: ZstdLibrary, number = 7): ZstdWithDictionaries {
  const codec = new ZstdWithDictionaries(library);
  expect(codec.add(number, trained(library))).toBe(true);
  codec.select(number);
  return codec;
}

if (path !== null) {
  codecContract(CODEC.ZSTD, async () => new Zstd(new ZstdLibrary(path)));
  codecContract(CODEC.ZSTD_DICTIONARY, async () => withDictionary(new ZstdLibrary(path)));
}

describe.skipIf(path === null)(`zstd${why}`, () => {
  const library = new ZstdLibrary(path ?? "");
  const page = loadPageClass("python").pages.slice(5 * PAGE_BYTES, 6 * PAGE_BYTES);

  test("zpages are shorter than with lz4, and shorter still with a dictionary", () => {
    const plain = new CodecRig(new Zstd(library)).zpageOf(page).length;
    expect(new CodecRig(withDictionary(library)).zpageOf(page).length).toBeLessThan(plain);
  });

  test("the number of the dictionary is in the zpage, in as few bytes as it takes", () => {
    for (const [number, bytes] of [
      [1, 1],
      [255, 1],
      [256, 2],
      [65_535, 2],
    ] as const) {
      const rig = new CodecRig(withDictionary(library, number));
      const zpage = rig.zpageOf(page);
      expect(zpage[0]).toBe(bytes);
      expect(dictionaryNumberOf(zpage, 0, zpage.length)).toBe(number);
      expect(rig.decompress(zpage)).toBe(true);
    }
    const plain = new CodecRig(new Zstd(library)).zpageOf(page);
    expect(plain[0]).toBe(0);
    expect(dictionaryNumberOf(plain, 0, plain.length)).toBe(0);
  });

  test("a zpage is refused by every other dictionary, and without one", () => {
    const codec = withDictionary(library, 3);
    codec.add(4, trained(library, "database"));
    const rig = new CodecRig(codec);
    const zpage = rig.zpageOf(page);
    const other = zpage.slice();
    other[2] = 4;
    // Another dictionary makes other bytes of it, or none. The checksum finds the former.
    if (rig.decompress(other)) expect(rig.decompressed()).not.toEqual(page);
    other[2] = 5;
    expect(rig.decompress(other)).toBe(false);
    expect(rig.decompress(zpage)).toBe(true);
    expect(rig.decompressed()).toEqual(page);
    const plain = new CodecRig(new Zstd(library));
    expect(plain.decompress(zpage)).toBe(false);
    expect(rig.decompress(plain.zpageOf(page))).toBe(false);
  });

  test("dictionaries are selected in turns, and every zpage finds its own", () => {
    const codec = withDictionary(library, 1);
    codec.add(300, trained(library, "database"));
    const rig = new CodecRig(codec);
    const zpages = [1, 300, 1, 300].map((number) => {
      codec.select(number);
      return rig.zpageOf(page);
    });
    expect(zpages[0]).toEqual(zpages[2]);
    expect(zpages[1]).toEqual(zpages[3]);
    for (const zpage of zpages) {
      expect(rig.decompress(zpage)).toBe(true);
      expect(rig.decompressed()).toEqual(page);
    }
  });

  test("a removed dictionary decompresses nothing, and its number is free again", () => {
    const codec = withDictionary(library, 9);
    const rig = new CodecRig(codec);
    const zpage = rig.zpageOf(page);
    expect(rig.decompress(zpage)).toBe(true);
    codec.remove(9);
    expect(rig.decompress(zpage)).toBe(false);
    expect(() => rig.compress(page)).toThrow("no dictionary is selected");
    expect(codec.add(9, trained(library))).toBe(true);
    expect(rig.decompress(zpage)).toBe(true);
    codec.close();
  });

  test("a codec that only decompresses takes the zpages of one that compresses", () => {
    const zpage = new CodecRig(withDictionary(library, 7)).zpageOf(page);
    const codec = new ZstdWithDictionaries(library, { compresses: false });
    expect(codec.add(7, trained(library))).toBe(true);
    const rig = new CodecRig(codec);
    expect(rig.decompress(zpage)).toBe(true);
    expect(rig.decompressed()).toEqual(page);
    expect(() => codec.select(7)).toThrow("the dictionaries only decompress");
    codec.remove(7);
    expect(rig.decompress(zpage)).toBe(false);
    codec.close();
  });

  test("add() refuses bytes that are no dictionary", () => {
    const codec = new ZstdWithDictionaries(library);
    const good = trained(library);
    expect(codec.add(1, new Uint8Array())).toBe(false);
    expect(codec.add(1, page)).toBe(false);
    expect(codec.add(1, good.subarray(0, 100))).toBe(false);
    expect(codec.add(1, new Uint8Array(1024 * 1024))).toBe(false);
    expect(codec.add(1, good)).toBe(true);
    codec.close();
  });

  test("train() makes nothing of pages that are too few or all alike", () => {
    expect(library.train(new Uint8Array(), 16 * 1024)).toBeNull();
    expect(library.train(page, 16 * 1024)).toBeNull();
    expect(library.train(loadPageClass("python").pages, 10)).toBeNull();
  });

  test("a frame of another shape is refused unread", () => {
    const rig = new CodecRig(new Zstd(library));
    const zpage = rig.zpageOf(page);
    const magic = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, ...zpage]);
    expect(rig.decompress(magic)).toBe(false);
    expect(rig.decompress(new Uint8Array([...zpage, ...zpage]))).toBe(false);
    for (const descriptor of [1, 2, 3, 4, 0x20, 0x40, 0x80, 0xff]) {
      const other = zpage.slice();
      other[0] = descriptor;
      expect(rig.decompress(other)).toBe(false);
    }
    // One byte, repeated: two pages of it, then one.
    const repeated = (bytes: number) => {
      const header = (bytes << 3) | 3;
      return new Uint8Array([0, 0x10, header & 0xff, (header >> 8) & 0xff, header >> 16, 0x5a]);
    };
    expect(rig.decompress(repeated(2 * PAGE_BYTES))).toBe(false);
    expect(rig.decompress(repeated(PAGE_BYTES - 1))).toBe(false);
    expect(rig.decompress(repeated(PAGE_BYTES))).toBe(true);
    expect(rig.decompressed()).toEqual(new Uint8Array(PAGE_BYTES).fill(0x5a));
  });
});
