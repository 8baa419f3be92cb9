import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { SimDisk } from "../../harness/sim/disk.ts";
import { SPILL_READS_MAX } from "../core/limits.ts";
import { Log } from "../core/log.ts";
import { below, SeededRandom } from "../core/random.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import type { SpillSink } from "./batch.ts";
import { SpillCounters } from "./counters.ts";
import { NO_SECTOR } from "./sectors.ts";
import { type ReadOutcome, Spill, type SpillReadSink } from "./spill.ts";

const MIB = 1024 * 1024;
const PAGES = 200;
const NEXT = ": its pages stay in memory, and it is tried again";
/** More than fit. */
const PAGES_MAX = 3000;

/** A Spill, and a Map of the same pages that it must agree with. */
class World implements SpillSink, SpillReadSink {
  readonly clock = new SimClock();
  readonly random: SeededRandom;
  readonly disk: SimDisk;
  readonly counters = new SpillCounters();
  readonly lines: string[] = [];
  readonly spill: Spill;
  readonly pages = new Map<number, { mark: number; zpageBytes: number }>();
  readonly outcomes: ReadOutcome[] = [];
  readyCount = 0;
  written: boolean | "not yet" = "not yet";
  private readonly reading = new Map<number, { page: number; mark: number }>();
  private lastMark = 0;

  constructor(seed: number, byteCount = MIB) {
    this.random = new SeededRandom(seed);
    this.disk = new SimDisk(this.clock, this.random);
    const { clock, disk, counters } = this;
    const log = new Log((_level, _area, line) => void this.lines.push(line));
    const parts = { memory: new HeapMemory(), disk, clock, log, counters };
    const onReady = (): void => {
      this.readyCount += 1;
    };
    const rest = { backoffMs: (failures: number) => 50 * failures, onReady };
    this.spill = new Spill(
      { ...parts, ...rest },
      { byteCount, pageNumbers: { max: PAGES_MAX, pinnedMax: 0 } },
    );
  }

  onSpilled(_context: number, isWritten: boolean): void {
    this.written = isWritten;
  }

  onRead(
    read: number,
    outcome: ReadOutcome,
    bytes: Uint8Array,
    at: number,
    checksum: number,
  ): void {
    const { page, mark } = this.reading.get(read) ?? { page: 0, mark: 0 };
    this.reading.delete(read);
    this.outcomes.push(outcome);
    const now = this.pages.get(page);
    expect(outcome === "stale").toBe(now?.mark !== mark);
    if (outcome !== "read" || now === undefined) return;
    expect([checksum, bytes[at], bytes[at + now.zpageBytes - 1]]).toEqual([
      mark,
      mark & 255,
      mark & 255,
    ]);
  }

  /** @returns how many of the pages are on the disk now. */
  store(pages: readonly number[]): number {
    const { spill } = this;
    const batch = spill.begin();
    const sizes = pages.map(() => 1 + below(this.random, 4096));
    const marks = pages.map(() => this.nextMark());
    for (const [i, zpageBytes] of sizes.entries()) {
      const mark = marks[i] ?? 0;
      spill.add(batch, mark, new Uint8Array(zpageBytes).fill(mark & 255), 0, zpageBytes);
    }
    this.written = "not yet";
    if (spill.write(batch, this, 0)) this.clock.runUntil(() => this.written !== "not yet", 10_000);
    let kept = 0;
    for (const [i, page] of pages.entries()) {
      if (!this.isWritten() || batch.sector(i) === NO_SECTOR) continue;
      spill.keep(batch, i, page);
      this.pages.set(page, { mark: marks[i] ?? 0, zpageBytes: sizes[i] ?? 0 });
      kept += 1;
    }
    spill.finish(batch);
    return kept;
  }

  private isWritten(): boolean {
    return this.written === true;
  }

  read(page: number): void {
    const { mark, zpageBytes } = this.pages.get(page) ?? { mark: 0, zpageBytes: 0 };
    const read = this.spill.read(page, zpageBytes, this);
    expect(read >= 0).toBe(this.reading.size < SPILL_READS_MAX);
    if (read >= 0) this.reading.set(read, { page, mark });
  }

  free(page: number): void {
    this.spill.free(page, this.pages.get(page)?.zpageBytes ?? 0);
    this.pages.delete(page);
  }

  verify(): void {
    this.spill.verify([...this.pages].map(([page, { zpageBytes }]) => ({ page, zpageBytes })));
  }

  private nextMark(): number {
    this.lastMark += 1;
    return this.lastMark;
  }
}

test("agrees with a Map while pages are written, freed and read at the same time", () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const world = new World(seed);
    const { random, spill, pages } = world;
    for (let step = 0; step < 300; step += 1) {
      const absent = Array.from({ length: PAGES }, (_, i) => i + 1).filter((it) => !pages.has(it));
      if (spill.isReady && absent.length > 20) world.store(absent.slice(0, 1 + below(random, 20)));
      for (const page of [...pages.keys()]) {
        if (below(random, 3) === 0) world.read(page);
        if (below(random, 12) === 0) world.free(page);
      }
      if (below(random, 2) === 0) world.clock.run(world.clock.now() + 0.1);
      if (step % 20 === 0) world.verify();
    }
    world.clock.run(world.clock.now() + 1000);
    expect(world.outcomes.filter((it) => it === "stale").length).toBeGreaterThan(10);
    expect(world.outcomes.filter((it) => it === "read").length).toBeGreaterThan(100);
    for (const page of [...pages.keys()]) world.free(page);
    world.clock.run(world.clock.now() + 1000);
    world.verify();
    expect([spill.bytesUsed, world.disk.byteCount]).toEqual([0, 0]);
  }
});

test("a batch of consecutive pages is one write", () => {
  const world = new World(1);
  let writes = 0;
  const write = world.disk.write.bind(world.disk);
  world.disk.write = (...args) => {
    writes += 1;
    write(...args);
  };
  expect(world.store([1, 2, 3, 4, 5])).toBe(5);
  expect(writes).toBe(1);
  expect(world.counters.spill_writes).toBe(5);
});

test("a failed write keeps no page of its batch, and pauses, longer each time", () => {
  const world = new World(1);
  world.disk.troubles.writeFailPercent = 100;
  expect(world.store([1, 2])).toBe(0);
  expect([world.spill.isUsable, world.spill.isWell]).toEqual([false, true]);
  world.clock.run(world.clock.now() + 51);
  expect([world.spill.isReady]).toEqual([true]);
  for (let i = 0; i < 2; i += 1) {
    expect(world.store([1])).toBe(0);
    if (i === 0) world.clock.run(world.clock.now() + 101);
  }
  expect([world.spill.isUsable, world.spill.isWell]).toEqual([false, false]); // Broken.
  world.clock.run(world.clock.now() + 151);
  expect([world.spill.isUsable, world.spill.isWell]).toEqual([true, true]);
  world.disk.troubles.writeFailPercent = 0;
  expect(world.store([1])).toBe(1);
  expect(world.lines).toEqual([
    `Cannot write to the spill file: input/output error${NEXT}`,
    "The spill file is written to again",
  ]);
  expect(world.counters.spill_failed_writes).toBe(4);
  world.verify();
});

test("a full file takes pages again once a part of it is free", () => {
  const world = new World(1);
  const { spill } = world;
  for (let page = 1; spill.isReady; page += 10) {
    world.store(Array.from({ length: 10 }, (_, i) => page + i));
  }
  expect([spill.isUsable]).toEqual([false]);
  expect(spill.bytesUsed).toBeGreaterThan(0.98 * MIB);
  const [first, ...others] = world.pages.keys();
  world.free(first ?? 0);
  if (world.counters.spill_failed_writes > 0) expect([spill.isUsable]).toEqual([false]);
  for (const page of others.slice(0, 40)) world.free(page);
  expect([world.spill.isReady]).toEqual([true]);
  world.verify();
});

test("a full file takes pages again once its file system has more room", () => {
  const world = new World(1, 4 * MIB);
  const { spill, disk } = world;
  disk.troubles.bytesMax = MIB;
  checkRoom(world);
  let page = 1;
  for (; spill.isReady; page += 10) world.store(Array.from({ length: 10 }, (_, i) => page + i));
  expect(world.counters.spill_failed_writes).toBeGreaterThan(0); // Sectors ran out in a batch.
  expect([spill.isTaking, spill.trouble]).toEqual([false, null]);
  disk.troubles.bytesMax = 2 * MIB;
  checkRoom(world);
  expect([spill.isTaking, world.readyCount]).toEqual([true, 1]);
  storeAll(world, page);
  expect(spill.bytesUsed).toBeGreaterThan(1.9 * MIB);
  world.verify();
});

/** Stores pages, ten at a time, until the disk takes no more. @returns the next page. */
function storeAll(world: World, from = 1): number {
  let page = from;
  while (world.spill.isTaking) {
    const length = Math.min(10, world.spill.countMax);
    world.store(Array.from({ length }, (_, i) => page + i));
    page += length;
  }
  return page;
}

/** Lets the spill check its disk. */
function checkRoom(world: World): void {
  world.clock.run(world.clock.now() + 1001);
  world.spill.step();
  world.clock.run(world.clock.now() + 1);
}

test("an invisible quota: refused room does not count until a probe succeeds", () => {
  const world = new World(1, 4 * MIB);
  const { spill, disk } = world;
  Object.assign(disk.troubles, { bytesMax: MIB, hidesRoom: true });
  checkRoom(world);
  expect(spill.bytesMax).toBe(4 * MIB);
  const next = storeAll(world);
  expect([spill.hasRoom, spill.isUsable, spill.isWell]).toEqual([false, false, false]);
  expect(spill.bytesMax).toBeLessThanOrEqual(MIB);
  expect(spill.bytesMax).toBeGreaterThan(0.9 * MIB);
  expect(spill.trouble).toBe("no space left on the device");
  // Checks of the disk change nothing, nor does a probe that fails.
  for (let i = 0; i < 3; i += 1) {
    checkRoom(world);
    expect([spill.hasRoom, spill.isTaking, spill.isReady]).toEqual([false, false, true]);
    const batch = spill.begin();
    expect([batch.isProbe, spill.isReady]).toEqual([true, false]);
    spill.finish(batch);
    expect(world.store(Array.from({ length: 40 }, (_, i) => next + i))).toBe(0);
  }
  // Freed sectors can be used again.
  for (const page of [...world.pages.keys()].slice(0, 40)) world.free(page);
  checkRoom(world);
  expect([spill.hasRoom, spill.isTaking]).toEqual([true, true]);
  const before = world.pages.size;
  const after = storeAll(world, next);
  expect(world.pages.size).toBeGreaterThan(before + 10);
  disk.troubles.bytesMax = 8 * MIB;
  checkRoom(world);
  expect(spill.isTaking).toBe(false);
  expect(world.store([after, after + 1])).toBe(2);
  expect([spill.isTaking, spill.bytesMax, spill.trouble]).toEqual([true, 4 * MIB, null]);
  expect(world.lines).toEqual([
    `Cannot write to the spill file: no space left on the device${NEXT}`,
    "The spill file is written to again",
  ]);
  world.verify();
});

test("the room follows the file system, and no write is tried in vain", () => {
  const world = new World(2, 4 * MIB);
  const { spill, disk } = world;
  checkRoom(world);
  expect(spill.bytesMax).toBe(4 * MIB);
  disk.troubles.bytesMax = 2 * MIB + 5000;
  checkRoom(world);
  expect(spill.bytesMax).toBe(2 * MIB + 5000);
  let next = storeAll(world);
  expect([spill.hasRoom, spill.isWell]).toEqual([false, false]);
  expect(spill.bytesUsed).toBeGreaterThan(1.9 * MIB);
  expect(world.counters.spill_failed_writes).toBe(0);
  disk.troubles.bytesMax = 3 * MIB;
  checkRoom(world);
  next = storeAll(world, next);
  expect(spill.bytesUsed).toBeGreaterThan(2.9 * MIB);
  disk.troubles.bytesMax = 64 * MIB;
  checkRoom(world);
  expect([spill.bytesMax, spill.isTaking]).toEqual([4 * MIB, true]);
  storeAll(world, next);
  expect(world.lines).toEqual([
    "The file system of the spill file has room for 2MiB of the 4MiB of --spill-size",
    "The file system of the spill file has room for all of it",
  ]);
});

test("a refused size is forgotten when the file system has more room", () => {
  const world = new World(3, 4 * MIB);
  const { spill, disk } = world;
  checkRoom(world);
  disk.troubles.bytesMax = MIB; // Other files have filled it since.
  storeAll(world);
  checkRoom(world);
  expect([spill.hasRoom, spill.trouble]).toEqual([false, "no space left on the device"]);
  disk.troubles.bytesMax = MIB + MIB / 8;
  checkRoom(world);
  expect([spill.hasRoom, spill.trouble]).toEqual([true, null]);
  expect(world.lines.at(-1)).toBe("The spill file has room again");
});

test("no page has sectors beyond the largest file size", () => {
  const world = new World(4, 4 * MIB);
  const { spill, disk } = world;
  const { readRoom: ask } = disk;
  disk.readRoom = (onRoom) => {
    ask.call(disk, (room) => onRoom(room === null ? null : { ...room, lengthMax: 2.5 * MIB }));
  };
  disk.troubles.bytesMax = 2.5 * MIB; // A write beyond would fail.
  disk.troubles.hidesRoom = true;
  checkRoom(world);
  storeAll(world);
  expect(world.counters.spill_failed_writes).toBeLessThan(10); // They failed for lack of sectors.
  expect(spill.trouble).toBeNull();
  expect(disk.byteCountMax).toBeLessThanOrEqual(2.5 * MIB);
  expect(spill.bytesUsed).toBeGreaterThan(2.4 * MIB);
});

test("a failing disk has no room, and has all of it again once a probe succeeds", () => {
  const world = new World(5);
  const { spill, disk } = world;
  expect(world.store([1, 2, 3])).toBe(3);
  disk.troubles.writeFailPercent = 100;
  for (let i = 0; i < 3; i += 1) {
    world.clock.run(world.clock.now() + 500);
    expect(world.store([10, 11])).toBe(0);
  }
  expect([spill.hasRoom, spill.bytesMax]).toEqual([false, spill.bytesUsed]);
  world.clock.run(world.clock.now() + 500);
  expect([spill.hasRoom, spill.isTaking, spill.isReady]).toEqual([false, false, true]);
  disk.troubles.writeFailPercent = 0;
  expect(world.store([10, 11])).toBe(2);
  expect([spill.hasRoom, spill.bytesMax, spill.trouble]).toEqual([true, MIB, null]);
});
