import { expect, test } from "bun:test";
import { parseProcessTimes } from "./proc-text.ts";
import { processUse } from "./process-use.ts";

const STAT =
  "4711 (a) name) S 1 4711 4711 0 -1 4194304 1 2 3 4 250 150 7 8 20 0 9 0 123456 789 1011";

test("times come after the name of the process, which may have brackets", () => {
  expect(parseProcessTimes(STAT)).toEqual({ cpuTicks: 400, startTicks: 123_456 });
});

test.each(["", "4711 (a", STAT.slice(0, 60), STAT.replace("250", "x")])(
  "%j has no times",
  (text) => {
    expect(parseProcessTimes(text)).toBeNull();
  },
);

test("this process uses memory, time and descriptors, and began in the past", () => {
  const use = processUse("");
  expect(use.residentBytes).toBeGreaterThan(2 ** 20);
  expect(use.virtualBytes).toBeGreaterThanOrEqual(use.residentBytes ?? 0);
  expect(use.cpuSeconds).toBeGreaterThan(0);
  expect(use.openDescriptors).toBeGreaterThan(2);
  expect(use.descriptorsMax).toBeGreaterThan(use.openDescriptors ?? 0);
  const age = Date.now() / 1000 - (use.startSeconds ?? 0);
  expect(age).toBeGreaterThan(-1);
  expect(age).toBeLessThan(24 * 60 * 60);
});

test("what Linux does not show is missing", () => {
  const { descriptorsMax: _, ...use } = processUse("/nowhere");
  expect(use).toEqual({});
});
