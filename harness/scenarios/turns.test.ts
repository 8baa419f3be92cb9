/** Work in proportion to the pages of a node is done in slices, with other work in between. */
import { expect, test } from "bun:test";
import { FLUSH_SLICE, INDEX_SLICE } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;

/** Runs until `isDone`. @returns the most that one turn added to `count`. */
function mostInOneTurn(sim: SimCluster, count: () => number, isDone: () => boolean): number {
  let most = 0;
  const limitMs = sim.clock.now() + 60_000;
  for (let before = count(); !isDone(); before = count()) {
    expect(sim.clock.step() && sim.clock.now() < limitMs).toBe(true);
    most = Math.max(most, count() - before);
  }
  return most;
}

function fill(sim: SimCluster, node: SimNode, pool: number, count: number): void {
  for (let number = 0; number < count; number += 1) {
    sim.until("there is room", () => !node.node.ramster.mustWait());
    expect(node.put(pool, number, 1)).toBe(STATUS.OK);
  }
  sim.until("remotify is done", () => node.counter("frames_in_flight") === 0);
}

test("the search for copies that were lost with a lender runs in slices", async () => {
  const sim = new SimCluster(1);
  await sim.start([{ target: 1, lendBytes: 0 }, { lendBytes: 64 * MIB }]);
  const [owner, lender] = [sim.node(0), sim.node(1)];
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 3 * INDEX_SLICE);
  const away = owner.counter("remote_pers_pages");
  expect(away).toBeGreaterThan(2 * INDEX_SLICE);
  lender.crash();
  await lender.restart();
  owner.startGet(pool, 0, -1); // The lender is asked, and reports that it has nothing.
  const lost = (): number => owner.node.ramster.counters.remote_pers_pages_lost;
  const most = mostInOneTurn(sim, lost, () => lost() === away);
  expect(most).toBeLessThanOrEqual(INDEX_SLICE);
  sim.verify();
  await sim.stop();
});

test("the search for pages at risk runs in slices", async () => {
  const sim = new SimCluster(1);
  await sim.start([{ target: 1, lendBytes: 0 }, { lendBytes: 64 * MIB }]);
  const owner = sim.node(0);
  fill(sim, owner, owner.newPool({ persistent: true }), 3 * INDEX_SLICE);
  const { tmem } = owner.node.ramster.zcache;
  let numbers = 0;
  for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) numbers += 1;
  expect(numbers).toBeGreaterThan(2 * INDEX_SLICE);
  let looks = 0;
  const isLive = tmem.isLive.bind(tmem);
  tmem.isLive = (page) => {
    looks += 1;
    return isLive(page);
  };
  owner.node.ramster.holderDead(1); // The set of holders that are present has changed.
  const first = looks;
  const most = mostInOneTurn(
    sim,
    () => looks,
    () => looks >= numbers,
  );
  expect(Math.max(first, most)).toBeLessThanOrEqual(INDEX_SLICE);
  await sim.stop();
});

test("a lender that lends less evicts ephemeral pages in slices", async () => {
  const sim = new SimCluster(1);
  const owner = { target: 1, lendBytes: 0, remotifyEph: true };
  await sim.start([owner, { lendBytes: 64 * MIB }]);
  const [ours, lender] = [sim.node(0), sim.node(1)];
  const pool = ours.newPool({ persistent: false });
  const { foreign } = lender.node;
  const pageCount = (): number => foreign?.pageCount(ours.number) ?? 0;
  for (let number = 0; pageCount() < 3 * FLUSH_SLICE; number += 1) {
    ours.put(pool, number, 1);
    if (number % 8 === 7) sim.run(2);
  }
  const before = pageCount();
  foreign?.setLimit(0);
  const first = before - pageCount();
  const most = mostInOneTurn(
    sim,
    () => -pageCount(),
    () => pageCount() === 0,
  );
  expect(Math.max(first, most)).toBeLessThanOrEqual(FLUSH_SLICE);
  sim.verify();
  await sim.stop();
});
