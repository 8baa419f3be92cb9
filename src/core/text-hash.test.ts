import { expect, test } from "bun:test";
import { textHash } from "./text-hash.ts";

test.each([
  // From the test vectors of the reference implementation.
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
])("textHash(%p)", (text, hash) => {
  expect(textHash(text) >>> 0).toBe(hash);
});

test("another basis gives another hash", () => {
  expect(textHash("swap", 1)).not.toBe(textHash("swap"));
});
