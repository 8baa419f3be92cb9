/**
 * Homecoming: brings remote pages home that no getter wants, as far as there is room below the low
 * mark.
 */
import { INDEX_ROWS_PER_STEP } from "../../core/limits.ts";
import { TAG } from "../../tmem/pampd.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import type { Repatriate } from "./repatriate.ts";

export class Homecoming {
  private readonly zcache: Zcache;
  private readonly repatriate: Repatriate;
  /** Where the next search starts. */
  private hand = 1;

  constructor(zcache: Zcache, repatriate: Repatriate) {
    this.zcache = zcache;
    this.repatriate = repatriate;
  }

  /** How many frames are left below the low mark. At least as many pages fit. */
  get room(): number {
    const { budget, frames } = this.zcache;
    return Math.max(0, budget.frameCountLow - frames.framesUsed);
  }

  /** Begins to bring the page home, if it is remote. */
  begin(page: number): void {
    if (page === 0 || this.zcache.tmem.tag(page) !== TAG.REMOTE || this.room === 0) return;
    this.repatriate.bringHome(page);
  }

  /**
   * Brings at most `count` pages home, if there is room. A hand goes round over the index, at most
   * INDEX_ROWS_PER_STEP records a call.
   */
  bring(count: number): void {
    const { tmem } = this.zcache;
    let left = Math.min(count, this.room);
    const rows = Math.min(tmem.pageEnd, INDEX_ROWS_PER_STEP);
    for (let seen = rows; left > 0 && seen > 0; seen -= 1) {
      if (this.hand >= tmem.pageEnd) this.hand = tmem.pageAfter(0);
      const page = this.hand;
      this.hand = tmem.pageAfter(page);
      if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) continue;
      if (this.repatriate.bringHome(page)) left -= 1;
    }
  }
}
