/**
 * Rows and Table: rows of 32-bit words in a region of memory, in place of one object a page, frame
 * or request.
 *
 *     row r:  | word 0 | word 1 | ... | word wordsPerRow - 1 |
 *
 * Rows are numbered from 1. Row 0 is the "none" of every link, so fresh memory (zeros) is an empty
 * list. A Table also knows its free rows: `take` gives the one that was freed last, else the next
 * one that was never used. So a table is only as resident as it ever was full, and its region
 * grows with it. When the last row is given back, a large table returns its memory to the
 * operating system.
 *
 * Callers get row numbers from `take`; only this file turns them into positions.
 *
 * Rows with a name are in kept memory, if memory is kept. Words that a successor needs are changed
 * with `setKept`, which saves the old value first (journal.ts). It makes all other words again,
 * and the table with `restore`.
 */
import { assert } from "./assert.ts";
import { RamsterError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { FRAME_BYTES, TABLE_GROW_BYTES, TABLE_KEEP_BYTES } from "./limits.ts";
import type { Memory, Region } from "./memory.ts";

export interface RowsShape {
  rowCountMax: number;
  wordsPerRow: number;
  /** This many rows are pinned (memory.ts). None by default. */
  pinnedRows?: number | undefined;
  /** The name in kept memory. */
  name?: string | undefined;
}

/** In row 0 of a kept table: one past the highest row that was taken. 0: none was. */
const END = 1;

/** Words addressed by row; the caller knows which rows mean something. */
export class Rows {
  readonly rowCountMax: number;
  readonly pinnedRows: number;
  protected readonly wordsPerRow: number;
  protected readonly region: Region;
  protected readonly journal: Journal | null;
  private readonly words: Int32Array;

  constructor(memory: Memory, shape: RowsShape, { grows } = { grows: false }) {
    assert(shape.rowCountMax >= 1 && shape.wordsPerRow >= 1);
    this.rowCountMax = shape.rowCountMax;
    this.wordsPerRow = shape.wordsPerRow;
    this.pinnedRows = Math.min(shape.pinnedRows ?? 0, shape.rowCountMax);
    const pinnedBytes = this.pinnedRows === 0 ? 0 : this.bytesOf(this.pinnedRows);
    const { name } = shape;
    this.region = memory.reserve(this.bytesOf(shape.rowCountMax), { pinnedBytes, grows, name });
    this.journal = this.region.kept?.journal ?? null;
    this.words = this.region.words();
  }

  get(row: number, word: number): number {
    return this.words[row * this.wordsPerRow + word]!;
  }

  set(row: number, word: number, value: number): void {
    this.words[row * this.wordsPerRow + word] = value;
  }

  /** Like `set`, for a word that a successor needs. Inside of an operation of the journal. */
  setKept(row: number, word: number, value: number): void {
    const at = row * this.wordsPerRow + word;
    const { kept } = this.region;
    if (kept !== null) kept.journal.save(kept.number, at, this.words[at]!);
    this.words[at] = value;
  }

  /** A hash of these words of the row, to find flipped bits. */
  hashOf(row: number, words: readonly number[]): number {
    let hash = row + 1;
    for (const word of words) hash = Math.imul(hash ^ this.get(row, word), 0x9e3779b1);
    return hash;
  }

  /** Rows 0 .. rowEnd - 1 become zeros; their memory goes back to the operating system. */
  clear(rowEnd: number): void {
    this.region.release(0, Math.min(this.bytesOf(rowEnd - 1), this.region.byteCount));
  }

  /** Rows 0 .. lastRow, in whole frames. */
  protected bytesOf(lastRow: number): number {
    return Math.ceil(((lastRow + 1) * this.wordsPerRow * 4) / FRAME_BYTES) * FRAME_BYTES;
  }

  close(): void {
    this.region.close();
  }
}

/**
 * Rows with a free list. Word 0 of a free row links that list; the other words keep their content.
 */
export class Table extends Rows {
  private freeHead = 0;
  private end = 1;
  private used = 0;
  /** Rows before this one may be touched. */
  private grownEnd = 0;

  constructor(memory: Memory, shape: RowsShape) {
    super(memory, shape, { grows: true });
    if (this.grow()) return;
    this.close();
    throw new RamsterError("NO_MEMORY", "Cannot use the first rows of a table");
  }

  get rowCount(): number {
    return this.used;
  }

  /**
   * One past the highest row that was taken since the table was last cleared: the bound of a
   * scan.
   */
  get rowEnd(): number {
    return this.end;
  }

  /** Bytes of the rows that were taken since the table was last cleared. They are resident. */
  get usedBytes(): number {
    return this.end * this.wordsPerRow * 4;
  }

  /** A row of unspecified content; 0 when the table is full or there is no more memory. */
  take(): number {
    let row = this.freeHead;
    if (row !== 0) {
      this.freeHead = this.get(row, 0);
    } else {
      if (this.end > this.rowCountMax) return 0;
      if (this.end >= this.grownEnd && !this.grow()) return 0;
      row = this.end;
      this.end += 1;
      // Too high an end does no harm, so it is not saved.
      if (this.journal !== null) this.set(0, END, this.end);
    }
    this.used += 1;
    return row;
  }

  /** Grows by TABLE_GROW_BYTES, or to the end. */
  private grow(): boolean {
    const { byteCount } = this.region;
    const bytes = Math.min(this.bytesOf(this.end) + TABLE_GROW_BYTES, byteCount);
    if (!this.region.grow(bytes)) return false;
    this.grownEnd = Math.floor(bytes / (this.wordsPerRow * 4));
    return true;
  }

  give(row: number): void {
    assert(row > 0 && row < this.end);
    this.used -= 1;
    this.set(row, 0, this.freeHead);
    this.freeHead = row;
    if (this.used > 0 || this.end * this.wordsPerRow * 4 <= TABLE_KEEP_BYTES) return;
    if (this.journal === null) this.startOver();
    else this.journal.afterwards(() => this.startOver());
  }

  private startOver(): void {
    if (this.used > 0) return;
    this.clear(this.end);
    this.freeHead = 0;
    this.end = 1;
  }

  /**
   * Makes the table again from the rows of a predecessor. `isUsed` is asked once for each row that
   * it may have taken, and may change words of it.
   *
   * @returns false when there is no memory for so many rows, or their number is not possible.
   */
  restore(isUsed: (row: number) => boolean): boolean {
    const end = Math.max(1, this.get(0, END));
    if (end > this.rowCountMax + 1) return false;
    this.end = end;
    if (!this.grow()) return false;
    for (let row = end - 1; row > 0; row -= 1) {
      if (isUsed(row)) this.used += 1;
      else {
        this.set(row, 0, this.freeHead);
        this.freeHead = row;
      }
    }
    return true;
  }
}
