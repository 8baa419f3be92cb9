import { expect, test } from "bun:test";
import { openMemory } from "../memory/open-memory.ts";
import { TABLE_GROW_BYTES } from "./limits.ts";
import { RowList } from "./list.ts";
import { Table } from "./table.ts";

test("Table.take() hands out each row once, then 0, and reuses what was given back", () => {
  const table = new Table(openMemory(), { rowCountMax: 3, wordsPerRow: 2 });
  expect([table.take(), table.take(), table.take(), table.take()]).toEqual([1, 2, 3, 0]);
  table.give(2);
  expect(table.take()).toBe(2);
  expect(table.rowCount).toBe(3);
});

test("a table for which there is no more memory is full until there is", () => {
  const [row, rowCountMax] = [1024, 2 * (TABLE_GROW_BYTES / 1024)];
  let isShort = false;
  const memory = openMemory();
  const table = new Table(
    {
      journal: null,
      copy: () => {},
      reserve: (byteCount, options) => {
        const region = memory.reserve(byteCount, options);
        const grow = region.grow.bind(region);
        region.grow = (bytes) => !isShort && grow(bytes);
        return region;
      },
    },
    { rowCountMax, wordsPerRow: row / 4 },
  );
  isShort = true;
  let taken = 0;
  while (table.take() !== 0) taken += 1;
  expect(taken).toBeGreaterThan(TABLE_GROW_BYTES / row - 2);
  expect(taken).toBeLessThan(rowCountMax);
  table.give(taken);
  expect([table.take(), table.take()]).toEqual([taken, 0]);
  isShort = false;
  const next = table.take();
  expect(next).toBe(taken + 1);
  table.set(next, row / 4 - 1, 5);
  while (table.take() !== 0) taken += 1;
  expect(table.rowCount).toBe(rowCountMax);
  table.set(rowCountMax, row / 4 - 1, 5);
  table.close();
});

test("a large table that is emptied starts over with zeros", () => {
  const table = new Table(openMemory(), { rowCountMax: 100_000, wordsPerRow: 4 });
  for (let row = 1; row <= 100_000; row += 1) table.set(table.take(), 3, row);
  for (let row = 1; row <= 100_000; row += 1) table.give(row);
  expect(table.rowEnd).toBe(1);
  expect(table.take()).toBe(1);
  expect(table.get(1, 3)).toBe(0);
});

test("RowList keeps order under append, prepend and remove from any place", () => {
  const table = new Table(openMemory(), { rowCountMax: 10, wordsPerRow: 3 });
  const list = new RowList(table, { prev: 1, next: 2 });
  const rows = [table.take(), table.take(), table.take(), table.take()] as const;
  const order = (): number[] => {
    const seen: number[] = [];
    for (let row = list.head; row !== 0; row = list.next(row)) seen.push(row);
    return seen;
  };
  list.append(rows[0]);
  list.append(rows[1]);
  list.prepend(rows[2]);
  list.append(rows[3]);
  expect(order()).toEqual([3, 1, 2, 4]);
  list.remove(rows[1]);
  list.remove(rows[2]);
  list.remove(rows[3]);
  expect(order()).toEqual([1]);
  list.remove(rows[0]);
  expect([list.head, list.tail, list.count]).toEqual([0, 0, 0]);
});
