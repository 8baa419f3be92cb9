/**
 * Page numbers: what the rest of a node calls a page of the index. Tables of other folders have a
 * row for each number.
 *
 *     bits 0-9    place in the run         row of a single, or row of a leaf and slot:
 *     bit  10     set: in a leaf              position >> 10, position & 1023
 *     bits 11-26  number of the run        position in a leaf: row * 32 + slot
 *
 * So runs of 1024 numbers are singles and slots of leaves in turn. Both kinds count from the start,
 * and the low numbers are the ones in use. A run fills whole frames in a table of single words.
 *
 * The number of a page may change while nobody outside tmem and placement knows it: see
 * page-index.ts.
 */
import { assert } from "../core/assert.ts";
import { PAGES_PER_NODE_MAX } from "../core/limits.ts";
import { PAGES_PER_LEAF } from "./rows.ts";

const RUN_BITS = 10;
const RUN = 1 << RUN_BITS;
/** Set in the numbers of pages in leaves, and in those of leaves. */
export const LEAF_BIT = RUN;

assert(highest(PAGES_PER_NODE_MAX) < 2 ** 27);

/** The row of a single, or the position in the leaves. */
export function positionOf(number: number): number {
  return ((number >>> (RUN_BITS + 1)) << RUN_BITS) | (number & (RUN - 1));
}

export function numberOfSingle(row: number): number {
  return ((row >>> RUN_BITS) << (RUN_BITS + 1)) | (row & (RUN - 1));
}

/** The number of the page in slot 0, which is that of the leaf. */
export function numberOfLeaf(row: number): number {
  return numberOfSingle(row * PAGES_PER_LEAF) | LEAF_BIT;
}

/** How many leaves there may be beside singles for `pageCount` pages. */
export function leavesFor(pageCount: number): number {
  return Math.ceil(pageCount / PAGES_PER_LEAF);
}

/** The bounds of page numbers, for tables with a row for each. */
export interface PageNumbers {
  readonly max: number;
  /** The highest number among so many pages as are pinned. 0: none is. */
  readonly pinnedMax: number;
}

export function pageNumbersOf(options: {
  readonly pageCountMax: number;
  readonly pinnedPages?: number;
}): PageNumbers {
  return { max: highest(options.pageCountMax), pinnedMax: highest(options.pinnedPages ?? 0) };
}

/** The highest number in an index of so many pages. */
function highest(pageCount: number): number {
  return pageCount === 0 ? 0 : numberOfLeaf(leavesFor(pageCount)) + PAGES_PER_LEAF - 1;
}

/** The first number of the next run. */
export function nextRun(number: number): number {
  return (number | (RUN - 1)) + 1;
}
