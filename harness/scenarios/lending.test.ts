/** Many borrowers and few lenders: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import { TAKEN_MAX } from "../../src/placement/placement.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;
const BORROWERS = [1, 2, 3, 4, 5, 6];

/** All owners put more pages than fit anywhere. @returns how many puts each was refused. */
function putAll(sim: SimCluster, borrowers: readonly SimNode[], count: number): number[] {
  const pools = borrowers.map((node) => node.newPool({ persistent: true }));
  const refused = borrowers.map(() => 0);
  for (let number = 0; number < count; number += 1) {
    for (const [i, node] of borrowers.entries()) {
      if (node.put(pools[i] ?? 0, number, 1) !== STATUS.OK) refused[i] = (refused[i] ?? 0) + 1;
    }
    if (number % 16 === 15) sim.run(1);
  }
  return refused;
}

test("a lender that many owners fill at once accepts all that it granted, and ends full", async () => {
  for (const seed of [1, 2, 3]) {
    const sim = new SimCluster(seed);
    await sim.start([
      { lendBytes: 4 * MIB },
      ...BORROWERS.map(() => ({ target: 0, lendBytes: 0, memoryBytes: MIB })),
    ]);
    const lender = sim.node(0);
    const borrowers = BORROWERS.map((number) => sim.node(number));
    const refused = putAll(sim, borrowers, 3000);
    expect(Math.min(...refused)).toBeGreaterThan(0); // There is not room for all pages.
    sim.until("nothing is under way", () => {
      return borrowers.every((node) => node.counter("frames_in_flight") === 0);
    });
    expect(lender.counter("foreign_failed_puts")).toBe(0);
    expect(lender.counter("foreign_over_grant")).toBe(0);
    const { framesUsed } = lender.node.foreign?.zcache.frames ?? { framesUsed: 0 };
    expect(framesUsed).toBeGreaterThan(1024 - 64);
    expect(framesUsed).toBeLessThanOrEqual(1024);
    for (const node of borrowers) expect(node.counter("pers_pages_remote_failed")).toBe(0);
    sim.verify();
    await sim.stop();
  }
});

test("memory that one owner gives back is granted to another", async () => {
  const sim = new SimCluster(4);
  await sim.start([
    { lendBytes: MIB },
    ...[1, 2].map(() => ({ target: 0, lendBytes: 0, memoryBytes: MIB })),
  ]);
  const [lender, one, two] = [sim.node(0), sim.node(1), sim.node(2)];
  putAll(sim, [one], 2000);
  sim.until("it is full", () => one.counter("frames_in_flight") === 0);
  putAll(sim, [two], 1000);
  sim.until("it sends no more", () => two.counter("frames_in_flight") === 0);
  // Everything is full, except for what the lender has granted.
  expect(two.node.ramster.credit(0)).toBeLessThan(TAKEN_MAX);
  expect(two.node.ramster.mustWait()).toBe(true);
  const pageCount = lender.node.foreign?.pageCount(2) ?? -1;
  one.node.ramster.flushPool(one.node.ramster.pools()[0]?.id ?? -1, { destroy: true });
  sim.until("its pages are gone", () => lender.node.foreign?.pageCount(1) === 0);
  putAll(sim, [two], 1000);
  sim.until("there are others", () => (lender.node.foreign?.pageCount(2) ?? 0) > pageCount + 200);
  expect(lender.counter("foreign_failed_puts")).toBe(0);
  await sim.stop();
});

test("each of many borrowers gets its share, even when the others were earlier", async () => {
  const sim = new SimCluster(5);
  const many = Array.from({ length: 24 }, () => ({ target: 0, lendBytes: 0, memoryBytes: MIB }));
  await sim.start([{ lendBytes: 16 * MIB }, ...many]);
  const borrowers = sim.nodes.slice(1);
  const pools = borrowers.map((node) => node.newPool({ persistent: true }));
  for (let number = 0; number < 700; number += 1) {
    for (const [i, node] of borrowers.entries()) {
      const { ramster } = node.node;
      if (ramster.mustWait()) sim.until("there is room", () => !ramster.mustWait());
      expect(node.put(pools[i] ?? 0, number, 1)).toBe(STATUS.OK);
    }
    if (number % 16 === 15) sim.run(1);
  }
  for (const node of borrowers) expect(node.counter("remote_pers_pages")).toBeGreaterThan(100);
  await sim.stop();
});
