import { expect, test } from "bun:test";
import { SimClock } from "../../../harness/sim/clock.ts";
import { RecentRate } from "./recent-rate.ts";

function counted(perTick: number[], tickMs = 100) {
  const clock = new SimClock();
  const rate = new RecentRate(clock);
  let total = 0;
  for (const count of perTick) {
    rate.note(total);
    total += count;
    clock.run(clock.now() + tickMs);
  }
  rate.note(total);
  return { clock, rate, total };
}

test("the rate is not known at first, and then it is that of the samples", () => {
  expect(counted([]).rate.perSecond).toBeNull();
  expect(counted([10, 10, 10]).rate.perSecond).toBeNull();
  expect(counted(Array(20).fill(10)).rate.perSecond).toBeCloseTo(100);
  expect(counted(Array(20).fill(0)).rate.perSecond).toBe(0);
});

test("only the last seconds count", () => {
  const { rate } = counted([...Array(100).fill(1000), ...Array(60).fill(1)]);
  expect(rate.perSecond).toBeCloseTo(10);
});

test("after a reset the rate is not known", () => {
  const { clock, rate, total } = counted(Array(100).fill(10));
  rate.reset();
  expect(rate.perSecond).toBeNull();
  rate.note(total);
  clock.run(clock.now() + 2000);
  rate.note(total + 50);
  expect(rate.perSecond).toBeCloseTo(25);
});
