/**
 * Losses: handles the pages of a holder that is emptied (presence.ts). Such a holder came back with
 * another boot id, left, or dropped its pages. A walk over the index finds their records,
 * INDEX_SLICE records a turn.
 *
 *     other copies: one copy less      persistent, the only copy: lost, a get of it is an error
 *                                      ephemeral: gone
 *
 * During the walk no page is sent to the holder, since the walk would count it as lost. The walk
 * waits at a page that is being fetched. That takes no longer than a request.
 */
import { CODEC } from "../../compress/codec.ts";
import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { INDEX_SLICE } from "../../core/limits.ts";
import type { Log } from "../../core/log.ts";
import { Slices } from "../../core/slices.ts";
import { TAG } from "../../tmem/pampd.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { copyCount, hasCopy } from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import type { Presence } from "../holders/presence.ts";
import type { PutBatches } from "../holders/put-batches.ts";
import type { RemotePages } from "../holders/remote-pages.ts";

interface Walk {
  /** The next record to visit. */
  next: number;
  /** How many pages had their only copy at the holder. */
  lostCount: number;
}

interface Parts {
  readonly clock: Clock;
  readonly zcache: Zcache;
  readonly presence: Presence;
  readonly remotePages: RemotePages;
  readonly records: CopyRecords;
  readonly counters: RamsterCounters;
  readonly puts: PutBatches;
  readonly buggify: Buggify;
  readonly log: Log;
}

export class Losses {
  private readonly parts: Parts;
  /** The walk for each holder that is emptied. */
  private readonly walks = new Map<number, Walk>();
  private readonly slices: Slices;

  constructor(parts: Parts) {
    this.parts = parts;
    this.slices = new Slices(parts.clock, () => this.walkSlice());
  }

  /** The node has no page of this node any more, as presence.ts says. */
  holderEmptied(node: number): void {
    const { puts, remotePages, presence } = this.parts;
    puts.holderEmptied(node);
    if (remotePages.pageCount(node) === 0) return presence.endEmptied(node);
    this.walks.set(node, { next: 1, lostCount: 0 });
    this.step();
  }

  /** Continues every walk. Called at each tick, for walks that wait at a page. */
  step(): void {
    this.slices.go();
  }

  close(): void {
    this.slices.close();
  }

  /** @returns whether there are more records to visit now. */
  private walkSlice(): boolean {
    const { zcache, buggify, counters, remotePages, presence } = this.parts;
    const { tmem } = zcache;
    const isShort = buggify("short-walk");
    let left = isShort ? 16 : INDEX_SLICE;
    for (const [node, walk] of this.walks) {
      const lostBefore = counters.remote_pers_pages_lost;
      while (walk.next < tmem.pageEnd && left > 0 && this.visit(walk.next, node)) {
        walk.next = tmem.pageAfter(walk.next);
        left -= 1;
      }
      walk.lostCount += counters.remote_pers_pages_lost - lostBefore;
      if (walk.next < tmem.pageEnd && remotePages.pageCount(node) > 0) continue;
      this.walks.delete(node);
      presence.endEmptied(node);
      this.report(node, walk.lostCount);
    }
    return left === 0 && !isShort;
  }

  private report(node: number, lostCount: number): void {
    if (lostCount === 0) return;
    const why = `${this.parts.log.names.of(node)} had their only copies and lost them`;
    const what = `${lostCount} pages are lost: ${why}`;
    this.parts.log.write("error", "ramster", what);
  }

  /** @returns false when the page is being fetched. The walk comes back to it. */
  private visit(page: number, node: number): boolean {
    const { zcache, records, counters } = this.parts;
    const { tmem } = zcache;
    if (!tmem.isTaken(page) || tmem.tag(page) !== TAG.REMOTE) return true;
    const copies = records.copiesOf(page);
    if (!hasCopy(copies, node)) return true;
    if (copyCount(copies) > 1) {
      records.copyLost(page, node);
      return true;
    }
    if (tmem.inTransit(page)) return false;
    const { persistent, isDoomed } = tmem.poolOf(page);
    records.removed(page, copies, tmem.zpageBytes(page));
    tmem.describe(page, TAG.LOST, 0, 0, CODEC.RAW);
    if (persistent && !isDoomed) counters.remote_pers_pages_lost += 1;
    else tmem.flush(page);
    return true;
  }
}
