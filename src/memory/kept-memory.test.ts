import { expect, test } from "bun:test";
import { CrashingBytes } from "../../harness/kept/crashing-bytes.ts";
import { RamsterError } from "../core/errors.ts";
import { FRAME_BYTES, TABLE_KEEP_BYTES } from "../core/limits.ts";
import type { Region } from "../core/memory.ts";
import { SeededRandom } from "../core/random.ts";
import { Table } from "../core/table.ts";
import { KEPT_LAYOUT, type KeptMemory } from "./kept-memory.ts";

const newBytes = (): CrashingBytes => new CrashingBytes(new SeededRandom(1));

function reserve(memory: KeptMemory, name: string, byteCount = 2 * FRAME_BYTES): Region {
  return memory.reserve(byteCount, { pinnedBytes: 0, name });
}

/** A predecessor that was ready. */
function predecessor(bytes: CrashingBytes): KeptMemory {
  const memory = bytes.newMemory();
  reserve(memory, "one").words()[5] = 55;
  reserve(memory, "two").write(FRAME_BYTES, new Uint8Array([1, 2, 3]), 0, 3);
  memory.start();
  return memory;
}

test("regions with a name have what the predecessor left, in any order", () => {
  const bytes = newBytes();
  expect(predecessor(bytes).isSucceeding).toBe(false);
  const memory = bytes.newMemory();
  expect(memory.isSucceeding).toBe(true);
  const target = new Uint8Array(3);
  const two = reserve(memory, "two");
  two.read(FRAME_BYTES, target, 0, 3);
  expect([...target]).toEqual([1, 2, 3]);
  expect(reserve(memory, "one").words()[5]).toBe(55);
  const unnamed = memory.reserve(FRAME_BYTES);
  expect([unnamed.kept, two.kept?.journal]).toEqual([null, memory.journal]);
  expect(memory.start()).toBe(0);
});

test("an operation that the predecessor did not end is undone in its regions", () => {
  const bytes = newBytes();
  const before = predecessor(bytes);
  const region = reserve(before, "one");
  const { journal } = before;
  journal.begin();
  journal.save(region.kept?.number ?? 0, 5, 55);
  region.words()[5] = 66;
  const memory = bytes.newMemory();
  const words = reserve(memory, "one").words();
  reserve(memory, "two");
  expect(words[5]).toBe(66);
  expect(memory.start()).toBe(1);
  expect(words[5]).toBe(55);
});

test("what a process left that was never ready is removed", () => {
  const bytes = newBytes();
  reserve(bytes.newMemory(), "one").words()[5] = 55;
  const memory = bytes.newMemory();
  expect(memory.isSucceeding).toBe(false);
  expect(reserve(memory, "one").words()[5]).toBe(0);
});

function failure(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof RamsterError && error.code === "BAD_KEPT_MEMORY") return error.message;
    throw error;
  }
  return "none";
}

/** The header of kept memory, which is a page of words. */
function headerOf(bytes: CrashingBytes): Int32Array {
  return bytes.open("header", FRAME_BYTES, { pinnedBytes: 0 }, null).words();
}

test("memory of another layout is refused, and stays as it is", () => {
  const bytes = newBytes();
  predecessor(bytes);
  headerOf(bytes)[1] = 99;
  expect(failure(() => bytes.newMemory())).toContain(
    `it has layout 99, and this build has ${KEPT_LAYOUT}`,
  );
  headerOf(bytes)[1] = KEPT_LAYOUT;
  expect(reserve(bytes.newMemory(), "one").words()[5]).toBe(55);
});

test("memory with a header that cannot be right is refused", () => {
  const bytes = newBytes();
  predecessor(bytes);
  headerOf(bytes)[2] = -1;
  expect(failure(() => bytes.newMemory())).toContain("its header is damaged");
  headerOf(bytes)[0] = 4711;
  expect(failure(() => bytes.newMemory())).toContain("it is not that of a node");
});

test("a region that is missing, or of another length, is refused", () => {
  const bytes = newBytes();
  predecessor(bytes);
  const memory = bytes.newMemory();
  expect(failure(() => reserve(memory, "three"))).toContain("it has no region three");
  const longer = failure(() => reserve(memory, "one", 3 * FRAME_BYTES));
  expect(longer).toContain("its region one has another length");
});

test("a damaged journal is refused", () => {
  const bytes = newBytes();
  const { journal } = predecessor(bytes);
  journal.begin();
  journal.save(77, 0, 0);
  const memory = bytes.newMemory();
  reserve(memory, "one");
  reserve(memory, "two");
  expect(failure(() => memory.start())).toContain("its journal is damaged");
});

const WORDS = 4;
const ROWS = TABLE_KEEP_BYTES / (WORDS * 4) + 100;
const shape = { rowCountMax: 2 * ROWS, wordsPerRow: WORDS, name: "rows" };

test("a table has the rows that its predecessor took, and others are free", () => {
  const bytes = newBytes();
  const before = bytes.newMemory();
  const table = new Table(before, shape);
  before.start();
  before.journal.begin();
  for (let i = 1; i <= 10; i += 1) table.setKept(table.take(), 2, i);
  table.setKept(4, 2, 0);
  table.give(4);
  before.journal.end();

  const memory = bytes.newMemory();
  const again = new Table(memory, shape);
  memory.start();
  expect(again.restore((row) => again.get(row, 2) !== 0)).toBe(true);
  expect([again.rowCount, again.rowEnd, again.get(10, 2)]).toEqual([9, 11, 10]);
  expect([again.take(), again.take()]).toEqual([4, 11]);
});

test("the memory of a table that was emptied is given back after the operation", () => {
  const bytes = newBytes();
  const before = bytes.newMemory();
  const table = new Table(before, shape);
  before.start();
  const { journal } = before;
  journal.begin();
  table.setKept(table.take(), 2, 1);
  for (let i = 1; i < ROWS; i += 1) table.set(table.take(), 3, i);
  journal.end();
  for (let row = 2; row <= ROWS; row += 1) table.give(row);
  journal.begin();
  table.setKept(1, 2, 0);
  table.give(1);
  expect(table.rowEnd).toBe(ROWS + 1);

  const memory = bytes.newMemory();
  const again = new Table(memory, shape);
  memory.start();
  again.restore((row) => again.get(row, 2) !== 0);
  expect([again.rowCount, again.get(1, 2)]).toEqual([1, 1]);

  journal.end();
  expect(table.rowEnd).toBe(1);
});

test("a table with more rows than it can have is refused", () => {
  const bytes = newBytes();
  const before = bytes.newMemory();
  new Table(before, shape).set(0, 1, 3 * ROWS);
  before.start();
  expect(new Table(bytes.newMemory(), shape).restore(() => true)).toBe(false);
});
