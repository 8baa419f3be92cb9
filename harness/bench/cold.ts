/**
 * What the cold tier brings: a store is filled with pages of a corpus in order, and the tier works
 * until it finds nothing more, with the real Worker. Then all frames that can come free do.
 */

import { openCodecs } from "../../src/cli/codecs.ts";
import { openRecompressor } from "../../src/cli/cold-codec.ts";
import { openColdTier } from "../../src/cold/cold-tier.ts";
import { ColdCounters } from "../../src/cold/counters.ts";
import type { Recompressor } from "../../src/cold/recompressor.ts";
import type { Codec } from "../../src/compress/codec.ts";
import { assert } from "../../src/core/assert.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { BunClock } from "../../src/net/bun.ts";
import { nodeConfig } from "../../src/node/config.ts";
import { p99OfWindows } from "./bench.ts";
import { DensityStore, type Zpages } from "./density-store.ts";

/** How often the tier is asked whether it is done. */
const STEP_MS = 5;
const GETS = 20_000;
/** Their p99 is the median of so many windows. */
const WINDOWS = 40;
/** The last fifth of the pages stays in use. The others are not used again until they are cold. */
const HOT_PART = 1 / 5;
/** A get arrives at intervals up to twice this. */
const ARRIVAL_US = 50;
/**
 * A dictionary of 64 KiB takes 91 KiB here to decompress, and 110 and 91 KiB in the Worker beside
 * its bytes.
 */
const MEMORY_PER_DICTIONARY_BYTE = 5;

export interface ColdResult {
  /** Effective ratios with lz4 alone, and after the tier has run. */
  readonly before: number;
  readonly after: number;
  /** Bytes of pages by bytes of zpages, after it has run. */
  readonly codec: number;
  /** Part of the pages that was compressed again. */
  readonly share: number;
  readonly pagesPerSecond: number;
  /** Mean time of a get of a page in use, and of one that was compressed again. */
  readonly hotGetUs: number;
  readonly coldGetUs: number;
  /** p99 of a get from its arrival to its end, alone and while the tier works at its default. */
  readonly aloneUs: number;
  readonly besideUs: number;
  /** The same beside a program that keeps another core busy, and does nothing else. */
  readonly busyUs: number;
}

/** Null where this machine has no libzstd. */
export async function coldResult(zpages: Zpages, pages: number): Promise<ColdResult | null> {
  const log = new Log(() => {});
  const clock = new BunClock();
  const config = nodeConfig({ number: 0, name: "bench", memoryBytes: 2 ** 30, lendBytes: 0 });
  const hot = openCodecs({ memory: openMemory(), log }, config);
  const { recompressor, codecs } = await openRecompressor({ log, clock }, config, hot);
  if (recompressor === null) return null;
  const contest = await ColdContest.open({ clock, recompressor, codecs }, zpages, pages);
  try {
    return recompressor.hasDictionaries ? await contest.run() : null;
  } finally {
    contest.close();
  }
}

interface Parts {
  readonly clock: BunClock;
  readonly recompressor: Recompressor;
  readonly codecs: readonly Codec[];
}

class ColdContest {
  private readonly random = new SeededRandom(1);
  private readonly counters = new ColdCounters();
  private readonly settings = { coldSharePercent: 25 };
  private readonly zpages: Zpages;
  private readonly pages: number;
  private readonly store: DensityStore;
  private readonly tier;

  private constructor(parts: Parts, store: DensityStore, zpages: Zpages, pages: number) {
    this.zpages = zpages;
    this.pages = pages;
    this.store = store;
    const { zcache } = store;
    const tier = openColdTier({ ...parts, zcache, counters: this.counters }, this.settings);
    assert(tier !== null);
    this.tier = tier;
  }

  static async open(parts: Parts, zpages: Zpages, pages: number): Promise<ColdContest> {
    const store = await DensityStore.open("blocks", pages, parts.codecs);
    return new ColdContest(parts, store, zpages, pages);
  }

  async run(): Promise<ColdResult> {
    const { store, zpages, pages, counters, settings } = this;
    for (let number = 0; number < pages; number += 1) {
      store.put(number, zpages, number % zpages.count);
    }
    const before = store.effectiveRatio;
    const hotFrom = Math.floor(pages * (1 - HOT_PART));
    const hotGetUs = this.meanGetUs(hotFrom, pages);
    const aloneUs = await this.p99Us(() => {});
    const busyUs = await this.busyUs();
    const besideUs = await this.p99Us(() => this.tier.step());
    settings.coldSharePercent = 100;
    const pagesPerSecond = await this.finish();
    while (store.zcache.compact());
    store.zcache.verify();
    const share = counters.cold_recompressed / pages;
    const coldGetUs = this.meanGetUs(0, hotFrom);
    const after = this.effectiveRatio;
    const { codec } = this;
    return {
      before,
      after,
      codec,
      share,
      pagesPerSecond,
      hotGetUs,
      coldGetUs,
      aloneUs,
      besideUs,
      busyUs,
    };
  }

  /** @returns pages a second since the first ones: before them the tier takes a sample, and trains. */
  private async finish(): Promise<number> {
    const { tier, counters } = this;
    const before = counters.cold_recompressed;
    while (!tier.isDone && counters.cold_recompressed === before) await this.step();
    const first = counters.cold_recompressed;
    const startedMs = performance.now();
    let endedMs = startedMs;
    while (!tier.isDone) {
      const last = counters.cold_recompressed;
      await this.step();
      if (counters.cold_recompressed > last) endedMs = performance.now();
    }
    return (1000 * (counters.cold_recompressed - first)) / Math.max(1, endedMs - startedMs);
  }

  private step(): Promise<void> {
    this.tier.step();
    return Bun.sleep(STEP_MS);
  }

  private get codec(): number {
    const { zbytes } = this.store.zcache.placement.counters;
    return (this.store.pageCount * PAGE_BYTES) / (zbytes[0] + zbytes[1]);
  }

  private get effectiveRatio(): number {
    const { store } = this;
    const frames = store.zcache.frames.framesUsed * FRAME_BYTES;
    const dictionaries = this.tier.dictionaries.byteCount * MEMORY_PER_DICTIONARY_BYTE;
    return (store.pageCount * PAGE_BYTES) / (frames + store.metadataBytes + dictionaries);
  }

  /** Of pages from `first` to before `end`. */
  private meanGetUs(first: number, end: number): number {
    const started = Bun.nanoseconds();
    for (let i = 0; i < GETS; i += 1) this.store.get(first + below(this.random, end - first));
    return (Bun.nanoseconds() - started) / 1000 / GETS;
  }

  /**
   * Gets of pages in use arrive while turns of the loop go on. Each waits for the turn that it
   * arrives in.
   */
  private async p99Us(turn: () => void): Promise<number> {
    const { random, store, pages } = this;
    const times: number[] = [];
    let arrival = Bun.nanoseconds();
    while (times.length < GETS) {
      turn();
      await new Promise<void>((resolve) => void setImmediate(resolve));
      while (arrival <= Bun.nanoseconds()) {
        store.get(pages - 1 - below(random, pages * HOT_PART));
        times.push((Bun.nanoseconds() - arrival) / 1000);
        arrival += below(random, 2 * ARRIVAL_US * 1000);
      }
    }
    return p99OfWindows(times, WINDOWS);
  }

  private async busyUs(): Promise<number> {
    const busy = new Worker(new URL("./busy.ts", import.meta.url).href);
    await new Promise<void>((resolve) => busy.addEventListener("open", () => resolve()));
    const us = await this.p99Us(() => {});
    busy.terminate();
    return us;
  }

  close(): void {
    this.tier.close();
    this.store.close();
  }
}
