import { expect, test } from "bun:test";
import { BufferPool } from "./buffer-pool.ts";
import { BUFFERS_KEPT_BYTES } from "./limits.ts";

test("a buffer that is given back is taken again", () => {
  const pool = new BufferPool();
  const buffer = pool.take(5000);
  expect([buffer.bytes.byteLength, pool.usedBytes]).toEqual([8192, 8192]);
  pool.give(buffer);
  expect(pool.usedBytes).toBe(0);
  expect(pool.take(8000)).toBe(buffer);
  expect(pool.take(8000)).not.toBe(buffer);
});

test("a buffer beyond those that are kept is freed at once", () => {
  const pool = new BufferPool();
  const buffers = Array.from({ length: 3 }, () => pool.take(BUFFERS_KEPT_BYTES / 2));
  for (const buffer of buffers) pool.give(buffer);
  const bytes = buffers.map((buffer) => buffer.bytes.byteLength);
  expect(bytes).toEqual([BUFFERS_KEPT_BYTES / 2, BUFFERS_KEPT_BYTES / 2, 0]);
});

test("a waiter is called once, when there is room again", () => {
  const pool = new BufferPool(100_000);
  const first = pool.take(60_000);
  const second = pool.take(60_000);
  expect([pool.isFull, pool.isOverflowing]).toEqual([true, false]);
  let calls = 0;
  const waiter = (): void => {
    calls += 1;
  };
  pool.whenRoom(waiter);
  pool.give(first);
  expect([calls, pool.isFull]).toEqual([1, false]);
  pool.give(second);
  expect(calls).toBe(1);
});

test("a buffer that may still be written to is not given to anybody else", () => {
  const pool = new BufferPool();
  const buffer = pool.take(10);
  pool.forget(buffer);
  expect(pool.usedBytes).toBe(0);
  expect(pool.take(10)).not.toBe(buffer);
});
