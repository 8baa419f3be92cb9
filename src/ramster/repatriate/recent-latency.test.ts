import { expect, test } from "bun:test";
import { SimClock } from "../../../harness/sim/clock.ts";
import { RecentLatency } from "./recent-latency.ts";

test("the slowest of a hundred answers of only the last seconds", () => {
  const clock = new SimClock();
  const recent = new RecentLatency(clock);
  for (let i = 0; i < 99; i += 1) recent.add(0.9);
  expect(recent.p99Ms).toBeNull(); // Too few answers.
  recent.add(300);
  expect(recent.p99Ms).toBeCloseTo(1.024);
  for (let i = 0; i < 10; i += 1) recent.add(300);
  expect(recent.p99Ms).toBeCloseTo(524.288);
  clock.run(clock.now() + 2500);
  for (let i = 0; i < 100; i += 1) recent.add(0.1);
  expect(recent.p99Ms).toBeCloseTo(524.288);
  clock.run(clock.now() + 2500);
  for (let i = 0; i < 100; i += 1) recent.add(0.1);
  expect(recent.p99Ms).toBeCloseTo(0.128);
  clock.run(clock.now() + 10_000);
  expect(recent.p99Ms).toBeNull();
});
