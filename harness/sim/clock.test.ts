import { expect, test } from "bun:test";
import { SimClock } from "./clock.ts";

test("SimClock.run() fires timers in order of time, then of request, at their own instants", () => {
  const clock = new SimClock();
  const fired: string[] = [];
  for (const [name, delayMs] of [
    ["c", 30],
    ["a", 10],
    ["b1", 20],
    ["b2", 20],
    ["d", 31],
  ] as const) {
    clock.after(delayMs, () => fired.push(`${name}@${clock.now()}`));
  }
  clock.run(30);
  expect(fired).toEqual(["a@10", "b1@20", "b2@20", "c@30"]);
  expect(clock.now()).toBe(30);
  clock.run(100);
  expect(fired.at(-1)).toBe("d@31");
  expect(clock.now()).toBe(100);
});

test("SimClock.cancel() keeps a timer from firing and leaves nothing pending", () => {
  const clock = new SimClock();
  let fired = 0;
  const timer = clock.after(10, () => (fired += 1));
  clock.cancel(timer);
  clock.cancel(timer);
  expect(clock.pendingCount).toBe(0);
  clock.run(20);
  expect(fired).toBe(0);
});

test("SimClock.soon() runs before time moves on, even from within a timer", () => {
  const clock = new SimClock();
  const order: string[] = [];
  clock.after(5, () => {
    clock.soon(() => order.push(`soon@${clock.now()}`));
    clock.after(0, () => order.push(`zero@${clock.now()}`));
    order.push("timer");
  });
  clock.after(6, () => order.push("later"));
  clock.run(6);
  expect(order).toEqual(["timer", "soon@5", "zero@5", "later"]);
});

test("SimClock.settle() runs callbacks that are due now, and lets no time pass", () => {
  const clock = new SimClock(1000);
  let count = 0;
  clock.soon(() => clock.after(0, () => (count += 1)));
  clock.after(1, () => (count += 100));
  clock.settle();
  expect(count).toBe(1);
  expect(clock.now()).toBe(1000);
});

test("SimClock.runUntil() stops as soon as the condition holds, or returns false", () => {
  const clock = new SimClock();
  let ticks = 0;
  const tick = (): void => {
    ticks += 1;
    clock.after(10, tick);
  };
  tick();
  expect(clock.runUntil(() => ticks === 5, 1000)).toBe(true);
  expect(clock.now()).toBe(40);
  expect(clock.runUntil(() => ticks === 500, 100)).toBe(false);
});
