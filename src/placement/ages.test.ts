import { expect, test } from "bun:test";
import { EPHEMERAL, PERSISTENT } from "../core/kind.ts";
import { Ages } from "./ages.ts";

/** Lets an epoch pass. */
function pass(ages: Ages): void {
  const before = ages.now;
  while (ages.now === before) ages.used(64);
}

test("the age of an epoch is how many began since, also when their numbers start again", () => {
  const ages = new Ages();
  for (let i = 0; i < 60; i += 1) pass(ages);
  const epoch = ages.now;
  for (let i = 0; i < 10; i += 1) pass(ages);
  expect(ages.now).toBeLessThan(epoch);
  expect(ages.ageOf(epoch)).toBe(10);
  expect(ages.epochOf(10)).toBe(epoch);
});

test("the oldest of a kind are found by their number", () => {
  const ages = new Ages();
  for (const count of [5, 1, 10]) {
    for (let i = 0; i < count; i += 1) ages.add(PERSISTENT, ages.now);
    pass(ages);
  }
  ages.add(EPHEMERAL, ages.now);
  expect([1, 5, 6, 7, 16, 99].map((count) => ages.oldestFrom(PERSISTENT, count))).toEqual([
    3, 3, 2, 1, 1, 0,
  ]);
  ages.remove(PERSISTENT, 0);
  expect(ages.oldestFrom(PERSISTENT, 5)).toBe(2);
});
