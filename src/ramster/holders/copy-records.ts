/**
 * CopyRecords: which holders have a copy of each remote page of this node.
 *
 *     record of the page --- `place`: the copies (copies.ts)
 *                       \--- in transit, `place`: a fetch, whose row keeps the copies
 *
 * Every change of a record is counted (remote-pages.ts). A page that loses one of several copies is
 * at risk (at-risk.ts).
 *
 * Not here: who decides about copies (remotify.ts, repair.ts), and flushes (remote-pages.ts).
 */

import type { Spill } from "../../spill/spill.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { type Copies, SPILL, withoutCopy } from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import type { AtRisk } from "./at-risk.ts";
import type { RemotePages } from "./remote-pages.ts";

/** The copies of pages that are in transit, by the row of the fetch (repatriate/fetches.ts). */
interface CopiesInTransit {
  copies(fetch: number): Copies;
  setCopies(fetch: number, copies: Copies): void;
}

interface Parts {
  readonly zcache: Zcache;
  readonly fetches: CopiesInTransit;
  readonly remotePages: RemotePages;
  readonly atRisk: AtRisk;
  readonly counters: RamsterCounters;
  readonly spill: Spill | null;
}

export class CopyRecords {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** The copies of a remote page, in transit or not. */
  copiesOf(page: number): Copies {
    const { zcache, fetches } = this.parts;
    const place = zcache.tmem.place(page);
    return zcache.tmem.inTransit(page) ? fetches.copies(place) : place;
  }

  /** Replaces the copies of the page. */
  setCopies(page: number, copies: Copies): void {
    const { zcache, fetches, remotePages } = this.parts;
    const { tmem } = zcache;
    const { persistent } = tmem.poolOf(page);
    remotePages.changed(this.copiesOf(page), copies, persistent, tmem.zpageBytes(page));
    if (tmem.inTransit(page)) fetches.setCopies(tmem.place(page), copies);
    else tmem.setPlace(page, copies);
  }

  /** The page is remote from now on, and its zpage here can be freed. */
  turnRemote(page: number, copies: Copies): void {
    const { zcache, remotePages } = this.parts;
    const { tmem } = zcache;
    const zpageBytes = tmem.zpageBytes(page);
    zcache.turnRemote(page, copies);
    remotePages.added(copies, tmem.poolOf(page).persistent, zpageBytes);
  }

  /**
   * No holder keeps the page for this node any more. Its record is removed or lost, or the page is
   * home.
   */
  removed(page: number, copies: Copies, zpageBytes: number): void {
    const { zcache, remotePages } = this.parts;
    remotePages.removed(copies, zcache.tmem.poolOf(page).persistent, zpageBytes);
  }

  /** The holder has no copy any more, or a bad one. The page has other copies. */
  copyLost(page: number, node: number): void {
    const { counters, atRisk } = this.parts;
    this.setCopies(page, withoutCopy(this.copiesOf(page), node));
    if (node === SPILL) this.freeOnDisk(page);
    counters.copies_lost += 1;
    atRisk.pushNew(page);
  }

  freeOnDisk(page: number): void {
    const { spill, zcache } = this.parts;
    spill?.free(page, zcache.tmem.zpageBytes(page));
  }
}
