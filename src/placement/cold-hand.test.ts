import { expect, spyOn, test } from "bun:test";
import { anySize, type MakePlacement, PlacementRig } from "../../harness/contract/placement-rig.ts";
import { EPHEMERAL, PERSISTENT } from "../core/kind.ts";
import { PAGE_BYTES, ZPAGE_BYTES_MAX } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { Blocks } from "./blocks.ts";

const make: MakePlacement = (memory, frames, sink) => {
  return new Blocks(memory, frames, sink, { byUse: true });
};

const inOrder: MakePlacement = (memory, frames, sink) => {
  return new Blocks(memory, frames, sink, { byUse: false });
};

/** Uses other zpages until all that are stored are cold. */
function growCold(rig: PlacementRig): void {
  for (let i = 0; i < 2 * rig.stored.size + 500; i += 1) rig.free(rig.put(100));
}

function compactAll(rig: PlacementRig): void {
  while (rig.placement.compact());
  rig.checkAll();
}

test("a shorter zpage leaves room for others in its block", () => {
  const rig = new PlacementRig(make, 16);
  for (let i = 0; i < 4; i += 1) rig.put(1000);
  expect(rig.frames.framesUsed).toBe(1);
  for (const page of [...rig.stored.keys()]) rig.replace(page, 100);
  for (let i = 0; i < 3; i += 1) rig.put(1000);
  expect(rig.frames.framesUsed).toBe(1);
  rig.checkAll();
});

test("a replaced zpage has its own checksum and its old record, wherever it moves", () => {
  const rig = new PlacementRig(make, 16);
  const pages = Array.from({ length: 20 }, () => rig.put(780));
  for (const [i, page] of pages.entries()) if (i % 2 === 0) rig.replace(page, 70);
  const { slides } = rig.placement.counters;
  for (let i = 0; i < 3; i += 1) expect(rig.put(2000)).toBeGreaterThan(0);
  expect(rig.placement.counters.slides).toBeGreaterThan(slides);
  rig.checkAll();
});

test("compaction leaves settled zpages settled", () => {
  const rig = new PlacementRig(make, 2000);
  const random = new SeededRandom(1);
  for (let i = 0; i < 2000; i += 1) rig.put(anySize(random), i % 2 === 0 ? EPHEMERAL : PERSISTENT);
  for (const page of rig.stored.keys()) rig.settle(page);
  for (const page of [...rig.stored.keys()]) if (below(random, 100) < 70) rig.free(page);
  compactAll(rig);
  expect(rig.placement.counters.moves).toBeGreaterThan(100);
  growCold(rig);
  for (let i = 0; i < 2; i += 1) expect(rig.restOfRound()).toEqual([]);
});

test("a whole page finds room in its own frame when too many frames are in use", () => {
  const rig = new PlacementRig(make, 8);
  const pages = Array.from({ length: 8 }, () => rig.put(PAGE_BYTES));
  rig.frames.limit = 2;
  for (const page of pages) rig.replace(page, ZPAGE_BYTES_MAX);
  expect(rig.frames.framesUsed).toBe(8);
  rig.checkAll();
});

test("compaction that was in vain is tried again after replacements", () => {
  const rig = new PlacementRig(make, 100);
  // Five in a block of four frames leave too little for a sixth.
  const pages = Array.from({ length: 100 }, () => rig.put(3000));
  compactAll(rig);
  expect(rig.frames.framesUsed).toBe(80);
  expect(rig.placement.framesNeeded).toBe(rig.frames.framesUsed);
  for (const page of pages) rig.replace(page, 1000);
  compactAll(rig);
  expect(rig.frames.framesUsed).toBeLessThan(30);
});

test("what replacements have freed is not needed", () => {
  const rig = new PlacementRig(make, 4000);
  const random = new SeededRandom(2);
  for (let i = 0; i < 4000; i += 1) rig.put(1000 + below(random, 2000));
  for (const [page, { zpageBytes }] of rig.stored) rig.replace(page, zpageBytes >>> 1);
  const needed = rig.placement.framesNeeded;
  expect(needed).toBeLessThan(rig.frames.framesUsed * 0.6);
  compactAll(rig);
  expect(rig.frames.framesUsed).toBeLessThan(needed * 1.1);
});

test("what was used lately is not cold, unless the order is that of insertion", () => {
  for (const [placement, found] of [
    [make, 100],
    [inOrder, 200],
  ] as const) {
    const rig = new PlacementRig(placement, 200);
    const pages = Array.from({ length: 200 }, () => rig.put(1000));
    growCold(rig);
    for (const page of pages.slice(0, 100)) rig.touch(page);
    rig.restOfRound();
    expect(rig.restOfRound().length).toBe(found);
  }
});

test("a call visits 64 blocks at most, and reads only their slots when all is settled", () => {
  const rig = new PlacementRig(make, 3000);
  for (let i = 0; i < 10_000; i += 1) rig.put(1000);
  growCold(rig);
  for (const page of rig.stored.keys()) rig.settle(page);
  const reads = spyOn(rig.frames, "read");
  rig.restOfRound();
  let [calls, most] = [0, 0];
  for (const { rounds } = rig.cold; rig.cold.rounds === rounds; calls += 1) {
    reads.mockClear();
    expect(rig.nextCold()).toEqual([]);
    most = Math.max(most, reads.mock.calls.length);
  }
  expect(most).toBe(64);
  expect(calls).toBe(Math.ceil(rig.frames.framesUsed / 4 / 64));
  reads.mockRestore();
});
