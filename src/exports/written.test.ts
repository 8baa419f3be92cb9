import { expect, test } from "bun:test";
import { Written } from "./written.ts";

test("what was never marked is passed over", () => {
  const written = new Written(10_000);
  expect(written.blankUntil(0, 10_000)).toBe(10_000);
  written.mark(5000);
  expect(written.blankUntil(0, 10_000)).toBe(4096);
  expect(written.blankUntil(4096, 10_000)).toBe(4096);
  expect(written.blankUntil(5119, 10_000)).toBe(5119);
  expect(written.blankUntil(5120, 10_000)).toBe(10_000);
  expect(written.blankUntil(0, 3000)).toBe(3000);
  expect(written.blankUntil(0, 4096)).toBe(4096);
  expect(written.blankUntil(4000, 4500)).toBe(4096);
  written.mark(9999);
  expect(written.blankUntil(5120, 10_000)).toBe(9216);
});

test("a block is forgotten when all of it is, the last one with the last page", () => {
  const written = new Written(10_000);
  for (const page of [0, 1024, 2048, 9999]) written.mark(page);
  written.forget(1, 3071);
  expect(written.blankUntil(0, 10_000)).toBe(0);
  expect(written.blankUntil(1024, 10_000)).toBe(2048);
  written.forget(3000, 3001);
  expect(written.blankUntil(2048, 10_000)).toBe(2048);
  written.forget(2048, 9999);
  expect(written.blankUntil(2048, 10_000)).toBe(9216);
  written.forget(9216, 10_000);
  expect(written.blankUntil(2048, 10_000)).toBe(10_000);
  expect(written.blankUntil(0, 10_000)).toBe(0);
});

test("the largest export", () => {
  const written = new Written(2 ** 32);
  written.mark(2 ** 32 - 1);
  expect(written.blankUntil(0, 2 ** 32)).toBe(2 ** 32 - 1024);
});
