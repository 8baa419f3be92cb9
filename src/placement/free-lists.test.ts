import { expect, test } from "bun:test";
import { below, SeededRandom } from "../core/random.ts";
import { Rows } from "../core/table.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { FreeLists } from "./free-lists.ts";

const ROWS = 500;
const BYTES_MAX = 16_384;

function classOf(bytes: number): number {
  return Math.floor(bytes / 64);
}

function makeLists(): FreeLists {
  const rows = new Rows(new HeapMemory(), { rowCountMax: ROWS, wordsPerRow: 2 });
  return new FreeLists(rows, { prev: 0, next: 1 }, BYTES_MAX);
}

test("the best fit has enough, and no row of a lower class would do", () => {
  const lists = makeLists();
  const random = new SeededRandom(1);
  const free = new Map<number, number>();
  for (let step = 0; step < 20_000; step += 1) {
    const row = 1 + below(random, ROWS);
    const had = free.get(row);
    if (had !== undefined) lists.remove(row, had);
    free.delete(row);
    if (below(random, 3) > 0) {
      const bytes = below(random, BYTES_MAX + 1);
      lists.insert(row, bytes);
      free.set(row, bytes);
    }
    if (step % 50 !== 0) continue;
    const wanted = 1 + below(random, BYTES_MAX);
    const found = lists.bestFit(wanted, (it) => (free.get(it) ?? 0) >= wanted);
    const enough = [...free.values()].filter((it) => it >= wanted + 64);
    if (found === 0) expect(enough).toEqual([]);
    else {
      const least = Math.min(BYTES_MAX, ...enough);
      expect(free.get(found)).toBeGreaterThanOrEqual(wanted);
      expect(free.get(found)).toBeLessThan(least + 64);
    }
    const most = Math.max(0, ...free.values());
    const emptiest = new Int32Array(3);
    const count = lists.emptiest(emptiest, 3, 0);
    expect(count).toBe(Math.min(3, free.size));
    const found3 = [...emptiest.subarray(0, count)].map((row) => free.get(row) ?? 0);
    const sorted = [...free.values()].sort((a, b) => b - a).slice(0, count);
    expect(found3.map(classOf)).toEqual(sorted.map(classOf));
    expect(classOf(Math.max(0, ...found3))).toBe(classOf(most));
    const bound = lists.classAt(wanted);
    const sum = [...free.values()].filter((it) => it >= bound).reduce((a, b) => a + b, 0);
    expect(lists.bytesFrom(bound)).toBe(sum);
  }
});

test("a row that was listed last is found first, even if it fits exactly", () => {
  const lists = makeLists();
  for (let row = 1; row <= 20; row += 1) lists.insert(row, 64);
  lists.insert(21, 100);
  expect(lists.bestFit(100, (row) => row === 21)).toBe(21);
});
