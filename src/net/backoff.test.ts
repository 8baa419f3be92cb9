import { expect, test } from "bun:test";
import { backoffMs } from "./backoff.ts";

const bounds = { minMs: 50, maxMs: 2000 };

for (const [attempt, ceilingMs] of [
  [0, 50],
  [1, 100],
  [2, 200],
  [5, 1600],
  [6, 2000],
  [5000, 2000],
] as const) {
  test(`backoffMs() of attempt ${attempt} is half of ${ceilingMs} ms to all of it`, () => {
    expect(backoffMs(attempt, 0, bounds)).toBe(ceilingMs / 2);
    expect(backoffMs(attempt, 2 ** 31, bounds)).toBe(ceilingMs * 0.75);
    expect(backoffMs(attempt, 2 ** 32 - 1, bounds)).toBeLessThanOrEqual(ceilingMs);
  });
}
