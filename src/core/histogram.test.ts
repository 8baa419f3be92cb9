import { expect, test } from "bun:test";
import {
  bucketEndUs,
  Histogram,
  histogramBetween,
  histogramSum,
  percentileUs,
} from "./histogram.ts";

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

test("histogramBetween has what was added after a snapshot, histogramSum the values of both", () => {
  const histogram = new Histogram();
  histogram.add(0.003, 5);
  const before = histogram.snapshot();
  histogram.add(0.003, 2);
  histogram.add(0.05);
  const between = histogramBetween(before, histogram.snapshot());
  expect(between).toEqual({ counts: [0, 0, 2, 0, 0, 0, 1], sum_us: 56 });
  expect(histogramSum(before, between)).toEqual(histogram.snapshot());
});
