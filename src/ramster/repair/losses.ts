/**
 * Losses: what a holder took with it when it came back empty, or dropped while it could not reach
 * this node. Its records are found by one walk over the index, INDEX_SLICE records a turn:
 * persistent pages are lost from then on, and a get of one is an error at once, without asking
 * anybody; ephemeral ones are gone.
 *
 * While the walk for a node is under way nothing new goes there, or the walk would take it for
 * lost. It waits at a page that is being fetched, which takes no longer than a request does.
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
  /** The next record to look at. */
  next: number;
  /** Pages that are lost with what it took. */
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
  /** Of each holder that is emptied. */
  private readonly walks = new Map<number, Walk>();
  private readonly slices: Slices;

  constructor(parts: Parts) {
    this.parts = parts;
    this.slices = new Slices(parts.clock, () => this.walkSlice());
  }

  /** The node has nothing of ours any more. */
  holderEmptied(node: number): void {
    const { puts, remotePages, presence } = this.parts;
    puts.holderEmptied(node);
    if (remotePages.pageCount(node) === 0) return;
    presence.setEmptied(node, true);
    this.walks.set(node, { next: 1, lostCount: 0 });
    this.step();
  }

  /** Goes on with every walk. Called now and then, for those that wait at a page. */
  step(): void {
    this.slices.go();
  }

  close(): void {
    this.slices.close();
  }

  /** @returns whether there is more to look at now. */
  private walkSlice(): boolean {
    const { zcache, buggify, counters, remotePages, presence } = this.parts;
    const { tmem } = zcache;
    const isShort = buggify("short-walk");
    let left = isShort ? 16 : INDEX_SLICE;
    for (const [node, walk] of this.walks) {
      const first = walk.next;
      const end = Math.min(tmem.pageEnd, first + left);
      const lostBefore = counters.remote_pers_pages_lost;
      while (walk.next < end && this.look(walk.next, node)) walk.next += 1;
      left -= walk.next - first;
      walk.lostCount += counters.remote_pers_pages_lost - lostBefore;
      if (walk.next < tmem.pageEnd && remotePages.pageCount(node) > 0) continue;
      this.walks.delete(node);
      presence.setEmptied(node, false);
      this.report(node, walk.lostCount);
    }
    return left === 0 && !isShort;
  }

  private report(node: number, lostCount: number): void {
    if (lostCount === 0) return;
    const what = `${lostCount} pages are lost: node ${node}, which kept them, has none of ours`;
    this.parts.log.write("error", "ramster", what);
  }

  /** @returns whether it is done with. */
  private look(page: number, node: number): boolean {
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
