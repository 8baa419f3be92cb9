/**
 * LargeRequestBudget: NBD_LARGE_BYTES_MAX bytes for large requests, shared by all connections.
 *
 * First come, first served, even if a later and smaller request would fit. Otherwise a request of
 * 32 MiB could wait without end behind many of 2 MiB.
 */
import { assert } from "../core/assert.ts";
import { NBD_LARGE_BYTES_MAX } from "../core/limits.ts";

/** A connection that wants memory: `wake` makes it reserve again. */
interface Waiter {
  wake(): void;
}

export class LargeRequestBudget {
  usedBytes = 0;
  private readonly waiters = new Set<Waiter>();

  /** Whether somebody waits for memory that others use. */
  get hasWaiters(): boolean {
    return this.waiters.size > 0;
  }

  /** @returns whether the memory is reserved; else `waiter` is woken when it may try again. */
  reserve(waiter: Waiter, byteCount: number): boolean {
    const [first = waiter] = this.waiters;
    if (first !== waiter || this.usedBytes + byteCount > NBD_LARGE_BYTES_MAX) {
      this.waiters.add(waiter);
      return false;
    }
    this.usedBytes += byteCount;
    this.cancel(waiter);
    return true;
  }

  release(byteCount: number): void {
    this.usedBytes -= byteCount;
    assert(this.usedBytes >= 0);
    this.wakeFirst();
  }

  /** The waiter wants no memory any more. */
  cancel(waiter: Waiter): void {
    if (this.waiters.delete(waiter)) this.wakeFirst();
  }

  private wakeFirst(): void {
    const [first] = this.waiters;
    first?.wake();
  }
}
