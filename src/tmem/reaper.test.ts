import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { NEVER } from "../core/buggify.ts";
import { Handle, type Oid } from "../core/handle.ts";
import { FLUSH_SLICE } from "../core/limits.ts";
import { openMemory } from "../memory/open-memory.ts";
import { TAG } from "./pampd.ts";
import type { Pool } from "./pool.ts";
import { type FlushJob, NO_JOB, Reaper } from "./reaper.ts";
import { LOCAL_CLIENT, Tmem } from "./tmem.ts";

const OPTIONS = { persistent: true, storeWhole: false };
const handle = new Handle();

class World {
  readonly clock = new SimClock();
  freed = 0;
  readonly tmem: Tmem;
  readonly reaper: Reaper;

  constructor() {
    const sizes = { pageCountMax: 500_000, objectCountMax: 500_000 };
    const free = (page: number): void => {
      if (this.tmem.tag(page) !== TAG.NONE) this.freed += 1;
    };
    const ops = { free, mayRenumber: () => true, renumbered: () => {} };
    this.tmem = new Tmem(openMemory(), sizes, ops);
    const parts = { tmem: this.tmem, clock: this.clock, buggify: NEVER };
    this.reaper = new Reaper({ ...parts, onSlice: () => {} });
  }

  newPool(): Pool {
    const pool = this.tmem.newPool(LOCAL_CLIENT, OPTIONS);
    if (pool === null) throw new Error("no pool");
    return pool;
  }

  put(pool: Pool, oid: Oid, index: number): void {
    handle.set(pool.id, oid, index);
    const page = this.tmem.claim(pool, handle, this.tmem.nextVersion());
    this.tmem.describe(page, TAG.LOCAL, 1, 100, 1);
  }

  has(pool: Pool, oid: Oid, index: number): boolean {
    return this.tmem.find(pool, handle.set(pool.id, oid, index)) !== 0;
  }

  /** Objects of one page. */
  fill(pool: Pool, count: number): void {
    for (let i = 0; i < count; i += 1) this.put(pool, [BigInt(i), 0n, 0n], 0);
  }

  /** Runs to the end. @returns the most pages that one turn freed, and how many turns freed any. */
  run(): { most: number; turns: number } {
    let most = 0;
    let turns = 0;
    let before = this.freed;
    while (this.reaper.isBusy) {
      this.clock.step();
      most = Math.max(most, this.freed - before);
      if (this.freed > before) turns += 1;
      before = this.freed;
    }
    return { most, turns };
  }
}

/** Counts the calls of `done`. */
function counted(): FlushJob & { count: number } {
  const done = (): void => {
    job.count += 1;
  };
  const job = { count: 0, around: NO_JOB.around, done };
  return job;
}

test("a large pool is flushed at once, and freed one slice a turn", () => {
  const world = new World();
  const { tmem, reaper } = world;
  const other = world.newPool();
  world.put(other, [1n, 0n, 0n], 0);
  const pool = world.newPool();
  const count = 20 * FLUSH_SLICE + 1;
  world.fill(pool, count);
  const job = counted();
  reaper.destroyPool(pool, job);
  expect(world.freed).toBe(FLUSH_SLICE);
  expect([tmem.pool(LOCAL_CLIENT, pool.id), job.count]).toEqual([null, 0]);
  const busy = new Uint8Array(256);
  reaper.markPools(LOCAL_CLIENT, busy);
  expect([busy[pool.id], busy[other.id]]).toEqual([1, 0]);
  let live = 0;
  for (let page = 1; page < tmem.pageEnd; page = tmem.pageAfter(page))
    if (tmem.isLive(page)) live += 1;
  expect([live, tmem.pageCount]).toEqual([1, count - FLUSH_SLICE + 1]);
  tmem.verify(() => {});
  expect(world.run()).toEqual({ most: FLUSH_SLICE, turns: 20 });
  expect([world.freed, tmem.pageCount, tmem.objectCount, job.count]).toEqual([count, 1, 1, 1]);
  expect(world.has(other, [1n, 0n, 0n], 0)).toBe(true);
  tmem.verify(() => {});
});

test("a page put after a flush of its pool or object stays while the flushed ones are freed", () => {
  const world = new World();
  const { tmem, reaper } = world;
  const pool = world.newPool();
  const oid: Oid = [7n, 7n, 7n];
  const count = 3 * FLUSH_SLICE;
  for (const kind of ["pool", "object", "pool", "object"]) {
    for (let index = 0; index < count; index += 1) world.put(pool, oid, index);
    world.put(pool, [8n, 8n, 8n], 0);
    if (kind === "pool") reaper.flushPool(pool, NO_JOB);
    else expect(reaper.flushObject(pool, handle.set(pool.id, oid, 0), NO_JOB)).toBe(count);
    expect(world.has(pool, oid, count - 1)).toBe(false);
    expect(world.has(pool, [8n, 8n, 8n], 0)).toBe(kind === "object");
    world.put(pool, oid, 5);
    expect(pool.pageCount).toBe(kind === "pool" ? 1 : 2);
    tmem.verify(() => {});
    expect(world.run().most).toBeLessThanOrEqual(FLUSH_SLICE);
    expect([world.has(pool, oid, 5), world.has(pool, oid, 6)]).toEqual([true, false]);
    expect(tmem.pageCount).toBe(pool.pageCount);
    tmem.verify(() => {});
  }
});

test("what is freed and what waits for its turn have one share together", () => {
  const world = new World();
  const { tmem, reaper } = world;
  const pool = world.newPool();
  world.fill(pool, 10 * FLUSH_SLICE);
  const other = world.newPool();
  world.fill(other, 4 * FLUSH_SLICE);
  reaper.destroyPool(pool, NO_JOB);
  const walk = tmem.beginWalk(other, null, tmem.newestVersion);
  const goOn = (): void => {
    if (!reaper.step(walk)) reaper.nextTurn(goOn);
  };
  reaper.nextTurn(goOn);
  const { most, turns } = world.run();
  expect([most, turns]).toEqual([FLUSH_SLICE, 13]);
  expect(tmem.pageCount).toBe(0);
});

test("isSpent says when one turn has freed its share, and each turn has a new share", () => {
  const world = new World();
  const { reaper } = world;
  const pool = world.newPool();
  world.fill(pool, 3 * FLUSH_SLICE);
  let flushed = 0;
  let turns = 0;
  const goOn = (): void => {
    turns += 1;
    for (; !reaper.isSpent && flushed < 3 * FLUSH_SLICE; flushed += 1) {
      reaper.flushObject(pool, handle.set(pool.id, [BigInt(flushed), 0n, 0n], 0), NO_JOB);
    }
    if (flushed < 3 * FLUSH_SLICE) reaper.nextTurn(goOn);
  };
  goOn();
  expect(flushed).toBe(FLUSH_SLICE);
  while (flushed < 3 * FLUSH_SLICE) world.clock.step();
  expect([turns, pool.pageCount]).toEqual([3, 0]);
});

test("a walk goes on in slices while pages before, at and after its position are removed", () => {
  const world = new World();
  const { tmem, reaper, clock } = world;
  const pool = world.newPool();
  world.fill(pool, 4 * FLUSH_SLICE);
  const version = tmem.newestVersion;
  world.put(pool, [5n, 5n, 5n], 0);
  expect([pool.oldest, pool.newest]).toEqual([1, version + 1]);
  const walk = tmem.beginWalk(pool, null, version);
  expect(reaper.step(walk)).toBe(false);
  expect(world.freed).toBe(FLUSH_SLICE);
  tmem.flush(walk.page); // The page that the walk points at.
  reaper.flushObject(pool, handle.set(pool.id, [BigInt(3 * FLUSH_SLICE), 0n, 0n], 0), NO_JOB);
  let over = false;
  for (let i = 0; i < 8 && !over; i += 1) {
    reaper.nextTurn(() => {
      const before = world.freed;
      over = reaper.step(walk);
      expect(world.freed - before).toBeLessThanOrEqual(FLUSH_SLICE);
    });
    clock.step();
  }
  expect([over, pool.pageCount, walk.freed]).toEqual([true, 1, 4 * FLUSH_SLICE - 2]);
  expect(pool.oldest).toBe(version + 1); // No older page is left.
  tmem.verify(() => {});
});

test("an object that a walk points at may be flushed as a whole", () => {
  const world = new World();
  const { tmem, reaper } = world;
  const pool = world.newPool();
  for (let index = 0; index < 3 * FLUSH_SLICE; index += 1) world.put(pool, [1n, 0n, 0n], index);
  world.put(pool, [2n, 0n, 0n], 0);
  const version = tmem.newestVersion;
  world.put(pool, [3n, 0n, 0n], 0);
  const walk = tmem.beginWalk(pool, null, version);
  reaper.flushObject(pool, handle.set(pool.id, [1n, 0n, 0n], 0), NO_JOB);
  tmem.walks.step(walk, 10);
  expect([walk.page, walk.freed, pool.pageCount]).toEqual([0, 1, 1]);
  world.run();
  expect(tmem.pageCount).toBe(1);
  tmem.verify(() => {});
});
