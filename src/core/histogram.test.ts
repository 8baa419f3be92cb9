import { expect, test } from "bun:test";
import { bucketEndUs, Histogram, percentileUs } from "./histogram.ts";

test.each([
  [0, 0],
  [0.0009, 0],
  [0.001, 1],
  [0.0019, 1],
  [0.002, 2],
  [0.1, 7],
  [2000, 21],
  [4194.303, 22],
  [4194.304, 23],
  [1e12, 23],
  [-1, 0],
])("%p ms are in bucket %p", (ms, bucket) => {
  const histogram = new Histogram();
  histogram.add(ms);
  const { counts } = histogram.snapshot();
  expect(counts.length).toBe(bucket + 1);
  expect(counts[bucket]).toBe(1);
  expect(ms * 1000).toBeLessThan(bucketEndUs(bucket));
});

test("Histogram counts, sums, and gives percentiles", () => {
  const histogram = new Histogram();
  expect(percentileUs(histogram.snapshot(), 0.99)).toBe(0);
  histogram.add(0.003, 98);
  histogram.add(0.05);
  histogram.add(9000);
  const snapshot = histogram.snapshot();
  expect(snapshot.sum_us).toBe(98 * 3 + 50 + 9_000_000);
  const within = [0.5, 0.98, 0.99, 1].map((fraction) => percentileUs(snapshot, fraction));
  expect(within).toEqual([4, 4, 64, Number.POSITIVE_INFINITY]);
});
