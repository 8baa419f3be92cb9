/**
 * FreeLists: rows by how many bytes are free in them, for a best fit.
 *
 * A list holds the rows of one class, which is CLASS_BYTES wide, newest first. A bit map tells
 * which lists have a row, so that a search costs a few words (as the index of TLSF, Masmano et al.
 * 2004, with one level).
 *
 * Not here: what a row is.
 */
import { assert } from "../core/assert.ts";
import type { Rows } from "../core/table.ts";

const CLASS_BYTES = 64;
/** Rows of the class of the wanted size itself that are tried: they may have too little. */
const TRIES = 4;

export class FreeLists {
  readonly classBytes = CLASS_BYTES;
  private readonly rows: Rows;
  private readonly prevWord: number;
  private readonly nextWord: number;
  private readonly heads: Int32Array;
  private readonly bits: Int32Array;
  /** Sums of free bytes by class. */
  private readonly sums: Float64Array;

  constructor(rows: Rows, words: { prev: number; next: number }, freeBytesMax: number) {
    this.rows = rows;
    this.prevWord = words.prev;
    this.nextWord = words.next;
    const classes = Math.floor(freeBytesMax / CLASS_BYTES) + 1;
    this.heads = new Int32Array(classes);
    this.bits = new Int32Array(Math.ceil(classes / 32));
    this.sums = new Float64Array(classes);
  }

  insert(row: number, freeBytes: number): void {
    const at = Math.floor(freeBytes / CLASS_BYTES);
    const head = this.heads[at] ?? 0;
    this.rows.set(row, this.prevWord, 0);
    this.rows.set(row, this.nextWord, head);
    if (head !== 0) this.rows.set(head, this.prevWord, row);
    this.heads[at] = row;
    this.sums[at] = (this.sums[at] ?? 0) + freeBytes;
    this.bits[at >>> 5] = (this.bits[at >>> 5] ?? 0) | (1 << (at & 31));
  }

  remove(row: number, freeBytes: number): void {
    const at = Math.floor(freeBytes / CLASS_BYTES);
    const prev = this.rows.get(row, this.prevWord);
    const next = this.rows.get(row, this.nextWord);
    this.sums[at] = (this.sums[at] ?? 0) - freeBytes;
    if (next !== 0) this.rows.set(next, this.prevWord, prev);
    if (prev !== 0) {
      this.rows.set(prev, this.nextWord, next);
      return;
    }
    assert(this.heads[at] === row, "remove of a row that is not on its list");
    this.heads[at] = next;
    if (next === 0) this.bits[at >>> 5] = (this.bits[at >>> 5] ?? 0) & ~(1 << (at & 31));
  }

  /** A row with at least `bytes` free, and few more, for which `fits` holds. 0: there is none. */
  bestFit(bytes: number, fits: (row: number) => boolean): number {
    const exact = Math.floor(Math.max(0, bytes) / CLASS_BYTES);
    for (let at = this.classFrom(exact); at >= 0; at = this.classFrom(at + 1)) {
      let row = this.heads[at] ?? 0;
      for (let left = TRIES; row !== 0 && left > 0; left -= 1) {
        if (fits(row)) return row;
        row = this.rows.get(row, this.nextWord);
      }
    }
    return 0;
  }

  /** The row with most free bytes for which `fits` holds, among the `countMax` emptiest ones, or 0. */
  fromEmptiest(countMax: number, fits: (row: number) => boolean): number {
    let left = countMax;
    for (let at = this.heads.length - 1; at >= 0; at -= 1) {
      let row = this.heads[at] ?? 0;
      while (row !== 0) {
        if (left === 0) return 0;
        left -= 1;
        if (fits(row)) return row;
        row = this.rows.get(row, this.nextWord);
      }
    }
    return 0;
  }

  /**
   * Fills `rows` with up to `countMax` that have most free bytes, apart from the first `skipped`.
   * @returns how many.
   */
  emptiest(rows: Int32Array, countMax: number, skipped: number): number {
    assert(skipped >= 0);
    let count = -skipped;
    for (let at = this.heads.length - 1; at >= 0 && count < countMax; at -= 1) {
      for (let row = this.heads[at] ?? 0; row !== 0 && count < countMax; count += 1) {
        if (count >= 0) rows[count] = row;
        row = this.rows.get(row, this.nextWord);
      }
    }
    return Math.max(0, count);
  }

  /** The lowest bound of a class whose rows have at least `bytes` free. */
  classAt(bytes: number): number {
    return Math.ceil(bytes / CLASS_BYTES) * CLASS_BYTES;
  }

  /** The free bytes of all rows with at least `bytes`, a bound of a class. */
  bytesFrom(bytes: number): number {
    let sum = 0;
    for (let at = bytes / CLASS_BYTES; at < this.sums.length; at += 1) sum += this.sums[at] ?? 0;
    return sum;
  }

  /** Calls `visit` with each row and the least free bytes of its list. For checks. */
  each(visit: (row: number, bytesMin: number) => void): void {
    this.heads.forEach((head, at) => {
      for (let row = head; row !== 0; row = this.rows.get(row, this.nextWord)) {
        visit(row, at * CLASS_BYTES);
      }
      const isMarked = ((this.bits[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0;
      assert(isMarked === (head !== 0), "bit of a list");
    });
  }

  /** The first class from `at` on that has a row. -1: there is none. */
  private classFrom(at: number): number {
    let word = at >>> 5;
    if (word >= this.bits.length) return -1;
    let bits = (this.bits[word] ?? 0) & (-1 << (at & 31));
    while (bits === 0) {
      word += 1;
      if (word >= this.bits.length) return -1;
      bits = this.bits[word] ?? 0;
    }
    return word * 32 + 31 - Math.clz32(bits & -bits);
  }
}
