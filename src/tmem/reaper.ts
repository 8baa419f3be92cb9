/**
 * Reaper: flushes objects and pools of any size without a long turn of the loop. When the call
 * returns, no get finds the flushed pages, and a new page under their handles is another page.
 * Their rows, and what they point at, are freed in slices of FLUSH_SLICE pages, one a turn.
 *
 *     flushPool      this turn's share at once; the rest is detached: a slice a turn, then `done`
 *     flushObject    at once if it is small, else detached in the same way
 *     destroyPool    as flushPool, and the pool loses its name
 *
 * Callers with many small flushes in one turn check `isSpent` and go on in the `nextTurn`.
 *
 * Not here: flushes of the copies at holders (ramster).
 */
import type { Buggify } from "../core/buggify.ts";
import type { Clock } from "../core/clock.ts";
import type { Handle } from "../core/handle.ts";
import { FLUSH_SLICE } from "../core/limits.ts";
import type { Pool } from "./pool.ts";
import type { Tmem } from "./tmem.ts";
import type { Walk } from "./walk.ts";

/** What the caller of a flush adds to it. */
export interface FlushJob {
  /** Must call `slice`, which frees pages. */
  around(slice: () => void): void;
  /** All is freed. Called once, possibly before the flush returns. */
  done(): void;
}

/** Adds nothing. */
export const NO_JOB: FlushJob = { around: (slice) => slice(), done: () => {} };

export interface ReaperParts {
  tmem: Tmem;
  clock: Clock;
  buggify: Buggify;
  /** Pages were freed in a later turn. */
  onSlice: () => void;
}

export class Reaper {
  private readonly tmem: Tmem;
  private readonly clock: Clock;
  private readonly buggify: Buggify;
  private readonly onSlice: () => void;
  /** Detached pools, oldest first. */
  private readonly jobs: Array<{ pool: Pool; job: FlushJob }> = [];
  private readonly waiting: Array<() => void> = [];
  /** Pages that this turn may still free or examine. */
  private left = FLUSH_SLICE;
  private isAwake = false;
  private isClosed = false;

  constructor(parts: ReaperParts) {
    this.tmem = parts.tmem;
    this.clock = parts.clock;
    this.buggify = parts.buggify;
    this.onSlice = parts.onSlice;
  }

  /** Whether flushed pages are still to be freed. */
  get isBusy(): boolean {
    return this.jobs.length > 0;
  }

  /** Whether this turn has done its share. */
  get isSpent(): boolean {
    return this.left <= 0;
  }

  /** Calls back once, in a later turn. */
  nextTurn(callback: () => void): void {
    this.waiting.push(callback);
    this.wake();
  }

  /**
   * Sets `busy[id]` for each pool of the client, also a former one, whose pages are not freed yet.
   */
  markPools(client: number, busy: Uint8Array): void {
    for (const { pool } of this.jobs) if (pool.client === client) busy[pool.id] = 1;
  }

  /** Removes every page of the pool and keeps the pool. */
  flushPool(pool: Pool, job: FlushJob): void {
    job.around(() => this.spend(this.tmem.flushSome(pool, this.left)));
    if (pool.pageCount === 0) job.done();
    else this.later(this.tmem.detach(pool), job);
  }

  /** Removes every page of the pool and the pool. */
  destroyPool(pool: Pool, job: FlushJob): void {
    job.around(() => this.spend(this.tmem.flushSome(pool, this.left)));
    this.tmem.removePool(pool);
    if (pool.pageCount === 0) job.done();
    else this.later(pool, job);
  }

  /** Removes every page under the oid. @returns how many. With 0 `job` is not called. */
  flushObject(pool: Pool, handle: Handle, job: FlushJob): number {
    const count = this.tmem.pagesUnder(pool, handle);
    if (count === 0) return 0;
    if (count <= Math.max(this.left, this.slice)) {
      job.around(() => this.spend(this.tmem.flushObject(pool, handle)));
      job.done();
    } else this.later(this.tmem.detachObject(pool, handle), job);
    return count;
  }

  /** Continues the walk as far as this turn allows. @returns whether it has ended. */
  step(walk: Walk): boolean {
    this.spend(this.tmem.walks.step(walk, this.left));
    return walk.page === 0;
  }

  /** Frees nothing from now on. */
  close(): void {
    this.isClosed = true;
  }

  private get slice(): number {
    return this.buggify("short-flush") ? 8 : FLUSH_SLICE;
  }

  private spend(count: number): void {
    this.left -= count;
    if (count > 0) this.wake();
  }

  private later(pool: Pool, job: FlushJob): void {
    this.jobs.push({ pool, job });
    this.wake();
  }

  private wake(): void {
    if (this.isAwake) return;
    this.isAwake = true;
    // In a late turn messages and timers come first.
    if (this.buggify("short-flush")) this.clock.after(1, () => this.turn());
    else this.clock.soon(() => this.turn());
  }

  private turn(): void {
    this.isAwake = false;
    if (this.isClosed) return;
    this.left = this.slice;
    if (this.isBusy) {
      this.reap();
      this.onSlice();
    }
    for (const callback of this.waiting.splice(0)) callback();
    if (this.isBusy) this.wake();
  }

  /** Frees pages of doomed pools. While flushes of others wait, it leaves half of the share. */
  private reap(): void {
    const kept = this.waiting.length > 0 ? this.left >>> 1 : 0;
    while (this.left > kept) {
      const first = this.jobs[0];
      if (first === undefined) return;
      const { pool, job } = first;
      job.around(() => {
        this.left -= this.tmem.flushSome(pool, this.left - kept);
      });
      if (pool.pageCount > 0) return;
      this.jobs.shift();
      this.tmem.forget(pool);
      job.done();
    }
  }
}
