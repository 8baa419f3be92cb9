/**
 * SimRecompressor: a Recompressor under virtual time. Its jobs are late, and some of them fail.
 */

import type { Recompressor, RecompressorSink } from "../../src/cold/recompressor.ts";
import { ZpageBatch } from "../../src/cold/zpage-batch.ts";
import { BunZstd } from "../../src/compress/bun-zstd.ts";
import { CODEC, type Codec } from "../../src/compress/codec.ts";
import { assert } from "../../src/core/assert.ts";
import type { Clock } from "../../src/core/clock.ts";
import { CODECS_END, PAGE_BYTES } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { DictionaryModel } from "./dictionary-model.ts";

/** Small, so that the few pages of a simulation need several of them, and no multiple of a slice. */
const BATCH_ZPAGES = 20;
const SAMPLE_ZPAGES = 16;
const DICTIONARY_BYTES = 64;
const JOB_MS_MAX = 40;

export class SimRecompressor implements Recompressor {
  readonly library = "a model";
  readonly hasDictionaries = true;
  readonly isStarting = false;
  isUsable = true;
  readonly sampleZpages = SAMPLE_ZPAGES;
  readonly batch = ZpageBatch.make(BATCH_ZPAGES);
  /** By id: the codecs that a node needs to decompress what this makes. */
  readonly codecs: readonly Codec[];
  /** Jobs that fail, in percent. */
  failPercent = 0;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly zstd = new BunZstd();
  private readonly model = new DictionaryModel();
  private readonly page = new Uint8Array(PAGE_BYTES);
  private isBusy = false;
  private isClosed = false;

  /** `hot`: raw and lz4, by id. */
  constructor(parts: { clock: Clock; random: Random }, hot: readonly Codec[]) {
    this.clock = parts.clock;
    this.random = parts.random;
    const models = new Array<Codec>(CODECS_END - CODEC.ZSTD_DICTIONARY).fill(this.model);
    this.codecs = [...hot, this.zstd, ...models];
  }

  recompress(sink: RecompressorSink): void {
    this.later((busyMs) => {
      const isDone = !this.fails();
      for (let i = 0; isDone && i < this.batch.count; i += 1) this.recompressOne(i);
      sink.onRecompressed(isDone, busyMs);
    });
  }

  private recompressOne(i: number): void {
    const { batch, page, codecs } = this;
    const at = i * PAGE_BYTES;
    const codec = codecs[batch.inputCodecs[i] ?? 0];
    const isRight = codec?.decompress(batch.input, at, batch.inputBytes[i] ?? 0, page, 0);
    assert(isRight === true, "an input does not decompress");
    const number = batch.dictionaries[i] ?? 0;
    this.model.selected = number;
    const output = number === 0 ? this.zstd : this.model;
    const bytesMax = Math.max(0, batch.outputBytesMax(i));
    batch.outputBytes[i] = output.compress(page, 0, batch.output, at, bytesMax);
  }

  train(samples: ZpageBatch, sink: RecompressorSink): void {
    assert(samples.count > 0);
    this.later((busyMs) => {
      const dictionary = new Uint8Array(DICTIONARY_BYTES);
      for (let i = 0; i < DICTIONARY_BYTES; i += 1) dictionary[i] = below(this.random, 256);
      sink.onTrained(this.fails() ? null : dictionary, busyMs);
    });
  }

  newSamples(): ZpageBatch {
    return ZpageBatch.make(SAMPLE_ZPAGES);
  }

  add(number: number, dictionary: Uint8Array): boolean {
    this.model.add(number, dictionary);
    return true;
  }

  remove(number: number): void {
    assert(!this.isBusy, "a dictionary is removed while a job may use it");
    this.model.remove(number);
  }

  close(): void {
    this.isUsable = false;
    this.isClosed = true;
  }

  private fails(): boolean {
    return below(this.random, 100) < this.failPercent;
  }

  private later(job: (busyMs: number) => void): void {
    assert(this.isUsable && !this.isBusy, "two jobs at a time, or one that is not taken");
    this.isBusy = true;
    const busyMs = 1 + below(this.random, JOB_MS_MAX);
    this.clock.after(busyMs, () => {
      this.isBusy = false;
      if (!this.isClosed) job(busyMs);
    });
  }
}
