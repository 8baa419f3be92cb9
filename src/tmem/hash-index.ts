/**
 * HashIndex: from a hash to a chain of rows of a Table, linked through word 0 of each row.
 *
 * Linear hashing (Litwin, "Linear Hashing", 1980). With more rows than buckets, each insert adds
 * one bucket by splitting the one at `split`. So no insert ever rehashes everything. A bucket costs
 * four bytes.
 *
 *     | 0 .. split-1: split already | split .. 2^level-1 | 2^level .. 2^level+split-1: new halves |
 *
 * The caller walks a chain, since it knows what equality is: `for (row = headOf(h); row; row =
 * table.get(row, 0))`.
 */
import { assert } from "../core/assert.ts";
import type { Memory } from "../core/memory.ts";
import { Rows, type Table } from "../core/table.ts";

/** Buckets at the start: one resident page of heads. */
const BUCKETS_MIN = 1024;
const LINK = 0;

export class HashIndex {
  private readonly table: Table;
  private readonly heads: Rows;
  private readonly hashOf: (row: number) => number;
  private bucketCount = BUCKETS_MIN;
  private levelMask = BUCKETS_MIN - 1;
  private count = 0;

  constructor(memory: Memory, table: Table, hashOf: (row: number) => number) {
    this.table = table;
    this.hashOf = hashOf;
    const rowCountMax = Math.max(table.rowCountMax, BUCKETS_MIN) + 1;
    // There is a bucket for each row, and it is pinned if the row is.
    this.heads = new Rows(memory, { rowCountMax, wordsPerRow: 1, pinnedRows: table.pinnedRows });
  }

  /** Bytes of the buckets in use. */
  get usedBytes(): number {
    return this.bucketCount * 4;
  }

  headOf(hash: number): number {
    return this.heads.get(this.bucketOf(hash), 0);
  }

  insert(row: number, hash: number): void {
    const bucket = this.bucketOf(hash);
    this.table.set(row, LINK, this.heads.get(bucket, 0));
    this.heads.set(bucket, 0, row);
    this.count += 1;
    if (this.count > this.bucketCount && this.bucketCount < this.heads.rowCountMax) this.grow();
  }

  remove(row: number, hash: number): void {
    const bucket = this.bucketOf(hash);
    let at = this.heads.get(bucket, 0);
    const next = this.table.get(row, LINK);
    if (at === row) {
      this.heads.set(bucket, 0, next);
    } else {
      while (this.table.get(at, LINK) !== row) {
        at = this.table.get(at, LINK);
        assert(at !== 0, "remove of a row that is not in its chain");
      }
      this.table.set(at, LINK, next);
    }
    this.count -= 1;
    if (this.count === 0 && this.bucketCount > BUCKETS_MIN) this.reset();
  }

  close(): void {
    this.heads.close();
  }

  private bucketOf(hash: number): number {
    const wide = (hash & (this.levelMask * 2 + 1)) >>> 0;
    return wide < this.bucketCount ? wide : wide & this.levelMask;
  }

  private grow(): void {
    const source = this.bucketCount - this.levelMask - 1;
    const target = this.bucketCount;
    this.bucketCount += 1;
    let row = this.heads.get(source, 0);
    let kept = 0;
    let moved = 0;
    while (row !== 0) {
      const next = this.table.get(row, LINK);
      if ((this.hashOf(row) & (this.levelMask * 2 + 1)) >>> 0 === target) {
        this.table.set(row, LINK, moved);
        moved = row;
      } else {
        this.table.set(row, LINK, kept);
        kept = row;
      }
      row = next;
    }
    this.heads.set(source, 0, kept);
    this.heads.set(target, 0, moved);
    if (this.bucketCount === (this.levelMask + 1) * 2) this.levelMask = this.levelMask * 2 + 1;
  }

  private reset(): void {
    this.heads.clear(this.bucketCount);
    this.bucketCount = BUCKETS_MIN;
    this.levelMask = BUCKETS_MIN - 1;
  }
}

/**
 * Mixes an object's row and an index. Sixteen neighbouring indexes share a cache line of bucket
 * heads, since pages are often used in the order in which they were stored. Their position in the
 * line depends on the object, so that objects of one page spread too.
 */
export function pageHashOf(object: number, index: number): number {
  const own = Math.imul(object, 0x85ebca6b);
  let h = Math.imul(index >> 4, 0x9e3779b1) ^ own;
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return ((h ^ (h >>> 13)) << 4) | ((index ^ (own >>> 28)) & 15);
}

/** Mixes an object's row and the index of the first page of a leaf, in the same way. */
export function leafHashOf(object: number, index: number): number {
  return pageHashOf(object, index >> 5);
}

/** Mixes the hash of an oid and its pool's row. */
export function objectHashOf(oidHash: number, poolRow: number): number {
  return Math.imul(oidHash ^ Math.imul(poolRow, 0x27d4eb2f), 0x9e3779b1);
}

/** Mixes the index of a page, so that the XOR over pages tells sets apart (fmix32, MurmurHash3). */
export function indexHashOf(index: number): number {
  let h = (index + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
