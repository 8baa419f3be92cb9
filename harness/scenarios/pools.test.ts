/** Pools that come and go: whole nodes under virtual time. No page of an old pool is ever seen. */
import { expect, test } from "bun:test";
import { type Buggify, NEVER } from "../../src/core/buggify.ts";
import { FLUSH_SLICE, PAGE_BYTES, POOLS_PER_CLIENT_MAX } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;

/** An owner with one lender. */
async function pair(): Promise<{ sim: SimCluster; owner: SimNode; lender: SimNode }> {
  const sim = new SimCluster(1);
  await sim.start([{ target: 1, lendBytes: 0 }, { lendBytes: 64 * MIB }]);
  return { sim, owner: sim.node(0), lender: sim.node(1) };
}

function fill(sim: SimCluster, node: SimNode, pool: number, count: number): void {
  for (let number = 0; number < count; number += 1) {
    sim.until("there is room", () => !node.node.ramster.mustWait());
    expect(node.put(pool, number, 1)).toBe(STATUS.OK);
  }
  sim.until("remotify is done", () => node.counter("frames_in_flight") === 0);
}

test("the id of a pool is not reused while a get of it is in flight", async () => {
  const { sim, owner } = await pair();
  const { ramster } = owner.node;
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 1500);
  const pending = owner.startGet(pool, 0, -1);
  expect(owner.results.has(pending.token)).toBe(false); // The page is away.
  expect(ramster.flushPool(pool, { destroy: true })).toBe(STATUS.OK);
  for (let i = 1; i < POOLS_PER_CLIENT_MAX; i += 1) {
    expect(owner.newPool({ persistent: true })).not.toBe(pool);
  }
  expect(ramster.newPool({ persistent: true, storeWhole: false })).toBeNull();
  sim.until("the get has ended", () => owner.results.has(pending.token));
  expect(owner.results.get(pending.token)).toBe(STATUS.UNKNOWN_POOL);
  expect(owner.newPool({ persistent: true })).toBe(pool);
  await sim.stop();
});

/** Same-filled pages cost no frame, so there may be many. */
function fillWithWords(node: SimNode, pool: number, count: number): void {
  const page = new Uint8Array(PAGE_BYTES).fill(7);
  for (let number = 0; number < count; number += 1) {
    expect(node.node.ramster.put(node.at(pool, number), page, 0)).toBe(STATUS.OK);
  }
}

/** Runs until `isDone`. @returns the most pages that one turn removed from the index. */
function mostInOneTurn(sim: SimCluster, count: () => number, isDone: () => boolean): number {
  return mostOfEach(sim, [count], isDone)[0] ?? 0;
}

/** The same for several indexes. */
function mostOfEach(
  sim: SimCluster,
  counts: ReadonlyArray<() => number>,
  isDone: () => boolean,
): number[] {
  const read = (): number[] => counts.map((count) => count());
  let most = counts.map(() => 0);
  for (let before = read(); !isDone(); before = read()) {
    expect(sim.clock.step()).toBe(true);
    const after = read();
    most = most.map((it, i) => Math.max(it, (before[i] ?? 0) - (after[i] ?? 0)));
  }
  return most;
}

test("a large pool is destroyed in slices, and none of its pages is visible meanwhile", async () => {
  const { sim, owner } = await pair();
  const { ramster } = owner.node;
  const other = owner.newPool({ persistent: true });
  owner.put(other, 1, 1);
  const pool = owner.newPool({ persistent: true });
  fillWithWords(owner, pool, 20 * FLUSH_SLICE);
  let isDone = false;
  ramster.flushPool(pool, { destroy: true }, () => {
    isDone = true;
  });
  expect(isDone).toBe(false);
  expect(owner.put(pool, 3, 1)).toBe(STATUS.UNKNOWN_POOL);
  // The id is not reused while its pages are being freed.
  const ids = Array.from({ length: POOLS_PER_CLIENT_MAX - 2 }, () => {
    return owner.newPool({ persistent: true });
  });
  expect(ids).not.toContain(pool);
  expect(ramster.newPool({ persistent: true, storeWhole: false })).toBeNull();
  const { tmem } = ramster.zcache;
  const most = mostInOneTurn(
    sim,
    () => tmem.pageCount,
    () => {
      expect(owner.put(ids[0] ?? -1, 5, 2)).toBe(STATUS.OK);
      return isDone;
    },
  );
  expect(most).toBeLessThanOrEqual(FLUSH_SLICE);
  expect(owner.newPool({ persistent: false })).toBe(pool);
  expect([owner.get(pool, 3), owner.get(other, 1), owner.get(ids[0] ?? -1, 5)]).toEqual([
    ...(["miss", 1, 2] as const),
  ]);
  sim.verify();
  await sim.stop();
});

test("remote pages of a destroyed pool are freed in slices, here and at the lender", async () => {
  const { sim, owner, lender } = await pair();
  const { ramster } = owner.node;
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 4 * FLUSH_SLICE);
  const away = owner.counter("remote_pers_pages");
  expect(away).toBeGreaterThan(3 * FLUSH_SLICE);
  const pending = [1, 2, 3].map((number) => owner.startGet(pool, number, -1));
  ramster.flushPool(pool, { destroy: false });
  expect(owner.get(pool, 1)).toBe("miss");
  expect(owner.put(pool, 2, 9)).toBe(STATUS.OK);
  const { tmem } = ramster.zcache;
  const lenderIndex = lender.node.foreign?.zcache.tmem;
  const [most, mostAtLender] = mostOfEach(
    sim,
    [() => tmem.pageCount, () => lenderIndex?.pageCount ?? 0],
    () => tmem.pageCount === 1 && lenderIndex?.pageCount === 0,
  );
  for (const count of [most, mostAtLender]) {
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThanOrEqual(FLUSH_SLICE);
  }
  // Gets that were in flight do not see flushed pages.
  expect(pending.map((it) => owner.wait(it))).toEqual(["miss", 9, "miss"]);
  sim.until("no flush is pending", () => owner.counter("flnodes") === 0);
  expect(owner.get(pool, 2)).toBe(9);
  expect(owner.counter("remote_objects_flushed")).toBe(1);
  sim.verify();
  await sim.stop();
});

/** From now on, flushed pages are not freed in the turn of their flush. */
function spendTurn(node: SimNode): void {
  const pool = node.newPool({ persistent: true });
  fillWithWords(node, pool, FLUSH_SLICE);
  node.node.ramster.flushPool(pool, { destroy: true });
  expect(node.node.ramster.flushes.isSpent).toBe(true);
}

/** From now on, a few flushed pages are freed each millisecond. */
const SLOWLY: Buggify = (point) => point === "short-flush";

test("a get in flight never returns a page that is being freed", async () => {
  const { sim, owner } = await pair();
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 2000);
  sim.buggify = SLOWLY;
  spendTurn(owner);
  const pending = [500, 501].map((number) => owner.startGet(pool, number, -1));
  expect(pending.map(({ token }) => owner.results.has(token))).toEqual([false, false]);
  owner.node.ramster.flushPool(pool, { destroy: true });
  for (const { token } of pending) {
    sim.until("it is answered", () => owner.results.has(token));
    expect(owner.results.get(token)).toBe(STATUS.UNKNOWN_POOL);
  }
  expect(owner.counter("page_count")).toBeGreaterThan(0);
  sim.until("all is freed", () => owner.counter("page_count") === 0);
  sim.until("no flush is pending", () => owner.counter("flnodes") === 0);
  sim.verify();
  await sim.stop();
});

test("pages put while old ones of their pool are freed are not flushed with them", async () => {
  const { sim, owner, lender } = await pair();
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 2500);
  sim.buggify = SLOWLY;
  spendTurn(owner);
  let isDone = false;
  owner.node.ramster.flushPool(pool, { destroy: false }, () => {
    isDone = true;
  });
  for (let number = 0; number < 2500; number += 1) {
    while (owner.node.ramster.mustWait()) sim.run(1);
    expect(owner.put(pool, number, 2)).toBe(STATUS.OK);
  }
  sim.buggify = NEVER;
  sim.until("all is freed", () => isDone && owner.counter("flnodes") === 0);
  expect(owner.counter("remote_pers_pages")).toBeGreaterThan(100);
  for (let number = 0; number < 100; number += 1) expect(owner.get(pool, number)).toBe(2);
  sim.until("remotify is done", () => owner.counter("frames_in_flight") === 0);
  expect(lender.node.foreign?.pageCount(owner.number)).toBe(owner.counter("remote_pers_pages"));
  sim.verify();
  await sim.stop();
});

test("pages that are still being freed are not sent to a lender", async () => {
  const { sim, owner, lender } = await pair();
  const { ramster } = owner.node;
  ramster.setTarget(null);
  const pool = owner.newPool({ persistent: true });
  for (let number = 0; owner.put(pool, number, 1) !== STATUS.NO_ROOM; number += 1);
  sim.buggify = SLOWLY;
  spendTurn(owner);
  ramster.flushPool(pool, { destroy: true });
  ramster.setTarget(lender.number);
  sim.until("all is freed", () => owner.counter("page_count") === 0);
  expect([owner.counter("remotify_raced"), lender.counter("foreign_puts")]).toEqual([0, 0]);
  expect(owner.counter("frames_used")).toBe(0);
  sim.verify();
  await sim.stop();
});

test("a lender purges an owner's pages in slices, and accepts that owner's new pages meanwhile", async () => {
  const { sim, owner, lender } = await pair();
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 4 * FLUSH_SLICE);
  const { foreign } = lender.node;
  const lenderIndex = foreign?.zcache.tmem;
  const before = foreign?.pageCount(owner.number) ?? 0;
  expect(before).toBeGreaterThan(3 * FLUSH_SLICE);
  owner.crash();
  await owner.restart();
  expect(owner.newPool({ persistent: true })).toBe(pool);
  // Enough that some must leave: the link tells the lender that this is another boot.
  for (let number = 0; !owner.node.ramster.mustWait(); number += 1) owner.put(pool, number, 2);
  const most = mostInOneTurn(
    sim,
    () => lenderIndex?.pageCount ?? 0,
    () => lender.counter("foreign_purged_pages") > 0 && lenderIndex?.pageCount === owned(),
  );
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(FLUSH_SLICE);
  expect(lender.counter("foreign_purged_pages")).toBe(before);
  fill(sim, owner, pool, 1500);
  expect(owned()).toBeGreaterThan(0);
  for (let number = 0; number < 100; number += 1) expect(owner.get(pool, number)).toBe(1);
  sim.verify();
  await sim.stop();

  function owned(): number {
    return foreign?.pageCount(owner.number) ?? 0;
  }
});
