/** The space for pages that a node reports: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import { filled, LENDER, OWNER, PAGES, settle } from "../sim/borrowing.ts";
import type { SimNode } from "../sim/cluster.ts";

/** Percent, as exports report it. */
function percentUsed(owner: SimNode): number {
  const { bytesUsed, bytesMax } = owner.node.ramster.space();
  return (100 * bytesUsed) / bytesMax;
}

test("a working set that is overwritten many times uses no more space and raises no warning", async () => {
  const { sim, owner, lenders, pool } = await filled([{ ...OWNER, replicas: 1 }, LENDER]);
  const [lender] = lenders as [SimNode];
  settle(sim);
  const before = percentUsed(owner);
  let most = 0;
  for (let generation = 2; generation < 30; generation += 1) {
    for (let number = 0; number < PAGES; number += 1) {
      sim.until("it is stored", () => owner.put(pool, number, generation) === STATUS.OK);
    }
    settle(sim);
    most = Math.max(most, percentUsed(owner));
  }
  // More pages went there than the lender has frames.
  const { limit } = lender.node.foreign as NonNullable<typeof lender.node.foreign>;
  expect(owner.counter("pers_pages_remoted") / 2).toBeGreaterThan(limit);
  expect(most).toBeLessThan(1.5 * before);
  for (let number = 0; number < PAGES; number += 1) owner.flush(pool, number);
  settle(sim);
  sim.run(5000);
  expect(percentUsed(owner)).toBeLessThan(3);
  await sim.stop();
});
