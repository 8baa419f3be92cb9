import { expect, test } from "bun:test";
import { SeededRandom } from "../core/random.ts";
import { Trend } from "./trend.ts";

function trendOf(pages: readonly number[]): number {
  const trend = new Trend();
  for (const page of pages) trend.add(page);
  return trend.find();
}

test("a constant step is a trend, forwards and backwards", () => {
  expect(trendOf([100, 108, 116, 124, 132])).toBe(8);
  expect(trendOf([900, 899, 898, 897, 896])).toBe(-1);
  expect(trendOf([100, 108, 116])).toBe(0);
});

test("stray reads do not hide the trend while most reads follow it", () => {
  expect(trendOf([1, 2, 3, 4, 5, 6, 900, 7, 8, 9])).toBe(1);
  expect(trendOf([1, 2, 3, 50, 51, 90, 7, 8, 30])).toBe(0);
});

test("random reads have no trend", () => {
  const random = new SeededRandom(1);
  const trend = new Trend();
  for (let i = 0; i < 10_000; i += 1) {
    trend.add(random.u32());
    expect(trend.find()).toBe(0);
  }
});

test("a new step is found at once", () => {
  const trend = new Trend();
  for (let page = 0; page < 100; page += 1) trend.add(page);
  for (let page = 5000; page > 4970; page -= 3) trend.add(page);
  expect(trend.find()).toBe(-3);
});
