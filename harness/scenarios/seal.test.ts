/** Sealed pages: whole nodes under virtual time, with lenders that return wrong pages. */
import { describe, expect, test } from "bun:test";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import {
  checkAll,
  damage,
  filled,
  LENDER,
  OWNER,
  PAGES,
  settle,
  total,
  untilDead,
  untilRepaired,
} from "../sim/borrowing.ts";
import { fillTestPage, SimCluster, type SimNode } from "../sim/cluster.ts";
import { lentBytes, Traitor, type Treason } from "../sim/traitor.ts";

const SEALED = { ...OWNER, seal: true };
const ONE_COPY = { ...SEALED, replicas: 1 };
const TREASONS: readonly Treason[] = ["alter", "swap", "replay"];

/**
 * Pages of generation 1 that the lender can read in part: lz4 leaves words that do not repeat as
 * they are in the page.
 */
function readable(lender: SimNode, owner: SimNode, pool: number): number {
  const lent = lentBytes(lender);
  const page = new Uint8Array(PAGE_BYTES);
  let count = 0;
  for (let number = 0; number < PAGES; number += 1) {
    fillTestPage(page, owner.index, pool, number, 1);
    if (lent.includes(page.subarray(100, 164))) count += 1;
  }
  return count;
}

/** Puts every page again with a new version, and waits until enough pages are away. */
function putAll(sim: SimCluster, owner: SimNode, pool: number, generation: number): void {
  for (let number = 0; number < PAGES; number += 1) {
    sim.until("it is stored", () => owner.put(pool, number, generation) === STATUS.OK);
  }
  settle(sim);
}

/** Counts the outcomes of a get of each page. Wrong bytes fail at once. */
function outcomes(owner: SimNode, pool: number): Map<number | string, number> {
  const counts = new Map<number | string, number>();
  for (let number = 0; number < PAGES; number += 1) {
    const got = owner.get(pool, number);
    counts.set(got, (counts.get(got) ?? 0) + 1);
  }
  return counts;
}

test.each([1, 2, 3])("sealed pages come back as they were, with %d copies", async (replicas) => {
  const owns = { ...SEALED, replicas };
  const { sim, owner, pool } = await filled([owns, LENDER, LENDER, LENDER]);
  const pages = owner.counter("remote_pers_pages");
  expect(pages).toBeGreaterThan(PAGES / 2);
  expect(owner.counter("remote_copies")).toBe(replicas * pages);
  for (let round = 0; round < 2; round += 1) checkAll(owner, pool);
  putAll(sim, owner, pool, 2);
  expect(outcomes(owner, pool)).toEqual(new Map([[2, PAGES]]));
  // Some come home, and leave again with their old version.
  const kept = PAGES - 500;
  for (let number = kept; number < PAGES; number += 1) owner.flush(pool, number);
  for (let number = 0; number < kept; number += 1) expect(owner.get(pool, number)).toBe(2);
  expect(owner.counter("pages_repatriated")).toBeGreaterThan(100);
  const more = owner.newPool({ persistent: true });
  for (let number = 0; number < 500; number += 1) {
    sim.until("it is stored", () => owner.put(more, number, 3) === STATUS.OK);
  }
  settle(sim);
  for (let number = 0; number < kept; number += 1) expect(owner.get(pool, number)).toBe(2);
  for (const name of ["fetch_seal_broken", "fetch_corrupt", "corrupt_pages"]) {
    expect(owner.counter(name)).toBe(0);
  }
  expect(total(sim, "foreign_corrupt_pages")).toBe(0);
  owner.node.ramster.flushPool(pool, { destroy: true });
  owner.node.ramster.flushPool(more, { destroy: true });
  settle(sim);
  expect(total(sim, "foreign_pers_pages")).toBe(0);
  sim.verify();
  await sim.stop();
});

test("ephemeral pages that leave are sealed, too", async () => {
  const eph = { ...SEALED, remotifyEph: true, remotifyPers: false };
  const sim = new SimCluster(1);
  await sim.startGossiping([eph, LENDER]);
  const [owner, lender] = sim.nodes as [SimNode, SimNode];
  const pool = owner.newPool({ persistent: false });
  for (let number = 0; number < PAGES; number += 1) {
    owner.put(pool, number, 1);
    sim.run(1);
  }
  settle(sim);
  expect(owner.counter("remote_eph_pages")).toBeGreaterThan(0);
  expect(readable(lender, owner, pool)).toBe(0);
  for (let number = 0; number < PAGES; number += 1) {
    expect(["miss", 1]).toContain(owner.get(pool, number));
  }
  expect(owner.counter("remote_eph_pages_succ_get")).toBeGreaterThan(0);
  expect(owner.counter("fetch_seal_broken")).toBe(0);
  await sim.stop();
});

test.each([true, false])(
  "a lender can read its foreign pages unless they are sealed: %p",
  async (seal) => {
    const { sim, owner, lenders, pool } = await filled([{ ...OWNER, seal }, LENDER, LENDER]);
    for (const lender of lenders) {
      const readableCount = readable(lender, owner, pool);
      if (seal) expect(readableCount).toBe(0);
      else expect(readableCount).toBe(lender.counter("foreign_pers_pages"));
    }
    await sim.stop();
  },
);

test.each(["alter", "swap", "replay"] as const)(
  "without a seal, a lender that does %s and corrects the checksum is believed",
  async (treason) => {
    const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER]);
    const traitor = new Traitor(lenders[0] as SimNode, owner, treason);
    putAll(sim, owner, pool, 2);
    putAll(sim, owner, pool, 3);
    let wrong = 0;
    for (let number = 0; number < PAGES; number += 1) {
      try {
        if (owner.get(pool, number) !== 3) wrong += 1;
      } catch {
        wrong += 1; // Bytes that were never put.
      }
    }
    expect(traitor.lies).toBeGreaterThan(100);
    expect(wrong).toBeGreaterThan(0.9 * traitor.lies);
    await sim.stop();
  },
);

test("without a seal, an older version that a lender returns under its number is refused", async () => {
  const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER]);
  const traitor = new Traitor(lenders[0] as SimNode, owner, "stale");
  putAll(sim, owner, pool, 2);
  putAll(sim, owner, pool, 3);
  const counts = outcomes(owner, pool);
  expect(traitor.lies).toBeGreaterThan(100);
  expect(counts.get("lost")).toBe(traitor.lies);
  expect(counts.get(3)).toBe(PAGES - traitor.lies);
  await sim.stop();
});

test("the owner's record says which codec a page has, whatever a lender says", async () => {
  const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER]);
  const traitor = new Traitor(lenders[0] as SimNode, owner, "codec");
  putAll(sim, owner, pool, 2);
  for (let round = 0; round < 2; round += 1) {
    expect(outcomes(owner, pool)).toEqual(new Map([[2, PAGES]]));
  }
  // Those that come home have their own codec there.
  for (let number = 500; number < PAGES; number += 1) owner.flush(pool, number);
  for (let number = 0; number < 500; number += 1) expect(owner.get(pool, number)).toBe(2);
  for (let number = 0; number < 500; number += 1) expect(owner.get(pool, number)).toBe(2);
  expect(owner.counter("pages_repatriated")).toBeGreaterThan(0);
  expect(traitor.lies).toBeGreaterThan(100);
  expect(owner.counter("corrupt_pages")).toBe(0);
  await sim.stop();
});

describe.each(TREASONS)("a lender that does %s and corrects the checksum", (treason) => {
  test("is detected, and the page is served from the other copy, and copied again", async () => {
    const { sim, owner, lenders, pool } = await filled([SEALED, LENDER, LENDER, LENDER]);
    const traitor = new Traitor(lenders[0] as SimNode, owner, treason);
    putAll(sim, owner, pool, 2);
    putAll(sim, owner, pool, 3);
    expect(outcomes(owner, pool)).toEqual(new Map([[3, PAGES]]));
    expect(traitor.lies).toBeGreaterThan(10);
    expect(owner.counter("fetch_seal_broken")).toBe(traitor.lies);
    expect(owner.counter("fetch_corrupt")).toBe(0);
    expect(owner.counter("copies_lost")).toBe(traitor.lies);
    untilRepaired(sim, owner);
    settle(sim);
    expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
    expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
    await sim.stop();
  });

  test("is detected, and a page that nobody else has is an error", async () => {
    const { sim, owner, lenders, pool } = await filled([ONE_COPY, LENDER]);
    const traitor = new Traitor(lenders[0] as SimNode, owner, treason);
    putAll(sim, owner, pool, 2);
    putAll(sim, owner, pool, 3);
    for (let round = 0; round < 2; round += 1) {
      const before = traitor.lies;
      const counts = outcomes(owner, pool);
      const lies = traitor.lies - before;
      expect(lies).toBeGreaterThan(100);
      expect(counts.get("lost")).toBe(lies);
      expect(counts.get(3)).toBe(PAGES - lies);
    }
    expect(owner.counter("fetch_seal_broken")).toBe(traitor.lies);
    await sim.stop();
  });

  test("is detected when pages are copied from it, and no wrong bytes are passed on", async () => {
    const sim = new SimCluster(1);
    await sim.startGossiping([SEALED, LENDER, LENDER, LENDER]);
    const [owner, first, second, late] = sim.nodes as [SimNode, SimNode, SimNode, SimNode];
    await late.stop();
    const traitor = new Traitor(first, owner, treason);
    const pool = owner.newPool({ persistent: true });
    for (const generation of [1, 2, 3]) putAll(sim, owner, pool, generation);
    await late.restart([owner]);
    sim.until("it is back", () => owner.alive().length === 4);
    expect(traitor.lies).toBe(0);
    second.crash(); // All pages can only be copied from the traitor, and to nobody else.
    untilDead(sim, owner, "n2");
    sim.until("it has lied", () => traitor.lies > 100);
    sim.run(30_000);
    expect(owner.counter("fetch_seal_broken")).toBe(traitor.lies);
    expect(late.counter("foreign_pers_pages")).toBe(owner.counter("copies_repaired"));
    first.crash();
    untilDead(sim, owner, "n1");
    const counts = outcomes(owner, pool);
    for (const got of counts.keys()) expect([3, "lost", "away"]).toContain(got);
    const home = PAGES - owner.counter("remote_pers_pages");
    expect(counts.get(3)).toBe(home + owner.counter("copies_repaired"));
    await sim.stop();
  });
});

test("when holders die and others are drained, sealed pages are copied as they are", async () => {
  const { sim, owner, lenders, pool } = await filled([SEALED, LENDER, LENDER, LENDER, LENDER]);
  const [dies, drained, ...others] = lenders as [SimNode, SimNode, SimNode, SimNode];
  dies.crash();
  untilDead(sim, owner, "n1");
  untilRepaired(sim, owner);
  expect(owner.counter("copies_repaired")).toBeGreaterThan(0);
  drained.node.admin.setKnob("draining", "1");
  sim.until("it is empty", () => drained.counter("foreign_frames_used") === 0);
  untilRepaired(sim, owner);
  const pages = owner.counter("remote_pers_pages");
  for (const other of others) expect(other.counter("foreign_pers_pages")).toBe(pages);
  for (const other of others) expect(readable(other, owner, pool)).toBe(0);
  await drained.stop();
  checkAll(owner, pool);
  others[0]?.crash();
  checkAll(owner, pool);
  expect(owner.counter("fetch_seal_broken")).toBe(0);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  await sim.stop();
});

test("a zpage that was damaged at home is never sealed", async () => {
  const sim = new SimCluster(1);
  await sim.startGossiping([{ ...SEALED, target: null }, LENDER, LENDER]);
  const [owner] = sim.nodes as [SimNode];
  const pool = owner.newPool({ persistent: true });
  for (let number = 0; number < 300; number += 1) {
    expect(owner.put(pool, number, 1)).toBe(STATUS.OK);
  }
  damage(owner.node.ramster.zcache, 20);
  const expected = Array.from({ length: 300 }, (_, number) => owner.get(pool, number));
  expect(expected).toContain("lost");
  owner.node.ramster.setTarget("auto");
  const more = owner.newPool({ persistent: true });
  putAll(sim, owner, more, 1);
  expect(owner.counter("remote_pers_pages")).toBeGreaterThan(PAGES / 2);
  for (const [number, got] of expected.entries()) expect(owner.get(pool, number)).toBe(got);
  expect(total(sim, "foreign_corrupt_pages")).toBe(0);
  owner.node.ramster.flushPool(pool, { destroy: true });
  owner.node.ramster.flushPool(more, { destroy: true });
  settle(sim);
  expect(owner.counter("frames_used")).toBe(0);
  owner.verify();
  await sim.stop();
});
