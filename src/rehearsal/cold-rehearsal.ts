/** The jobs of a Recompressor, before there are cold pages: see rehearsal.ts. */
import { type Recompressor, WARM_UP_PAGES } from "../cold/recompressor.ts";
import type { ZpageBatch } from "../cold/zpage-batch.ts";
import type { Codec } from "../compress/codec.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { below, type Random } from "../core/random.ts";

/** No pool has a dictionary yet, so any number is free. */
const NUMBER = 1;
/** A page is made of pieces of 16 bytes, of which there are so many different ones. */
const PIECES = 64;
const PIECE_WORDS = 4;

/** Trains a dictionary, and compresses as many pages as its Worker takes to be at its best. */
export async function rehearseCold(
  recompressor: Recompressor,
  codec: Codec,
  random: Random,
): Promise<void> {
  if (!recompressor.isUsable) return;
  const pages = new Pages(codec, random);
  const dictionary = recompressor.hasDictionaries ? await trained(recompressor, pages) : null;
  const isAdded = dictionary !== null && recompressor.add(NUMBER, dictionary);
  const { capacity } = recompressor.batch;
  for (let page = 0; page < WARM_UP_PAGES && recompressor.isUsable; page += capacity) {
    pages.fill(recompressor.batch);
    recompressor.batch.dictionaries.fill(isAdded ? NUMBER : 0);
    await recompressed(recompressor);
  }
  if (isAdded) recompressor.remove(NUMBER);
}

function trained(recompressor: Recompressor, pages: Pages): Promise<Uint8Array | null> {
  const samples = recompressor.newSamples();
  pages.fill(samples);
  return new Promise((resolve) => {
    recompressor.train(samples, { onTrained: resolve, onRecompressed: () => {} });
  });
}

function recompressed(recompressor: Recompressor): Promise<boolean> {
  return new Promise((resolve) => {
    recompressor.recompress({ onRecompressed: resolve, onTrained: () => {} });
  });
}

/** Pages of pieces that they have in common, compressed. */
class Pages {
  private readonly codec: Codec;
  private readonly random: Random;
  private readonly pieces: Uint32Array;
  private readonly page = new Uint8Array(PAGE_BYTES);
  private readonly words = new Uint32Array(this.page.buffer);
  private readonly zpage = new Uint8Array(PAGE_BYTES);

  constructor(codec: Codec, random: Random) {
    this.codec = codec;
    this.random = random;
    this.pieces = Uint32Array.from({ length: PIECES * PIECE_WORDS }, () => random.u32());
  }

  fill(batch: ZpageBatch): void {
    const { codec, page, zpage } = this;
    batch.count = 0;
    while (batch.count < batch.capacity) {
      this.make();
      const byteCount = codec.compress(page, 0, zpage, 0, PAGE_BYTES);
      batch.add(zpage.subarray(0, byteCount), codec.id);
    }
  }

  private make(): void {
    const { random, pieces, words } = this;
    for (let at = 0; at < words.length; at += PIECE_WORDS) {
      const piece = below(random, PIECES) * PIECE_WORDS;
      for (let i = 0; i < PIECE_WORDS; i += 1) words[at + i] = pieces[piece + i] ?? 0;
    }
  }
}
