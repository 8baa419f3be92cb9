/**
 * Grants: how many pages each borrower may still send here. A lender grants no more than it has
 * frames for, so no put is refused for want of room, however many nodes send at once.
 *
 *     granted so far ----- taken so far = outstanding, each a frame that is kept free for it
 *
 * A page needs at most a frame, and most pages need half of one, so a grant is renewed as pages
 * come in. Other borrowers cannot use a grant that a borrower leaves unused. So each borrower has a
 * window that starts small and doubles as it is used (TCP's slow start, RFC 5681). All windows
 * together are half of the free frames, regardless of who came first.
 *
 * Counts start when the link comes up, and are void when it goes down.
 *
 * Not here: sending (foreign.ts), how a borrower uses its grant (lenders.ts).
 */
import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import { EPHEMERAL } from "../../core/kind.ts";
import { GRANT_PAGES_FIRST, GRANT_PAGES_MAX, GRANT_PAGES_STEP } from "../../core/limits.ts";
import type { Zcache } from "../../zcache/zcache.ts";

interface Account {
  granted: number;
  taken: number;
  /** `taken` at the last grant. */
  takenBefore: number;
  /** How many pages are granted ahead. Grows as they are used. */
  window: number;
}

export class Grants {
  private readonly zcache: Zcache;
  /** The smallest grant. Fewer pages are not worth a message, except in a small store. */
  private readonly step: number;
  private readonly buggify: Buggify;
  private readonly accounts = new Map<number, Account>();
  /** How many pages were granted and have not come. */
  private outstandingPages = 0;

  constructor(zcache: Zcache, buggify: Buggify) {
    this.zcache = zcache;
    this.buggify = buggify;
    const sixteenth = Math.ceil(zcache.budget.frameCountMax / 16);
    this.step = Math.min(GRANT_PAGES_STEP, sixteenth);
  }

  /**
   * How many pages were granted to all borrowers and have not come. They need at most as many
   * frames.
   */
  get outstanding(): number {
    return this.outstandingPages;
  }

  outstandingOf(node: number): number {
    const account = this.accounts.get(node);
    return account === undefined ? 0 : account.granted - account.taken;
  }

  /** A link to the borrower is up, with nothing granted. */
  open(node: number): void {
    this.close(node);
    this.accounts.set(node, { granted: 0, taken: 0, takenBefore: 0, window: GRANT_PAGES_FIRST });
  }

  /** The link is down. What was granted on it is void. */
  close(node: number): void {
    this.outstandingPages -= this.outstandingOf(node);
    this.accounts.delete(node);
  }

  /** The borrower sends `count` pages. @returns how many of them were granted. */
  take(node: number, count: number): number {
    const account = this.accounts.get(node);
    if (account === undefined) return 0;
    const taken = Math.min(count, account.granted - account.taken);
    account.taken += taken;
    this.outstandingPages -= taken;
    assert(this.outstandingPages >= 0);
    return taken;
  }

  /** Whether the borrower has used half of its window. False without a link. */
  isShort(node: number): boolean {
    const account = this.accounts.get(node);
    return account !== undefined && this.outstandingOf(node) <= this.windowOf(account) / 2;
  }

  /**
   * Grants more when that is worth a message. `pagesMax` is how many more pages may be held for the
   * borrower, including outstanding ones.
   *
   * @returns how many pages are granted on this link by now, or 0 when that has not changed.
   */
  renew(node: number, pagesMax: number): number {
    const account = this.accounts.get(node);
    if (account === undefined) return 0;
    const outstanding = account.granted - account.taken;
    const used = account.taken - account.takenBefore;
    if (used >= account.window / 2) account.window = Math.min(2 * account.window, GRANT_PAGES_MAX);
    const free = this.framesFree - this.outstandingPages;
    const allowed = pagesMax - outstanding;
    const window = this.buggify("small-grant") ? this.step : this.windowOf(account);
    const more = Math.min(window - outstanding, free, allowed);
    // A rest that is too small to be used must not keep the next grant from being made.
    if (more <= 0 || (outstanding + more < this.step && more < allowed)) return 0;
    account.granted += more;
    account.takenBefore = account.taken;
    this.outstandingPages += more;
    return account.granted;
  }

  /** The window is at most a share of the free frames, but enough to be useful. */
  private windowOf(account: Account): number {
    const share = Math.floor(this.framesFree / (2 * this.accounts.size));
    return Math.min(account.window, Math.max(this.step, share));
  }

  /** Frames of ephemeral pages count as free, since they are evicted when frames are needed. */
  private get framesFree(): number {
    const { frames, budget, placement } = this.zcache;
    const framesPersistent = frames.framesUsed - placement.counters.pageframes[EPHEMERAL];
    return budget.frameCountMax - framesPersistent;
  }
}
