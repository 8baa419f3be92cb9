import { expect, test } from "bun:test";
import { quoted } from "./errors.ts";

test("a value is quoted on one line, and of a long one the beginning", () => {
  expect(quoted('a "b"\nc')).toBe('"a \\"b\\"\\nc"');
  expect(quoted("x".repeat(5000))).toBe(`"${"x".repeat(100)}..."`);
});
