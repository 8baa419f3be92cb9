import { expect, test } from "bun:test";
import { keysOf } from "./keys.ts";

test.each([
  ["q", ["quit"]],
  ["Q", ["quit"]],
  ["\u0003", ["quit"]],
  ["\t", ["next-table"]],
  ["\u001b[A\u001b[B\u001b[5~\u001b[6~", ["up", "down", "page-up", "page-down"]],
  ["\u001bOA", ["up"]],
  ["pss r", ["pools", "sort", "sort", "pause", "reverse"]],
])("%j are the keys %p", (text, keys) => {
  expect(keysOf(text)).toEqual(keys as never);
});

test.each([
  ["xyz\u00e9\u{1f600}"],
  ["\u001b"],
  ["\u001b["],
  // F1, F5, Alt and q, a mouse that moved: none of their letters is a key.
  ["\u001bOP\u001b[15~\u001bq\u001b[<35;10;5M"],
])("%j has no key, and ends", (text) => {
  expect(keysOf(text)).toEqual([]);
});
