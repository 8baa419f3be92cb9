/**
 * Objects: the rows of objects, and the hash over pool and oid. An object is there while it has
 * pages, which are on a list of their own (page-index.ts).
 *
 * In kept memory the row has a sum: the hash of pool and oid, and of the index of each page, all in
 * XOR. When a flipped bit has made a page or an object unknown to a successor, a sum is wrong.
 *
 * Not here: the lists of pools (tmem.ts).
 */
import { Handle } from "../core/handle.ts";
import { PINNED_OBJECTS } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { Table } from "../core/table.ts";
import { HashIndex, indexHashOf, objectHashOf } from "./hash-index.ts";
import {
  OBJECT_FIRST,
  OBJECT_OID,
  OBJECT_PAGES,
  OBJECT_POOL,
  OBJECT_SUM,
  WORDS_PER_OBJECT,
} from "./rows.ts";

/** By object: hashes of the indexes of its pages, in XOR, as a successor has found and kept them. */
export interface ObjectSums {
  readonly found: Int32Array;
  readonly kept: Int32Array;
}

export class Objects {
  readonly rows: Table;
  private readonly hash: HashIndex;
  private readonly isKept: boolean;
  /** Whether no object was dropped while the rows were restored. */
  private areAllFound = true;
  /** For the hash of an oid. */
  private readonly scratch = new Handle();

  constructor(memory: Memory, options: { objectCountMax: number; pinnedPages?: number }) {
    this.rows = new Table(memory, {
      name: "objects",
      rowCountMax: options.objectCountMax,
      wordsPerRow: WORDS_PER_OBJECT,
      pinnedRows: Math.min(options.pinnedPages ?? 0, PINNED_OBJECTS),
    });
    this.isKept = memory.journal !== null;
    this.hash = new HashIndex(memory, this.rows, (object) => this.hashOf(object));
  }

  get count(): number {
    return this.rows.rowCount;
  }

  /** Bytes of rows and buckets in use. */
  get usedBytes(): number {
    return this.rows.usedBytes + this.hash.usedBytes;
  }

  /** The object of the pool with the oid of the handle, or 0. */
  find(pool: number, handle: Handle): number {
    const { rows } = this;
    const hash = objectHashOf(handle.oidHash(), pool);
    let object = this.hash.headOf(hash);
    while (object !== 0) {
      if (
        rows.get(object, OBJECT_OID + 1) === handle.oid0lo &&
        rows.get(object, OBJECT_POOL) === pool &&
        rows.get(object, OBJECT_OID) === handle.oid0hi &&
        rows.get(object, OBJECT_OID + 2) === handle.oid1hi &&
        rows.get(object, OBJECT_OID + 3) === handle.oid1lo &&
        rows.get(object, OBJECT_OID + 4) === handle.oid2hi &&
        rows.get(object, OBJECT_OID + 5) === handle.oid2lo
      ) {
        return object;
      }
      object = rows.get(object, 0);
    }
    return 0;
  }

  /** A new object without pages. 0: there is no room. */
  add(pool: number, handle: Handle): number {
    const { rows } = this;
    const object = rows.take();
    if (object === 0) return 0;
    rows.setKept(object, OBJECT_OID, handle.oid0hi);
    rows.setKept(object, OBJECT_OID + 1, handle.oid0lo);
    rows.setKept(object, OBJECT_OID + 2, handle.oid1hi);
    rows.setKept(object, OBJECT_OID + 3, handle.oid1lo);
    rows.setKept(object, OBJECT_OID + 4, handle.oid2hi);
    rows.setKept(object, OBJECT_OID + 5, handle.oid2lo);
    rows.setKept(object, OBJECT_POOL, pool);
    rows.set(object, OBJECT_FIRST, 0);
    rows.set(object, OBJECT_PAGES, 0);
    const hash = objectHashOf(handle.oidHash(), pool);
    if (this.isKept) rows.setKept(object, OBJECT_SUM, hash);
    this.hash.insert(object, hash);
    return object;
  }

  remove(object: number): void {
    this.hash.remove(object, this.hashOf(object));
    this.rows.setKept(object, OBJECT_POOL, 0);
    this.rows.give(object);
  }

  isTaken(object: number): boolean {
    return object > 0 && object < this.rows.rowEnd && this.poolOf(object) !== 0;
  }

  /** The row of its pool. */
  poolOf(object: number): number {
    return this.rows.get(object, OBJECT_POOL);
  }

  moveTo(object: number, pool: number): void {
    const before = this.hashOf(object);
    this.hash.remove(object, before);
    this.rows.setKept(object, OBJECT_POOL, pool);
    const after = this.hashOf(object);
    if (this.isKept) this.addToSum(object, before ^ after);
    this.hash.insert(object, after);
  }

  /** A page of the object was added or removed. */
  notePage(object: number, index: number): void {
    if (this.isKept) this.addToSum(object, indexHashOf(index));
  }

  private addToSum(object: number, word: number): void {
    this.rows.setKept(object, OBJECT_SUM, this.rows.get(object, OBJECT_SUM) ^ word);
  }

  pageCount(object: number): number {
    return this.rows.get(object, OBJECT_PAGES);
  }

  setPageCount(object: number, count: number): void {
    this.rows.set(object, OBJECT_PAGES, count);
  }

  readOid(object: number, handle: Handle): void {
    const { rows } = this;
    handle.oid0hi = rows.get(object, OBJECT_OID);
    handle.oid0lo = rows.get(object, OBJECT_OID + 1);
    handle.oid1hi = rows.get(object, OBJECT_OID + 2);
    handle.oid1lo = rows.get(object, OBJECT_OID + 3);
    handle.oid2hi = rows.get(object, OBJECT_OID + 4);
    handle.oid2lo = rows.get(object, OBJECT_OID + 5);
  }

  /** Whether the object is in its hash chain. For checks. */
  isInChain(object: number): boolean {
    let inChain = this.hash.headOf(this.hashOf(object));
    while (inChain !== 0 && inChain !== object) inChain = this.rows.get(inChain, 0);
    return inChain === object;
  }

  /**
   * Makes table and hash again from the rows of a predecessor, without pages. `isPool` puts each
   * object on the list of its pool. Objects of pools that are not there, or that another object has
   * the oid of, are dropped.
   *
   * @returns false when that is not possible.
   */
  restore(isPool: (pool: number, object: number) => boolean): boolean {
    const { rows, scratch } = this;
    return rows.restore((object) => {
      const pool = rows.get(object, OBJECT_POOL);
      if (pool === 0) return false;
      this.readOid(object, scratch);
      if (this.find(pool, scratch) !== 0 || !isPool(pool, object)) {
        this.areAllFound = false;
        rows.set(object, OBJECT_POOL, 0);
        return false;
      }
      rows.set(object, OBJECT_FIRST, 0);
      rows.set(object, OBJECT_PAGES, 0);
      this.hash.insert(object, this.hashOf(object));
      return true;
    });
  }

  /** Sets the sums to those of the pages that are kept. @returns whether all were right. */
  restoreSums({ found, kept }: ObjectSums): boolean {
    const { rows } = this;
    let areRight = this.areAllFound;
    for (let object = 1; object < rows.rowEnd; object += 1) {
      if (!this.isTaken(object)) continue;
      const hash = this.hashOf(object);
      if (rows.get(object, OBJECT_SUM) !== (hash ^ (found[object] ?? 0))) areRight = false;
      rows.set(object, OBJECT_SUM, hash ^ (kept[object] ?? 0));
    }
    return areRight;
  }

  close(): void {
    this.rows.close();
    this.hash.close();
  }

  private hashOf(object: number): number {
    this.readOid(object, this.scratch);
    return objectHashOf(this.scratch.oidHash(), this.rows.get(object, OBJECT_POOL));
  }
}
