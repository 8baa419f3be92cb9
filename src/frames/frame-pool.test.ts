import { expect, test } from "bun:test";
import { FRAME_BYTES } from "../core/limits.ts";
import { openMemory } from "../memory/open-memory.ts";
import { FramePool } from "./frame-pool.ts";

function filled(byte: number): Uint8Array {
  return new Uint8Array(FRAME_BYTES).fill(byte);
}

test("FramePool.take() hands out each frame once and then says 0", () => {
  const pool = new FramePool(openMemory(), { frameCountMax: 3 });
  const taken = [pool.take(), pool.take(), pool.take()];
  expect(new Set(taken).size).toBe(3);
  expect(pool.take()).toBe(0);
  pool.give(taken[1] ?? 0);
  expect(pool.take()).toBe(taken[1] ?? 0);
  pool.close();
});

test("FramePool.trim() keeps what is in use and zeroes what is free", () => {
  const pool = new FramePool(openMemory(), { frameCountMax: 64 });
  const frames = Array.from({ length: 64 }, () => pool.take());
  for (const frame of frames) pool.write(frame, 0, filled(frame), 0, FRAME_BYTES);
  for (const frame of frames) if (frame % 3 !== 0) pool.give(frame);
  expect(pool.framesWarm).toBe(43);
  pool.trim();
  expect(pool.framesWarm).toBe(0);
  const read = new Uint8Array(FRAME_BYTES);
  for (const frame of frames) {
    if (frame % 3 !== 0) continue;
    pool.read(frame, 0, read, 0, FRAME_BYTES);
    expect([...read]).toEqual([...filled(frame)]);
  }
  const again = Array.from({ length: 43 }, () => pool.take());
  expect(pool.take()).toBe(0);
  expect(new Set(again).size).toBe(43);
  expect(again[0]).toBe(1); // Lowest first: a shrinking store gathers at the low end.
  for (const frame of again) {
    pool.read(frame, 0, read, 0, FRAME_BYTES);
    expect([...read]).toEqual([...filled(0)]);
  }
  pool.close();
});

test("FramePool.trim() of an empty pool starts over", () => {
  const pool = new FramePool(openMemory(), { frameCountMax: 8 });
  const frames = [pool.take(), pool.take(), pool.take()];
  for (const frame of frames) pool.give(frame);
  pool.trim();
  expect(pool.framesUsed).toBe(0);
  expect([pool.take(), pool.take()]).toEqual([1, 2]);
  pool.trim();
  expect(pool.take()).toBe(3);
  pool.close();
});

test("a held FramePool gives nothing back, and says so", () => {
  const pool = new FramePool(openMemory(), { frameCountMax: 8, held: true });
  const frames = Array.from({ length: 8 }, () => pool.take());
  for (const frame of frames) pool.write(frame, 0, filled(frame), 0, FRAME_BYTES);
  for (const frame of frames) pool.give(frame);
  expect(pool.framesWarm).toBe(0);
  pool.trim();
  const read = new Uint8Array(FRAME_BYTES);
  pool.read(8, 0, read, 0, FRAME_BYTES);
  expect([...read]).toEqual([...filled(8)]); // Still there: nothing has been cleared either.
  expect(new Set(frames.map(() => pool.take())).size).toBe(8);
  pool.close();
});
