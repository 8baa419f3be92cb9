import { describe, expect, test } from "bun:test";
import { CodecRig } from "../../harness/contract/codec.ts";
import { loadPageClass } from "../../harness/pages/load.ts";
import { BunZstd } from "../compress/bun-zstd.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { LZ4_LIBRARY } from "../compress/native/lz4.ts";
import { ZstdWithDictionaries } from "../compress/native/zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "../compress/native/zstd-library.ts";
import { Raw } from "../compress/raw.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { openMemory } from "../memory/open-memory.ts";
import { findLibrary } from "../memory/system-library.ts";
import { openRecompression } from "./open-recompression.ts";
import { Recompression, SAMPLES_MIN } from "./recompression.ts";
import { BATCH_ZPAGES, DICTIONARY_BYTES, SAMPLE_ZPAGES } from "./recompressor.ts";
import { SAVED_BYTES_MIN, ZpageBatch } from "./zpage-batch.ts";

const memory = openMemory();
const raw = new Raw(memory);
const lz4 = await Lz4.load(memory);
const zstd = new BunZstd();
const { pages } = loadPageClass("python");
const PAGE_COUNT = pages.byteLength / PAGE_BYTES;

function pageAt(i: number): Uint8Array {
  return pages.slice(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
}

function newBatch(capacity = BATCH_ZPAGES): ZpageBatch {
  return new ZpageBatch(new SharedArrayBuffer(ZpageBatch.byteCount(capacity)), capacity);
}

function zpageOf(codec: Codec, page: Uint8Array): Uint8Array {
  return new CodecRig(codec).zpageOf(page);
}

function outputOf(batch: ZpageBatch, i: number): Uint8Array {
  return batch.output.slice(i * PAGE_BYTES, i * PAGE_BYTES + (batch.outputBytes[i] ?? 0));
}

/** The page that output `i` holds; null: there is none. */
function pageOf(codec: Codec, batch: ZpageBatch, i: number): Uint8Array | null {
  const rig = new CodecRig(codec);
  return rig.decompress(outputOf(batch, i)) ? rig.decompressed() : null;
}

function sum(words: Int32Array): number {
  return words.reduce((total, word) => total + word, 0);
}

const plain = new Recompression({
  codecs: [raw, lz4, zstd],
  dictionaries: null,
  library: null,
});
const NO_FAULTS = { badInputs: 0, wrongOutputs: 0 };

describe("recompress()", () => {
  test("makes zstd of zpages of every codec, and the pages are the same", () => {
    const batch = newBatch();
    for (const codec of [raw, lz4, raw, lz4]) {
      batch.add(zpageOf(codec, pageAt(batch.count)), codec.id);
    }
    expect(plain.recompress(batch)).toEqual(NO_FAULTS);
    for (let i = 0; i < batch.count; i += 1) {
      expect(batch.outputBytes[i]).toBeWithin(1, batch.outputBytesMax(i) + 1);
      expect(pageOf(zstd, batch, i)).toEqual(pageAt(i));
    }
  });

  test("has no output that is not enough shorter", () => {
    const batch = newBatch();
    const random = loadPageClass("incompressible").pages.slice(0, PAGE_BYTES);
    const shorter = zpageOf(zstd, pageAt(0));
    batch.add(random, CODEC.RAW);
    batch.add(shorter, CODEC.ZSTD);
    batch.add(shorter.subarray(0, SAVED_BYTES_MIN), CODEC.ZSTD);
    batch.outputBytes.fill(7);
    expect(plain.recompress(batch)).toEqual(NO_FAULTS);
    expect([...batch.outputBytes.subarray(0, 4)]).toEqual([0, 0, 0, 7]);
  });

  test("counts inputs that do not decompress, and goes on", () => {
    const batch = newBatch();
    const good = zpageOf(lz4, pageAt(3));
    batch.add(good.subarray(0, good.length - 1), CODEC.LZ4);
    batch.add(good, CODEC.RAW);
    batch.add(good, CODEC.ZSTD_DICTIONARY);
    batch.add(good, 31);
    batch.add(good, CODEC.LZ4);
    batch.add(good, CODEC.LZ4);
    batch.inputBytes[4] = PAGE_BYTES + 1;
    expect(plain.recompress(batch)).toEqual({ badInputs: 5, wrongOutputs: 0 });
    expect([...batch.outputBytes.subarray(0, 5)]).toEqual([0, 0, 0, 0, 0]);
    expect(pageOf(zstd, batch, 5)).toEqual(pageAt(3));
  });

  test("drops outputs that do not give their page back", () => {
    const batch = newBatch();
    for (let i = 0; i < 2; i += 1) batch.add(pageAt(i), CODEC.RAW);
    /** Compresses another page, or writes what is no zpage. */
    const broken: Codec = {
      ...{ id: zstd.id, name: zstd.name, library: null },
      compress: (page, at, target, targetAt, bytesMax) => {
        if (Buffer.compare(page, pageAt(1)) === 0) return 100;
        page[17] = (page[17] ?? 0) ^ 1;
        const byteCount = zstd.compress(page, at, target, targetAt, bytesMax);
        page[17] = (page[17] ?? 0) ^ 1;
        return byteCount;
      },
      decompress: (...zpage) => zstd.decompress(...zpage),
    };
    const parts = { codecs: [raw, lz4, broken], dictionaries: null, library: null };
    expect(new Recompression(parts).recompress(batch)).toEqual({
      badInputs: 0,
      wrongOutputs: 2,
    });
    expect([...batch.outputBytes.subarray(0, 2)]).toEqual([0, 0]);
  });

  test("needs the dictionary that it is to use", () => {
    const batch = newBatch();
    batch.add(pageAt(0), CODEC.RAW);
    batch.dictionaries[0] = 1;
    expect(() => plain.recompress(batch)).toThrow("there is no codec for that");
    expect(() => plain.add(1, new Uint8Array(10))).toThrow("there are no dictionaries");
    plain.remove(1);
  });
});

test("train() makes no dictionary without a library", () => {
  const samples = newBatch(SAMPLE_ZPAGES);
  for (let i = 0; i < PAGE_COUNT; i += 1) samples.add(pageAt(i), CODEC.RAW);
  expect(plain.train(samples)).toEqual({ ...NO_FAULTS, dictionary: null });
});

const found = findLibrary(ZSTD_LIBRARY);
const path = "path" in found ? found.path : "";
const lz4Found = findLibrary(LZ4_LIBRARY);
const settings = { zstdPath: path, lz4Path: "path" in lz4Found ? lz4Found.path : null };

describe.skipIf(path === "")(
  `with libzstd${path === "" ? " (skipped: it is not here)" : ""}`,
  () => {
    function samplesOf(count: number): ZpageBatch {
      const samples = newBatch(SAMPLE_ZPAGES);
      for (let i = 0; i < count; i += 1) samples.add(zpageOf(lz4, pageAt(i)), CODEC.LZ4);
      return samples;
    }

    test("trains a dictionary, and compresses with it, also what has an older one", async () => {
      const work = await openRecompression(settings);
      const { dictionary, ...faults } = work.train(samplesOf(PAGE_COUNT));
      if (dictionary === null) throw new Error("no dictionary came of the training");
      expect(faults).toEqual(NO_FAULTS);
      expect(dictionary.length).toBeWithin(1, DICTIONARY_BYTES + 1);
      const batch = newBatch();
      for (let i = 0; i < BATCH_ZPAGES; i += 1) batch.add(zpageOf(lz4, pageAt(i)), CODEC.LZ4);
      work.recompress(batch);
      const without = sum(batch.outputBytes);
      work.add(300, dictionary);
      batch.dictionaries.fill(300);
      expect(work.recompress(batch)).toEqual(NO_FAULTS);
      const reader = new ZstdWithDictionaries(new ZstdLibrary(path), { compresses: false });
      reader.add(300, dictionary);
      for (let i = 0; i < batch.count; i += 1) {
        expect(pageOf(reader, batch, i)).toEqual(pageAt(i));
      }
      expect(sum(batch.outputBytes)).toBeLessThan(without);
      const older = newBatch();
      older.add(outputOf(batch, 0), CODEC.ZSTD_DICTIONARY);
      expect(work.recompress(older)).toEqual(NO_FAULTS);
      work.remove(300);
      expect(work.recompress(older)).toEqual({ badInputs: 1, wrongOutputs: 0 });
      expect(() => work.add(1, pageAt(0))).toThrow("refuses dictionary 1");
    });

    test("leaves out samples that do not decompress, and needs enough of the others", async () => {
      const work = await openRecompression(settings);
      const samples = samplesOf(SAMPLES_MIN + 1);
      samples.inputBytes[5] = 1;
      const trained = work.train(samples);
      expect(trained.badInputs).toBe(1);
      expect(trained.dictionary).not.toBeNull();
      samples.inputBytes[6] = 0;
      expect(work.train(samples)).toEqual({ badInputs: 2, wrongOutputs: 0, dictionary: null });
    });
  },
);
