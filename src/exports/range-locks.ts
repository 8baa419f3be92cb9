/**
 * RangeLocks: requests that change pages of one export and could not be done at once, in the order
 * in which they came. One whose pages an older one has waits for that, so that each page is always
 * what one of them made of it.
 *
 * Each is compared with all others once when it comes and once when it leaves:
 * NBD_RANGE_LOCKS_MAX bounds that.
 */
import { NBD_RANGE_LOCKS_MAX } from "../core/limits.ts";

/** Pages from `first` to `last`. */
export interface PageRange {
  readonly first: number;
  readonly last: number;
  /** Older ones that have some of them. */
  blockers: number;
}

export class RangeLocks<T extends PageRange> {
  private readonly all = new Set<T>();
  /** Of those, that wait for older ones. */
  private blockedCount = 0;
  private readonly onFree: (change: T) => void;

  /** `onFree`: it has waited for older ones, and need not any more. */
  constructor(onFree: (change: T) => void) {
    this.onFree = onFree;
  }

  get isEmpty(): boolean {
    return this.all.size === 0;
  }

  /** With so many each connection should have one at a time. */
  get isFull(): boolean {
    return this.all.size >= NBD_RANGE_LOCKS_MAX;
  }

  /** @returns whether it may go on. */
  acquire(change: T): boolean {
    change.blockers = 0;
    for (const older of this.all) if (overlap(older, change)) change.blockers += 1;
    if (change.blockers > 0) this.blockedCount += 1;
    this.all.add(change);
    return change.blockers === 0;
  }

  /** It is done, or given up: others have their turn on its pages. */
  release(change: T): void {
    if (!this.all.has(change)) return;
    if (change.blockers > 0) this.blockedCount -= 1;
    change.blockers = 0;
    if (this.blockedCount > 0) this.freeYounger(change);
    this.all.delete(change);
  }

  private freeYounger(change: T): void {
    let isYounger = false;
    for (const other of this.all) {
      if (isYounger && overlap(change, other)) {
        other.blockers -= 1;
        if (other.blockers > 0) continue;
        this.blockedCount -= 1;
        this.onFree(other);
      } else if (other === change) isYounger = true;
    }
  }
}

function overlap(a: PageRange, b: PageRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}
