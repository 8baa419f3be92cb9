import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatCount,
  formatDuration,
  formatSize,
  parseDuration,
  parsePercent,
  parseSize,
} from "./units.ts";

describe("formats", () => {
  test("write the largest unit that is reached", () => {
    expect(["0", "4000", "4096", "1610612736"].map(Number).map(formatSize)).toEqual([
      "0B",
      "3.91KiB",
      "4KiB",
      "1.5GiB",
    ]);
    expect([0, 0.25, 500, 1500, 90_000, 3_600_000].map(formatDuration)).toEqual([
      "0ms",
      "0.25ms",
      "500ms",
      "1.5s",
      "1.5m",
      "1h",
    ]);
    expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual(["0", "999", "1,000", "1,234,567"]);
  });

  test("of whole units are read back as they were", () => {
    const unit = fc.constantFrom(1, 2 ** 10, 2 ** 20, 2 ** 30);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1023 }), unit, (count, bytes) => {
        expect(parseSize(formatSize(count * bytes))).toBe(count * bytes);
      }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 59 }),
        fc.constantFrom(1, 1000, 60_000),
        (count, ms) => {
          expect(parseDuration(formatDuration(count * ms))).toBe(count * ms);
        },
      ),
    );
  });

  test("of any size are read back to within one percent", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
        expect(Math.abs(parseSize(formatSize(bytes)) - bytes)).toBeLessThanOrEqual(bytes / 100);
      }),
    );
  });
});

test("parsePercent() reads 80 and 80%", () => {
  const percent = (text: string) => parsePercent(text, { min: 1, max: 100 });
  expect([percent("80"), percent("80%")]).toEqual([80, 80]);
  expect(() => percent("101%")).toThrow("it must be at most 100");
  expect(() => percent("%")).toThrow("write a whole number");
});
