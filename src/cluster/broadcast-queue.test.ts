import { expect, test } from "bun:test";
import { BROADCASTS_MAX } from "../core/limits.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";

const ROOM = { overhead: 2, countMax: 255, limit: 3 };

function news(byte: number, byteCount = 30): Uint8Array {
  return new Uint8Array(byteCount).fill(byte);
}

function taken(queue: BroadcastQueue, byteCount = 1400, options = ROOM): number[] {
  return queue.take(byteCount, options).map((bytes) => bytes[0] ?? -1);
}

test("news is sent as often as the limit, then dropped", () => {
  const queue = new BroadcastQueue();
  queue.add("a", news(1));
  expect([taken(queue), taken(queue), taken(queue), taken(queue)]).toEqual([[1], [1], [1], []]);
  expect(queue.count).toBe(0);
});

test("news that was sent less often goes first, then newer news", () => {
  const queue = new BroadcastQueue();
  queue.add("a", news(1));
  expect(taken(queue)).toEqual([1]);
  queue.add("b", news(2));
  queue.add("c", news(3));
  expect(taken(queue, 70)).toEqual([3, 2]);
  expect(taken(queue)).toEqual([2, 3, 1]);
});

test("newer news of a subject replaces older news on any tier", () => {
  const queue = new BroadcastQueue();
  queue.add("a", news(1));
  taken(queue);
  queue.add("a", news(2));
  expect([taken(queue), taken(queue), taken(queue), taken(queue)]).toEqual([[2], [2], [2], []]);
});

test("a packet is filled to its last byte, and holds at most countMax pieces", () => {
  const queue = new BroadcastQueue();
  for (let i = 0; i < 5; i += 1) queue.add(`s${i}`, news(i));
  expect(taken(queue, 96).length).toBe(3);
  expect(taken(queue, 95).length).toBe(2);
  expect(taken(queue, 1400, { ...ROOM, countMax: 1 }).length).toBe(1);
  expect(taken(queue, 0)).toEqual([]);
});

test("news that is too long for the packet is skipped and kept", () => {
  const queue = new BroadcastQueue();
  queue.add("short", news(1));
  queue.add("long", news(2, 500));
  expect(taken(queue, 100)).toEqual([1]);
  expect(taken(queue, 600)).toEqual([2, 1]);
});

test("past BROADCASTS_MAX pieces the oldest is dropped", () => {
  const queue = new BroadcastQueue();
  for (let i = 0; i <= BROADCASTS_MAX; i += 1) queue.add(`s${i}`, news(i === 0 ? 1 : 2));
  expect(queue.count).toBe(BROADCASTS_MAX);
  const once = { overhead: 2, countMax: BROADCASTS_MAX + 1, limit: 1 };
  expect(new Set(taken(queue, 1_000_000, once))).toEqual(new Set([2]));
});
