/**
 * Checks a recompressor with pages of a program: it compresses them again, with a dictionary if it
 * can, and each gives its page back.
 */
import type { Recompressor } from "../../src/cold/recompressor.ts";
import { BATCH_ZPAGES } from "../../src/cold/recompressor.ts";
import type { ZpageBatch } from "../../src/cold/zpage-batch.ts";
import { CODEC, type Codec } from "../../src/compress/codec.ts";
import { programPages } from "../../src/compress/native/sample.ts";
import { assert } from "../../src/core/assert.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";

/** `codecs`: by id. @returns how many of BATCH_ZPAGES zpages got shorter. */
export async function checkRecompressor(
  recompressor: Recompressor,
  codecs: readonly Codec[],
): Promise<number> {
  const pages = programPages();
  const hot = codecs[CODEC.LZ4];
  assert(hot !== undefined);
  let number = 0;
  if (recompressor.hasDictionaries) {
    const samples = recompressor.newSamples();
    fill(samples, hot, pages, pages.byteLength / PAGE_BYTES);
    const dictionary = await trained(recompressor, samples);
    number = 1;
    assert(dictionary !== null && recompressor.add(number, dictionary));
  }
  const { batch } = recompressor;
  fill(batch, hot, pages, BATCH_ZPAGES);
  batch.dictionaries.fill(number);
  const [isDone] = await recompressed(recompressor);
  assert(isDone, "the Worker has failed");
  const cold = codecs[number === 0 ? CODEC.ZSTD : CODEC.ZSTD_DICTIONARY];
  assert(cold !== undefined);
  const [page, again] = [new Uint8Array(PAGE_BYTES), new Uint8Array(PAGE_BYTES)];
  let shorter = 0;
  for (let i = 0; i < batch.count; i += 1) {
    const [inputBytes = 0, outputBytes = 0] = [batch.inputBytes[i], batch.outputBytes[i]];
    if (outputBytes === 0) continue;
    shorter += 1;
    const at = i * PAGE_BYTES;
    assert(hot.decompress(batch.input, at, inputBytes, page, 0));
    assert(cold.decompress(batch.output, at, outputBytes, again, 0));
    assert(Buffer.compare(page, again) === 0, "an output is not that of its page");
  }
  return shorter;
}

function fill(batch: ZpageBatch, codec: Codec, pages: Uint8Array, count: number): void {
  batch.count = 0;
  const zpage = new Uint8Array(2 * PAGE_BYTES);
  for (let i = 0; i < count; i += 1) {
    const byteCount = codec.compress(pages, i * PAGE_BYTES, zpage, 0, PAGE_BYTES);
    if (byteCount > 0) batch.add(zpage.subarray(0, byteCount), codec.id);
  }
}

/** Trains a dictionary. Null: none came of it. */
export function trained(
  recompressor: Recompressor,
  samples: ZpageBatch,
): Promise<Uint8Array | null> {
  return new Promise((onTrained) => {
    recompressor.train(samples, { onTrained, onRecompressed: () => {} });
  });
}

/** Compresses the batch again. @returns whether it was done, and how long it kept a core busy. */
export function recompressed(recompressor: Recompressor): Promise<[boolean, number]> {
  return new Promise((resolve) => {
    const onRecompressed = (isDone: boolean, busyMs: number) => resolve([isDone, busyMs]);
    recompressor.recompress({ onRecompressed, onTrained: () => {} });
  });
}
