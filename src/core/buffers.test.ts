import { expect, test } from "bun:test";
import { freeBuffer } from "./buffers.ts";

test("a chunk that is freed is empty", () => {
  const chunk = new Uint8Array(65_536);
  freeBuffer(chunk);
  expect(chunk.byteLength).toBe(0);
  expect(chunk.buffer.byteLength).toBe(0);
});

test("freeBuffer() leaves a part of a larger buffer, and a short buffer, as they are", () => {
  const whole = new Uint8Array(65_536).fill(7);
  freeBuffer(whole.subarray(4096));
  freeBuffer(whole.subarray(0, 4096));
  expect(whole.at(-1)).toBe(7);
  const few = new Uint8Array([1, 2, 3]);
  freeBuffer(few);
  expect(few).toEqual(new Uint8Array([1, 2, 3]));
});
