/** The verdict of a node while its lenders die and come back: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { filled, PAGES, settle, untilDead, untilRepaired } from "../sim/borrowing.ts";
import type { SimNode } from "../sim/cluster.ts";

const OWNER = { lendBytes: 0 };
const LENDER = {
  role: "server",
  memoryBytes: 0,
  lendBytes: 16 * 1024 * 1024,
  target: null,
} as const;

function states(node: SimNode): string[] {
  return node.node.admin.snapshot().findings.map(({ state }) => state);
}

function first(node: SimNode): string {
  const [finding] = node.node.admin.snapshot().findings;
  return `${finding?.state}: ${finding?.reason}`;
}

test("two lenders die one after the other, and one comes back empty", async () => {
  const { sim, owner, lenders, pool } = await filled([OWNER, LENDER, LENDER]);
  const [a, b] = lenders as [SimNode, SimNode];
  const pages = owner.counter("remote_pers_pages");
  expect(first(owner)).toMatch(/^HEALTHY: [\d,]+ pages \(\S+\) are away, with 2 copies each$/);
  a.crash();
  untilDead(sim, owner, "n1");
  expect(states(owner)).toEqual(["ONE COPY", "DEGRADED"]);
  expect(owner.counter("pages_exposed")).toBe(pages);
  expect(first(owner)).toMatch(/^ONE COPY: [\d,]+ pages \(\S+\) have no second copy$/);
  b.crash();
  untilDead(sim, owner, "n2");
  expect(first(owner)).toMatch(/^LOST: [\d,]+ pages \(\S+\) are out of reach: reads of them fail$/);
  expect(owner.counter("no_copy_pages")).toBe(pages);
  await a.restart();
  await b.restart();
  sim.until("it knows what is lost", () => owner.counter("pages_lost") === pages);
  expect(first(owner)).toMatch(/^LOST: [\d,]+ pages \(\S+\) are lost: no node keeps a copy/);
  // Pages that are written again are not lost any more.
  for (let number = 0; number < PAGES; number += 1) {
    sim.until("it is stored", () => owner.put(pool, number, 2) === 0);
  }
  settle(sim);
  untilRepaired(sim, owner);
  expect(owner.counter("pages_lost")).toBe(0);
  sim.until("all is well", () => states(owner)[0] === "HEALTHY");
  await sim.stop();
});

test("lenders of one zone make one copy", async () => {
  const rack = { ...LENDER, zone: "rack" };
  const { sim, owner } = await filled([OWNER, rack, rack]);
  expect(states(owner)).toEqual(["ONE COPY"]);
  await sim.stop();
});

test("pages get their second copy again when a lender comes back", async () => {
  const { sim, owner, lenders } = await filled([OWNER, LENDER, LENDER]);
  const [lender] = lenders as [SimNode];
  lender.crash();
  untilDead(sim, owner, "n1");
  await lender.restart([owner]);
  sim.until("all is well", () => states(owner)[0] === "HEALTHY");
  expect(owner.counter("pages_lost")).toBe(0);
  await sim.stop();
});

test("a drained lender is draining, and its owners go back to one copy without a danger", async () => {
  const { sim, owner, lenders } = await filled([OWNER, LENDER, LENDER]);
  const [lender] = lenders as [SimNode];
  lender.node.admin.setKnob("draining", "1");
  expect(states(lender)).toEqual(["DRAINING"]);
  sim.until("the owner knows", () => states(owner)[0] === "ONE COPY");
  lender.node.admin.setKnob("draining", "0");
  sim.until("all is well", () => states(owner)[0] === "HEALTHY");
  expect(states(lender)).toEqual(["HEALTHY"]);
  await sim.stop();
});

test("a full node is critical, and is well again when there is room", async () => {
  const { sim, owner, pool } = await filled([{ ...OWNER, memoryBytes: 2 ** 21 }, LENDER, LENDER]);
  let stored = PAGES;
  while (owner.put(pool, stored, 1) === 0) {
    stored += 1;
    sim.run(1);
  }
  sim.until("it is full", () => states(owner)[0] === "FILLING");
  expect(first(owner)).toBe("FILLING: the space for pages is full, and writes are refused");
  for (let number = 0; number < stored; number += 1) owner.flush(pool, number);
  sim.until("all is well", () => states(owner)[0] === "HEALTHY");
  await sim.stop();
}, 120_000);
