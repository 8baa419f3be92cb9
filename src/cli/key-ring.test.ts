import { expect, test } from "bun:test";
import { ringLines } from "./key-ring.ts";

test("marks the key that encrypts, and the one that is new", () => {
  expect(ringLines(["a"], ["a"])).toEqual(["a  encrypts"]);
  expect(ringLines(["a"], ["a", "b"])).toEqual(["a  encrypts", "b  new"]);
  expect(ringLines(["a", "b"], ["b", "a"])).toEqual(["b  encrypts", "a"]);
  expect(ringLines(["none"], ["none"])).toEqual(["none"]);
});
