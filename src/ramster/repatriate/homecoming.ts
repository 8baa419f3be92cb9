/**
 * Homecoming: remote pages that are brought home although nobody waits for them, as far as there is
 * room below the low mark.
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

  /** Frames, and so pages at least, below the low mark. */
  get room(): number {
    const { budget, frames } = this.zcache;
    return Math.max(0, budget.frameCountLow - frames.framesUsed);
  }

  /** The page, if it is one that is away. */
  begin(page: number): void {
    if (page === 0 || this.zcache.tmem.tag(page) !== TAG.REMOTE || this.room === 0) return;
    this.repatriate.bringHome(page);
  }

  /**
   * At most so many, and as there is room for, a hand going round over the records,
   * INDEX_ROWS_PER_STEP at most.
   */
  bring(count: number): void {
    const { tmem } = this.zcache;
    let left = Math.min(count, this.room);
    const rows = Math.min(tmem.pageEnd, INDEX_ROWS_PER_STEP);
    for (let seen = rows; left > 0 && seen > 0; seen -= 1) {
      if (this.hand >= tmem.pageEnd) this.hand = 1;
      const page = this.hand;
      this.hand += 1;
      if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) continue;
      if (this.repatriate.bringHome(page)) left -= 1;
    }
  }
}
