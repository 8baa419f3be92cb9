/** Pools that come and go, on whole nodes under virtual time: nothing of an old one is ever seen. */
import { expect, test } from "bun:test";
import { POOLS_PER_CLIENT_MAX } from "../src/core/limits.ts";
import { STATUS } from "../src/core/status.ts";
import { SimCluster, type SimNode } from "./sim/cluster.ts";

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

test("the id of a pool is not given out again while a get of it is under way", async () => {
  const { sim, owner } = await pair();
  const { ramster } = owner.node;
  const pool = owner.newPool({ persistent: true });
  fill(sim, owner, pool, 1500);
  const pending = owner.startGet(pool, 0, -1);
  expect(owner.results.has(pending.token)).toBe(false); // It is away.
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
