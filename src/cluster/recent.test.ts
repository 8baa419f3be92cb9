import { expect, test } from "bun:test";
import { SERF_RECENT_BYTES_MAX, SERF_TIMES_MAX } from "../core/limits.ts";
import { Recent } from "./recent.ts";

const WINDOW = BigInt(SERF_TIMES_MAX);

test("a message is new once, and never when it is too old", () => {
  const recent = new Recent<string>();
  expect(recent.add(5n, "a", "A", 1)).toBe(true);
  expect(recent.add(5n, "a", "A", 1)).toBe(false);
  expect(recent.add(5n, "b", "B", 1)).toBe(true);
  expect(recent.add(4n, "a", "A4", 1)).toBe(true);
  expect([...recent.entries()]).toEqual([
    [5n, ["A", "B"]],
    [4n, ["A4"]],
  ]);
  expect(recent.add(4n + WINDOW, "c", "C", 1)).toBe(true);
  expect(recent.add(4n, "d", "D", 1)).toBe(false);
  expect(recent.add(5n, "d", "D", 1)).toBe(true);
  expect(recent.add(5n, "a", "A", 1)).toBe(false);
  expect([...recent.entries()].map(([time]) => time)).toEqual([5n, 4n + WINDOW]);
});

test("the clock wraps around after the highest time", () => {
  const recent = new Recent<null>();
  for (const time of [2n ** 53n, 2n ** 63n + 5n, 2n ** 64n - 1n]) {
    expect(recent.add(time, "far", null, 1)).toBe(true);
  }
  expect(recent.clock.upcoming).toBe(1n);
  expect(recent.add(1n, "after", null, 1)).toBe(true);
  expect(recent.add(2n ** 64n - 1n, "far", null, 1)).toBe(false);
  for (let i = 2n; i < 5000n; i += 1n) expect(recent.add(i, "next", null, 1000)).toBe(true);
  expect(recent.add(4999n, "next", null, 1000)).toBe(false);
});

test("memory is bounded, and a dropped message is not new again", () => {
  const recent = new Recent<null>();
  const kept = (): number => [...recent.entries()].reduce((sum, [, all]) => sum + all.length, 0);
  const many = 10_000;
  for (let i = 0; i < many; i += 1) recent.add(BigInt(1 + (i >> 8)), `${i}`, null, 1000);
  expect(kept() * 1000).toBeLessThan(SERF_RECENT_BYTES_MAX);
  for (let i = 0; i < many; i += 1) {
    expect(recent.add(BigInt(1 + (i >> 8)), `${i}`, null, 1000)).toBe(false);
  }
  // Also when all messages have one time: the next time is accepted.
  const now = recent.clock.upcoming;
  for (let i = 0; i < many; i += 1) recent.add(now, `more ${i}`, null, 1000);
  for (let i = 0; i < many; i += 1) expect(recent.add(now, `more ${i}`, null, 1000)).toBe(false);
  expect(recent.add(recent.clock.upcoming, "next", null, 1000)).toBe(true);
});
