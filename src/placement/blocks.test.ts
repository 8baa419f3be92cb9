import { expect, test } from "bun:test";
import { placementContract } from "../../harness/contract/placement.ts";
import { anySize, type MakePlacement, PlacementRig } from "../../harness/contract/placement-rig.ts";
import { EPHEMERAL, PERSISTENT } from "../core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { SLOTS_MAX } from "./block-rows.ts";
import { Blocks } from "./blocks.ts";

const make: MakePlacement = (memory, frames, sink) => {
  return new Blocks(memory, frames, sink, { byUse: true });
};

const inOrder: MakePlacement = (memory, frames, sink) => {
  return new Blocks(memory, frames, sink, { byUse: false });
};

/** Steps of compaction in one turn, as in src/zcache/zcache.ts. */
const STEPS = 16;

placementContract("blocks", make);

/** Pages by frame. */
function density(rig: PlacementRig): number {
  return rig.stored.size / rig.frames.framesUsed;
}

function compactAll(rig: PlacementRig): void {
  while (rig.placement.compact());
  rig.checkAll();
}

/** Frees each page with a chance of `percent`. */
function drain(rig: PlacementRig, percent: number, random: SeededRandom): void {
  for (const page of [...rig.stored.keys()]) if (below(random, 100) < percent) rig.free(page);
}

test("zpages of any size fill blocks to 93 percent, also after they were replaced", () => {
  const rig = new PlacementRig(make, 2000);
  const random = new SeededRandom(1);
  const full = (): number => {
    let bytes = 0;
    for (const { zpageBytes } of rig.stored.values()) bytes += zpageBytes;
    return bytes / (rig.frames.framesUsed * FRAME_BYTES);
  };
  for (let i = 0; i < 3000; i += 1) rig.put(100 + below(random, 3000));
  expect(full()).toBeGreaterThan(0.93);
  for (let round = 0; round < 2; round += 1) {
    for (const page of [...rig.stored.keys()]) {
      rig.free(page);
      rig.put(100 + below(random, 3000));
    }
  }
  expect(full()).toBeGreaterThan(0.93);
  rig.checkAll();
});

test("zpages of 2.8 KiB, of which two do not fit in two frames, share four frames by five", () => {
  const rig = new PlacementRig(make, 400);
  for (let i = 0; i < 400; i += 1) rig.put(2800);
  expect(density(rig)).toBeGreaterThan(1.24);
});

test("pages that do not compress need no more frames than there are of them", () => {
  const rig = new PlacementRig(make, 200);
  for (let i = 0; i < 200; i += 1) expect(rig.put(PAGE_BYTES)).toBeGreaterThan(0);
  expect(rig.frames.framesUsed).toBe(200);
});

test("a block takes no more zpages than it has slots for", () => {
  const rig = new PlacementRig(make, 64);
  for (let i = 0; i < 3 * SLOTS_MAX; i += 1) rig.put(24);
  expect(rig.frames.framesUsed).toBeLessThanOrEqual(6);
  rig.checkAll();
  const refs = [...rig.stored.keys()].map((page) => rig.refOf(page));
  expect(new Set(refs).size).toBe(refs.length);
});

test("a slide leaves refs as they are", () => {
  const rig = new PlacementRig(make, 16);
  // Twenty zpages fill a block: an even one freed leaves a hole that no large one fits in.
  const pages = Array.from({ length: 20 }, () => rig.put(780));
  const before = pages.map((page) => rig.refOf(page));
  const { slides } = rig.placement.counters;
  for (const [i, page] of pages.entries()) if (i % 2 === 0) rig.free(page);
  for (let i = 0; i < 3; i += 1) expect(rig.put(2000)).toBeGreaterThan(0);
  expect(rig.placement.counters.slides).toBeGreaterThan(slides);
  for (const [i, page] of pages.entries()) {
    if (i % 2 !== 0) expect(rig.refOf(page)).toBe(before[i] ?? 0);
  }
  rig.checkAll();
});

test("compaction after a drain brings back nine tenths of the density", () => {
  const rig = new PlacementRig(make, 4000);
  const random = new SeededRandom(2);
  for (let i = 0; i < 5000; i += 1) rig.put(anySize(random), i % 4 === 0 ? EPHEMERAL : PERSISTENT);
  const before = density(rig);
  drain(rig, 70, random);
  expect(density(rig)).toBeLessThan(before * 0.6);
  compactAll(rig);
  expect(density(rig)).toBeGreaterThan(before * 0.9);
  expect(rig.placement.counters.moves).toBeLessThan(2 * rig.stored.size);
});

test("compaction under overwrites moves a bounded part of what they free, and stays dense", () => {
  const rig = new PlacementRig(make, 4000);
  const random = new SeededRandom(7);
  const size = () => 1500 + below(random, 300);
  const pages = Array.from({ length: 6000 }, () => rig.put(size()));
  const before = rig.placement.counters.moves;
  const overwrites = 20_000;
  let isGoing = false;
  for (let i = 0; i < overwrites; i += 1) {
    const at = below(random, pages.length);
    rig.free(pages[at] ?? 0);
    pages[at] = rig.put(size());
    // A turn of the loop serves sixteen, and housekeeping begins again at each tick.
    if (i % 512 === 0) isGoing = true;
    if (i % 16 > 0) continue;
    for (let step = 0; step < STEPS && isGoing; step += 1) isGoing = rig.placement.compact();
  }
  expect((rig.placement.counters.moves - before) / overwrites).toBeLessThan(0.5);
  expect(density(rig)).toBeGreaterThan((0.9 * FRAME_BYTES) / 1650);
  rig.checkAll();
});

test("compaction merges blocks of few frames, whose zpages fit nowhere", () => {
  const rig = new PlacementRig(make, 4000);
  const random = new SeededRandom(6);
  // A frame has room for one, four frames for six.
  for (let i = 0; i < 4000; i += 1) rig.put(2300 + below(random, 400));
  const before = density(rig);
  drain(rig, 70, random);
  compactAll(rig);
  expect(density(rig)).toBeGreaterThan(before * 0.95);
});

test.each([
  [200, 2000],
  [2300, 400],
])("compaction moves leaving zpages of %i bytes or more, and they go on leaving", (least, more) => {
  const rig = new PlacementRig(make, 2000);
  const random = new SeededRandom(3);
  for (let i = 0; i < 2000; i += 1) rig.put(least + below(random, more));
  const leaving = Array.from({ length: 400 }, () => rig.takeOldest()).flat();
  const refs = new Map(leaving.map((page) => [page, rig.refOf(page)]));
  drain(rig, 70, random);
  compactAll(rig);
  const left = leaving.filter((page) => rig.stored.has(page));
  expect(left.some((page) => rig.refOf(page) !== refs.get(page))).toBe(true);
  for (const page of left) {
    expect(rig.isLeaving(page)).toBe(true);
    rig.putBack(page, "newest");
  }
  rig.checkAll();
});

test("what compaction could free is not needed", () => {
  const rig = new PlacementRig(make, 4000);
  const random = new SeededRandom(4);
  for (let i = 0; i < 4000; i += 1) rig.put(200 + below(random, 2000));
  drain(rig, 60, random);
  const needed = rig.placement.framesNeeded;
  expect(needed).toBeLessThan(rig.frames.framesUsed * 0.6);
  compactAll(rig);
  expect(rig.frames.framesUsed).toBeLessThan(needed * 1.15);
});

test("a full store of scattered free bytes has a frame for a whole page", () => {
  const rig = new PlacementRig(make, 100);
  const random = new SeededRandom(5);
  while (rig.put(500 + below(random, 1000)) !== 0);
  const pages = [...rig.stored.keys()];
  for (let i = 0; i < pages.length; i += 3) rig.free(pages[i] ?? 0);
  for (let i = 0; i < 15; i += 1) expect(rig.put(PAGE_BYTES)).toBeGreaterThan(0);
  rig.checkAll();
});

test("with a hot set of a fifth, all that leave are among the oldest quarter", () => {
  const rig = new PlacementRig(make, 4000);
  const random = new SeededRandom(6);
  const count = 4000;
  const lastUse = new Map<number, number>();
  for (let i = 0; i < count; i += 1) lastUse.set(rig.put(200 + below(random, 1500)), i);
  const pages = [...lastUse.keys()];
  for (let now = count; now < 12 * count; now += 1) {
    const isHot = below(random, 10) < 8;
    const page = pages[isHot ? 5 * below(random, count / 5) : below(random, count)] ?? 0;
    rig.placement.touch(rig.refOf(page));
    lastUse.set(page, now);
  }
  const byAge = [...pages].sort((a, b) => (lastUse.get(a) ?? 0) - (lastUse.get(b) ?? 0));
  const oldest = new Set(byAge.slice(0, count / 4));
  const taken = Array.from({ length: count / 10 }, () => rig.takeOldest()).flat();
  const right = taken.filter((page) => oldest.has(page)).length;
  expect(right / taken.length).toBeGreaterThan(0.99);
});

test("a zpage that is never used stays among the oldest, however often others are used", () => {
  const rig = new PlacementRig(make, 1000);
  const cold = rig.put(1000);
  const hot = Array.from({ length: 500 }, () => rig.put(1000));
  // Many times as many epochs as there are numbers for them.
  for (let round = 0; round < 40; round += 1) {
    for (const page of hot) rig.placement.touch(rig.refOf(page));
    rig.placement.verify();
    expect(rig.takeOldest()).toEqual([cold]);
    rig.putBack(cold, "oldest");
  }
});

test("by order of insertion a get changes nothing", () => {
  const rig = new PlacementRig(inOrder, 1000);
  const pages = Array.from({ length: 1000 }, () => rig.put(1000));
  for (const page of pages.slice(0, 100)) {
    for (let i = 0; i < 20; i += 1) rig.placement.touch(rig.refOf(page));
  }
  const taken = Array.from({ length: 60 }, () => rig.takeOldest()).flat();
  expect(Math.max(...taken)).toBeLessThan(200);
});

test("by use a page that was read does not leave", () => {
  const rig = new PlacementRig(make, 1000);
  const pages = Array.from({ length: 1000 }, () => rig.put(1000));
  for (const page of pages.slice(0, 100)) {
    for (let i = 0; i < 20; i += 1) rig.placement.touch(rig.refOf(page));
  }
  const taken = Array.from({ length: 60 }, () => rig.takeOldest()).flat();
  expect(Math.min(...taken)).toBeGreaterThan(100);
});

test("an empty store has no spare frame either", () => {
  const rig = new PlacementRig(make, 64);
  const random = new SeededRandom(7);
  for (let i = 0; i < 500; i += 1) {
    rig.put(anySize(random));
    if (i % 2 === 0) rig.free([...rig.stored.keys()][0] ?? 0);
  }
  rig.freeAll();
  rig.frames.trim();
  expect(rig.frames.framesWarm).toBe(0);
  expect(rig.frames.takeSpare()).toBe(1); // The pool has started over.
});

test("an eviction gives back the frames that the other zpages of the block do not need", () => {
  for (const kind of [EPHEMERAL, PERSISTENT] as const) {
    const rig = new PlacementRig(make, 4);
    // Twenty fill the block, and four of them need one frame.
    for (let i = 0; i < 20; i += 1) rig.put(780, EPHEMERAL);
    for (let i = 0; i < 4; i += 1) rig.takeOldest(EPHEMERAL);
    expect(rig.frames.framesUsed).toBe(4);
    while (rig.placement.evict(kind));
    expect([rig.evicted.length, rig.frames.framesUsed]).toEqual([16, 1]);
    expect(rig.placement.counters.evicted_pageframes).toEqual([3, 0]);
    rig.checkAll();
  }
});
