/**
 * Entries: the rows of an object's pages, by number (page-numbers.ts), and how they are found. A
 * *single* is a row with the record of one page. A *leaf* is a row with a slot for each of 32
 * neighbouring pages (rows.ts). The record of a page is in one or the other.
 *
 *     hash over object and index          -> single      32 bytes and a bucket for a page
 *     hash over object and index >> 5     -> leaf        408 bytes and a bucket for 1 .. 32 pages
 *
 * The number of a leaf is that of its first slot. `get` and `set` are for the words that every
 * entry has; `pageWord` and `setPageWord` are for those of one page, in whichever kind of entry it
 * is.
 *
 * Not here: which pages are in leaves, and the lists of objects (page-index.ts).
 */
import type { Memory } from "../core/memory.ts";
import { Table } from "../core/table.ts";
import { HashIndex, leafHashOf, pageHashOf } from "./hash-index.ts";
import {
  LEAF_BIT,
  leavesFor,
  nextRun,
  numberOfLeaf,
  numberOfSingle,
  positionOf,
} from "./page-numbers.ts";
import {
  ENTRY_INDEX,
  ENTRY_OBJECT,
  LEAF_MASK,
  LEAF_PAGES,
  PAGES_PER_LEAF,
  SINGLE_PAGE,
  WORDS_PER_LEAF,
  WORDS_PER_PAGE,
  WORDS_PER_SINGLE,
} from "./rows.ts";

const SLOT = PAGES_PER_LEAF - 1;
const LEAF_SHIFT = Math.log2(PAGES_PER_LEAF);

export interface EntriesOptions {
  pageCountMax: number;
  /**
   * Entries of this many pages are pinned (core/memory.ts): a single for each of them, and as many
   * leaves as they fill. Then there are no other leaves.
   */
  pinnedPages?: number;
}

export class Entries {
  private readonly singles: Table;
  private readonly leaves: Table;
  private readonly singleHash: HashIndex;
  private readonly leafHash: HashIndex;
  /** The leaf that was found last. A neighbour is often next. */
  private lastLeaf = 0;

  constructor(memory: Memory, { pageCountMax, pinnedPages = 0 }: EntriesOptions) {
    const leafCount = leavesFor(pinnedPages > 0 ? pinnedPages : pageCountMax);
    this.singles = new Table(memory, {
      rowCountMax: pageCountMax,
      wordsPerRow: WORDS_PER_SINGLE,
      pinnedRows: pinnedPages,
      name: "singles",
    });
    this.leaves = new Table(memory, {
      rowCountMax: leafCount,
      wordsPerRow: WORDS_PER_LEAF,
      pinnedRows: pinnedPages > 0 ? leafCount : 0,
      name: "leaves",
    });
    this.singleHash = new HashIndex(memory, this.singles, (row) => hashOfSingle(this.singles, row));
    this.leafHash = new HashIndex(memory, this.leaves, (row) => hashOfLeaf(this.leaves, row));
  }

  /** Bytes of rows and buckets in use. */
  get usedBytes(): number {
    const { singles, leaves, singleHash, leafHash } = this;
    return singles.usedBytes + leaves.usedBytes + singleHash.usedBytes + leafHash.usedBytes;
  }

  /** Whether more pages are singles than are in leaves, if these are half full. */
  get areMostSingles(): boolean {
    return this.singles.rowCount > (this.leaves.rowCount * PAGES_PER_LEAF) / 2;
  }

  /** One past the highest number in use: the bound of a scan with `after`. */
  get end(): number {
    const { rowEnd } = this.leaves;
    const leavesEnd = rowEnd === 1 ? 1 : numberOfLeaf(rowEnd - 1) + PAGES_PER_LEAF;
    return Math.max(numberOfSingle(this.singles.rowEnd - 1) + 1, leavesEnd);
  }

  /** The next number that may be that of a page. Skips what was never used. */
  after(number: number): number {
    const next = number + 1;
    const { rowEnd } = (next & LEAF_BIT) === 0 ? this.singles : this.leaves;
    const end = (next & LEAF_BIT) === 0 ? rowEnd : rowEnd * PAGES_PER_LEAF;
    return positionOf(next) < end ? next : nextRun(next);
  }

  /** The single that the page is in, or 0. */
  findSingle(object: number, index: number): number {
    const { singles } = this;
    let row = this.singleHash.headOf(pageHashOf(object, index));
    while (row !== 0) {
      if (singles.get(row, ENTRY_INDEX) === index && singles.get(row, ENTRY_OBJECT) === object) {
        return numberOfSingle(row);
      }
      row = singles.get(row, 0);
    }
    return 0;
  }

  /** The leaf for the page, or 0. */
  findLeaf(object: number, index: number): number {
    const first = index & ~SLOT;
    const { lastLeaf } = this;
    if (lastLeaf !== 0 && this.isLeafOf(lastLeaf, object, first)) return numberOfLeaf(lastLeaf);
    let row = this.leafHash.headOf(leafHashOf(object, index));
    while (row !== 0) {
      if (this.isLeafOf(row, object, first)) {
        this.lastLeaf = row;
        return numberOfLeaf(row);
      }
      row = this.leaves.get(row, 0);
    }
    return 0;
  }

  private isLeafOf(row: number, object: number, first: number): boolean {
    const { leaves } = this;
    return leaves.get(row, ENTRY_INDEX) === first && leaves.get(row, ENTRY_OBJECT) === object;
  }

  /** @returns the number of a new single, on no list yet. 0: there is no room. */
  newSingle(object: number, index: number): number {
    const row = this.singles.take();
    if (row === 0) return 0;
    this.singles.setKept(row, ENTRY_OBJECT, object);
    this.singles.setKept(row, ENTRY_INDEX, index);
    this.singleHash.insert(row, pageHashOf(object, index));
    return numberOfSingle(row);
  }

  /** @returns the number of a new leaf for the page, empty and on no list yet. 0: no room. */
  newLeaf(object: number, index: number): number {
    const row = this.leaves.take();
    if (row === 0) return 0;
    this.leaves.setKept(row, ENTRY_OBJECT, object);
    this.leaves.setKept(row, ENTRY_INDEX, index & ~SLOT);
    this.leaves.setKept(row, LEAF_MASK, 0);
    this.leafHash.insert(row, leafHashOf(object, index));
    return numberOfLeaf(row);
  }

  giveSingle(single: number): void {
    const { singles } = this;
    const row = positionOf(single);
    this.singleHash.remove(row, hashOfSingle(singles, row));
    singles.setKept(row, ENTRY_OBJECT, 0);
    singles.give(row);
  }

  /** Gives an empty leaf. */
  giveLeaf(leaf: number): void {
    const { leaves } = this;
    const row = leafRow(leaf);
    this.leafHash.remove(row, hashOfLeaf(leaves, row));
    leaves.setKept(row, ENTRY_OBJECT, 0);
    leaves.give(row);
  }

  /** A word that both kinds of entry have. */
  get(entry: number, word: number): number {
    if ((entry & LEAF_BIT) === 0) return this.singles.get(positionOf(entry), word);
    return this.leaves.get(leafRow(entry), word);
  }

  /** Sets a link: a successor makes them again. */
  set(entry: number, word: number, value: number): void {
    if ((entry & LEAF_BIT) === 0) this.singles.set(positionOf(entry), word, value);
    else this.leaves.set(leafRow(entry), word, value);
  }

  pageWord(page: number, word: number): number {
    if ((page & LEAF_BIT) === 0) return this.singles.get(positionOf(page), SINGLE_PAGE + word);
    return this.leaves.get(leafRow(page), slotWord(page) + word);
  }

  setPageWord(page: number, word: number, value: number): void {
    if ((page & LEAF_BIT) === 0) this.singles.setKept(positionOf(page), SINGLE_PAGE + word, value);
    else this.leaves.setKept(leafRow(page), slotWord(page) + word, value);
  }

  /** Whether the number is that of a page. */
  isTaken(number: number): boolean {
    const position = positionOf(number);
    if ((number & LEAF_BIT) === 0) {
      return position < this.singles.rowEnd && this.singles.get(position, ENTRY_OBJECT) !== 0;
    }
    return position < this.leaves.rowEnd * PAGES_PER_LEAF && hasSlot(this.mask(number), number);
  }

  mask(leaf: number): number {
    return this.leaves.get(leafRow(leaf), LEAF_MASK);
  }

  setMask(leaf: number, mask: number): void {
    this.leaves.setKept(leafRow(leaf), LEAF_MASK, mask);
  }

  /**
   * Makes tables and hashes again from the rows of a predecessor. `isGood` is asked once for each
   * entry, and puts it on its list. A bad one is dropped: its object or index cannot be right, or
   * another entry has its pages.
   *
   * @returns false when that is not possible.
   */
  restore(isGood: (entry: number) => boolean): boolean {
    const { singles, leaves } = this;
    const isRestored = leaves.restore((row) => {
      const object = leaves.get(row, ENTRY_OBJECT);
      if (object === 0) return false;
      const index = leaves.get(row, ENTRY_INDEX);
      const isRight = (index & SLOT) === 0 && leaves.get(row, LEAF_MASK) !== 0;
      if (isRight && this.findLeaf(object, index) === 0 && isGood(numberOfLeaf(row))) {
        this.leafHash.insert(row, hashOfLeaf(leaves, row));
        return true;
      }
      leaves.set(row, ENTRY_OBJECT, 0);
      leaves.set(row, LEAF_MASK, 0);
      return false;
    });
    return (
      isRestored &&
      singles.restore((row) => {
        const object = singles.get(row, ENTRY_OBJECT);
        if (object === 0) return false;
        const index = singles.get(row, ENTRY_INDEX);
        const leaf = this.findLeaf(object, index);
        const isTaken = leaf !== 0 && hasSlot(this.mask(leaf), index);
        if (!isTaken && this.findSingle(object, index) === 0 && isGood(numberOfSingle(row))) {
          this.singleHash.insert(row, hashOfSingle(singles, row));
          return true;
        }
        singles.set(row, ENTRY_OBJECT, 0);
        return false;
      })
    );
  }

  close(): void {
    this.singles.close();
    this.leaves.close();
    this.singleHash.close();
    this.leafHash.close();
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

function hashOfSingle(singles: Table, row: number): number {
  return pageHashOf(singles.get(row, ENTRY_OBJECT), singles.get(row, ENTRY_INDEX));
}

function hashOfLeaf(leaves: Table, row: number): number {
  return leafHashOf(leaves.get(row, ENTRY_OBJECT), leaves.get(row, ENTRY_INDEX));
}

function leafRow(number: number): number {
  return positionOf(number) >>> LEAF_SHIFT;
}

function slotWord(page: number): number {
  return LEAF_PAGES + (page & SLOT) * WORDS_PER_PAGE;
}
