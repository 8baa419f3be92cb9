/**
 * PageIndex: the pages of objects, by index. One hash over an object and `index >> 5` finds the
 * records and the leaf (entries.ts) of 32 neighbouring pages, the *group*.
 *
 *     bucket -> leaf of a group -> record -> record of another group -> ...
 *
 * A sparse page is a record. When the eighth page of a group is put, the group gets a leaf, which
 * takes in the records. When so many pages have left that six remain, they become records again.
 * So an index costs at most 60 bytes a page:
 *
 *     record and bucket    36          leaf and bucket   412 for 7 .. 32 pages: 59 .. 13 a page
 *
 * A page gets another number when it moves between record and leaf. That is done only while nobody
 * else knows the number: the page is here, and not under way to a holder or to the disk (PageOps).
 * Others stay where they are, and move when they are put again. With fifteen such records a group
 * gets a leaf all the same. That keeps its chain short, and still costs 60 bytes a page.
 *
 * It costs more only where pages leave a group and those that are left may not move: at most 412
 * bytes for each leaf with a remote page.
 *
 * Nothing moves while a walk is under way (walk.ts), which would miss pages that it has not seen.
 *
 * Invariants, checked by verify:
 *   1. An entry is in the hash under its object and group, and on its object's list.
 *   2. A group has at most one leaf, which has at least one page. No page is there twice.
 */
import { assert } from "../core/assert.ts";
import type { Memory } from "../core/memory.ts";
import type { Table } from "../core/table.ts";
import { Entries, type EntriesOptions, entryOf, hasSlot, isLeaf } from "./entries.ts";
import { groupHashOf, HashIndex } from "./hash-index.ts";
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

const GROUP_SHIFT = 5;
const SLOT = PAGES_PER_LEAF - 1;

/** A group gets a leaf when so many pages of it may be in there. */
const LEAF_PAGES_MIN = 8;
/** A leaf with no more pages than this goes. */
const LEAF_PAGES_LEFT = 6;
/** A group that has so many pages gets a leaf even if few of them may move. */
const GROUP_RECORDS_MAX = 16;

export class PageIndex {
  /** While this is set, no page gets another number. */
  isStill = false;
  private readonly objects: Table;
  private readonly ops: PageOps;
  private readonly entries: Entries;
  private readonly hash: HashIndex;
  private readonly pageCountMax: number;
  private count = 0;
  /** What `leafOf` has found: the records of the group. */
  private readonly group = new Int32Array(PAGES_PER_LEAF);
  private groupCount = 0;

  constructor(memory: Memory, objects: Table, ops: PageOps, options: EntriesOptions) {
    this.objects = objects;
    this.ops = ops;
    this.pageCountMax = options.pageCountMax;
    this.entries = new Entries(memory, options);
    this.hash = new HashIndex(memory, this.entries, (entry) => this.hashOf(entry));
  }

  get pageCount(): number {
    return this.count;
  }

  /** Bytes of all entries and buckets in use. */
  get usedBytes(): number {
    return this.entries.usedBytes + this.hash.usedBytes;
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

  /** The page of the object, or 0. */
  find(object: number, index: number): number {
    const { entries } = this;
    const indexWord = index | 0;
    const first = indexWord & ~SLOT;
    let entry = this.hash.headOf(groupHashOf(object, indexWord >> GROUP_SHIFT));
    while (entry !== 0) {
      const wanted = isLeaf(entry) ? first : indexWord;
      if (entries.get(entry, ENTRY_INDEX) === wanted && this.isOf(entry, object)) {
        if (!isLeaf(entry)) return entry;
        if (hasSlot(entries.mask(entry), indexWord)) return entry | (indexWord & SLOT);
      }
      entry = entries.get(entry, 0);
    }
    return 0;
  }

  /**
   * Adds a page that is not there, with words of unspecified content. Others of its group may get
   * other numbers. @returns its number, or 0 when the index is full.
   */
  add(object: number, index: number): number {
    if (this.count >= this.pageCountMax) return 0;
    const indexWord = index | 0;
    const leaf = this.leafFor(object, indexWord, 1);
    const page = leaf === 0 ? this.newRecord(object, indexWord) : this.takeSlot(leaf, indexWord);
    if (page !== 0) this.count += 1;
    return page;
  }

  /**
   * The page is put again, and has no storage. If it is a record and its group has a leaf, it goes
   * there. @returns its number from now on.
   */
  putAgain(page: number): number {
    if (isLeaf(page) || this.isStill) return page;
    const index = this.indexOf(page);
    const leaf = this.leafFor(this.objectOf(page), index, 0);
    if (leaf === 0) return page;
    this.removeRecord(page);
    return this.takeSlot(leaf, index);
  }

  /** Removes the page. With `mayMove` others of its group may get other numbers. */
  remove(page: number, mayMove: boolean): void {
    this.count -= 1;
    if (!isLeaf(page)) return this.removeRecord(page);
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

  close(): void {
    this.entries.close();
    this.hash.close();
  }

  /** Checks the entries of the object and calls `visit` with its pages. @returns how many. */
  verify(object: number, visit: (page: number) => void): number {
    const { entries } = this;
    let count = 0;
    let prev = 0;
    for (let entry = this.objects.get(object, OBJECT_FIRST); entry !== 0; ) {
      assert(this.isOf(entry, object), "object of an entry");
      assert(entries.get(entry, ENTRY_PREV) === prev, "link back");
      if (isLeaf(entry)) {
        assert(entries.mask(entry) !== 0, "leaf without pages");
        assert((entries.get(entry, ENTRY_INDEX) & SLOT) === 0, "first index of a leaf");
        const leaf = this.leafOf(object, entries.get(entry, ENTRY_INDEX));
        assert(leaf === entry, "leaf is not in its hash chain, or its group has two");
      }
      prev = entry;
      entry = entries.get(entry, ENTRY_NEXT);
    }
    for (let page = this.first(object); page !== 0; page = this.next(page)) {
      assert(this.isTaken(page), "page without a record or slot");
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
    assert(count === this.count, "pages in records and slots");
  }

  private isOf(entry: number, object: number): boolean {
    return this.entries.get(entry, ENTRY_OBJECT) === object;
  }

  private hashOf(entry: number): number {
    const { entries } = this;
    const group = entries.get(entry, ENTRY_INDEX) >> GROUP_SHIFT;
    return groupHashOf(entries.get(entry, ENTRY_OBJECT), group);
  }

  /** The first page of the entry. */
  private firstOf(entry: number): number {
    return entry !== 0 && isLeaf(entry) ? entry | lowest(this.entries.mask(entry)) : entry;
  }

  // Leaves.

  /** The leaf of the group, or 0. If it is 0, `group` has the records. */
  private leafOf(object: number, index: number): number {
    const { entries, group } = this;
    const first = index & ~SLOT;
    let count = 0;
    let entry = this.hash.headOf(groupHashOf(object, index >> GROUP_SHIFT));
    while (entry !== 0) {
      if ((entries.get(entry, ENTRY_INDEX) & ~SLOT) === first && this.isOf(entry, object)) {
        if (isLeaf(entry)) return entry;
        group[count] = entry;
        count += 1;
      }
      entry = entries.get(entry, 0);
    }
    this.groupCount = count;
    return 0;
  }

  /**
   * The leaf of the group, to which `added` new pages are added. If it has none and a leaf is worth
   * it, it gets one, which takes in the records that may move. 0: the page is to be a record.
   */
  private leafFor(object: number, index: number, added: number): number {
    const leaf = this.leafOf(object, index);
    if (leaf !== 0 || this.isStill || this.groupCount + added < LEAF_PAGES_MIN) return leaf;
    const { entries, ops, group, groupCount } = this;
    let movable = 0;
    for (let i = 0; i < groupCount; i += 1) {
      const record = group[i] ?? 0;
      if (!ops.mayRenumber(record)) continue;
      group[movable] = record;
      movable += 1;
    }
    // The page itself has no storage yet, so it is not among them.
    const isWorthIt = movable + 1 >= LEAF_PAGES_MIN || groupCount + added >= GROUP_RECORDS_MAX;
    const made = isWorthIt ? entries.takeLeaf() : 0;
    if (made === 0) return 0;
    entries.setMask(made, 0);
    this.link(made, object, index & ~SLOT);
    for (let i = 0; i < movable; i += 1) {
      const record = group[i] ?? 0;
      const page = this.takeSlot(made, entries.get(record, ENTRY_INDEX));
      this.copyWords(record, page);
      this.removeRecord(record);
      ops.renumbered(page);
    }
    return made;
  }

  /** The pages of the leaf become records, if all may. */
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
      const record = this.newRecord(object, this.indexOf(page));
      if (record === 0) return;
      this.copyWords(page, record);
      this.freeSlot(leaf, page);
      ops.renumbered(record);
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
    this.unlink(leaf);
    this.entries.giveLeaf(leaf);
  }

  private newRecord(object: number, index: number): number {
    const record = this.entries.takeRecord();
    if (record !== 0) this.link(record, object, index);
    return record;
  }

  private removeRecord(record: number): void {
    this.unlink(record);
    this.entries.giveRecord(record);
  }

  private copyWords(from: number, to: number): void {
    const { entries } = this;
    for (let word = 0; word < WORDS_PER_PAGE; word += 1) {
      entries.setPageWord(to, word, entries.pageWord(from, word));
    }
  }

  /** Puts a new entry in the hash and on the list of its object. */
  private link(entry: number, object: number, index: number): void {
    const { entries, objects } = this;
    const first = objects.get(object, OBJECT_FIRST);
    entries.set(entry, ENTRY_OBJECT, object);
    entries.set(entry, ENTRY_INDEX, index);
    entries.set(entry, ENTRY_PREV, 0);
    entries.set(entry, ENTRY_NEXT, first);
    if (first !== 0) entries.set(first, ENTRY_PREV, entry);
    objects.set(object, OBJECT_FIRST, entry);
    this.hash.insert(entry, groupHashOf(object, index >> GROUP_SHIFT));
  }

  private unlink(entry: number): void {
    const { entries, objects } = this;
    const prev = entries.get(entry, ENTRY_PREV);
    const next = entries.get(entry, ENTRY_NEXT);
    if (prev === 0) objects.set(entries.get(entry, ENTRY_OBJECT), OBJECT_FIRST, next);
    else entries.set(prev, ENTRY_NEXT, next);
    if (next !== 0) entries.set(next, ENTRY_PREV, prev);
    this.hash.remove(entry, this.hashOf(entry));
  }
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
