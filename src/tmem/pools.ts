/**
 * Pools: the pools of an index, by row, and by client and id.
 *
 * A pool is *doomed* when its pages are being freed. It has no name then, but a row.
 *
 * Not here: the pages of a pool (tmem.ts), and when they are freed (reaper.ts).
 */
import { assert } from "../core/assert.ts";
import type { Journal } from "../core/journal.ts";
import { POOL_ROWS_MAX, POOLS_PER_CLIENT_MAX } from "../core/limits.ts";
import { RowList } from "../core/list.ts";
import type { Memory } from "../core/memory.ts";
import type { Table } from "../core/table.ts";
import { Pool, type PoolOptions } from "./pool.ts";
import { PoolRows } from "./pool-rows.ts";
import { OBJECT_NEXT, OBJECT_PREV } from "./rows.ts";

export class Pools {
  private readonly journal: Journal | null;
  private readonly objects: Table;
  readonly rows: PoolRows;
  private readonly byRow: Array<Pool | null> = [null];
  private readonly clients = new Map<number, Array<Pool | null>>();
  private count = 0;
  private nextId = 0;

  /** `objects`: the rows that the lists of pools link. */
  constructor(memory: Memory, objects: Table) {
    this.journal = memory.journal;
    this.objects = objects;
    this.rows = new PoolRows(memory);
  }

  /** Whether there is no row for another pool. */
  get isFull(): boolean {
    return this.count >= POOL_ROWS_MAX / 2;
  }

  /** All pools, doomed ones included. */
  *all(): Generator<Pool> {
    for (const pool of this.byRow) if (pool !== null) yield pool;
  }

  at(row: number): Pool {
    const pool = this.byRow[row];
    assert(pool !== undefined && pool !== null, "there is no such pool");
    return pool;
  }

  named(client: number, id: number): Pool | null {
    return this.clients.get(client)?.[id] ?? null;
  }

  of(client: number): Pool[] {
    return this.namesOf(client).filter((pool) => pool !== null);
  }

  /**
   * An id of the client without a pool. Ids are used in turn, so that a freed id is reused last.
   * Ids marked with 1 in `busy` are skipped. @returns -1: there is none.
   */
  freeId(client: number, busy: Uint8Array | null): number {
    for (let i = 0; i < POOLS_PER_CLIENT_MAX; i += 1) {
      const id = (this.nextId + i) % POOLS_PER_CLIENT_MAX;
      if (busy?.[id] === 1 || this.named(client, id) !== null) continue;
      this.nextId = id + 1;
      return id;
    }
    return -1;
  }

  add(client: number, id: number, options: PoolOptions): Pool {
    const pool = new Pool({ id, client, row: 0, objects: this.newList() }, options);
    this.setRow(pool, this.freeRow());
    this.setName(pool);
    return pool;
  }

  /** Takes the name of the pool away. */
  doom(pool: Pool): void {
    this.namesOf(pool.client)[pool.id] = null;
    pool.isDoomed = true;
    this.note(pool);
  }

  /** The pool gets another row and a new list. @returns a doomed pool with the old ones. */
  detach(pool: Pool): Pool {
    const { id, client, row, objects, byCodec } = pool;
    const doomed = new Pool({ id, client, row, objects, byCodec }, pool);
    doomed.isDoomed = true;
    this.journal?.begin();
    pool.objects = this.newList();
    this.setRow(pool, this.freeRow());
    this.byRow[row] = doomed;
    this.note(doomed);
    this.journal?.end();
    return doomed;
  }

  /** @returns a new doomed pool, with counts that are those of `pool` too. */
  addDoomed(pool: Pool): Pool {
    const { id, client, byCodec } = pool;
    const doomed = new Pool({ id, client, row: 0, objects: this.newList(), byCodec }, pool);
    doomed.isDoomed = true;
    this.setRow(doomed, this.freeRow());
    return doomed;
  }

  /** Removes a doomed pool. */
  remove(pool: Pool): void {
    this.byRow[pool.row] = null;
    this.count -= 1;
    this.journal?.begin();
    this.rows.remove(pool.row);
    this.journal?.end();
  }

  /**
   * Makes the pools of a predecessor again, without objects. @returns false when bits of their rows
   * have flipped: no one knows then whose pages there are.
   */
  restore(): boolean {
    const { rows } = this;
    for (let row = 0; row < POOL_ROWS_MAX; row += 1) {
      if (!rows.isSound(row)) return false;
      if (!rows.isUsed(row)) continue;
      const identity = { id: rows.id(row), client: rows.client(row), row };
      const pool = new Pool({ ...identity, objects: this.newList() }, rows.options(row));
      pool.isDoomed = rows.isDoomed(row);
      pool.isDamaged = rows.isDamaged(row);
      this.setRow(pool, row);
      if (!pool.isDoomed) this.setName(pool);
    }
    return true;
  }

  /** Pages are missing, and no one knows which. */
  markDamaged(): void {
    for (const pool of this.all()) {
      pool.isDamaged = true;
      this.note(pool);
    }
  }

  get isDamaged(): boolean {
    for (const pool of this.all()) if (pool.isDamaged) return true;
    return false;
  }

  close(): void {
    this.rows.close();
  }

  private setRow(pool: Pool, row: number): void {
    while (this.byRow.length < row) this.byRow.push(null);
    this.byRow[row] = pool;
    pool.row = row;
    this.count += 1;
    this.note(pool);
  }

  private note(pool: Pool): void {
    this.journal?.begin();
    this.rows.write(pool);
    this.journal?.end();
  }

  private setName(pool: Pool): void {
    const names = this.namesOf(pool.client);
    while (names.length < pool.id) names.push(null);
    names[pool.id] = pool;
  }

  private namesOf(client: number): Array<Pool | null> {
    let names = this.clients.get(client);
    if (names === undefined) {
      names = [];
      this.clients.set(client, names);
    }
    return names;
  }

  private freeRow(): number {
    const free = this.byRow.indexOf(null, 1);
    return free === -1 ? this.byRow.length : free;
  }

  private newList(): RowList {
    return new RowList(this.objects, { prev: OBJECT_PREV, next: OBJECT_NEXT });
  }
}
