import { expect, test } from "bun:test";
import { PAGES_PER_NODE_MAX } from "../core/limits.ts";
import {
  LEAF_BIT,
  numberOfLeaf,
  numberOfSingle,
  pageNumbersOf,
  positionOf,
} from "./page-numbers.ts";

test("singles and slots of leaves never share a number, and all are below the bound", () => {
  const pageCountMax = 5000;
  const seen = new Set<number>();
  for (let row = 1; row <= pageCountMax; row += 1) {
    const number = numberOfSingle(row);
    expect([number & LEAF_BIT, positionOf(number)]).toEqual([0, row]);
    seen.add(number);
  }
  const leafCount = Math.ceil(pageCountMax / 32);
  for (let row = 1; row <= leafCount; row += 1) {
    for (let slot = 0; slot < 32; slot += 1) {
      const number = numberOfLeaf(row) | slot;
      expect([number & LEAF_BIT, positionOf(number)]).toEqual([LEAF_BIT, row * 32 + slot]);
      seen.add(number);
    }
  }
  expect(seen.size).toBe(pageCountMax + leafCount * 32);
  const { max, pinnedMax } = pageNumbersOf({ pageCountMax });
  expect([Math.max(...seen), pinnedMax]).toEqual([max, 0]);
});

test("a table with four words for each number of the largest index fits in one region", () => {
  const { max } = pageNumbersOf({ pageCountMax: PAGES_PER_NODE_MAX });
  expect((max + 1) * 16).toBeLessThanOrEqual(2 ** 31);
});
