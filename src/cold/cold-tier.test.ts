import { expect, test } from "bun:test";
import { flipBit } from "../../harness/sim/borrowing.ts";
import { SimClock } from "../../harness/sim/clock.ts";
import { fillTestPage, generationOf } from "../../harness/sim/cluster.ts";
import { SimRecompressor } from "../../harness/sim/recompressor.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { Handle } from "../core/handle.ts";
import { PERSISTENT } from "../core/kind.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { openMemory } from "../memory/open-memory.ts";
import { type PlacementName, TAKEN_MAX } from "../placement/placement.ts";
import { NEVER_REMOTE } from "../ramster/foreign/foreign.ts";
import type { Pool } from "../tmem/pool.ts";
import { LOCAL_CLIENT } from "../tmem/tmem.ts";
import { Zcache } from "../zcache/zcache.ts";
import { type ColdTier, openColdTier } from "./cold-tier.ts";
import { ColdCounters } from "./counters.ts";
import { DICTIONARIES_MAX, DICTIONARIES_RESERVED, MEASURED_MIN } from "./dictionaries.ts";

const memory = openMemory();
const hotCodecs = [new Raw(memory), await Lz4.load(memory)] as const;
/** A pool with so many pages gets a dictionary. */
const LARGE = 200;
const SMALL = 60;
const STEP_MS = 100;

function newZcache(codecs: readonly Codec[], placement: PlacementName): Zcache {
  return new Zcache(
    { memory, codec: hotCodecs[1], codecs, remote: NEVER_REMOTE, seed: 7 },
    {
      frameCountMax: 4000,
      placement,
      order: "lru",
      highMarkPercent: 90,
      lowMarkPercent: 80,
      pageCountMax: 20_000,
      objectCountMax: 1000,
      persZpageBytesMax: 4000,
      persZpageMeanBytes: 4000,
    },
  );
}

class World {
  readonly clock = new SimClock();
  readonly random = new SeededRandom(1);
  readonly recompressor = new SimRecompressor(this, hotCodecs);
  readonly counters = new ColdCounters();
  readonly settings = { coldSharePercent: 100 };
  readonly zcache: Zcache;
  readonly tier: ColdTier;
  private readonly page = new Uint8Array(PAGE_BYTES);
  private readonly handle = new Handle();

  constructor() {
    this.zcache = newZcache(this.recompressor.codecs, "blocks");
    const tier = openColdTier(this, this.settings);
    if (tier === null) throw new Error("zpages have no age");
    this.tier = tier;
  }

  newPool(storeWhole = true): Pool {
    const pool = this.zcache.tmem.newPool(LOCAL_CLIENT, { persistent: true, storeWhole });
    if (pool === null) throw new Error("no pool");
    return pool;
  }

  at(pool: Pool, number: number): Handle {
    return this.handle.set(pool.id, [1n, 2n, 3n], number);
  }

  put(pool: Pool, number: number, generation = 1): void {
    fillTestPage(this.page, 0, pool.id, number, generation);
    expect(this.zcache.put(pool, this.at(pool, number), this.page, 0)).toBe(STATUS.OK);
  }

  /** Puts pages 0 .. count - 1. */
  fill(pool: Pool, count: number, generation = 1): void {
    for (let number = 0; number < count; number += 1) this.put(pool, number, generation);
  }

  /** A pool with so many pages, none of which was used for a while. */
  coldPool(count: number, storeWhole = true): Pool {
    const pool = this.newPool(storeWhole);
    this.fill(pool, count);
    this.age();
    return pool;
  }

  /** Lets time go on until all pages so far are cold: other pages are put and flushed. */
  age(): void {
    const pool = this.newPool();
    const { pageCount } = this.zcache.tmem;
    for (let i = 0; i < pageCount + 400; i += 1) this.put(pool, 0, i);
    this.zcache.flushPage(pool, this.at(pool, 0));
  }

  find(pool: Pool, number: number): number {
    return this.zcache.tmem.find(pool, this.at(pool, number));
  }

  /** The generation of the page that a get gives. */
  get(pool: Pool, number: number): number {
    const page = this.find(pool, number);
    expect(this.zcache.deliver(page, this.at(pool, number), this.page, 0)).toBe(STATUS.OK);
    return generationOf(this.page, 0, pool.id, number);
  }

  checkAll(pool: Pool, count: number, generation = 1): void {
    this.zcache.verify();
    for (let number = 0; number < count; number += 1) {
      expect(this.get(pool, number)).toBe(generation);
    }
  }

  run(ms: number): void {
    for (const end = this.clock.now() + ms; this.clock.now() < end; ) {
      this.tier.step();
      this.clock.run(this.clock.now() + STEP_MS);
    }
  }

  /** Lets the tier work until it has nothing left to do. */
  finish(): void {
    let before = "";
    for (let now = "?"; now !== before; ) {
      before = now;
      this.run(4000);
      now = JSON.stringify(this.counters);
    }
  }

  /** Runs until a job is under way. */
  untilBusy(): void {
    let isCalled = false;
    const { recompressor } = this;
    const { recompress } = recompressor;
    recompressor.recompress = (sink) => {
      isCalled = true;
      recompress.call(recompressor, sink);
    };
    for (this.tier.step(); !isCalled; this.tier.step()) this.clock.run(this.clock.now() + 1);
    recompressor.recompress = recompress;
  }

  close(): void {
    this.tier.close();
    this.zcache.close();
  }
}

function zpagesOf({ byCodec }: Pool) {
  const [raw, lz4, zstd, ...dictionaries] = byCodec;
  return { raw, lz4, zstd, dictionaries };
}

test("cold pages get fewer bytes, pages in use stay, and each reads as before", () => {
  const world = new World();
  const pool = world.coldPool(SMALL);
  world.fill(world.newPool(), SMALL);
  const hot = world.newPool();
  world.fill(hot, SMALL);
  const before = world.zcache.placement.counters.zbytes[PERSISTENT];
  world.finish();
  const { cold_recompressed, cold_saved_bytes } = world.counters;
  expect(cold_recompressed).toBeGreaterThan(0.9 * SMALL);
  expect(zpagesOf(pool).zstd).toBeGreaterThan(0.9 * SMALL);
  expect(zpagesOf(hot)).toEqual({ raw: 0, lz4: SMALL, zstd: 0, dictionaries: [0, 0, 0, 0] });
  const after = world.zcache.placement.counters.zbytes[PERSISTENT];
  expect(before - after).toBe(cold_saved_bytes);
  expect(cold_saved_bytes / cold_recompressed).toBeGreaterThan(300);
  world.checkAll(pool, SMALL);
  world.checkAll(hot, SMALL);
  world.close();
});

test("a large pool gets a dictionary, and a small one does without", () => {
  const world = new World();
  const small = world.coldPool(SMALL);
  const large = world.coldPool(LARGE);
  world.finish();
  expect(world.counters).toMatchObject({ dictionaries_trained: 1, dictionaries_failed: 0 });
  expect(zpagesOf(small)).toMatchObject({ dictionaries: [0, 0, 0, 0] });
  expect(zpagesOf(large)).toMatchObject({ zstd: 0 });
  expect(zpagesOf(large).dictionaries[0]).toBeGreaterThan(0.9 * LARGE);
  world.checkAll(small, SMALL);
  world.checkAll(large, LARGE);
  world.close();
});

test("a training that fails leaves the pool without a dictionary until it has doubled", () => {
  const world = new World();
  world.recompressor.failPercent = 100;
  const pool = world.coldPool(LARGE);
  while (world.counters.dictionaries_failed === 0) world.run(1);
  world.recompressor.failPercent = 0;
  world.finish();
  expect(world.counters).toMatchObject({ dictionaries_trained: 0, dictionaries_failed: 1 });
  expect(zpagesOf(pool).zstd).toBeGreaterThan(LARGE / 2);
  for (let number = LARGE; number < 3 * LARGE; number += 1) world.put(pool, number);
  world.age();
  world.finish();
  expect(world.counters).toMatchObject({ dictionaries_trained: 1, dictionaries_failed: 1 });
  expect(zpagesOf(pool).dictionaries[0]).toBeGreaterThan(LARGE);
  world.checkAll(pool, 3 * LARGE);
  world.close();
});

test("a job that fails changes nothing, and its pages are not tried again", () => {
  const world = new World();
  world.recompressor.failPercent = 100;
  const pool = world.coldPool(SMALL);
  world.finish();
  const { cold_failed_jobs } = world.counters;
  expect(cold_failed_jobs).toBeGreaterThanOrEqual(SMALL / world.recompressor.batch.capacity);
  expect(zpagesOf(pool)).toMatchObject({ lz4: SMALL, zstd: 0 });
  world.recompressor.failPercent = 0;
  world.age();
  world.finish();
  expect(world.counters).toMatchObject({ cold_failed_jobs, cold_recompressed: 0 });
  world.checkAll(pool, SMALL);
  world.close();
});

test("pages that are put, flushed or leave while their job runs are not touched", () => {
  const world = new World();
  const pool = world.coldPool(SMALL);
  world.untilBusy();
  const { zcache } = world;
  const leaving = new Int32Array(TAKEN_MAX);
  for (let i = 0; i < SMALL / 2; i += 1) zcache.placement.takeOldest(PERSISTENT, leaving);
  for (let number = 0; number < SMALL; number += 3) world.put(pool, number, 2);
  for (let number = 1; number < SMALL; number += 3) {
    zcache.flushPage(pool, world.at(pool, number));
  }
  world.run(1000);
  zcache.verify();
  for (let number = 0; number < SMALL; number += 1) {
    const page = world.find(pool, number);
    if (number % 3 === 1) expect(page).toBe(0);
    else expect(world.get(pool, number)).toBe(number % 3 === 0 ? 2 : 1);
    if (page === 0 || !zcache.placement.isLeaving(zcache.tmem.place(page))) continue;
    expect(zcache.tmem.codec(page)).toBe(CODEC.LZ4);
  }
  world.close();
});

/** The cold zpages of the world's placement, whose `next` a test replaces. */
function coldOf({ zcache }: World) {
  const { cold } = zcache.placement;
  if (cold === null) throw new Error("the placement has no cold zpages");
  return cold;
}

test("a page that is found twice in one batch is replaced once", () => {
  const world = new World();
  const pool = world.coldPool(SMALL);
  const cold = coldOf(world);
  const next = cold.next.bind(cold);
  cold.next = (found) => {
    const count = next(found);
    if (count === 0 || count === found.length) return count;
    found[count] = found[0] ?? 0;
    return count + 1;
  };
  world.finish();
  expect(world.counters.cold_recompressed).toBe(zpagesOf(pool).zstd ?? 0);
  expect(world.counters.cold_recompressed).toBeGreaterThan(0.9 * SMALL);
  world.checkAll(pool, SMALL);
  world.close();
});

test("once two rounds have found nothing, the search rests until the next epoch", () => {
  const world = new World();
  world.coldPool(SMALL);
  world.finish();
  world.run(4000);
  const cold = coldOf(world);
  const next = cold.next.bind(cold);
  let calls = 0;
  cold.next = (found) => {
    calls += 1;
    return next(found);
  };
  world.run(4000);
  expect(calls).toBe(0);
  world.age();
  world.run(4000);
  expect(calls).toBeGreaterThan(0);
  world.close();
});

test("nothing more is done once the recompressor has failed too often", () => {
  const world = new World();
  const pool = world.coldPool(SMALL);
  world.tier.step(); // The batch is filled over several turns.
  world.recompressor.isUsable = false;
  world.finish();
  expect(world.counters).toMatchObject({ cold_recompressed: 0, cold_failed_jobs: 0 });
  expect(world.tier.codec.isUsable).toBe(false);
  world.checkAll(pool, SMALL);
  world.close();
});

test("a zpage that was damaged is not compressed again, so that its get still fails", () => {
  const world = new World();
  const pool = world.coldPool(SMALL);
  flipBit(world.zcache, world.find(pool, 5), 40, 3);
  world.finish();
  expect(world.counters.cold_recompressed).toBeGreaterThan(0.9 * SMALL - 1);
  const page = new Uint8Array(PAGE_BYTES);
  const found = world.find(pool, 5);
  expect(world.zcache.deliver(found, world.at(pool, 5), page, 0)).toBe(STATUS.CORRUPT);
  world.close();
});

test("a dictionary lives until the last of its zpages is gone, and its slot is free again", () => {
  const world = new World();
  const pool = world.coldPool(LARGE);
  world.finish();
  const { tier, zcache } = world;
  expect(tier.dictionaries.count).toBe(1);
  const withDictionary = [...Array(LARGE).keys()].filter((number) => {
    return zcache.tmem.codec(world.find(pool, number)) >= CODEC.ZSTD_DICTIONARY;
  });
  const last = withDictionary.pop() ?? 0;
  for (let number = 0; number < LARGE; number += 1) {
    if (number !== last) zcache.flushPage(pool, world.at(pool, number));
  }
  world.run(1000);
  expect(tier.dictionaries.count).toBe(1);
  expect(world.get(pool, last)).toBe(1);
  zcache.flushPage(pool, world.at(pool, last));
  world.run(1000);
  expect([tier.dictionaries.count, tier.dictionaries.byteCount]).toEqual([0, 0]);
  world.fill(pool, LARGE);
  world.age();
  world.finish();
  expect(zpagesOf(pool).dictionaries[0]).toBeGreaterThan(0.9 * LARGE);
  world.checkAll(pool, LARGE);
  world.close();
});

test("the dictionary of a pool that is removed goes with its pages", () => {
  const world = new World();
  const pool = world.coldPool(LARGE);
  world.finish();
  const { tmem } = world.zcache;
  tmem.removePool(pool);
  world.run(200);
  expect(world.tier.dictionaries.count).toBe(1);
  tmem.flushSome(pool, LARGE);
  world.run(200);
  expect(world.tier.dictionaries.count).toBe(0);
  world.close();
});

test("a dictionary that fits worse and worse is followed by another one", () => {
  const world = new World();
  const { dictionaries } = world.tier;
  const pool = world.coldPool(LARGE);
  world.finish();
  const first = dictionaries.current(pool);
  for (let i = 0; i < 2 * MEASURED_MIN; i += 1) dictionaries.measure(pool, 1000, 700);
  expect(dictionaries.current(pool)).toBe(first);
  for (let i = 0; i < 2 * MEASURED_MIN; i += 1) dictionaries.measure(pool, 1000, 900);
  expect([dictionaries.current(pool), dictionaries.isWanted(pool)]).toEqual([null, true]);
  for (let number = 0; number < LARGE; number += 2) world.put(pool, number, 2);
  world.age();
  world.finish();
  expect(dictionaries.current(pool)).toMatchObject({ number: 2, slot: 1 });
  const [old = 0, young = 0] = zpagesOf(pool).dictionaries;
  expect(Math.min(old, young)).toBeGreaterThan(0.4 * LARGE);
  world.zcache.verify();
  for (let number = 0; number < LARGE; number += 1) {
    expect(world.get(pool, number)).toBe(number % 2 === 0 ? 2 : 1);
  }
  world.close();
});

test("no more than DICTIONARIES_MAX pools have a dictionary at the same time", () => {
  const world = new World();
  const pools = Array.from({ length: DICTIONARIES_MAX + 2 }, () => world.coldPool(130));
  world.finish();
  expect(world.tier.dictionaries.count).toBe(DICTIONARIES_MAX);
  for (const pool of pools) world.checkAll(pool, 130);
  world.close();
});

test("pools of programs leave DICTIONARIES_RESERVED dictionaries to exports", () => {
  const world = new World();
  for (let i = 0; i < DICTIONARIES_MAX; i += 1) world.coldPool(130, false);
  world.finish();
  expect(world.tier.dictionaries.count).toBe(DICTIONARIES_MAX - DICTIONARIES_RESERVED);
  const ofExport = world.coldPool(130);
  world.finish();
  expect(world.tier.dictionaries.current(ofExport)).not.toBe(null);
  world.close();
});

test("a recompressor is closed if the placement does not know what is cold", () => {
  const clock = new SimClock();
  const recompressor = new SimRecompressor({ clock, random: new SeededRandom(1) }, hotCodecs);
  const zcache = newZcache(recompressor.codecs, "zbud");
  const parts = { clock, zcache, recompressor, counters: new ColdCounters() };
  expect(openColdTier(parts, { coldSharePercent: 100 })).toBe(null);
  expect(recompressor.isUsable).toBe(false);
  zcache.close();
});

test("jobs rest for the part of the time that is not theirs", () => {
  for (const coldSharePercent of [10, 50]) {
    const world = new World();
    world.settings.coldSharePercent = coldSharePercent;
    let busyMs = 0;
    const { tier } = world;
    const { onRecompressed } = tier;
    tier.onRecompressed = (isDone, ms) => {
      busyMs += ms;
      onRecompressed.call(tier, isDone, ms);
    };
    world.coldPool(LARGE);
    world.untilBusy();
    const beganMs = world.clock.now();
    world.run(1000);
    const share = (100 * busyMs) / (world.clock.now() - beganMs);
    expect(share).toBeGreaterThan(coldSharePercent / 3);
    expect(share).toBeLessThan(coldSharePercent * 1.3);
    world.close();
  }
});
