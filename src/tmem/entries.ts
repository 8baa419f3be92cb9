/**
 * Entries: the rows of an object's pages, by number (page-numbers.ts). A *record* is one page. A
 * *leaf* has a slot for each of 32 neighbouring pages, and takes 13 bytes a page when it is full,
 * where a record takes 32 (rows.ts).
 *
 * The number of a leaf is that of its first slot. `get` and `set` are for the words that every
 * entry has; `pageWord` and `setPageWord` are for those of one page, in whichever kind of entry it
 * is.
 *
 * Not here: which pages are in leaves, and the hash (page-index.ts).
 */
import type { Memory } from "../core/memory.ts";
import { Table } from "../core/table.ts";
import type { Links } from "./hash-index.ts";
import {
  isRunStart,
  LEAF_BIT,
  leavesFor,
  nextRun,
  numberOfLeaf,
  numberOfRecord,
  positionOf,
} from "./page-numbers.ts";
import {
  ENTRY_OBJECT,
  LEAF_MASK,
  LEAF_PAGES,
  PAGES_PER_LEAF,
  RECORD_PAGE,
  WORDS_PER_LEAF,
  WORDS_PER_PAGE,
  WORDS_PER_RECORD,
} from "./rows.ts";

const SLOT = PAGES_PER_LEAF - 1;

export interface EntriesOptions {
  pageCountMax: number;
  /**
   * Entries of this many pages are pinned (core/memory.ts): a record for each of them, and as many
   * leaves as they fill. Then there are no other leaves.
   */
  pinnedPages?: number;
}

export class Entries implements Links {
  private readonly records: Table;
  private readonly leaves: Table;

  constructor(memory: Memory, { pageCountMax, pinnedPages = 0 }: EntriesOptions) {
    const leafCount = leavesFor(pinnedPages > 0 ? pinnedPages : pageCountMax);
    this.records = new Table(memory, {
      rowCountMax: pageCountMax,
      wordsPerRow: WORDS_PER_RECORD,
      pinnedRows: pinnedPages,
    });
    this.leaves = new Table(memory, {
      rowCountMax: leafCount,
      wordsPerRow: WORDS_PER_LEAF,
      pinnedRows: pinnedPages > 0 ? leafCount : 0,
    });
  }

  get rowCountMax(): number {
    return this.records.rowCountMax + this.leaves.rowCountMax;
  }

  get pinnedRows(): number {
    return this.records.pinnedRows + this.leaves.pinnedRows;
  }

  get usedBytes(): number {
    return this.records.usedBytes + this.leaves.usedBytes;
  }

  /** One past the highest number in use: the bound of a scan with `after`. */
  get end(): number {
    const { rowEnd } = this.leaves;
    const leavesEnd = rowEnd === 1 ? 1 : numberOfLeaf(rowEnd - 1) + PAGES_PER_LEAF;
    return Math.max(numberOfRecord(this.records.rowEnd - 1) + 1, leavesEnd);
  }

  /** The next number that may be that of a page. Skips what was never used. */
  after(number: number): number {
    const next = number + 1;
    if (!isRunStart(next)) return next;
    const isUsed =
      (next & LEAF_BIT) === 0
        ? positionOf(next) < this.records.rowEnd
        : positionOf(next) < this.leaves.rowEnd * PAGES_PER_LEAF;
    return isUsed ? next : nextRun(next);
  }

  /** @returns the number of a new record of unspecified content, or 0. */
  takeRecord(): number {
    return numberOfRecord(this.records.take());
  }

  /** @returns the number of a new leaf of unspecified content, or 0. */
  takeLeaf(): number {
    const row = this.leaves.take();
    return row === 0 ? 0 : numberOfLeaf(row);
  }

  giveRecord(record: number): void {
    this.set(record, ENTRY_OBJECT, 0);
    this.records.give(positionOf(record));
  }

  /** Gives an empty leaf. */
  giveLeaf(leaf: number): void {
    this.set(leaf, ENTRY_OBJECT, 0);
    this.leaves.give(leafRow(leaf));
  }

  /** A word that both kinds of entry have. */
  get(entry: number, word: number): number {
    if ((entry & LEAF_BIT) === 0) return this.records.get(positionOf(entry), word);
    return this.leaves.get(leafRow(entry), word);
  }

  set(entry: number, word: number, value: number): void {
    if ((entry & LEAF_BIT) === 0) this.records.set(positionOf(entry), word, value);
    else this.leaves.set(leafRow(entry), word, value);
  }

  pageWord(page: number, word: number): number {
    if ((page & LEAF_BIT) === 0) return this.records.get(positionOf(page), RECORD_PAGE + word);
    return this.leaves.get(leafRow(page), slotWord(page) + word);
  }

  setPageWord(page: number, word: number, value: number): void {
    if ((page & LEAF_BIT) === 0) this.records.set(positionOf(page), RECORD_PAGE + word, value);
    else this.leaves.set(leafRow(page), slotWord(page) + word, value);
  }

  /** Whether the number is that of a page. */
  isTaken(number: number): boolean {
    const position = positionOf(number);
    if ((number & LEAF_BIT) === 0) {
      return position < this.records.rowEnd && this.records.get(position, ENTRY_OBJECT) !== 0;
    }
    return position < this.leaves.rowEnd * PAGES_PER_LEAF && hasSlot(this.mask(number), number);
  }

  mask(leaf: number): number {
    return this.leaves.get(leafRow(leaf), LEAF_MASK);
  }

  setMask(leaf: number, mask: number): void {
    this.leaves.set(leafRow(leaf), LEAF_MASK, mask);
  }

  close(): void {
    this.records.close();
    this.leaves.close();
  }
}

/** The entry that the page is in. */
export function entryOf(page: number): number {
  return (page & LEAF_BIT) === 0 ? page : page & ~SLOT;
}

export function isLeaf(entry: number): boolean {
  return (entry & LEAF_BIT) !== 0;
}

/** Whether the slot of that number, or of that index, has a page. */
export function hasSlot(mask: number, number: number): boolean {
  return ((mask >>> (number & SLOT)) & 1) !== 0;
}

function leafRow(number: number): number {
  return positionOf(number) >>> 5;
}

function slotWord(page: number): number {
  return LEAF_PAGES + (page & SLOT) * WORDS_PER_PAGE;
}
