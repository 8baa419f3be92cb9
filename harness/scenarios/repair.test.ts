/**
 * Repair while other things happen: whole nodes under virtual time. Plain repair is tested in
 * copies.test.ts and reclaim.test.ts.
 */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import {
  checkAll,
  damageAll,
  filled,
  LENDER,
  OWNER,
  PAGES,
  settle,
  total,
  untilDead,
  untilRepaired,
} from "../sim/borrowing.ts";
import type { SimNode } from "../sim/cluster.ts";
import { Truth } from "../sim/truth.ts";

test("a node that has left and links again before it ends is no holder", async () => {
  // The owner lends as well, and so accepts links from nodes that it does not know.
  const open = { ...OWNER, lendBytes: 1024 * 1024 };
  const { sim, owner, lenders, pool } = await filled([open, LENDER, LENDER, LENDER]);
  const [leaving] = lenders as [SimNode];
  const { links } = leaving.node;
  let linkCount = 0;
  sim.onLog = (node, line) => {
    if (node !== owner) return;
    if (line.endsWith('"n1" has left')) {
      owner.node.links.removePeer(leaving.number); // The link that it had ends first.
      sim.clock.after(50, () => links.want(owner.number));
    }
    if (line.endsWith(`link to "n1" is up`)) linkCount += 1;
  };
  await leaving.stop();
  expect(linkCount).toBe(1);
  untilRepaired(sim, owner);
  const had = leaving.counter("foreign_puts");
  expect(had).toBeGreaterThan(PAGES / 4);
  expect(owner.counter("copies_repaired") + owner.counter("pages_repatriated")).toBe(had);
  checkAll(owner, pool);
  await sim.stop();
});

test("holders drop the pages of an owner that stops at once, without a grace", async () => {
  const { sim, owner } = await filled([OWNER, LENDER, LENDER]);
  expect(total(sim, "foreign_pers_pages")).toBeGreaterThan(0);
  await owner.stop();
  sim.run(100);
  expect(total(sim, "foreign_pers_pages")).toBe(0);
  await sim.stop();
});

test("a page that could not come home is still at risk", async () => {
  const roomy = { ...OWNER, selfshrink: true };
  const { sim, owner, lenders, pool } = await filled([roomy, LENDER, LENDER]);
  const [first] = lenders as [SimNode];
  first.crash();
  sim.until("its copies are missed", () => owner.counter("pages_at_risk") > 0);
  for (let number = 300; number < PAGES; number += 1) owner.flush(pool, number); // Room at home.
  sim.buggify = (point) => point === "fetch-not-home";
  sim.until("some were to come home", () => owner.counter("pers_pages_remote_nomem") > 0);
  sim.run(1000);
  owner.node.admin.setKnob("selfshrink", "0");
  sim.until("no more do", () => owner.counter("fetches_in_flight") === 0);
  sim.buggify = () => false;
  expect(owner.counter("pages_at_risk")).toBeGreaterThan(0);
  expect(owner.counter("pages_at_risk")).toBe(owner.counter("remote_pers_pages"));
  await first.restart([owner]);
  sim.until("it is back", () => owner.alive().length === 3);
  untilRepaired(sim, owner);
  settle(sim);
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  await sim.stop();
});

test("no copy is given up when the holder of the second copy may be gone", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [drained, silent] = lenders as [SimNode, SimNode];
  sim.partition([owner], [silent]);
  sim.network.cut(owner.host, silent.host);
  owner.node.ramster.setReplicas(1);
  drained.node.admin.setKnob("draining", "1");
  sim.run(500);
  silent.crash();
  drained.node.admin.setKnob("draining", "0");
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  await sim.stop();
});

test("no copy is given up when the record names a second copy that is gone", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [drained, emptied] = lenders as [SimNode, SimNode];
  owner.node.ramster.setReplicas(1);
  emptied.crash();
  untilDead(sim, owner, "n2");
  drained.node.admin.setKnob("draining", "1");
  sim.buggify = (point) => point === "short-walk";
  await emptied.restart([owner]);
  const left = (): number => drained.counter("foreign_pers_pages");
  sim.until("all is known, and the other one rid of them", () => left() === 0);
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  await sim.stop();
});

test("a holder whose link was lost gets another request when the others have bad copies", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [lost, bad] = lenders as [SimNode, SimNode];
  damageAll(bad);
  sim.network.block(lost.host, owner.host);
  const gets = Array.from({ length: 300 }, (_, number) => owner.startGet(pool, number));
  sim.run(5);
  sim.network.cut(lost.host, owner.host);
  sim.network.unblock(lost.host, owner.host);
  expect(gets.map((get) => owner.wait(get))).toEqual(gets.map(() => 1));
  await sim.stop();
});

test("a page that is in flight when replicas is raised gets the new copies too", async () => {
  const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER, LENDER]);
  const { ramster } = owner.node;
  ramster.zcache.budget.setMarks(1, 0);
  settle(sim);
  for (const lender of lenders) sim.network.block(lender.host, owner.host);
  for (let number = PAGES; number < PAGES + 100; number += 1) owner.put(pool, number, 1);
  sim.until("some pages are in flight", () => owner.counter("frames_in_flight") > 20);
  // Each page lacks a copy, and no holder answers. By then this is known for pages that are away.
  ramster.setReplicas(2);
  const away = owner.counter("remote_pers_pages");
  sim.until(
    "the remote pages are known to be at risk",
    () => owner.counter("pages_at_risk") === away,
  );
  for (const lender of lenders) sim.network.unblock(lender.host, owner.host);
  sim.until("no page is in flight", () => owner.counter("frames_in_flight") === 0);
  untilRepaired(sim, owner);
  settle(sim);
  expect(owner.counter("remote_pers_pages")).toBeGreaterThan(away);
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  checkAll(owner, pool);
  await sim.stop();
});

test("the answer to a copy does not count for a page that was put again in the meantime", async () => {
  let tried = 0;
  // Chance decides which holder the first copies go to.
  for (let seed = 1; seed < 100 && tried < 2; seed += 1) if (await copiesToSlow(seed)) tried += 1;
  expect(tried).toBe(2);
});

/** @returns whether all copies that were made went to the slow holder, as the test needs it. */
async function copiesToSlow(seed: number): Promise<boolean> {
  const settings = [OWNER, LENDER, LENDER, LENDER, LENDER];
  const { sim, owner, lenders, pool } = await filled(settings, seed);
  const [gone, slow] = lenders as [SimNode, SimNode];
  const { ramster } = owner.node;
  const had = slow.counter("foreign_pers_pages");
  sim.buggify = (point) => point === "repair-later";
  gone.crash();
  sim.until("its copies are missed", () => owner.counter("pages_at_risk") > 0);
  sim.network.block(slow.host, owner.host);
  sim.buggify = () => false;
  sim.until("the slow lender has a copy, and cannot answer", () => {
    return slow.counter("foreign_pers_pages") > had;
  });
  // The same pages again: they go to the other two at once, and would take a third copy.
  ramster.removeLender(slow.number);
  ramster.zcache.budget.setMarks(1, 0);
  for (let number = 0; number < 200; number += 1) owner.put(pool, number, 2);
  const left = ["frames_used", "frames_in_flight"];
  sim.until("all are away", () => left.every((it) => owner.counter(it) === 0));
  ramster.setReplicas(3);
  const isAsNeeded = owner.counter("copies_repaired") === 0;
  if (isAsNeeded) {
    sim.network.unblock(slow.host, owner.host);
    sim.run(5);
    const differences = new Truth(sim).differences();
    expect(differences.filter((it) => it.includes(`at node ${slow.number} `))).toEqual([]);
  }
  await sim.stop();
  return isAsNeeded;
}

test("a page stays at risk when its new copy fails and the lender that asked for it has left", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER, LENDER]);
  // So few pages that none waits for another, and no room for them at home.
  for (let number = 40; number < PAGES; number += 1) owner.flush(pool, number);
  owner.node.ramster.zcache.budget.setMarks(1, 0);
  settle(sim);
  // A lender with few of them can take those of the lender with most.
  const pagesAt = (node: SimNode) => node.counter("foreign_pers_pages");
  lenders.sort((a, b) => pagesAt(a) - pagesAt(b));
  const [slow, , leaving] = lenders as [SimNode, SimNode, SimNode];
  expect(pagesAt(leaving)).toBeGreaterThan(pagesAt(slow));
  const had = slow.counter("foreign_pers_pages");
  sim.network.block(slow.host, owner.host);
  leaving.node.admin.setKnob("draining", "1");
  sim.until("the slow lender has a copy, and cannot answer", () => {
    return slow.counter("foreign_pers_pages") > had;
  });
  leaving.crash();
  await leaving.restart([owner]);
  sim.until("the lost copies are known", () => owner.counter("copies_lost") > 0);
  sim.run(100);
  expect(owner.counter("copies_repaired")).toBe(0);
  sim.network.cut(slow.host, owner.host);
  sim.network.unblock(slow.host, owner.host);
  untilRepaired(sim, owner);
  settle(sim);
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  await sim.stop();
});

/**
 * A lender is gone, and another one has some of the copies that replace its own, and cannot answer.
 */
async function copiesUnderWay() {
  const world = await filled([OWNER, LENDER, LENDER, LENDER]);
  const { sim, owner, lenders } = world;
  const [gone, slow] = lenders as [SimNode, SimNode];
  const had = slow.counter("foreign_pers_pages");
  sim.buggify = (point) => point === "repair-later";
  gone.crash();
  sim.until("its copies are missed", () => owner.counter("pages_at_risk") > 0);
  sim.network.block(slow.host, owner.host);
  sim.buggify = () => false;
  sim.until("the slow lender has copies", () => slow.counter("foreign_pers_pages") > had);
  return { ...world, slow };
}

test.each(["answers late", "loses its link"])(
  "a new copy of a page that was flushed meanwhile is flushed, if its holder %s",
  async (how) => {
    const { sim, owner, lenders, slow, pool } = await copiesUnderWay();
    for (let number = 0; number < PAGES; number += 1) owner.flush(pool, number);
    if (how === "loses its link") sim.network.cut(slow.host, owner.host);
    sim.network.unblock(slow.host, owner.host);
    const up = lenders.filter((it) => it.isUp);
    sim.until("no lender has a page", () => {
      return up.every((it) => it.counter("foreign_pers_pages") === 0);
    });
    await sim.stop();
  },
);

test("no page is copied to a holder again before it has flushed the copy that it may have", async () => {
  const { sim, owner, slow, pool } = await copiesUnderWay();
  // A flush that is sent again would remove the new copy.
  sim.buggify = (point) => point === "flush-again";
  sim.network.cut(slow.host, owner.host);
  sim.network.unblock(slow.host, owner.host);
  sim.run(1000);
  sim.buggify = () => false;
  untilRepaired(sim, owner);
  sim.run(1000);
  expect(new Truth(sim).differences()).toEqual([]);
  checkAll(owner, pool);
  await sim.stop();
});

test("the batches of repair go to different lenders", async () => {
  const settings = [{ ...OWNER, replicas: 1 }, LENDER, LENDER, LENDER, LENDER, LENDER];
  const { sim, owner, lenders, pool } = await filled(settings);
  const { ramster } = owner.node;
  const [full, ...others] = lenders as [SimNode, ...SimNode[]];
  // Then all pages that are away are at one lender.
  for (const { number } of others) ramster.removeLender(number);
  for (let number = 0; number < PAGES; number += 1) {
    sim.until("it is stored", () => owner.put(pool, number, 1) === STATUS.OK);
  }
  settle(sim);
  expect(full.counter("foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  ramster.setReplicas(2);
  untilRepaired(sim, owner);
  expect(others.filter((it) => it.counter("foreign_pers_pages") > 0).length).toBeGreaterThan(1);
  await sim.stop();
});

test("a page that comes home and leaves again keeps the copy that repair was making", async () => {
  const { sim, owner, slow, pool } = await copiesUnderWay();
  const { budget } = owner.node.ramster.zcache;
  const truth = new Truth(sim);
  const numbers: number[] = [];
  truth.eachOnItsWay(owner, slow, ({ oid1lo, index }) => void numbers.push(oid1lo * 64 + index));
  expect(numbers.length).toBeGreaterThan(10);
  for (let number = 0; number < PAGES; number += 1) {
    if (!numbers.includes(number)) owner.flush(pool, number); // Room at home.
  }
  for (const number of numbers) expect(owner.get(pool, number)).toBe(1);
  expect(owner.counter("remote_pers_pages")).toBe(0);
  budget.setMarks(1, 0);
  sim.until("all leave", () => owner.counter("frames_in_flight") === owner.counter("frames_used"));
  // Now it answers for the copies of repair, which nobody wants any more, and for the same pages.
  sim.network.unblock(slow.host, owner.host);
  sim.until("all are away", () => owner.counter("frames_used") === 0);
  sim.run(20);
  expect(truth.differences()).toEqual([]);
  expect(slow.counter("foreign_pers_pages")).toBe(numbers.length);
  await sim.stop();
});

test("pages that no holder takes are tried in turn, a few at each tick", async () => {
  const { sim, owner, lenders } = await filled([OWNER, LENDER, LENDER]);
  const [gone] = lenders as [SimNode];
  gone.crash();
  untilDead(sim, owner, "n1");
  sim.run(1000);
  const missed = owner.counter("pages_at_risk");
  expect(missed).toBeGreaterThan(PAGES / 2);
  let tried = 0;
  sim.buggify = (point) => {
    if (point === "repair-later") tried += 1;
    return false;
  };
  sim.run(1000);
  // Ten ticks. More would cost time, and fewer make those behind them wait.
  expect(tried).toBeGreaterThan(10 * 8);
  expect(tried).toBeLessThan(10 * 32);
  expect(owner.counter("pages_at_risk")).toBe(missed);
  await sim.stop();
});
