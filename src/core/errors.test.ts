import { expect, test } from "bun:test";
import { quoted } from "./errors.ts";

test("quoted() puts a value on one line, and cuts a long one", () => {
  expect(quoted('a "b"\nc')).toBe('"a \\"b\\"\\nc"');
  expect(quoted("x".repeat(5000))).toBe(`"${"x".repeat(100)}..."`);
});
