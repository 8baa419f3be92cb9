/** Peers that are named by hand, with nobody who gossips: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import type { NodeConfig } from "../src/node/config.ts";
import { TAG } from "../src/tmem/pampd.ts";
import { fill, settle } from "./sim/borrowing.ts";
import { SimCluster, type SimNode } from "./sim/cluster.ts";
import { drive } from "./sim/drive.ts";

const MIB = 1024 * 1024;
const OWNER: Partial<NodeConfig> = { lendBytes: 0, target: 1 };
const LENDER: Partial<NodeConfig> = { lendBytes: 16 * MIB, target: null };

async function pair(own: Partial<NodeConfig> = {}) {
  const sim = new SimCluster(1);
  await sim.start([{ ...OWNER, ...own }, LENDER]);
  const [owner, holder] = sim.nodes as [SimNode, SimNode];
  const pool = fill(sim, owner);
  expect(holder.counter("foreign_pers_pages")).toBeGreaterThan(500);
  return { sim, owner, holder, pool };
}

/** Numbers of pages that are away. */
function away(owner: SimNode, pool: number): number[] {
  const { tmem } = owner.node.ramster.zcache;
  const numbers: number[] = [];
  for (let number = 0; numbers.length < 20; number += 1) {
    const local = owner.node.ramster.pool(pool);
    const page = local === null ? 0 : tmem.find(local, owner.at(pool, number));
    if (page !== 0 && tmem.tag(page) === TAG.REMOTE) numbers.push(number);
  }
  return numbers;
}

/** What gets of these pages give, one after the other, and how long each takes. */
function timed(sim: SimCluster, owner: SimNode, pool: number, numbers: readonly number[]) {
  return numbers.map((number) => {
    const startMs = sim.clock.now();
    const result = owner.get(pool, number);
    return { result, ms: Math.round(sim.clock.now() - startMs) };
  });
}

test.each([
  ["with a link", 600_000, 0],
  ["whose link was closed for want of use", 1000, 10_000],
] as const)(
  "an owner %s that stops in order takes its pages along: its holder need not drain them",
  async (_, unusedMs, waitMs) => {
    const { sim, owner, holder } = await pair({ unusedMs });
    sim.run(waitMs);
    expect(owner.node.links.channelOf(1) === null).toBe(waitMs > 0);
    await owner.stop();
    sim.until("it keeps nothing", () => holder.counter("foreign_pers_pages") === 0);
    expect(holder.log.some((it) => it.includes("of node 0, which has stopped"))).toBe(true);
    expect(await drive(sim.clock, holder.node.drain.emptyForeign(60_000))).toBe(true);
    await sim.stop();
  },
);

test("what a holder kept that has stopped is lost at once, and no get waits for it", async () => {
  const { sim, owner, holder, pool } = await pair();
  const numbers = away(owner, pool);
  await holder.stop();
  sim.run(100);
  for (const got of timed(sim, owner, pool, numbers))
    expect(got).toEqual({ result: "lost", ms: 0 });
  await sim.stop();
});

test("of a holder that was killed the first get waits, and the others fail at once until it is heard of", async () => {
  const { sim, owner, holder, pool } = await pair();
  const numbers = away(owner, pool);
  sim.partition([holder], [owner]);
  sim.network.cut(owner.host, holder.host);
  const [first, ...others] = timed(sim, owner, pool, numbers);
  expect(first?.result).toBe("away");
  expect(first?.ms).toBeGreaterThan(1000);
  for (const got of others) expect(got).toEqual({ result: "away", ms: 0 });
  sim.heal([holder], [owner]);
  sim.until("there is a link", () => owner.node.links.channelOf(1) !== null);
  for (const { result } of timed(sim, owner, pool, numbers)) expect(result).toBe(1);
  await sim.stop();
});

test("of a holder that stands still the first get waits, and the others fail at once until it goes on", async () => {
  const { sim, owner, holder, pool } = await pair();
  const numbers = away(owner, pool);
  holder.pause(10_000);
  const [first, ...others] = timed(sim, owner, pool, numbers);
  expect(first?.result).toBe("away");
  expect(first?.ms).toBeGreaterThan(1000);
  for (const got of others) expect(got).toEqual({ result: "away", ms: 0 });
  sim.until("it goes on", () => !holder.isPaused);
  settle(sim);
  sim.until("a get is answered", () => owner.get(pool, numbers[0] ?? 0) === 1);
  for (const { result } of timed(sim, owner, pool, numbers)) expect(result).toBe(1);
  await sim.stop();
});
