/** Peers that are configured by hand, without gossip: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import type { NodeConfig } from "../../src/node/config.ts";
import { TAG } from "../../src/tmem/pampd.ts";
import { fill, settle } from "../sim/borrowing.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";
import { drive } from "../sim/drive.ts";

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

/** Gets these pages in sequence. @returns the outcome and the duration of each get. */
function timed(sim: SimCluster, owner: SimNode, pool: number, numbers: readonly number[]) {
  return numbers.map((number) => {
    const startMs = sim.clock.now();
    const result = owner.get(pool, number);
    return { result, ms: Math.round(sim.clock.now() - startMs) };
  });
}

test.each([
  ["with a link", false],
  ["whose link has just been lost", true],
] as const)(
  "an owner %s that stops takes its pages along, so its holder need not drain them",
  async (_, isCut) => {
    const { sim, owner, holder } = await pair();
    if (isCut) sim.network.cut(owner.host, holder.host);
    sim.run(1);
    expect(owner.node.links.channelOf(1) === null).toBe(isCut);
    await owner.stop();
    sim.until("it keeps nothing", () => holder.counter("foreign_pers_pages") === 0);
    expect(holder.log.some((it) => it.includes('of "n0": it has stopped'))).toBe(true);
    expect(await drive(sim.clock, holder.node.drain.emptyForeign(60_000))).toBe(true);
    await sim.stop();
  },
);

test("pages at a holder that stopped are lost at once, and no get waits for them", async () => {
  const { sim, owner, holder, pool } = await pair();
  const numbers = away(owner, pool);
  await holder.stop();
  sim.run(100);
  for (const got of timed(sim, owner, pool, numbers))
    expect(got).toEqual({ result: "lost", ms: 0 });
  await sim.stop();
});

test("the first get from a killed holder waits, and later ones fail at once until it returns", async () => {
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

test("the first get from a paused holder waits, and later ones fail at once until it continues", async () => {
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

const AUTO: Partial<NodeConfig> = { lendBytes: 0, target: "auto" };

async function auto(settings: ReadonlyArray<Partial<NodeConfig>>) {
  const sim = new SimCluster(1);
  await sim.start(settings);
  const [owner, ...lenders] = sim.nodes as [SimNode, ...SimNode[]];
  sim.run(3000);
  return { sim, owner, lenders };
}

test("a node with --peers and no target sends two copies of each page to its lenders", async () => {
  const { sim, owner, lenders } = await auto([AUTO, LENDER, LENDER, { ...LENDER, lendBytes: 0 }]);
  expect([owner.counter("copies_possible"), owner.node.nowhere.reason]).toEqual([2, null]);
  const pool = fill(sim, owner);
  const pages = owner.counter("remote_pers_pages");
  expect(pages).toBeGreaterThan(500);
  expect(lenders.slice(0, 2).map((it) => it.counter("foreign_pers_pages"))).toEqual([pages, pages]);
  sim.run(300_000); // Longer than an unused link stays open.
  expect(owner.node.offers.of(1)?.freeFrames).toBeLessThan(16 * 256);
  for (const number of away(owner, pool)) expect(owner.get(pool, number)).toBe(1);
  sim.verify();
  await sim.stop();
});

test("lenders in one configured zone share one copy", async () => {
  const rack = { ...LENDER, zone: "rack" };
  const { sim, owner } = await auto([AUTO, rack, rack]);
  expect(owner.counter("copies_possible")).toBe(1);
  await sim.stop();
});

test("pages of a killed lender get copies elsewhere, and it lends again when it returns", async () => {
  const { sim, owner, lenders } = await auto([AUTO, LENDER, LENDER, LENDER]);
  fill(sim, owner);
  const [first] = lenders as [SimNode];
  const had = first.counter("foreign_pers_pages");
  expect(had).toBeGreaterThan(0);
  first.crash();
  const line = '"n1" has no link for 5 s: it counts as dead';
  const isGone = () => owner.node.admin.snapshot().peers.find(({ node }) => node === 1)?.gone;
  expect(isGone()).toBe(false);
  sim.until("it is dead", () => owner.log.some((it) => it.endsWith(line)));
  expect(isGone()).toBe(true);
  sim.until("all have two copies", () => owner.counter("pages_at_risk") === 0);
  expect(owner.counter("copies_repaired")).toBe(had);
  await first.restart();
  sim.until("it lends again", () => owner.node.offers.of(1) !== null);
  expect(isGone()).toBe(false);
  await sim.stop();
});

test("a lender announces that it is drained, and that it lends again", async () => {
  const { sim, owner, lenders } = await auto([AUTO, LENDER, LENDER]);
  const [first] = lenders as [SimNode];
  first.node.admin.setKnob("draining", "1");
  sim.until("it has heard", () => owner.node.offers.of(1)?.isDrained === true);
  expect(owner.counter("copies_possible")).toBe(1);
  first.node.admin.setKnob("draining", "0");
  sim.until("it has heard", () => owner.counter("copies_possible") === 2);
  await sim.stop();
});

test.each([
  ["waits for offers", { target: "auto" }, [1, 2], 60_000],
  [
    "waits for lenders, while links are closed when unused,",
    { target: "auto", unusedMs: 1000 },
    [1, 2],
    0,
  ],
  ["has a target by number", { target: 1 }, [], 60_000],
] as const)("a node that %s keeps the links that it needs", async (_, own, kept, unusedMs) => {
  const { sim, owner } = await auto([{ ...AUTO, ...own }, LENDER, LENDER]);
  for (const node of [1, 2]) owner.node.links.want(node);
  sim.run(3000);
  const links = () => [1, 2].map((node) => owner.node.links.channelOf(node));
  const before = links();
  sim.run(2 * unusedMs + 10_000);
  const after = links();
  expect([1, 2].filter((node) => after[node - 1] === before[node - 1])).toEqual([...kept]);
  await sim.stop();
});

test("a killed holder that was named by number is unreachable, which is logged", async () => {
  const { sim, owner, holder, pool } = await pair();
  sim.run(300_000); // Longer than an unused link stays open.
  const pages = owner.counter("remote_pers_pages");
  expect(owner.node.links.channelOf(1)).not.toBeNull();
  holder.crash();
  sim.until("it is known", () => owner.counter("pages_out_of_reach") === pages);
  expect(owner.counter("pages_at_risk")).toBe(pages);
  const [number = 0] = away(owner, pool);
  expect(owner.get(pool, number)).toBe("away");
  await holder.restart();
  sim.until("they are lost", () => owner.counter("pages_out_of_reach") === 0);
  expect(owner.get(pool, number)).toBe("lost");
  await sim.stop();
});

test("peers lend to a node when they are added at run time, until they are removed", async () => {
  const peers = "1@10.0.0.1:7777,2@10.0.0.2:7777";
  const { sim, owner } = await auto([{ ...AUTO, peers: [] }, LENDER, LENDER]);
  expect(owner.counter("copies_possible")).toBe(0);
  owner.node.admin.setKnob("peers", peers);
  sim.until("both lend", () => owner.counter("copies_possible") === 2);
  owner.node.admin.setKnob("peers", "2@10.0.0.2:7777");
  expect(owner.counter("copies_possible")).toBe(1);
  await sim.stop();
});

test("a node that gossips also asks its configured peers for memory", async () => {
  const sim = new SimCluster(1);
  const peers = [{ number: 9, address: { kind: "tcp", host: "10.0.0.2", port: 7777 } }] as const;
  const byHand = { gossip: null, number: 9, name: "nine" };
  await sim.startGossiping([{ ...AUTO, peers }, LENDER, { ...LENDER, ...byHand }]);
  const owner = sim.node(0);
  sim.until("both lend", () => owner.counter("copies_possible") === 2);
  expect([owner.node.offers.of(1), owner.node.offers.of(9)?.lendFrames]).toEqual([null, 16 * 256]);
  await sim.stop();
});
