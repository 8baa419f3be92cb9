import { expect, test } from "bun:test";
import { shortCount, shortSize, shortTime } from "./short-numbers.ts";

test.each([
  [0, "0"],
  [9999, "9999"],
  [10_000, "10.0k"],
  [99_949, "99.9k"],
  [99_999, "100k"],
  [999_499, "999k"],
  [999_999, "1.00M"],
  [4_560_000, "4.56M"],
  [2e18, "2000P"],
])("%p of something is %p", (count, text) => {
  expect(shortCount(count)).toBe(text);
});

test.each([
  [0, "0"],
  [1023, "1023"],
  [1024, "1.00k"],
  [64 * 1024, "64.0k"],
  [1023 * 1024, "1.00M"],
  [1.5 * 2 ** 30, "1.50G"],
])("%p bytes are %p", (bytes, text) => {
  expect(shortSize(bytes)).toBe(text);
});

test.each([
  [0, "0us"],
  [999, "999us"],
  [1024, "1.0ms"],
  [16_384, "16ms"],
  [2_097_152, "2.1s"],
  [null, "long"],
])("%p microseconds are %p", (us, text) => {
  expect(shortTime(us)).toBe(text);
});
