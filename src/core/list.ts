/**
 * A doubly linked list that runs through two words of the rows of a Rows table. A row is on at most
 * one list for each pair of words. Every operation is O(1) and allocates nothing.
 */
import type { Rows } from "./table.ts";

export class RowList {
  head = 0;
  tail = 0;
  count = 0;
  private readonly rows: Rows;
  private readonly prevWord: number;
  private readonly nextWord: number;

  constructor(rows: Rows, words: { prev: number; next: number }) {
    this.rows = rows;
    this.prevWord = words.prev;
    this.nextWord = words.next;
  }

  next(row: number): number {
    return this.rows.get(row, this.nextWord);
  }

  append(row: number): void {
    this.rows.set(row, this.prevWord, this.tail);
    this.rows.set(row, this.nextWord, 0);
    if (this.tail === 0) this.head = row;
    else this.rows.set(this.tail, this.nextWord, row);
    this.tail = row;
    this.count += 1;
  }

  prepend(row: number): void {
    this.rows.set(row, this.prevWord, 0);
    this.rows.set(row, this.nextWord, this.head);
    if (this.head === 0) this.tail = row;
    else this.rows.set(this.head, this.prevWord, row);
    this.head = row;
    this.count += 1;
  }

  remove(row: number): void {
    const prev = this.rows.get(row, this.prevWord);
    const next = this.rows.get(row, this.nextWord);
    if (prev === 0) this.head = next;
    else this.rows.set(prev, this.nextWord, next);
    if (next === 0) this.tail = prev;
    else this.rows.set(next, this.prevWord, prev);
    this.count -= 1;
  }
}
