/**
 * ColdTier: pages that were not used for a while are compressed again, more tightly.
 *
 *     placement.cold.next -> copied, checked -> Recompressor, beside this thread
 *                                                   |
 *     zpage replaced, record changed  <- is it still the same page, version and place?
 *
 * A pool that is large enough first gives a sample, and a dictionary is trained from it. Until then
 * its pages wait. Pages of other pools are compressed without a dictionary.
 *
 * There is one job at a time, and a rest after each, so that the jobs keep a core busy for at most
 * `sharePercent` of the time. A job that fails changes nothing: its zpages stay as they are.
 *
 * A replaced zpage keeps its version. So it is not replaced while it is leaving, when a holder may
 * be about to have its bytes.
 *
 * Not here: what is cold, and where zpages are (src/placement); codecs (src/compress).
 */
import { CODEC } from "../compress/codec.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import type { ColdZpages } from "../placement/placement.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Pool } from "../tmem/pool.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { ColdCounters } from "./counters.ts";
import { Dictionaries } from "./dictionaries.ts";
import type { Recompressor, RecompressorSink } from "./recompressor.ts";
import { SAVED_BYTES_MIN, type ZpageBatch } from "./zpage-batch.ts";

/** Zpages that are copied, or replaced, in one turn of the loop: 10 to 20 us. Reads come between. */
const SLICE_ZPAGES = 8;
/** How often one step asks the placement for cold zpages: often if it has many, for a sample. */
const LOOKS_PER_STEP = 64;
/** How many of these may find fewer than were asked for. */
const POOR_LOOKS_PER_STEP = 4;
/** The pause after a step that found nothing, so that the search takes little of the thread. */
const LOOK_PAUSE_MS = 10;
/** There is no training with less than this part of a sample. */
const SAMPLE_PART_MIN = 1 / 8;
/** A sample takes one of so many zpages that it is likely to be full before a round ends. */
const SAMPLE_SPREAD = 0.75;
/** A sample ends after so many rounds: the first one had begun before it. */
const SAMPLE_ROUNDS = 2;

export interface ColdSettings {
  /** How long jobs may keep a core busy: 1 .. 100 percent of the time. */
  coldSharePercent: number;
}

interface ColdParts {
  readonly clock: Clock;
  readonly zcache: Zcache;
  /** Null: cold pages stay as they are. */
  readonly recompressor: Recompressor | null;
  readonly counters: ColdCounters;
}

/** Null: there is nothing that compresses them, or zpages of the placement have no age. */
export function openColdTier(parts: ColdParts, settings: ColdSettings): ColdTier | null {
  const { recompressor, zcache } = parts;
  const { cold: zpages } = zcache.placement;
  if (recompressor === null) return null;
  if (zpages === null) {
    recompressor.close();
    return null;
  }
  return new ColdTier({ ...parts, recompressor }, zpages, settings);
}

/** What compresses cold pages. */
export type ColdCodec = Pick<Recompressor, "library" | "hasDictionaries" | "isUsable">;

/** The zpages of a pool for a training: one of each `stride` that are found. */
interface Sampling {
  readonly pool: Pool;
  readonly zpages: ZpageBatch;
  readonly stride: number;
  readonly endRound: number;
  seen: number;
}

export class ColdTier implements RecompressorSink {
  readonly dictionaries: Dictionaries;
  private readonly clock: Clock;
  private readonly zcache: Zcache;
  private readonly zpages: ColdZpages;
  private readonly recompressor: Recompressor;
  private readonly settings: ColdSettings;
  private readonly counters: ColdCounters;
  private readonly found = new Int32Array(SLICE_ZPAGES);
  /** By place in the batch: the page, its version, and the codec id of its output. */
  private readonly pages: Int32Array;
  private readonly versions: Float64Array;
  private readonly codecs: Uint8Array;
  private sampling: Sampling | null = null;
  /** How many zpages the job has. Its batch is empty when it has failed. */
  private jobZpages = 0;
  /** What is left of the step that looks for zpages. */
  private looksLeft = 0;
  private poorLooksLeft = 0;
  private isBusy = false;
  private isClosed = false;
  private timer: TimerId | null = null;
  /** The last round that found something. */
  private foundRound = 0;
  private doneEpoch = -1;

  constructor(
    parts: ColdParts & { recompressor: Recompressor },
    zpages: ColdZpages,
    settings: ColdSettings,
  ) {
    this.clock = parts.clock;
    this.zcache = parts.zcache;
    this.zpages = zpages;
    this.recompressor = parts.recompressor;
    this.counters = parts.counters;
    this.settings = settings;
    this.dictionaries = new Dictionaries(parts.recompressor, parts.zcache.isKept);
    const { capacity } = parts.recompressor.batch;
    this.pages = new Int32Array(capacity);
    this.versions = new Float64Array(capacity);
    this.codecs = new Uint8Array(capacity);
  }

  get codec(): ColdCodec {
    const { library, hasDictionaries, isUsable } = this.recompressor;
    return { library, hasDictionaries, isUsable };
  }

  /** Nothing more will be found before pages have aged by another epoch. */
  get isDone(): boolean {
    return this.zpages.epoch === this.doneEpoch;
  }

  /** Called periodically: begins to look for cold zpages, unless that is under way. */
  step(): void {
    if (this.isBusy || this.isClosed || this.timer !== null) return;
    this.dictionaries.sweep();
    if (!this.recompressor.isUsable || this.isDone) return;
    this.isBusy = true;
    if (this.sampling !== null && this.isSampleWhole && this.train(this.sampling)) return;
    this.recompressor.batch.count = 0;
    this.looksLeft = LOOKS_PER_STEP;
    this.poorLooksLeft = POOR_LOOKS_PER_STEP;
    this.look();
  }

  /** Fills the batch in slices. Some zpages may go to a sample instead. */
  private look(): void {
    if (this.isClosed) return;
    const { zpages } = this;
    const { batch } = this.recompressor;
    const { found } = this;
    const { rounds } = zpages;
    const count = zpages.next(found);
    this.looksLeft -= 1;
    if (count < found.length) this.poorLooksLeft -= 1;
    if (count > 0) this.foundRound = zpages.rounds;
    for (let i = 0; i < count; i += 1) this.consider(found[i] ?? 0);
    const isOver = this.looksLeft === 0 || this.poorLooksLeft === 0 || zpages.rounds !== rounds;
    const isFull = batch.capacity - batch.count < SLICE_ZPAGES;
    if (isOver || isFull || this.isSampleWhole) this.begin();
    else this.clock.soon(() => this.look());
  }

  /** Begins the job, if zpages were found for one. */
  private begin(): void {
    const { recompressor } = this;
    this.jobZpages = recompressor.batch.count;
    // It may have failed for the last time while the batch was filled.
    if (this.jobZpages > 0 && recompressor.isUsable) {
      recompressor.recompress(this);
      return;
    }
    this.isBusy = false;
    if (this.zpages.rounds - this.foundRound > 1) this.doneEpoch = this.zpages.epoch;
    else this.stepAfter(LOOK_PAUSE_MS);
  }

  close(): void {
    this.isClosed = true;
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.recompressor.close();
  }

  /** RecompressorSink. */
  onRecompressed(isDone: boolean, busyMs: number): void {
    if (!isDone) this.counters.cold_failed_jobs += 1;
    this.finishFrom(0, isDone, busyMs);
  }

  /** Goes on with zpage `first` of the job, and with the next slice in the next turn. */
  private finishFrom(first: number, isDone: boolean, busyMs: number): void {
    if (this.isClosed) return;
    const { outputBytes } = this.recompressor.batch;
    const end = Math.min(first + SLICE_ZPAGES, this.jobZpages);
    // Zpages of a job that failed are not tried again: one of them may be the reason.
    for (let i = first; i < end; i += 1) this.finish(i, isDone ? (outputBytes[i] ?? 0) : 0);
    if (end < this.jobZpages) {
      this.clock.soon(() => this.finishFrom(end, isDone, busyMs));
      return;
    }
    this.isBusy = false;
    this.rest(busyMs);
  }

  /** RecompressorSink. */
  onTrained(dictionary: Uint8Array | null, busyMs: number): void {
    if (this.isClosed || this.sampling === null) return;
    this.isBusy = false;
    this.endSampling(this.sampling.pool, dictionary);
    this.rest(busyMs);
  }

  private rest(busyMs: number): void {
    this.stepAfter(busyMs * (100 / this.settings.coldSharePercent - 1));
  }

  private stepAfter(delayMs: number): void {
    this.timer = this.clock.after(delayMs, () => {
      this.timer = null;
      this.step();
    });
  }

  private consider(page: number): void {
    const { tmem } = this.zcache;
    const pool = tmem.poolOf(page);
    const isShort = tmem.zpageBytes(page) <= SAVED_BYTES_MIN;
    if (isShort || tmem.codec(page) >= CODEC.ZSTD) {
      this.zpages.settle(tmem.place(page));
      return;
    }
    if (pool.isDoomed) return;
    const dictionary = this.dictionaries.current(pool);
    if (dictionary === null && this.dictionaries.isWanted(pool)) {
      this.sample(pool, page);
      return;
    }
    const { batch } = this.recompressor;
    const i = batch.count;
    if (!this.copyTo(batch, page)) return;
    batch.dictionaries[i] = dictionary?.number ?? 0;
    this.pages[i] = page;
    this.versions[i] = tmem.version(page);
    this.codecs[i] = dictionary === null ? CODEC.ZSTD : CODEC.ZSTD_DICTIONARY + dictionary.slot;
  }

  /** Adds the zpage to the batch, if its checksum matches. Else a get reports it, and it stays. */
  private copyTo(batch: ZpageBatch, page: number): boolean {
    const { zcache } = this;
    const { tmem } = zcache;
    if (!zcache.copyIntact(page, batch.input, batch.count * PAGE_BYTES)) {
      this.zpages.settle(tmem.place(page));
      return false;
    }
    batch.inputBytes[batch.count] = tmem.zpageBytes(page);
    batch.inputCodecs[batch.count] = tmem.codec(page);
    batch.count += 1;
    return true;
  }

  /** A zpage of the batch has its other encoding. `zpageBytes` 0: it has none that is shorter. */
  private finish(i: number, zpageBytes: number): void {
    const { zcache, zpages, counters } = this;
    const { tmem, placement } = zcache;
    const { batch } = this.recompressor;
    const page = this.pages[i] ?? 0;
    if (!tmem.isLive(page) || tmem.version(page) !== this.versions[i]) return;
    if (tmem.tag(page) !== TAG.LOCAL || placement.isLeaving(tmem.place(page))) return;
    // It is in the batch twice if compaction moved it while the batch was filled.
    if (tmem.codec(page) >= CODEC.ZSTD) return;
    if (zpageBytes < 1 || zpageBytes > batch.outputBytesMax(i)) {
      counters.cold_not_shorter += 1;
      zpages.settle(tmem.place(page));
      return;
    }
    const inputBytes = tmem.zpageBytes(page);
    const codec = this.codecs[i] ?? 0;
    if (!zcache.replaceZpage(page, batch.output, i * PAGE_BYTES, zpageBytes, codec)) return;
    counters.cold_recompressed += 1;
    counters.cold_saved_bytes += inputBytes - zpageBytes;
    const pool = tmem.poolOf(page);
    const dictionary = this.dictionaries.current(pool);
    if (dictionary === null || dictionary.number !== batch.dictionaries[i]) return;
    this.dictionaries.measure(pool, inputBytes, zpageBytes);
  }

  // Samples and trainings.

  private sample(pool: Pool, page: number): void {
    this.sampling ??= this.newSampling(pool);
    const { sampling } = this;
    const { zpages } = sampling;
    if (sampling.pool !== pool || zpages.count === zpages.capacity) return;
    sampling.seen += 1;
    if (sampling.seen % sampling.stride === 0) this.copyTo(zpages, page);
  }

  private newSampling(pool: Pool): Sampling {
    const zpages = this.recompressor.newSamples();
    const count = (pool.byCodec[CODEC.RAW] ?? 0) + (pool.byCodec[CODEC.LZ4] ?? 0);
    const stride = Math.max(1, Math.floor((count * SAMPLE_SPREAD) / zpages.capacity));
    return { pool, zpages, stride, endRound: this.zpages.rounds + SAMPLE_ROUNDS, seen: 0 };
  }

  private get isSampleWhole(): boolean {
    const { sampling } = this;
    if (sampling === null) return false;
    const { zpages, endRound } = sampling;
    return zpages.count === zpages.capacity || this.zpages.rounds >= endRound;
  }

  /** Trains a dictionary from the sample, which is whole. @returns false if it is no good. */
  private train({ pool, zpages }: Sampling): boolean {
    if (zpages.count < zpages.capacity * SAMPLE_PART_MIN || pool.isDoomed) {
      this.endSampling(pool, null);
      return false;
    }
    this.recompressor.train(zpages, this);
    return true;
  }

  private endSampling(pool: Pool, dictionary: Uint8Array | null): void {
    this.sampling = null;
    if (this.dictionaries.trained(pool, dictionary)) this.counters.dictionaries_trained += 1;
    else this.counters.dictionaries_failed += 1;
  }
}
