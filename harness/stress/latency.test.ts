import { expect, test } from "bun:test";
import { SeededRandom } from "../../src/core/random.ts";
import { Latency } from "./latency.ts";

/** The value that `fraction` of `sorted` stay within. */
function exact(sorted: readonly number[], fraction: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? 0;
}

test("percentiles are within 2 % of the exact ones, whatever the spread", () => {
  for (const exponent of [0, 3, 12, 20]) {
    const random = new SeededRandom(exponent + 1);
    const latency = new Latency();
    const values = Array.from({ length: 5000 }, () => {
      return 1 + 2 ** ((random.u32() / 2 ** 32) * exponent) * (random.u32() / 2 ** 32);
    });
    for (const value of values) latency.add(value);
    values.sort((a, b) => a - b);
    for (const fraction of [0.01, 0.5, 0.99, 0.999, 1]) {
      const wanted = exact(values, fraction);
      expect(Math.abs(latency.percentile(fraction) - wanted) / wanted).toBeLessThan(0.02);
    }
  }
});

test("every percentile is 0 without samples", () => {
  expect(new Latency().summary()).toEqual({ p50: 0, p99: 0, p999: 0, max: 0, samples: 0 });
});

test("a value out of range counts at the end of the range", () => {
  const latency = new Latency();
  for (const us of [0, 0.2, 2 ** 40]) latency.add(us);
  expect(latency.count).toBe(3);
  expect(latency.percentile(0.5)).toBeCloseTo(1, 1);
  expect(latency.percentile(1)).toBeGreaterThan(2 ** 31);
});

test("merge() is like adding all samples to one histogram", () => {
  const [one, two, both] = [new Latency(), new Latency(), new Latency()];
  for (let us = 1; us < 2000; us += 1) {
    (us % 3 === 0 ? one : two).add(us);
    both.add(us);
  }
  one.merge(two);
  expect(one.summary()).toEqual(both.summary());
});
