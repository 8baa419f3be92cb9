import { expect, test } from "bun:test";
import { allOneLine, printable } from "./printable.ts";

test("printable() gives one line without control characters, of bounded length", () => {
  expect(printable("plain \u00e9\u4e16 \u{1f40f}")).toBe("plain \u00e9\u4e16 \u{1f40f}");
  expect(printable("a\r\nb\u001b[31mc\u0000\u2028d\u202ee")).toBe("a b [31mc d e");
  expect(printable("x".repeat(5000))).toHaveLength(300);
});

test("allOneLine() puts every text and name of a value on one line", () => {
  const value = { a: ["x\ny", 1, null, { "k\u001b": "\u0007" }], b: true };
  expect<unknown>(allOneLine(value)).toEqual({ a: ["x y", 1, null, { "k ": " " }], b: true });
});
