/**
 * Losses: what a holder took with it when it came back empty. Its records are found by one walk
 * over the index, a bounded piece at a time: persistent pages are lost from then on, and a get of
 * one is an error at once, without asking anybody; ephemeral ones are gone.
 *
 * While the walk for a node is under way nothing new goes there, or the walk would take it for
 * lost.
 */
import { CODEC } from "../compress/codec.ts";
import { LOSS_ROWS_PER_STEP } from "../core/limits.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { RamsterCounters } from "./counters.ts";
import type { RemotePages } from "./remote-pages.ts";

export class Losses {
  private readonly zcache: Zcache;
  private readonly remotePages: RemotePages;
  private readonly counters: RamsterCounters;
  /** By node: the next record to look at. */
  private readonly walks = new Map<number, number>();

  constructor(parts: { zcache: Zcache; remotePages: RemotePages; counters: RamsterCounters }) {
    this.zcache = parts.zcache;
    this.remotePages = parts.remotePages;
    this.counters = parts.counters;
  }

  isOpen(node: number): boolean {
    return this.walks.has(node);
  }

  /** The node has nothing of ours any more. */
  holderRestarted(node: number): void {
    if (this.remotePages.pageCount(node) === 0) return;
    this.walks.set(node, 1);
    this.step();
  }

  /** Goes on with every walk. Called now and then. */
  step(): void {
    const { tmem } = this.zcache;
    for (const [node, start] of this.walks) {
      const end = Math.min(tmem.pageEnd, start + LOSS_ROWS_PER_STEP);
      for (let page = start; page < end; page += 1) this.look(page, node);
      if (end === tmem.pageEnd || this.remotePages.pageCount(node) === 0) this.walks.delete(node);
      else this.walks.set(node, end);
    }
  }

  private look(page: number, node: number): void {
    const { tmem } = this.zcache;
    if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) return;
    // One that is being fetched: the node itself will say that it has it no more.
    if (tmem.inTransit(page) || tmem.place(page) !== node) return;
    const { persistent } = tmem.poolOf(page);
    this.remotePages.removed(node, persistent);
    tmem.describe(page, TAG.LOST, 0, 0, CODEC.RAW);
    if (persistent) this.counters.remote_pers_pages_lost += 1;
    else tmem.flush(page);
  }
}
