/** Several copies of remote pages: whole nodes that find each other, under virtual time. */
import { expect, test } from "bun:test";
import { POOLS_PER_CLIENT_MAX } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import { encodeMessage } from "../../src/gossip/body.ts";
import { encodePacket } from "../../src/gossip/packet.ts";
import {
  checkAll,
  damageAll,
  fill,
  filled,
  LENDER,
  OWNER,
  PAGES,
  settle,
  total,
  untilDead,
  untilRepaired,
} from "../sim/borrowing.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;

test("a remote page has two copies on different machines, if there are two lenders", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER, LENDER]);
  const pages = owner.counter("remote_pers_pages");
  expect(pages).toBeGreaterThan(PAGES / 2);
  expect(owner.counter("remote_copies")).toBe(2 * pages);
  expect(total(sim, "foreign_pers_pages")).toBe(2 * pages);
  for (const lender of lenders) expect(lender.counter("foreign_pers_pages")).toBeGreaterThan(0);
  checkAll(owner, pool);
  owner.node.ramster.flushPool(pool, { destroy: true });
  settle(sim);
  expect(total(sim, "foreign_pers_pages")).toBe(0);
  expect(total(sim, "foreign_frames_used")).toBe(0);
  sim.verify();
  await sim.stop();
});

test("lenders of one zone hold only one copy", async () => {
  const rack = { ...LENDER, zone: "rack" };
  const { sim, owner } = await filled([{ lendBytes: 0 }, rack, rack]);
  expect(owner.counter("remote_copies")).toBe(owner.counter("remote_pers_pages"));
  await sim.stop();
});

test("when a holder loses power, all gets succeed without waiting for its death", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER, LENDER]);
  lenders[0]?.crash();
  for (let number = 0; number < PAGES; number += 1) {
    const startMs = sim.clock.now();
    expect(owner.get(pool, number)).toBe(1);
    expect(sim.clock.now() - startMs).toBeLessThan(1000);
  }
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  await sim.stop();
});

test("a holder that returns empty costs one copy, and no page", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const pages = owner.counter("remote_pers_pages");
  const [first] = lenders as [SimNode];
  first.crash();
  await first.restart([owner]);
  sim.until("its copies are known to be lost", () => owner.counter("copies_lost") === pages);
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  sim.verify();
  await sim.stop();
});

test("a copy that was put before its holder restarted does not count", async () => {
  const sim = new SimCluster(1);
  await sim.startGossiping([OWNER, LENDER, LENDER]);
  const [owner, quick, late] = sim.nodes as [SimNode, SimNode, SimNode];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 3));
  fill(sim, owner);
  const pool = owner.newPool({ persistent: true });
  late.pause(1500);
  const before = quick.counter("foreign_pers_pages");
  for (let number = 0; number < 200; number += 1) owner.put(pool, number, 1);
  sim.until("the quick one has them", () => quick.counter("foreign_pers_pages") > before);
  sim.run(100);
  expect(owner.counter("frames_in_flight")).toBeGreaterThan(0);
  quick.crash();
  await quick.restart([owner]);
  sim.until("it is back", () => owner.alive().length === 3);
  untilRepaired(sim, owner);
  settle(sim);
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  await sim.stop();
});

test("a page turns remote only when all its holders have it, and otherwise none keeps it", async () => {
  const small = { ...LENDER, lendBytes: MIB };
  const sim = new SimCluster(2);
  await sim.startGossiping([OWNER, LENDER, small]);
  const [owner, large] = sim.nodes as [SimNode, SimNode];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 3));
  const pool = owner.newPool({ persistent: true });
  let stored = 0;
  for (let number = 0; number < 2 * PAGES; number += 1) {
    if (owner.put(pool, number, 1) === STATUS.OK) stored += 1;
    if (number % 8 === 7) sim.run(1);
  }
  settle(sim);
  const pages = owner.counter("remote_pers_pages");
  expect(stored).toBeLessThan(2 * PAGES);
  expect(pages).toBeGreaterThan(0);
  expect(owner.counter("remote_copies")).toBe(2 * pages);
  expect(large.counter("foreign_pers_pages")).toBe(pages);
  await sim.stop();
});

test("no get waits for a silent holder when another holder has the page", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [silent] = lenders as [SimNode];
  sim.network.block(silent.host, owner.host);
  for (let number = 0; number < PAGES; number += 1) {
    const startMs = sim.clock.now();
    expect(owner.get(pool, number)).toBe(1);
    expect(sim.clock.now() - startMs).toBeLessThan(600);
  }
  expect(owner.counter("fetch_hedged")).toBeGreaterThan(0);
  sim.network.unblock(silent.host, owner.host);
  settle(sim);
  checkAll(owner, pool);
  await sim.stop();
});

test("a damaged copy is not delivered, and the other one is", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [damaged] = lenders as [SimNode];
  damageAll(damaged);
  checkAll(owner, pool);
  expect(owner.counter("fetch_corrupt")).toBeGreaterThan(0);
  expect(owner.counter("copies_lost")).toBe(owner.counter("fetch_corrupt"));
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  settle(sim);
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  await sim.stop();
});

test("when a holder is dead its copies are replaced, so another holder may die too", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER, LENDER, LENDER]);
  for (const [i, lender] of lenders.slice(0, 2).entries()) {
    const lost = lender.counter("foreign_pers_pages");
    // A page that comes home needs no copy.
    const mended = () => owner.counter("copies_repaired") + owner.counter("pages_repatriated");
    const before = mended();
    expect(lost).toBeGreaterThan(0);
    lender.crash();
    untilDead(sim, owner, `n${i + 1}`);
    untilRepaired(sim, owner);
    expect(mended() - before).toBe(lost);
  }
  const left = lenders.slice(2);
  sim.until("they have two of each", () => {
    const copies = left.reduce((sum, it) => sum + it.counter("foreign_pers_pages"), 0);
    return copies === 2 * owner.counter("remote_pers_pages");
  });
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  sim.verify();
  await sim.stop();
});

test("the stats have the number of pages at risk, and soon the time that repair needs", async () => {
  // A long latency leaves time to look. Frames in the pipe are sent within --request-timeout.
  const far = { latencyMinMs: 150, latencyMaxMs: 200, pipeBytesMin: 64 * 1024 };
  const sim = new SimCluster(4, far);
  await sim.startGossiping([OWNER, LENDER, LENDER, LENDER]);
  const [owner, first] = sim.nodes as [SimNode, SimNode];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 4));
  fill(sim, owner);
  const state = () => {
    const { pagesAtRisk, pagesPerSecond, secondsLeft } = owner.node.ramster.copyState();
    return { pagesAtRisk, pagesPerSecond, secondsLeft };
  };
  expect(state()).toEqual({ pagesAtRisk: 0, pagesPerSecond: null, secondsLeft: 0 });
  const lost = first.counter("foreign_pers_pages");
  first.crash();
  untilDead(sim, owner, "n1");
  expect(state()).toEqual({ pagesAtRisk: lost, pagesPerSecond: null, secondsLeft: null });
  sim.until("it is known", () => state().secondsLeft !== null);
  const { pagesAtRisk, pagesPerSecond, secondsLeft } = state();
  expect(secondsLeft).toBeCloseTo(pagesAtRisk / (pagesPerSecond ?? 0));
  untilRepaired(sim, owner);
  expect(state()).toEqual({ pagesAtRisk: 0, pagesPerSecond: null, secondsLeft: 0 });
  await sim.stop();
});

test("pages with copies at dead nodes are at risk until these return, even with no other lender", async () => {
  const auto = { ...OWNER, replicas: "auto" } as const;
  const { sim, owner, lenders, pool } = await filled([auto, LENDER, LENDER]);
  const state = () => ["pages_at_risk", "pages_out_of_reach"].map((it) => owner.counter(it));
  expect([...state(), owner.counter("copies_possible")]).toEqual([0, 0, 2]);
  const [first, second] = lenders as [SimNode, SimNode];
  const rest = [owner];
  sim.partition([first], [second, owner]);
  untilDead(sim, owner, "n1");
  sim.run(20_000);
  const pages = owner.counter("remote_pers_pages");
  expect(pages).toBeGreaterThan(PAGES / 2);
  expect([...state(), owner.counter("copies_possible")]).toEqual([pages, 0, 1]);
  sim.partition([second], rest);
  untilDead(sim, owner, "n2");
  expect([...state(), owner.counter("copies_possible")]).toEqual([pages, pages, 0]);
  sim.heal([first], [second, owner]);
  sim.heal([second], rest);
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 3));
  untilRepaired(sim, owner);
  expect(state()).toEqual([0, 0]);
  checkAll(owner, pool);
  sim.verify();
  await sim.stop();
});

test("a holder that returns without its copies gets its share of new ones", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const pages = owner.counter("remote_pers_pages");
  const [first, second] = lenders as [SimNode, SimNode];
  first.crash();
  await first.restart([owner]);
  sim.until("its copies are known to be lost", () => owner.counter("copies_lost") === pages);
  untilRepaired(sim, owner);
  // Repair needs frames, so a few more pages may have left by now.
  const now = owner.counter("remote_pers_pages");
  expect(now).toBeGreaterThanOrEqual(pages);
  expect(first.counter("foreign_pers_pages")).toBe(now);
  second.crash();
  checkAll(owner, pool);
  await sim.stop();
});

test("a holder that returns with its copies gets no new ones, and surplus copies are flushed", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const pages = owner.counter("remote_pers_pages");
  const [cut] = lenders as [SimNode];
  const rest = sim.nodes.filter((node) => node !== cut);
  sim.partition([cut], rest);
  untilDead(sim, owner, "n1");
  expect(owner.counter("absent_copies")).toBe(pages);
  // Nobody is left to copy pages to. Some pages are put again or flushed at the same time.
  for (let number = 0; number < 100; number += 1) owner.flush(pool, number);
  sim.heal([cut], rest);
  sim.until("it is back", () => owner.alive().length === 3);
  expect(owner.counter("absent_copies")).toBe(0);
  untilRepaired(sim, owner);
  expect(owner.counter("copies_repaired")).toBeLessThan(pages / 10);
  sim.until("both have the same", () => {
    return total(sim, "foreign_pers_pages") === owner.counter("remote_copies");
  });
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  for (let number = 100; number < PAGES; number += 1) expect(owner.get(pool, number)).toBe(1);
  await sim.stop();
});

test("copies that were replaced while their holder was cut off are flushed later", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER, LENDER]);
  const [cut] = lenders as [SimNode];
  const had = cut.counter("foreign_pers_pages");
  const rest = sim.nodes.filter((node) => node !== cut);
  sim.partition([cut], rest);
  untilDead(sim, owner, "n1");
  untilRepaired(sim, owner);
  expect(owner.counter("copies_repaired")).toBe(had);
  // The holder may never return: its pending flushes do not grow with the number of pages.
  expect(had).toBeGreaterThan(2 * POOLS_PER_CLIENT_MAX);
  sim.until("a flush a pool is pending", () => owner.counter("flnodes") === POOLS_PER_CLIENT_MAX);
  sim.heal([cut], rest);
  sim.until("it keeps none of them", () => cut.counter("foreign_pers_pages") === 0);
  settle(sim);
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  checkAll(owner, pool);
  await sim.stop();
});

test("pages that left with one lender present get a second copy when a second one arrives", async () => {
  const sim = new SimCluster(3);
  await sim.startGossiping([{ lendBytes: 0 }, LENDER, LENDER]);
  const [owner, , late] = sim.nodes as [SimNode, SimNode, SimNode];
  await late.stop();
  const pool = fill(sim, owner);
  const pages = owner.counter("remote_pers_pages");
  expect(owner.counter("remote_copies")).toBe(pages);
  // Each has one copy, and should have two, although nobody can take another one.
  expect(owner.counter("pages_at_risk")).toBe(pages);
  expect([owner.counter("copies_intended"), owner.counter("copies_possible")]).toEqual([2, 1]);
  await late.restart([owner]);
  sim.until("there are more copies", () => late.counter("foreign_pers_pages") > 0);
  untilRepaired(sim, owner);
  settle(sim);
  // More pages are away by now, as there is more room.
  expect(owner.counter("remote_pers_pages")).toBeGreaterThanOrEqual(pages);
  expect(late.counter("foreign_pers_pages")).toBe(owner.counter("remote_pers_pages"));
  checkAll(owner, pool);
  await sim.stop();
});

test("late gossip that an earlier boot of holder or owner has left loses no page", async () => {
  const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER]);
  const [holder] = lenders as [SimNode];
  const pages = owner.counter("remote_pers_pages");
  expect(pages).toBeGreaterThan(PAGES / 2);
  const spy = { kind: "tcp", host: "10.9.9.9", port: 7946 } as const;
  const port = await sim.network.transport("spy").bind(spy, () => {});
  for (const [to, name] of [[owner, "n1"] as const, [holder, "n0"] as const]) {
    const dead = { kind: "dead", incarnation: 1000, node: name, from: name } as const;
    const options = { keyring: null, label: "", checksum: true };
    const packet = encodePacket([encodeMessage(dead)], options);
    port.send(packet, packet.byteLength, to.gossip);
    sim.until("the leave is believed", () =>
      to.log.some((it) => it.endsWith(`"${name}" has left`)),
    );
    sim.until("the node has refuted it", () => to.alive().length === 2);
  }
  port.close();
  sim.run(20_000);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  expect(holder.counter("foreign_pers_pages")).toBe(owner.counter("remote_pers_pages"));
  checkAll(owner, pool);
  await sim.stop();
});
