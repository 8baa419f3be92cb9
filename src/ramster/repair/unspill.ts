/**
 * Unspill: finds pages that may leave the disk, because lenders or home have room for them, or
 * there are enough other copies. Repair then moves them.
 *
 * While there are pages on the disk, a hand goes round over the index, at most INDEX_ROWS_PER_STEP
 * records a step. It rests until repair has taken the pages that it found, and for a moment after
 * each round.
 *
 * Pages that cannot be moved are left out, so that none is read for nothing.
 */
import type { Clock } from "../../core/clock.ts";
import { INDEX_ROWS_PER_STEP, REPAIR_PAGES_MAX } from "../../core/limits.ts";
import type { Spill } from "../../spill/spill.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { NO_COPIES, SPILL, withoutCopy } from "../copies.ts";
import type { AtRisk } from "../holders/at-risk.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import { isEnough, mayLeaveDisk } from "../holders/enough.ts";
import type { Lenders } from "../holders/lenders.ts";
import type { Presence } from "../holders/presence.ts";
import type { Remotify } from "../remotify/remotify.ts";
import type { Repatriate } from "../repatriate/repatriate.ts";

/** How many pages are found at once, so that repair always has the next one. */
const FOUND_MAX = 2 * REPAIR_PAGES_MAX;
const PAUSE_MS = 1000;

interface Parts {
  readonly zcache: Zcache;
  readonly spill: Spill;
  readonly lenders: Lenders;
  readonly presence: Presence;
  readonly records: CopyRecords;
  readonly remotify: Remotify;
  readonly repatriate: Repatriate;
  readonly atRisk: AtRisk;
  readonly clock: Clock;
}

export class Unspill {
  private readonly parts: Parts;
  private hand = 1;
  private rowsLeft = 0;
  private nextRoundAtMs = 0;
  private foundInRound = 0;
  private foundLast = 0;
  /** How many pages home has room for in this step. */
  private homeLeft = 0;
  private areLendersUsable = false;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Whether pages leave the disk, or would if they could. */
  get isBusy(): boolean {
    return this.parts.spill.pageCount > 0 && this.foundInRound + this.foundLast > 0;
  }

  /** Called regularly. */
  step(): void {
    const { zcache, repatriate } = this.parts;
    this.rowsLeft = INDEX_ROWS_PER_STEP;
    const { budget, frames } = zcache;
    const room = budget.frameCountLow - frames.framesUsed - repatriate.fetchCount;
    this.homeLeft = Math.max(0, room);
  }

  /** Repair has taken the pages that were found. Finds more. */
  find(): void {
    const { spill, lenders, clock, atRisk, remotify, zcache } = this.parts;
    if (spill.pageCount === 0 || clock.now() < this.nextRoundAtMs) return;
    const { tmem } = zcache;
    this.areLendersUsable = !remotify.isDraining && lenders.hasUsable(lenders.copiesWanted);
    let foundCount = 0;
    while (foundCount < FOUND_MAX && this.rowsLeft > 0) {
      if (this.hand >= tmem.pageEnd) {
        this.endRound();
        return;
      }
      if (spill.has(this.hand) && this.mayLeave(this.hand)) {
        atRisk.push(this.hand, SPILL);
        foundCount += 1;
        this.foundInRound += 1;
      }
      this.hand = tmem.pageAfter(this.hand);
      this.rowsLeft -= 1;
    }
  }

  private endRound(): void {
    this.hand = 1;
    this.foundLast = this.foundInRound;
    this.foundInRound = 0;
    this.nextRoundAtMs = this.parts.clock.now() + PAUSE_MS;
  }

  private mayLeave(page: number): boolean {
    const { records, presence, lenders } = this.parts;
    const atLenders = withoutCopy(records.copiesOf(page), SPILL);
    const present = presence.presentOf(atLenders);
    if (isEnough(present, SPILL, lenders)) return mayLeaveDisk(present, lenders);
    if (this.areLendersUsable) return true;
    if (present !== NO_COPIES || this.homeLeft === 0) return false;
    this.homeLeft -= 1;
    return true;
  }
}
