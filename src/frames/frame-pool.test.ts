import { expect, test } from "bun:test";
import { FRAME_BYTES } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { openMemory } from "../memory/open-memory.ts";
import { FramePool } from "./frame-pool.ts";

function filled(byte: number): Uint8Array {
  return new Uint8Array(FRAME_BYTES).fill(byte);
}

test("FramePool.take() gives each frame once and then 0", () => {
  const pool = new FramePool(openMemory(), { frameCountMax: 3 });
  const taken = [pool.take(), pool.take(), pool.take()];
  expect(new Set(taken).size).toBe(3);
  expect(pool.take()).toBe(0);
  pool.give(taken[1] ?? 0);
  expect(pool.take()).toBe(taken[1] ?? 0);
  pool.close();
});

test("FramePool.trim() keeps frames in use and zeroes free ones", () => {
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

test("a pinned FramePool gives nothing back, and trim() returns false", () => {
  const pool = new FramePool(openMemory(), { frameCountMax: 8, pinned: true });
  const frames = Array.from({ length: 8 }, () => pool.take());
  for (const frame of frames) pool.write(frame, 0, filled(frame), 0, FRAME_BYTES);
  for (const frame of frames) pool.give(frame);
  expect(pool.framesWarm).toBe(0);
  pool.trim();
  const read = new Uint8Array(FRAME_BYTES);
  pool.read(8, 0, read, 0, FRAME_BYTES);
  expect([...read]).toEqual([...filled(8)]); // Nothing was cleared either.
  expect(new Set(frames.map(() => pool.take())).size).toBe(8);
  pool.close();
});

test("FramePool.trim() gives a bounded number of frames back, and says whether there are more", () => {
  const FRAMES = 16 * 512;
  const pool = new FramePool(openMemory(), { frameCountMax: FRAMES });
  for (let i = 0; i < FRAMES; i += 1) pool.write(pool.take(), 0, filled(1), 0, 8);
  for (let frame = 1; frame <= FRAMES; frame += 2) pool.give(frame);
  const read = new Uint8Array(8);
  let most = 0;
  let trims = 0;
  for (let before = pool.framesWarm; before > 0; before = pool.framesWarm) {
    expect(pool.trim()).toBe(pool.framesWarm > 0);
    most = Math.max(most, before - pool.framesWarm);
    trims += 1;
  }
  expect(most).toBeLessThanOrEqual(512); // Each of them is a run of its own.
  expect(trims).toBeGreaterThan(8);
  pool.read(1, 0, read, 0, 8);
  expect(read[0]).toBe(0);
  pool.read(FRAMES, 0, read, 0, 8);
  expect(read[0]).toBe(1);
  pool.close();
});

test("FramePool gives no frame twice and keeps frames in use, trimmed or not", () => {
  const random = new SeededRandom(5);
  const pool = new FramePool(openMemory(), { frameCountMax: 1500 });
  const used = new Map<number, number>();
  const taken: number[] = [];
  const read = new Uint8Array(1);
  for (let i = 0; i < 20_000; i += 1) {
    const isGrowing = Math.floor(i / 4000) % 2 === 0;
    if (below(random, 8) < (isGrowing ? 6 : 2)) {
      const frame = pool.take();
      expect(frame === 0).toBe(used.size === 1500);
      if (frame === 0) continue;
      expect(used.has(frame)).toBe(false);
      used.set(frame, i & 255);
      taken.push(frame);
      pool.write(frame, 0, new Uint8Array([i & 255]), 0, 1);
    } else if (used.size > 0) {
      const frame = taken.splice(below(random, taken.length), 1)[0] ?? 0;
      pool.read(frame, 0, read, 0, 1);
      expect(read[0]).toBe(used.get(frame) ?? -1);
      used.delete(frame);
      pool.give(frame);
    }
    if (i % 50 === 0) pool.trim();
    expect(pool.framesUsed).toBe(used.size);
  }
  for (const frame of used.keys()) pool.give(frame);
  while (pool.trim());
  expect([pool.framesUsed, pool.framesWarm, pool.take()]).toEqual([0, 0, 1]);
  pool.close();
});
