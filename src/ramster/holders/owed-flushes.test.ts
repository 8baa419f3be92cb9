import { expect, test } from "bun:test";
import { Handle } from "../../core/handle.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import { FLUSH_ENTRY_BYTES, FLUSH_SCOPE, readFlushVersion } from "../../wire/peer-entries.ts";
import { RamsterCounters } from "../counters.ts";
import { OwedFlushes } from "./owed-flushes.ts";

const handle = new Handle().set(3, [1n, 2n, 3n], 7);

/** Owes pages with the versions `from` .. `to`. */
function owe(owed: OwedFlushes, from: number, to: number): void {
  for (let version = from; version <= to; version += 1) {
    owed.owe(handle, version, FLUSH_SCOPE.PAGE);
  }
}

/** Versions of the next `count` entries, which are sent. */
function send(owed: OwedFlushes, count: number): number[] {
  const bytes = new Uint8Array(count * FLUSH_ENTRY_BYTES);
  owed.send(count, bytes, 0);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, i) => readFlushVersion(view, i * FLUSH_ENTRY_BYTES));
}

test("what is owed goes out in order, and again from the oldest that was not acknowledged", () => {
  const owed = new OwedFlushes(new HeapMemory(), new RamsterCounters());
  owe(owed, 1, 5);
  expect(send(owed, 3)).toEqual([1, 2, 3]);
  owed.acknowledge(2);
  owe(owed, 6, 6);
  expect([owed.count, owed.inFlightCount, owed.unsentCount]).toEqual([4, 1, 3]);
  owed.rewind();
  expect(send(owed, 4)).toEqual([3, 4, 5, 6]);
  owed.acknowledge(4);
  expect([owed.count, owed.doneCount, owed.oweCount]).toEqual([0, 6, 6]);
});

test("the list grows past its room, and moves to the front, with entries under way", () => {
  const owed = new OwedFlushes(new HeapMemory(), new RamsterCounters());
  let next = 1;
  let oldest = 1;
  for (let round = 0; round < 200; round += 1) {
    owe(owed, next, next + 9);
    next += 10;
    const count = owed.unsentCount;
    expect(send(owed, count)[0]).toBe(oldest);
    const acknowledged = round % 3 === 0 ? count - 1 : count >> 1;
    owed.acknowledge(acknowledged);
    oldest += acknowledged;
    owed.rewind();
  }
  expect(owed.oweCount).toBe(next - 1);
  expect(owed.doneCount).toBe(oldest - 1);
});

test("the lists of all holders are counted together, and how many there were at most", () => {
  const counters = new RamsterCounters();
  const [one, other] = [1, 2].map(() => new OwedFlushes(new HeapMemory(), counters));
  if (one === undefined || other === undefined) throw new Error("no lists");
  owe(one, 1, 5);
  owe(other, 1, 3);
  send(one, 2);
  one.acknowledge(2);
  expect([counters.flnodes, counters.flnodes_max]).toEqual([6, 8]);
  one.clear();
  send(other, 3);
  other.acknowledge(3);
  expect([counters.flnodes, counters.flnodes_max]).toEqual([0, 8]);
});

test("clear() counts what it drops as done", () => {
  const owed = new OwedFlushes(new HeapMemory(), new RamsterCounters());
  owe(owed, 1, 100);
  send(owed, 10);
  owed.clear();
  expect([owed.count, owed.inFlightCount, owed.doneCount, owed.oweCount]).toEqual([0, 0, 100, 100]);
  owe(owed, 101, 101);
  expect(send(owed, 1)).toEqual([101]);
});
