/**
 * PoolRows: what a successor needs to know of pools (core/journal.ts), a row for each.
 *
 *     row 0        | version, low and high word | check | restoring |
 *     other rows   | state | client | id | key, four words | check |
 *
 * Versions up to that of row 0 may be in use. A check is the hash of the words before it.
 *
 * The rest of a pool is an object of JavaScript (pool.ts), and is made again.
 */
import { POOL_ROWS_MAX } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { Rows } from "../core/table.ts";
import type { Pool, PoolKey, PoolOptions } from "./pool.ts";

const STATE = 0;
const CLIENT = 1;
const ID = 2;
const KEY = 3;
const CHECK = 7;
const WORDS_PER_POOL = 8;
const VERSION_LO = 0;
const VERSION_HI = 1;
const VERSION_CHECK = 2;
const RESTORING = 3;
const POOL_WORDS = [...Array(CHECK).keys()];
const VERSION_WORDS = [...Array(VERSION_CHECK).keys()];

// Bits of the state. 0: there is no pool.
const USED = 1;
const PERSISTENT = 2;
const STORE_WHOLE = 4;
const DOOMED = 8;
const KEYED = 16;
const DAMAGED = 32;

export class PoolRows {
  private readonly rows: Rows;

  constructor(memory: Memory) {
    const rowCountMax = POOL_ROWS_MAX - 1;
    this.rows = new Rows(memory, { rowCountMax, wordsPerRow: WORDS_PER_POOL, name: "pools" });
  }

  write(pool: Pool): void {
    const persistent = pool.persistent ? PERSISTENT : 0;
    const storeWhole = pool.storeWhole ? STORE_WHOLE : 0;
    const doomed = pool.isDoomed ? DOOMED : 0;
    this.rows.setKept(pool.row, CLIENT, pool.client);
    this.rows.setKept(pool.row, ID, pool.id);
    const keyed = pool.key === null ? 0 : KEYED;
    for (const [i, word] of (pool.key ?? []).entries()) this.rows.setKept(pool.row, KEY + i, word);
    const damaged = pool.isDamaged ? DAMAGED : 0;
    this.rows.setKept(pool.row, STATE, USED | persistent | storeWhole | doomed | keyed | damaged);
    this.rows.setKept(pool.row, CHECK, this.rows.hashOf(pool.row, POOL_WORDS));
  }

  remove(row: number): void {
    this.rows.setKept(row, STATE, 0);
    this.rows.setKept(row, CHECK, this.rows.hashOf(row, POOL_WORDS));
  }

  /** Whether no bit of the row has flipped. A row that was never used is all zeros. */
  isSound(row: number): boolean {
    const words = row === 0 ? VERSION_WORDS : POOL_WORDS;
    const check = this.rows.get(row, words.length);
    const isUnused = check === 0 && words.every((word) => this.rows.get(row, word) === 0);
    return isUnused || check === this.rows.hashOf(row, words);
  }

  /** Set while a successor restores the index. */
  get isRestoring(): boolean {
    return this.rows.get(0, RESTORING) === 1;
  }

  setRestoring(isRestoring: boolean): void {
    this.rows.set(0, RESTORING, isRestoring ? 1 : 0);
  }

  /** Versions up to this one may be in use. */
  get versionEnd(): number {
    const hi = this.rows.get(0, VERSION_HI);
    return hi * 4294967296 + (this.rows.get(0, VERSION_LO) >>> 0);
  }

  setVersionEnd(version: number): void {
    this.rows.setKept(0, VERSION_LO, version | 0);
    this.rows.setKept(0, VERSION_HI, Math.floor(version / 4294967296));
    this.rows.setKept(0, VERSION_CHECK, this.rows.hashOf(0, VERSION_WORDS));
  }

  isUsed(row: number): boolean {
    if (row < 1 || row >= POOL_ROWS_MAX) return false;
    return this.rows.get(row, STATE) !== 0;
  }

  isDoomed(row: number): boolean {
    return (this.rows.get(row, STATE) & DOOMED) !== 0;
  }

  isDamaged(row: number): boolean {
    return (this.rows.get(row, STATE) & DAMAGED) !== 0;
  }

  client(row: number): number {
    return this.rows.get(row, CLIENT);
  }

  id(row: number): number {
    return this.rows.get(row, ID);
  }

  options(row: number): PoolOptions {
    const state = this.rows.get(row, STATE);
    return {
      persistent: (state & PERSISTENT) !== 0,
      storeWhole: (state & STORE_WHOLE) !== 0,
      key: (state & KEYED) === 0 ? null : this.key(row),
    };
  }

  private key(row: number): PoolKey {
    const word = (i: number): number => this.rows.get(row, KEY + i);
    return [word(0), word(1), word(2), word(3)];
  }

  close(): void {
    this.rows.close();
  }
}
