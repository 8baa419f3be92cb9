import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { Slices } from "./slices.ts";

test("Slices.go() does a slice at once, and one a turn until there is no more", () => {
  const clock = new SimClock();
  let left = 3;
  let between = 0;
  const slices = new Slices(clock, () => {
    left -= 1;
    clock.soon(() => {
      between += 1;
    });
    return left > 0;
  });
  slices.go();
  slices.go(); // The next one is on its way.
  expect([left, slices.isGoing]).toEqual([2, true]);
  clock.runUntil(() => left === 0, 1);
  expect([between, slices.isGoing]).toEqual([2, false]);
  left = 2;
  slices.go();
  slices.close();
  clock.run(1);
  expect(left).toBe(1);
});
