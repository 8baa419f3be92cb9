import { expect, test } from "bun:test";
import { NBD_LARGE_BYTES_MAX } from "../core/limits.ts";
import { LargeRequestBudget } from "./large-request-budget.ts";

const EIGHTH = NBD_LARGE_BYTES_MAX / 8;

/** Wants so many bytes, and asks again when it is woken. */
class Waiter {
  has = false;
  private readonly budget: LargeRequestBudget;
  private readonly byteCount: number;

  constructor(budget: LargeRequestBudget, byteCount: number) {
    this.budget = budget;
    this.byteCount = byteCount;
    this.wake();
  }

  wake(): void {
    if (!this.has) this.has = this.budget.reserve(this, this.byteCount);
  }
}

test("first come, first served, even if a smaller request would fit", () => {
  const budget = new LargeRequestBudget();
  expect(new Waiter(budget, 7 * EIGHTH).has).toBe(true);
  const large = new Waiter(budget, 2 * EIGHTH);
  const small = new Waiter(budget, EIGHTH);
  expect([large.has, small.has, budget.hasWaiters]).toEqual([false, false, true]);
  budget.release(EIGHTH);
  expect([large.has, small.has]).toEqual([true, false]);
  budget.release(EIGHTH);
  expect([small.has, budget.hasWaiters, budget.usedBytes]).toEqual([
    true,
    false,
    NBD_LARGE_BYTES_MAX,
  ]);
});

test("released memory can be enough for several waiters", () => {
  const budget = new LargeRequestBudget();
  new Waiter(budget, 8 * EIGHTH);
  const waiters = Array.from({ length: 8 }, () => new Waiter(budget, EIGHTH));
  budget.release(8 * EIGHTH);
  expect(waiters.every((it) => it.has)).toBe(true);
});

test("a waiter that cancels makes way for those behind it", () => {
  const budget = new LargeRequestBudget();
  new Waiter(budget, 7 * EIGHTH);
  const large = new Waiter(budget, 2 * EIGHTH);
  const small = new Waiter(budget, EIGHTH);
  budget.cancel(large);
  expect([large.has, small.has]).toEqual([false, true]);
});
