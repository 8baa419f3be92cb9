/**
 * Dictionaries: which pools have one, and how long each lives.
 *
 *     trained --> current --> retired --> freed
 *                    |            '- when the pool has no zpage of it, here or at holders
 *                    '- when it compresses worse than at first, or the pool is empty
 *
 * Each dictionary of a pool has a slot, and its zpages have the codec id of the slot. So the index
 * counts them (src/tmem/pool.ts). The number of a dictionary is in its zpages, and is that of no
 * other one while it lives.
 *
 * Not here: the sample that a dictionary is trained from (cold-tier.ts).
 */
import { CODEC, DICTIONARY_SLOTS } from "../compress/codec.ts";
import { assert } from "../core/assert.ts";
import type { Pool } from "../tmem/pool.ts";
import type { Recompressor } from "./recompressor.ts";

/** The highest number that a zpage has room for. */
const NUMBER_MAX = 65_535;
/** At most so many live at the same time, over all pools. Each takes a third of a MiB. */
export const DICTIONARIES_MAX = 16;
/** So many of them are for pools that store pages whole, such as those of exports. */
export const DICTIONARIES_RESERVED = 8;
/**
 * A dictionary is measured over as many zpages as its pool had when it was trained, within these
 * bounds, and again over each next ones: parts of a pool may differ by more than its pages do with
 * time.
 */
export const MEASURED_MIN = 1024;
const MEASURED_MAX = 65_536;
/** It is retired when its zpages are longer by this than the first ones were. */
const WORSE = 1.15;
/** A pool with fewer pages than so many samples gets none: it would save less than it takes. */
const SAMPLES_MIN = 8;
/** A pool whose training failed is tried again when it has grown so many times as large. */
const GROWTH = 2;

export interface Dictionary {
  /** 1 .. NUMBER_MAX. */
  readonly number: number;
  /** 0 .. DICTIONARY_SLOTS - 1. */
  readonly slot: number;
  readonly byteCount: number;
}

/** Bytes before and after compression with a dictionary, of so many zpages. */
interface Measure {
  zpages: number;
  inputBytes: number;
  outputBytes: number;
}

interface PoolDictionaries {
  readonly bySlot: Array<Dictionary | null>;
  current: Dictionary | null;
  /** Of the current one. */
  first: Measure;
  recent: Measure;
  /** How many zpages are measured. */
  window: number;
  /** Pages of the pool when a training failed; 0: none has. */
  failedAt: number;
}

export class Dictionaries {
  private readonly recompressor: Recompressor;
  private readonly isKept: boolean;
  private readonly pools = new Map<Pool, PoolDictionaries>();
  private readonly numbers = new Set<number>();
  private lastNumber = 0;
  private bytes = 0;

  /**
   * `isKept`: the zpages outlive the process, and dictionaries do not. So there are none.
   */
  constructor(recompressor: Recompressor, isKept: boolean) {
    this.recompressor = recompressor;
    this.isKept = isKept;
  }

  get count(): number {
    return this.numbers.size;
  }

  /** Bytes of all dictionaries as they were trained. */
  get byteCount(): number {
    return this.bytes;
  }

  /** The one that new zpages of the pool use. */
  current(pool: Pool): Dictionary | null {
    return this.pools.get(pool)?.current ?? null;
  }

  /** Whether one should be trained for the pool, which has none at present. */
  isWanted(pool: Pool): boolean {
    const dictionariesMax = DICTIONARIES_MAX - (pool.storeWhole ? 0 : DICTIONARIES_RESERVED);
    if (!this.recompressor.hasDictionaries || this.isKept) return false;
    if (this.count >= dictionariesMax) return false;
    const pagesMin = SAMPLES_MIN * this.recompressor.sampleZpages;
    const own = this.pools.get(pool);
    if (own === undefined) return pool.pageCount >= pagesMin;
    if (pool.pageCount < Math.max(pagesMin, own.failedAt * GROWTH)) return false;
    return this.freeSlot(pool, own) >= 0;
  }

  /** A training has ended. Null: it made none. @returns whether the pool has a new dictionary. */
  trained(pool: Pool, bytes: Uint8Array | null): boolean {
    const own = this.of(pool);
    const slot = this.freeSlot(pool, own);
    const number = this.freeNumber();
    if (bytes === null || slot < 0 || !this.recompressor.add(number, bytes)) {
      own.failedAt = Math.max(1, pool.pageCount);
      return false;
    }
    this.numbers.add(number);
    this.bytes += bytes.byteLength;
    own.current = { number, slot, byteCount: bytes.byteLength };
    own.bySlot[slot] = own.current;
    own.failedAt = 0;
    own.window = Math.max(MEASURED_MIN, Math.min(MEASURED_MAX, pool.pageCount));
    own.first = emptyMeasure();
    own.recent = emptyMeasure();
    return true;
  }

  /** A zpage of the pool was compressed with its current dictionary. */
  measure(pool: Pool, inputBytes: number, outputBytes: number): void {
    const own = this.of(pool);
    const measure = own.first.zpages < own.window ? own.first : own.recent;
    measure.zpages += 1;
    measure.inputBytes += inputBytes;
    measure.outputBytes += outputBytes;
    if (own.recent.zpages < own.window) return;
    // Without a slot for the next one, the pool keeps this one.
    const isWorse = shareOf(own.recent) > shareOf(own.first) * WORSE;
    if (isWorse && this.freeSlot(pool, own) >= 0) own.current = null;
    own.recent = emptyMeasure();
  }

  /** Frees dictionaries that no zpage uses any more. No job may be under way. */
  sweep(): void {
    for (const [pool, own] of this.pools) {
      const isOver = pool.isDoomed || pool.pageCount === 0;
      if (isOver) own.current = null;
      for (const [slot, dictionary] of own.bySlot.entries()) {
        if (dictionary === null || dictionary === own.current) continue;
        if (usesOf(pool, slot) > 0) continue;
        own.bySlot[slot] = null;
        this.numbers.delete(dictionary.number);
        this.bytes -= dictionary.byteCount;
        this.recompressor.remove(dictionary.number);
      }
      if (isOver && own.bySlot.every((it) => it === null)) this.pools.delete(pool);
    }
  }

  private of(pool: Pool): PoolDictionaries {
    let own = this.pools.get(pool);
    if (own === undefined) {
      const bySlot = new Array<null>(DICTIONARY_SLOTS).fill(null);
      const measures = { first: emptyMeasure(), recent: emptyMeasure() };
      own = { bySlot, current: null, ...measures, window: MEASURED_MIN, failedAt: 0 };
      this.pools.set(pool, own);
    }
    return own;
  }

  /** A slot without a dictionary, and without zpages. -1: there is none. */
  private freeSlot(pool: Pool, { bySlot }: PoolDictionaries): number {
    return bySlot.findIndex((it, slot) => it === null && usesOf(pool, slot) === 0);
  }

  private freeNumber(): number {
    assert(this.numbers.size < NUMBER_MAX);
    do {
      this.lastNumber = (this.lastNumber % NUMBER_MAX) + 1;
    } while (this.numbers.has(this.lastNumber));
    return this.lastNumber;
  }
}

/** How many zpages of the pool use the dictionary in that slot. */
function usesOf(pool: Pool, slot: number): number {
  return pool.byCodec[CODEC.ZSTD_DICTIONARY + slot] ?? 0;
}

function emptyMeasure(): Measure {
  return { zpages: 0, inputBytes: 0, outputBytes: 0 };
}

function shareOf({ inputBytes, outputBytes }: Measure): number {
  return outputBytes / inputBytes;
}
