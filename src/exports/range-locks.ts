/**
 * RangeLocks: pages of one export that unfinished changes have locked, in order of arrival. A
 * change waits for every older one that shares a page with it (a blocker), so no page ever mixes
 * two requests.
 *
 *     acquire: no blockers --> runs
 *     acquire: blockers > 0 --> waits --> the last blocker is released --> onUnblocked, runs
 *
 * Each range is compared with all others once when it comes and at most once when it goes.
 * NBD_RANGE_LOCKS_MAX bounds that cost.
 */
import { NBD_RANGE_LOCKS_MAX } from "../core/limits.ts";

/** Pages from `first` to `last`, and who wants them. */
export interface PageRange {
  readonly first: number;
  readonly last: number;
  /** Older ranges that share a page with this one. */
  blockers: number;
  /** It had blockers and has none any more. */
  onUnblocked(): void;
}

export class RangeLocks {
  private readonly ranges = new Set<PageRange>();
  /** How many of them have blockers. */
  private blockedCount = 0;

  get isEmpty(): boolean {
    return this.ranges.size === 0;
  }

  /** From here on each connection should have only one change under way. */
  get isFull(): boolean {
    return this.ranges.size >= NBD_RANGE_LOCKS_MAX;
  }

  /** @returns whether the range may be changed now; else `onUnblocked` follows. */
  acquire(range: PageRange): boolean {
    range.blockers = 0;
    for (const older of this.ranges) if (overlap(older, range)) range.blockers += 1;
    if (range.blockers > 0) this.blockedCount += 1;
    this.ranges.add(range);
    return range.blockers === 0;
  }

  /** The change is done, or was given up while it waited. */
  release(range: PageRange): void {
    if (!this.ranges.has(range)) return;
    if (range.blockers > 0) this.blockedCount -= 1;
    range.blockers = 0;
    if (this.blockedCount > 0) this.unblockYounger(range);
    this.ranges.delete(range);
  }

  private unblockYounger(range: PageRange): void {
    let isYounger = false;
    for (const other of this.ranges) {
      if (isYounger && overlap(range, other)) {
        other.blockers -= 1;
        if (other.blockers > 0) continue;
        this.blockedCount -= 1;
        other.onUnblocked();
      } else if (other === range) isYounger = true;
    }
  }
}

function overlap(a: PageRange, b: PageRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}
