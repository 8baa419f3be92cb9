import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { remainingSuspicionMs, Suspicion } from "./suspicion.ts";

test("remainingSuspicionMs() is memberlist's table", () => {
  // suspicion_test.go, TestSuspicion_remainingSuspicionTime: n, k, elapsed, min, max, expected.
  const table = [
    [0, 3, 0, 2, 30, 30],
    [1, 3, 2, 2, 30, 14],
    [2, 3, 3, 2, 30, 4.81],
    [3, 3, 4, 2, 30, -2],
    [4, 3, 5, 2, 30, -3],
    [5, 3, 10, 2, 30, -8],
  ] as const;
  for (const [n, k, elapsed, min, max, expected] of table) {
    const bounds = { minMs: min * 1000, maxMs: max * 1000 };
    const leftMs = remainingSuspicionMs(Math.min(n, k), k, elapsed * 1000, bounds);
    expect(Math.floor(leftMs / 10) / 100).toBeCloseTo(expected, 1);
  }
});

test("without members to confirm, suspicion takes the shortest time", () => {
  expect(remainingSuspicionMs(0, 0, 0, { minMs: 2000, maxMs: 12_000 })).toBe(2000);
});

function suspicion(clock: SimClock, now: () => number = () => clock.now()) {
  const died: number[] = [];
  const shifted = {
    now,
    after: (delayMs: number, callback: () => void) => clock.after(delayMs, callback),
    cancel: (timer: number) => clock.cancel(timer),
    soon: (callback: () => void) => clock.soon(callback),
  };
  const onDeath = (): void => void died.push(clock.now());
  const options = { expected: 2, minMs: 2000, maxMs: 12_000, onDeath };
  return { died, it: new Suspicion(shifted, "a", options) };
}

test("each member confirms once, the first accuser never, and only as many as expected", () => {
  const { it } = suspicion(new SimClock());
  const news = ["a", "b", "b", "c", "d"].map((from) => it.confirm(from));
  expect(news).toEqual([false, true, false, true, false]);
  it.stop();
});

test("suspicion ends at the longest time without confirmations, at the shortest with all", () => {
  const alone = new SimClock();
  const first = suspicion(alone);
  alone.run(20_000);
  expect(first.died).toEqual([12_000]);
  const clock = new SimClock();
  const second = suspicion(clock);
  clock.run(500);
  second.it.confirm("b");
  second.it.confirm("c");
  clock.run(20_000);
  expect(second.died).toEqual([2000]);
  const stopped = suspicion(new SimClock());
  stopped.it.stop();
  expect(stopped.died).toEqual([]);
});

test("a timer that is late, because the process stood still, waits as long again", () => {
  const clock = new SimClock();
  let lateMs = 0;
  const { died } = suspicion(clock, () => clock.now() + lateMs);
  clock.run(6000);
  lateMs = 1500;
  clock.run(20_000);
  expect(died).toEqual([13_500]);
});
