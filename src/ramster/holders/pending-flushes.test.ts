import { expect, test } from "bun:test";
import { Handle } from "../../core/handle.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import { FLUSH_ENTRY_BYTES, FLUSH_SCOPE, readFlushVersion } from "../../wire/peer-entries.ts";
import { RamsterCounters } from "../counters.ts";
import { PendingFlushes } from "./pending-flushes.ts";

const handle = new Handle().set(3, [1n, 2n, 3n], 7);

/** Adds flushes of the versions `from` .. `to`. */
function add(flushes: PendingFlushes, from: number, to: number): void {
  for (let version = from; version <= to; version += 1) {
    flushes.add(handle, version, FLUSH_SCOPE.PAGE);
  }
}

/** Sends the next `count` entries. @returns their versions. */
function send(flushes: PendingFlushes, count: number): number[] {
  const bytes = new Uint8Array(count * FLUSH_ENTRY_BYTES);
  flushes.send(count, bytes, 0);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, i) => readFlushVersion(view, i * FLUSH_ENTRY_BYTES));
}

test("flushes go out in order, and again from the oldest that was not acknowledged", () => {
  const flushes = new PendingFlushes(new HeapMemory(), new RamsterCounters());
  add(flushes, 1, 5);
  expect(send(flushes, 3)).toEqual([1, 2, 3]);
  flushes.acknowledge(2);
  add(flushes, 6, 6);
  expect([flushes.count, flushes.inFlightCount, flushes.unsentCount]).toEqual([4, 1, 3]);
  flushes.rewind();
  expect(send(flushes, 4)).toEqual([3, 4, 5, 6]);
  flushes.acknowledge(4);
  expect([flushes.count, flushes.doneCount, flushes.addedCount]).toEqual([0, 6, 6]);
});

test("the list grows past its room, and moves to the front, with entries under way", () => {
  const flushes = new PendingFlushes(new HeapMemory(), new RamsterCounters());
  let next = 1;
  let oldest = 1;
  for (let round = 0; round < 200; round += 1) {
    add(flushes, next, next + 9);
    next += 10;
    const count = flushes.unsentCount;
    expect(send(flushes, count)[0]).toBe(oldest);
    const acknowledged = round % 3 === 0 ? count - 1 : count >> 1;
    flushes.acknowledge(acknowledged);
    oldest += acknowledged;
    flushes.rewind();
  }
  expect(flushes.addedCount).toBe(next - 1);
  expect(flushes.doneCount).toBe(oldest - 1);
});

test("clear() counts what it drops as done", () => {
  const flushes = new PendingFlushes(new HeapMemory(), new RamsterCounters());
  add(flushes, 1, 100);
  send(flushes, 10);
  flushes.clear();
  expect([flushes.count, flushes.inFlightCount, flushes.doneCount, flushes.addedCount]).toEqual([
    0, 0, 100, 100,
  ]);
  add(flushes, 101, 101);
  expect(send(flushes, 1)).toEqual([101]);
});

test("the entries of all holders are counted together, with their maximum", () => {
  const counters = new RamsterCounters();
  const [one, other] = [1, 2].map(() => new PendingFlushes(new HeapMemory(), counters));
  if (one === undefined || other === undefined) throw new Error("no lists");
  add(one, 1, 5);
  add(other, 1, 3);
  send(one, 2);
  one.acknowledge(2);
  expect([counters.flnodes, counters.flnodes_max]).toEqual([6, 8]);
  one.clear();
  send(other, 3);
  other.acknowledge(3);
  expect([counters.flnodes, counters.flnodes_max]).toEqual([0, 8]);
});
