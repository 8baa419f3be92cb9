/**
 * PageIndex: the pages of objects, by index. Each is in a single, or in the leaf of its *group*,
 * 32 neighbouring pages (entries.ts).
 *
 *     put    the group has a leaf: into that. It has no leaf and this is the eighth page or a later
 *            one: it gets a leaf, which takes in the singles. Else it gets a single.
 *     remove six pages of a leaf are left: they get singles again
 *
 * So a page costs 36 bytes in a single, and 59 .. 13 in a leaf with 7 .. 32 pages. To count the
 * group at every put would be slow. It is counted when the pages next to the new one are there. So
 * the eighth page that is put in order makes a leaf. Without order it may be a later one.
 *
 * A page gets another number when it moves between single and leaf. That is done only while nobody
 * else knows the number: the page is here, and not under way to a holder or to the disk (PageOps).
 * Others stay where they are. One of those that is in a single moves when it is put again. A leaf
 * with one of them stays, even if it has one page and costs 412 bytes.
 *
 * Nothing moves while a walk is under way (walk.ts), which would miss pages that it has not seen.
 *
 * Invariants, checked by verify:
 *   1. An entry is in its hash under its object and index, and on its object's list.
 *   2. A group has at most one leaf, which has at least one page. No page is there twice.
 */
import { assert } from "../core/assert.ts";
import type { Memory } from "../core/memory.ts";
import type { Table } from "../core/table.ts";
import { Entries, type EntriesOptions, entryOf, hasSlot, isLeaf } from "./entries.ts";
import type { PageOps } from "./pamops.ts";
import {
  ENTRY_INDEX,
  ENTRY_NEXT,
  ENTRY_OBJECT,
  ENTRY_PREV,
  OBJECT_FIRST,
  PAGES_PER_LEAF,
  WORDS_PER_PAGE,
} from "./rows.ts";

const SLOT = PAGES_PER_LEAF - 1;

/** A group gets a leaf when so many pages of it may be in there. */
const LEAF_PAGES_MIN = 8;
/** A leaf with no more pages than this goes. */
const LEAF_PAGES_LEFT = 6;
/** A group is counted when the put fills four neighbours and so many of the next four are there. */
const NEXT_FOUR_MIN = 2;

export class PageIndex {
  /** While this is set, no page gets another number. */
  isStill = false;
  /** How many pages got another number so far. For scans that others may disturb. */
  moveCount = 0;
  private readonly objects: Table;
  private readonly ops: PageOps;
  private readonly entries: Entries;
  private readonly pageCountMax: number;
  private count = 0;
  /** The singles that may move into a new leaf. */
  private readonly movable = new Int32Array(PAGES_PER_LEAF);

  constructor(memory: Memory, objects: Table, ops: PageOps, options: EntriesOptions) {
    this.objects = objects;
    this.ops = ops;
    this.pageCountMax = options.pageCountMax;
    this.entries = new Entries(memory, options);
  }

  get pageCount(): number {
    return this.count;
  }

  /** Bytes of all entries and buckets in use. */
  get usedBytes(): number {
    return this.entries.usedBytes;
  }

  /** One past the highest page number in use. */
  get end(): number {
    return this.entries.end;
  }

  /** The next number that may be that of a page, for scans. */
  after(page: number): number {
    return this.entries.after(page);
  }

  isTaken(page: number): boolean {
    return this.entries.isTaken(page);
  }

  /** A word of the page: its version, or one of its pampd. */
  get(page: number, word: number): number {
    return this.entries.pageWord(page, word);
  }

  set(page: number, word: number, value: number): void {
    this.entries.setPageWord(page, word, value);
  }

  objectOf(page: number): number {
    return this.entries.get(entryOf(page), ENTRY_OBJECT);
  }

  /** The index of the page in its object, as a signed word. */
  indexOf(page: number): number {
    const index = this.entries.get(entryOf(page), ENTRY_INDEX);
    return isLeaf(page) ? index | (page & SLOT) : index;
  }

  /** The page of the object, or 0. Looks first where most pages are. */
  find(object: number, index: number): number {
    const { entries } = this;
    if (entries.areMostSingles) {
      return entries.findSingle(object, index | 0) || this.findInLeaf(object, index | 0);
    }
    return this.findInLeaf(object, index | 0) || entries.findSingle(object, index | 0);
  }

  private findInLeaf(object: number, index: number): number {
    const { entries } = this;
    const leaf = entries.findLeaf(object, index);
    return leaf !== 0 && hasSlot(entries.mask(leaf), index) ? leaf | (index & SLOT) : 0;
  }

  /**
   * Adds a page that is not there, with words of unspecified content. Others of its group may get
   * other numbers. @returns its number, or 0 when the index is full.
   */
  add(object: number, index: number): number {
    if (this.count >= this.pageCountMax) return 0;
    const indexWord = index | 0;
    const leaf = this.leafFor(object, indexWord);
    const page = leaf === 0 ? this.newSingle(object, indexWord) : this.takeSlot(leaf, indexWord);
    if (page !== 0) this.count += 1;
    return page;
  }

  /**
   * The page is put again, and has no storage. If it is in a single and its group has a leaf, it
   * goes there. @returns its number from now on.
   */
  putAgain(page: number): number {
    if (isLeaf(page) || this.isStill) return page;
    const index = this.indexOf(page);
    const leaf = this.leafFor(this.objectOf(page), index);
    if (leaf === 0) return page;
    this.removeSingle(page);
    return this.takeSlot(leaf, index);
  }

  /** Removes the page. With `mayMove` others of its group may get other numbers. */
  remove(page: number, mayMove: boolean): void {
    this.count -= 1;
    if (!isLeaf(page)) return this.removeSingle(page);
    const leaf = entryOf(page);
    this.freeSlot(leaf, page);
    const mask = this.entries.mask(leaf);
    if (mayMove && mask !== 0 && countOf(mask) <= LEAF_PAGES_LEFT) this.breakLeaf(leaf);
  }

  /** The object's first page, in the order of its list. 0: it has none. */
  first(object: number): number {
    return this.firstOf(this.objects.get(object, OBJECT_FIRST));
  }

  /** The page after this one. 0: it was the last one of its object. */
  next(page: number): number {
    if (isLeaf(page)) {
      const later = this.entries.mask(entryOf(page)) & (-2 << (page & SLOT));
      if (later !== 0 && (page & SLOT) !== SLOT) return entryOf(page) | lowest(later);
    }
    return this.firstOf(this.entries.get(entryOf(page), ENTRY_NEXT));
  }

  /**
   * Makes the index again from the entries of a predecessor. The objects are restored, and have no
   * pages. `isGood` is asked once for each page, whose words it may change.
   *
   * @returns false when that is not possible.
   */
  restore(isObject: (row: number) => boolean, isGood: (page: number) => boolean): boolean {
    const { entries } = this;
    const isRestored = entries.restore((entry) => {
      const object = entries.get(entry, ENTRY_OBJECT);
      if (!isObject(object) || !this.restoreEntry(entry, isGood)) return false;
      this.list(entry, object);
      return true;
    });
    return isRestored && this.count <= this.pageCountMax;
  }

  /** @returns whether a page of the entry is good. */
  private restoreEntry(entry: number, isGood: (page: number) => boolean): boolean {
    if (!isLeaf(entry)) {
      if (!isGood(entry)) return false;
      this.count += 1;
      return true;
    }
    const { entries } = this;
    let mask = entries.mask(entry);
    for (let left = mask; left !== 0; left &= left - 1) {
      if (isGood(entry | lowest(left))) this.count += 1;
      else mask &= ~(left & -left);
    }
    entries.setMask(entry, mask);
    return mask !== 0;
  }

  close(): void {
    this.entries.close();
  }

  /** Checks the entries of the object and calls `visit` with its pages. @returns how many. */
  verify(object: number, visit: (page: number) => void): number {
    const { entries } = this;
    let count = 0;
    let prev = 0;
    for (let entry = this.objects.get(object, OBJECT_FIRST); entry !== 0; ) {
      assert(entries.get(entry, ENTRY_OBJECT) === object, "object of an entry");
      assert(entries.get(entry, ENTRY_PREV) === prev, "link back");
      if (isLeaf(entry)) {
        assert(entries.mask(entry) !== 0, "leaf without pages");
        assert((entries.get(entry, ENTRY_INDEX) & SLOT) === 0, "first index of a leaf");
        const leaf = entries.findLeaf(object, entries.get(entry, ENTRY_INDEX));
        assert(leaf === entry, "leaf is not in its hash chain, or its group has two");
      }
      prev = entry;
      entry = entries.get(entry, ENTRY_NEXT);
    }
    for (let page = this.first(object); page !== 0; page = this.next(page)) {
      assert(this.isTaken(page), "page without a single or slot");
      const found = this.find(object, this.indexOf(page));
      assert(found === page, "page is not in its hash chain, or twice");
      visit(page);
      count += 1;
      assert(count <= this.count, "list of an object is longer than all pages");
    }
    return count;
  }

  /** Checks that the numbers in use are those of `pageCount` pages. */
  verifyCount(): void {
    let count = 0;
    for (let page = this.after(0); page < this.end; page = this.after(page)) {
      if (this.isTaken(page)) count += 1;
    }
    assert(count === this.count, "pages in singles and slots");
  }

  /** The first page of the entry. */
  private firstOf(entry: number): number {
    return entry !== 0 && isLeaf(entry) ? entry | lowest(this.entries.mask(entry)) : entry;
  }

  // Leaves.

  /** The leaf for a page that is put, or 0: it gets a single. */
  private leafFor(object: number, index: number): number {
    const { entries } = this;
    const leaf = entries.findLeaf(object, index);
    if (leaf !== 0 || this.isStill || !isAtEndOfFour(index)) return leaf;
    for (let bits = 1; bits < 4; bits += 1) {
      if (entries.findSingle(object, index ^ bits) === 0) return 0;
    }
    let count = 0;
    for (let bits = 4; bits < 8; bits += 1) {
      if (entries.findSingle(object, index ^ bits) !== 0) count += 1;
    }
    return count < NEXT_FOUR_MIN ? 0 : this.makeLeaf(object, index);
  }

  /** Makes a leaf if the group has enough pages for it. The page itself has no storage yet. */
  private makeLeaf(object: number, index: number): number {
    const { entries, ops, movable } = this;
    let count = 0;
    for (let slot = 0; slot < PAGES_PER_LEAF; slot += 1) {
      const single = entries.findSingle(object, (index & ~SLOT) | slot);
      if (single === 0 || !ops.mayRenumber(single)) continue;
      movable[count] = single;
      count += 1;
    }
    const leaf = count + 1 < LEAF_PAGES_MIN ? 0 : entries.newLeaf(object, index);
    if (leaf === 0) return 0;
    this.list(leaf, object);
    for (let i = 0; i < count; i += 1) {
      const single = movable[i] ?? 0;
      const page = this.takeSlot(leaf, entries.get(single, ENTRY_INDEX));
      this.copyWords(single, page);
      this.removeSingle(single);
      ops.renumbered(page);
      this.moveCount += 1;
    }
    return leaf;
  }

  /** The pages of the leaf move to singles, if all may. */
  private breakLeaf(leaf: number): void {
    const { entries, ops } = this;
    if (this.isStill) return;
    const mask = entries.mask(leaf);
    for (let left = mask; left !== 0; left &= left - 1) {
      if (!ops.mayRenumber(leaf | lowest(left))) return;
    }
    const object = entries.get(leaf, ENTRY_OBJECT);
    for (let left = mask; left !== 0; left &= left - 1) {
      const page = leaf | lowest(left);
      const single = this.newSingle(object, this.indexOf(page));
      if (single === 0) return;
      this.copyWords(page, single);
      this.freeSlot(leaf, page);
      ops.renumbered(single);
      this.moveCount += 1;
    }
  }

  private takeSlot(leaf: number, index: number): number {
    const slot = index & SLOT;
    this.entries.setMask(leaf, this.entries.mask(leaf) | (1 << slot));
    return leaf | slot;
  }

  /** Frees the slot of the page, and the leaf with the last one. */
  private freeSlot(leaf: number, page: number): void {
    const mask = this.entries.mask(leaf) & ~(1 << (page & SLOT));
    this.entries.setMask(leaf, mask);
    if (mask !== 0) return;
    this.unlist(leaf);
    this.entries.giveLeaf(leaf);
  }

  private newSingle(object: number, index: number): number {
    const single = this.entries.newSingle(object, index);
    if (single !== 0) this.list(single, object);
    return single;
  }

  private removeSingle(single: number): void {
    this.unlist(single);
    this.entries.giveSingle(single);
  }

  private copyWords(from: number, to: number): void {
    const { entries } = this;
    for (let word = 0; word < WORDS_PER_PAGE; word += 1) {
      entries.setPageWord(to, word, entries.pageWord(from, word));
    }
  }

  /** Puts an entry on the list of its object. */
  private list(entry: number, object: number): void {
    const { entries, objects } = this;
    const first = objects.get(object, OBJECT_FIRST);
    entries.set(entry, ENTRY_PREV, 0);
    entries.set(entry, ENTRY_NEXT, first);
    if (first !== 0) entries.set(first, ENTRY_PREV, entry);
    objects.set(object, OBJECT_FIRST, entry);
  }

  private unlist(entry: number): void {
    const { entries, objects } = this;
    const prev = entries.get(entry, ENTRY_PREV);
    const next = entries.get(entry, ENTRY_NEXT);
    if (prev === 0) objects.set(entries.get(entry, ENTRY_OBJECT), OBJECT_FIRST, next);
    else entries.set(prev, ENTRY_NEXT, next);
    if (next !== 0) entries.set(next, ENTRY_PREV, prev);
  }
}

/** Whether the page is the first or the last of four neighbours, as they are put in order. */
function isAtEndOfFour(index: number): boolean {
  return ((index + 1) & 2) === 0;
}

/** The number of the lowest bit that is set. */
function lowest(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}

/** How many bits are set. */
function countOf(mask: number): number {
  let count = 0;
  for (let left = mask; left !== 0; left &= left - 1) count += 1;
  return count;
}
