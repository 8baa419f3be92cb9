/** A successor settles with holders what its predecessor had under way: whole nodes. */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import {
  checkAll,
  filled,
  LENDER,
  OWNER,
  PAGES,
  settle,
  total,
  untilRepaired,
} from "../sim/borrowing.ts";
import type { SimNode } from "../sim/cluster.ts";

const KEEPING: Partial<NodeConfig> = { ...OWNER, keepPath: "kept", placement: "blocks" };

test("pages whose flush was forgotten are flushed", async () => {
  const { sim, owner, lenders, pool } = await filled([KEEPING, LENDER, LENDER]);
  const before = owner.counter("remote_copies");
  for (let number = 0; number < PAGES / 2; number += 1) owner.flush(pool, number);
  owner.killed();
  const left = total(sim, "foreign_pers_pages");
  expect(left).toBe(before);
  await owner.restart(lenders);
  sim.until("no orphan is left", () => {
    return total(sim, "foreign_pers_pages") === owner.counter("remote_copies");
  });
  settle(sim);
  expect(owner.counter("remote_copies")).toBeLessThan(before);
  expect(owner.counter("orphans_flushed")).toBe(before - owner.counter("remote_copies"));
  const has = (number: number): boolean => owner.get(pool, number) === 1;
  const wanted = Array.from({ length: PAGES }, (_, number) => number >= PAGES / 2);
  expect(wanted.map((_, number) => has(number))).toEqual(wanted);
  sim.verify();
  await sim.stop();
});

test("copies whose put was not answered are flushed", async () => {
  const { sim, owner, lenders, pool } = await filled([KEEPING, LENDER, LENDER]);
  const isAhead = (): boolean => {
    return total(sim, "foreign_pers_pages") > owner.counter("remote_copies");
  };
  let number = PAGES;
  sim.until("a holder has a page that no record names", () => {
    const status = owner.put(pool, number, 1);
    if (status === STATUS.OK) number += 1;
    return isAhead();
  });
  owner.killed();
  await owner.restart(lenders);
  sim.until("no orphan is left", () => !isAhead());
  settle(sim);
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  for (let at = PAGES; at < number; at += 1) expect(owner.get(pool, at)).toBe(1);
  checkAll(owner, pool);
  await sim.stop();
});

test("a successor goes on to give up the copies of a holder that has lost them", async () => {
  const { sim, owner, lenders, pool } = await filled([KEEPING, LENDER, LENDER, LENDER]);
  const [first, ...others] = lenders as [SimNode, ...SimNode[]];
  const had = first.counter("foreign_pers_pages");
  expect(had).toBeGreaterThan(64);
  sim.buggify = (point) => point === "short-walk"; // 16 records a turn.
  first.crash();
  await first.restart(others);
  sim.until("the walk has begun", () => owner.counter("copies_lost") > 0);
  expect(owner.counter("copies_lost")).toBeLessThan(had / 2);
  owner.killed();
  sim.buggify = () => false;
  await owner.restart(others);
  untilRepaired(sim, owner);
  settle(sim);
  checkAll(owner, pool);
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  await sim.stop();
});
