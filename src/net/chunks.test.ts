import { expect, test } from "bun:test";
import { freeChunk } from "./chunks.ts";

test("a chunk that is freed is empty", () => {
  const chunk = new Uint8Array(65_536);
  freeChunk(chunk);
  expect(chunk.byteLength).toBe(0);
  expect(chunk.buffer.byteLength).toBe(0);
});

test("a part of something larger, and a few bytes, stay as they are", () => {
  const whole = new Uint8Array(65_536).fill(7);
  freeChunk(whole.subarray(4096));
  freeChunk(whole.subarray(0, 4096));
  expect(whole.at(-1)).toBe(7);
  const few = new Uint8Array([1, 2, 3]);
  freeChunk(few);
  expect(few).toEqual(new Uint8Array([1, 2, 3]));
});
