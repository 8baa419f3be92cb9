/**
 * Repair where more than one thing happens at once: whole nodes under virtual time. What it does by
 * itself is in copies.test.ts and reclaim.test.ts.
 */
import { expect, test } from "bun:test";
import {
  checkAll,
  damageAll,
  filled,
  LENDER,
  OWNER,
  PAGES,
  settle,
  total,
  untilRepaired,
} from "./sim/borrowing.ts";
import type { SimNode } from "./sim/cluster.ts";

test("a holder that links once more after it has left, before it ends, is not counted on", async () => {
  // It lends as well, and so takes links from nodes that it does not know.
  const open = { ...OWNER, lendBytes: 1024 * 1024 };
  const { sim, owner, lenders, pool } = await filled([open, LENDER, LENDER, LENDER]);
  const [leaving] = lenders as [SimNode];
  const had = leaving.counter("foreign_pers_pages");
  const { links } = leaving.node;
  let linkCount = 0;
  sim.onLog = (node, line) => {
    if (node !== owner) return;
    if (line.endsWith('"n1" has left')) sim.clock.after(50, () => links.want(owner.number));
    if (line.endsWith(`link to node ${leaving.number} is up`)) linkCount += 1;
  };
  await leaving.stop();
  expect(linkCount).toBe(1);
  sim.until("its copies are elsewhere", () => owner.counter("copies_repaired") === had);
  checkAll(owner, pool);
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

test("no copy is given up for one whose holder may be gone", async () => {
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

test("a holder whose link was lost is asked again when the others have bad copies", async () => {
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
