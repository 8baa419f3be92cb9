/**
 * Recompressor: compresses zpages again, more tightly, beside the thread that serves. It does one
 * job at a time, and calls back in a later turn.
 *
 *     batch filled -> recompress -> onRecompressed: outputs of the batch, or it failed
 *     samples      -> train      -> onTrained: a dictionary, or none
 *
 * Not here: which pages, and what happens to their zpages (cold-tier.ts).
 */
import type { ZpageBatch } from "./zpage-batch.ts";

/** Zpages that are compressed again together. */
export const BATCH_ZPAGES = 32;
/** Zpages that a dictionary is trained from. */
export const SAMPLE_ZPAGES = 512;
/** Pages after which the code of a job is compiled. They take a third of a second. */
export const WARM_UP_PAGES = 8192;
export const DICTIONARY_BYTES = 64 * 1024;

export interface RecompressorSink {
  /**
   * The job has ended. False: it has failed, and there is no output. `busyMs`: the processor time
   * that it took.
   */
  onRecompressed(isDone: boolean, busyMs: number): void;
  /** Null: the samples made no dictionary, or the job has failed. */
  onTrained(dictionary: Uint8Array | null, busyMs: number): void;
}

export interface Recompressor {
  /** What compresses: "libzstd 1.5.4". */
  readonly library: string;
  /** Whether it can train dictionaries, and use them. */
  readonly hasDictionaries: boolean;
  /** False: it has failed too often, and takes no more jobs. */
  readonly isUsable: boolean;
  /** A Worker starts, and makes its memory. */
  readonly isStarting: boolean;
  /** How many zpages a sample has: SAMPLE_ZPAGES. */
  readonly sampleZpages: number;
  /**
   * The zpages of the next job, or of the one under way. BATCH_ZPAGES at most. A job that failed
   * leaves it empty and in other memory, so its arrays are not to be kept.
   */
  readonly batch: ZpageBatch;
  /**
   * Compresses the zpages of `batch` again. An output was decompressed once, and gave the page of
   * its input. Only while no job is under way.
   */
  recompress(sink: RecompressorSink): void;
  /** Trains a dictionary of DICTIONARY_BYTES at most. Only while no job is under way. */
  train(samples: ZpageBatch, sink: RecompressorSink): void;
  /** A batch for `train`: zpages of one pool. */
  newSamples(): ZpageBatch;
  /**
   * Adds a dictionary under a number that is not in use, 1 .. DICTIONARY_NUMBER_MAX, for jobs and
   * for the codec that decompresses here. @returns false when the bytes are no dictionary.
   */
  add(number: number, dictionary: Uint8Array): boolean;
  /** Removes one. Its zpages can no longer be decompressed. Only while no job is under way. */
  remove(number: number): void;
  /** Ends everything. Jobs under way do not call back. */
  close(): void;
}
