/** Lenders that take their memory back, or leave: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { NEVER } from "../../src/core/buggify.ts";
import { checkAll, filled, LENDER, OWNER, settle, total, untilRepaired } from "../sim/borrowing.ts";
import type { SimNode } from "../sim/cluster.ts";
import { drive } from "../sim/drive.ts";

const MIB = 1024 * 1024;

test("a drained lender is empty soon, and every page has its copies elsewhere", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER, LENDER]);
  const [drained, ...others] = lenders as [SimNode, SimNode, SimNode];
  expect(drained.counter("foreign_pers_pages")).toBeGreaterThan(0);
  drained.node.admin.setKnob("draining", "1");
  sim.until("it is empty", () => drained.counter("foreign_frames_used") === 0);
  untilRepaired(sim, owner);
  settle(sim);
  const pages = owner.counter("remote_pers_pages");
  expect(owner.counter("remote_copies")).toBe(2 * pages);
  for (const other of others) expect(other.counter("foreign_pers_pages")).toBe(pages);
  await drained.stop();
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  sim.verify();
  await sim.stop();
});

test("without another lender, pages come home until home is full, and the rest stay", async () => {
  const roomy = { ...OWNER, replicas: 1, memoryBytes: MIB };
  const { sim, owner, lenders, pool } = await filled([roomy, LENDER]);
  const [only] = lenders as [SimNode];
  for (let number = 1400; number < 1500; number += 1) owner.flush(pool, number); // At home.
  settle(sim);
  const had = only.counter("foreign_pers_pages");
  only.node.admin.setKnob("draining", "1");
  sim.run(20_000);
  const left = only.counter("foreign_pers_pages");
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(had);
  expect(only.counter("foreign_reclaims_refused")).toBeGreaterThan(0);
  for (let number = 0; number < 1400; number += 1) expect(owner.get(pool, number)).toBe(1);
  const stored = owner.counter("pers_pages_remoted");
  only.node.admin.setKnob("draining", "0");
  sim.until("it lends again", () => {
    // Most pages are away, so that home gets full.
    for (let number = 0; number < 1400; number += 10) owner.put(pool, number, 2);
    sim.run(100);
    return owner.counter("pers_pages_remoted") > stored;
  });
  sim.verify();
  await sim.stop();
});

test("a page that is given up, and finds no room at home when it comes, is tried again", async () => {
  const roomy = { ...OWNER, replicas: 1, memoryBytes: MIB };
  const { sim, owner, lenders, pool } = await filled([roomy, LENDER]);
  const [only] = lenders as [SimNode];
  for (let number = 1400; number < 1500; number += 1) owner.flush(pool, number); // At home.
  settle(sim);
  sim.buggify = (name) => name === "fetch-not-home";
  only.node.admin.setKnob("draining", "1");
  sim.until("pages have found no room", () => owner.counter("pers_pages_remote_nomem") > 0);
  expect(owner.counter("pages_repatriated")).toBe(0);
  // The lender does not ask again, so only the owner knows of them.
  only.node.admin.setKnob("draining", "0");
  sim.run(10_000);
  expect(owner.counter("pages_repatriated")).toBe(0);
  sim.buggify = NEVER;
  sim.until("they come home", () => owner.counter("pages_repatriated") > 0);
  for (let number = 0; number < 1400; number += 1) expect(owner.get(pool, number)).toBe(1);
  sim.verify();
  await sim.stop();
});

test("a drained node keeps its own pages at home, if there is room", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [lender] = lenders as [SimNode];
  for (let number = 300; number < 1500; number += 1) owner.flush(pool, number);
  settle(sim);
  owner.node.admin.setKnob("draining", "1");
  sim.until("all is at home", () => owner.counter("remote_pers_pages") === 0);
  sim.until("nobody keeps anything", () => total(sim, "foreign_frames_used") === 0);
  const { admin } = lender.node;
  const drained = (): string[] => {
    const { members } = admin.snapshot();
    return members.filter((it) => it.drained).map(({ name }) => name);
  };
  sim.until("the others see that it is drained", () => drained().join() === "n0");
  owner.node.admin.setKnob("draining", "0");
  sim.until("and that it is not any more", () => drained().length === 0);
  for (let number = 0; number < 300; number += 1) expect(owner.get(pool, number)).toBe(1);
  await sim.stop();
});

test("a server that is stopped moves everything away before it ends", async () => {
  const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER, LENDER]);
  const [first] = lenders as [SimNode];
  expect(first.counter("foreign_pers_pages")).toBeGreaterThan(0);
  await drive(sim.clock, first.node.drain.emptyForeign(60_000));
  expect(first.counter("foreign_pers_pages")).toBe(0);
  await first.stop();
  checkAll(owner, pool);
  await sim.stop();
});
