import { expect, test } from "bun:test";
import { remotifyBackoffMs, selfshrink } from "./policy.ts";

const SETTINGS = {
  enabled: true,
  intervalMs: 5000,
  hysteresis: 20,
  inertia: 3,
  pagesMax: 65_536,
};

test("selfshrink starts at the third quiet tick, takes 5 % a tick and the last 20 at once", () => {
  const state = { lastPages: 0, inertiaLeft: 0 };
  const taken: number[] = [];
  let pages = 1000;
  for (let tick = 0; tick < 6; tick += 1) {
    const count = selfshrink(state, pages, SETTINGS);
    taken.push(count);
    pages -= count;
  }
  expect(taken).toEqual([0, 0, 0, 50, 47, 45]);
  expect(selfshrink({ lastPages: 20, inertiaLeft: 0 }, 20, SETTINGS)).toBe(20);
});

test("selfshrink waits again as soon as the number of remote pages grows", () => {
  const state = { lastPages: 100, inertiaLeft: 0 };
  expect(selfshrink(state, 101, SETTINGS)).toBe(0);
  expect(selfshrink(state, 101, SETTINGS)).toBe(0);
  expect(selfshrink(state, 101, SETTINGS)).toBe(0);
  expect(selfshrink(state, 101, SETTINGS)).toBe(5);
});

test("selfshrink ends: from any number it reaches zero", () => {
  const state = { lastPages: 0, inertiaLeft: 0 };
  let pages = 100_000;
  let ticks = 0;
  for (; pages > 0 && ticks < 1000; ticks += 1) pages -= selfshrink(state, pages, SETTINGS);
  expect(pages).toBe(0);
});

test("selfshrink takes at most its maximum at a time", () => {
  const settings = { ...SETTINGS, pagesMax: 7 };
  expect(selfshrink({ lastPages: 1000, inertiaLeft: 0 }, 1000, settings)).toBe(7);
  expect(selfshrink({ lastPages: 20, inertiaLeft: 0 }, 20, settings)).toBe(7);
});

test("remotifyBackoffMs() doubles from 50 ms to 5 s", () => {
  expect([1, 2, 3, 7, 8, 100].map(remotifyBackoffMs)).toEqual([50, 100, 200, 3200, 5000, 5000]);
});
