import { expect, test } from "bun:test";
import fc from "fast-check";
import { SECTOR_BYTES, SECTORS_PER_PAGE_MAX } from "../core/limits.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { GROUP_SECTORS, NO_SECTOR, Sectors } from "./sectors.ts";

interface Run {
  sector: number;
  count: number;
}

/** Whether the sectors are all free in the model, which has a boolean for each. */
function isFree(used: readonly boolean[], { sector, count }: Run): boolean {
  return used.slice(sector, sector + count).every((it) => !it);
}

function hasRun(used: readonly boolean[], limit: number, count: number): boolean {
  for (let sector = 0; sector + count <= limit; sector += 1) {
    const isWithin = sector % GROUP_SECTORS <= GROUP_SECTORS - count;
    if (isWithin && isFree(used, { sector, count })) return true;
  }
  return false;
}

test("takes only free runs below the limit, and fails only when the model has no such run", () => {
  const step = fc.record({
    count: fc.integer({ min: 1, max: SECTORS_PER_PAGE_MAX }),
    times: fc.integer({ min: 1, max: 400 }),
    giveEvery: fc.integer({ min: 1, max: 6 }),
    limit: fc.integer({ min: 0, max: 2 * GROUP_SECTORS }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const sectors = new Sectors(new HeapMemory(), 2 * GROUP_SECTORS);
      const used = Array.from({ length: 2 * GROUP_SECTORS }, () => false);
      const runs: Run[] = [];
      for (const { count, times, giveEvery, limit } of steps) {
        sectors.limitTo(limit * SECTOR_BYTES + 1);
        for (let i = 0; i < times; i += 1) {
          const sector = sectors.take(count);
          if (sector === NO_SECTOR) {
            expect(hasRun(used, limit, count)).toBe(false);
            break;
          }
          const run = { sector, count };
          expect(isFree(used, run)).toBe(true);
          expect(sector + count).toBeLessThanOrEqual(limit);
          used.fill(true, sector, sector + count);
          runs.push(run);
        }
        const given = runs.filter((_, i) => i % giveEvery === 0);
        for (const run of given) {
          runs.splice(runs.indexOf(run), 1);
          used.fill(false, run.sector, run.sector + run.count);
          expect(sectors.give(run.sector, run.count)).toBe(runs.length === 0);
        }
        sectors.verify();
        expect(sectors.usedCount).toBe(used.filter((it) => it).length);
      }
    }),
    { numRuns: 100, examples: [[[{ count: 6, times: 343, giveEvery: 2, limit: 2054 }]]] },
  );
});

test("pages of one batch are consecutive", () => {
  const sectors = new Sectors(new HeapMemory(), 4 * GROUP_SECTORS);
  let next = 0;
  for (const count of [3, 9, 1, 4, 4]) {
    expect(sectors.take(count)).toBe(next);
    next += count;
  }
});

test("reuses freed sectors before the file grows", () => {
  const sectors = new Sectors(new HeapMemory(), 64 * GROUP_SECTORS);
  const kept = Array.from({ length: 100 }, () => sectors.take(5));
  let last = 0;
  for (let round = 0; round < 200; round += 1) {
    const runs = Array.from({ length: 100 }, () => sectors.take(4));
    last = Math.max(last, ...runs);
    for (const run of runs) sectors.give(run, 4);
  }
  expect(last).toBeLessThan(GROUP_SECTORS);
  for (const [i, run] of kept.entries()) expect(sectors.give(run, 5)).toBe(i === kept.length - 1);
  expect(sectors.take(1)).toBe(0); // Empty, so it begins at the start.
});
