/**
 * Repatriate: fetches remote pages from their holders. A page is fetched for getters that wait for
 * it, to keep it here again ("home"), or to give it another copy.
 *
 *     getter --> waiter --\
 *     getter --> waiter ---> fetch (one a page) --> [ GET to a holder ] --> verify, deliver
 *                             |-- slow: the next holder is asked too; the first good answer counts
 *                             |-- no copy there, or bad bytes: one copy less, the next holder
 *                             +-- link lost: the next holder is asked now, and this one again when
 *                                 it has a link
 *
 * The node's own disk is one of the holders. It is read when it is the fastest or the only one. A
 * page that is only on the disk comes home with a get, if any frame is free. So its next get does
 * not wait for the disk.
 *
 * A get does not remove the holder's copy. A flush does that later, when the getter has the page or
 * the page is home.
 *
 * While a fetch is under way, the record of the page is in transit. Its `place` is the row of the
 * fetch, which has the copies. An answer counts only if the record still has the version that was
 * asked for. If the page was replaced or flushed meanwhile, its getters are served again from the
 * index.
 *
 * Outcomes of a get (as ramster_localify in the original, docs/original.md):
 *
 *     OK
 *     NOT_FOUND     an ephemeral page that the holder evicted, or that cannot be reached
 *     LOST          a persistent page that no holder has with a right checksum; its record stays,
 *                   so a later get is not a miss
 *     UNREACHABLE   a holder that may have it did not answer before the deadline
 *
 * A sealed page is decrypted here, once for each fetch. A page that cannot be decrypted is a copy
 * with bad bytes.
 *
 * Not here: messages to holders (asks.ts), and reads of the disk (disk-asks.ts).
 */

import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import { Handle } from "../../core/handle.ts";
import type { Memory } from "../../core/memory.ts";
import { STATUS, type Status } from "../../core/status.ts";
import type { Zpage } from "../../core/zpage.ts";
import type { Spill } from "../../spill/spill.ts";
import { TAG } from "../../tmem/pampd.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import {
  type Copies,
  copyAt,
  copyCount,
  hasCopy,
  NO_COPIES,
  SPILL,
  withCopy,
  withoutCopy,
} from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Latencies } from "../latencies.ts";
import type { Peers } from "../peers.ts";
import { hedgeMs } from "../policy.ts";
import type { Seals } from "../seals.ts";
import type { AskSink } from "./ask-sink.ts";
import { Asks } from "./asks.ts";
import { FETCH_FLAG, type Fetches, fetchOf } from "./fetches.ts";
import { RecentLatency } from "./recent-latency.ts";
import { type GetAndFree, type GetSink, type RetryGet, Waiters } from "./waiters.ts";

/** The part that copies fetched pages to other holders. */
export interface ZpageSink {
  /**
   * A page that is to be copied has come. `zpage` null: not yet. `page` 0: it never will, since no
   * holder has it, or it was replaced. `from` is the holder that gives its copy up. `isOnDisk`: the
   * zpage came from the disk, and is good there.
   */
  onZpage(page: number, from: number, handle: Handle, zpage: Zpage | null, isOnDisk: boolean): void;
}

/** How often slow holders are looked for, while there are other holders to ask. */
const HEDGE_TICK_MS = 5;

interface Parts {
  readonly memory: Memory;
  readonly zcache: Zcache;
  /** Closed together with Repatriate. */
  readonly fetches: Fetches;
  readonly records: CopyRecords;
  readonly peers: Peers;
  readonly remotePages: RemotePages;
  /** Null: pages are not sealed. */
  readonly seals: Seals | null;
  readonly counters: RamsterCounters;
  readonly latencies: Latencies;
  readonly clock: Clock;
  readonly buggify: Buggify;
  /** Serves a getter again from the index. */
  readonly retryGet: RetryGet;
  /** Called when a page came home although frames may be over the low mark. */
  readonly onHome: () => void;
  readonly spill: Spill | null;
}

export class Repatriate implements AskSink {
  private readonly parts: Parts;
  private zpageSink: ZpageSink | null = null;
  private readonly requestTimeoutMs: number;
  private readonly asks: Asks;
  private readonly waiters: Waiters;
  private readonly recent: RecentLatency;
  private readonly handle = new Handle();
  private hedgeTimer: TimerId | null = null;

  constructor(parts: Parts, settings: { requestTimeoutMs: number }) {
    this.parts = parts;
    this.requestTimeoutMs = settings.requestTimeoutMs;
    this.waiters = new Waiters(parts.memory, parts.retryGet);
    this.recent = new RecentLatency(parts.clock);
    const { fetches } = this.parts;
    const { recent } = this;
    this.asks = new Asks({ ...parts, fetches, recent, sink: this });
  }

  /** How many fetches are under way, or have ended while a holder may still answer. */
  get fetchCount(): number {
    return this.parts.fetches.count;
  }

  /**
   * Fetches the page to make another copy of it. `sink` gets it once, with `from`. Joins a fetch
   * that is under way. All pages have the same sink.
   *
   * @returns whether it is now on its way. False when it already was, or there is no room.
   */
  copyElsewhere(page: number, from: number, sink: ZpageSink): boolean {
    return this.fetchFor(page, from, sink) !== 0;
  }

  private fetchFor(page: number, from: number, sink: ZpageSink): number {
    const { fetches } = this.parts;
    this.zpageSink = sink;
    const fetch = this.fetchOf(page);
    if (fetch === 0 || fetches.has(fetch, FETCH_FLAG.REPAIR)) return 0;
    fetches.set(fetch, FETCH_FLAG.REPAIR);
    fetches.setFrom(fetch, from);
    return fetch;
  }

  /** As `copyElsewhere`, and brings the page home if there is room when it comes. */
  bringHomeFor(page: number, from: number, sink: ZpageSink): boolean {
    if (this.parts.zcache.tmem.inTransit(page)) return false;
    return this.headHome(this.fetchFor(page, from, sink));
  }

  /**
   * Reads the page from the disk only, before that becomes the only copy. `sink` gets it as in
   * `copyElsewhere`, with `isOnDisk`.
   */
  checkOnDisk(page: number, from: number, sink: ZpageSink): boolean {
    const { zcache, fetches } = this.parts;
    this.zpageSink = sink;
    if (zcache.tmem.inTransit(page)) return false;
    const fetch = this.begin(page);
    if (fetch === 0) return false;
    fetches.setUntried(fetch, withCopy(NO_COPIES, SPILL));
    fetches.set(fetch, FETCH_FLAG.REPAIR | FETCH_FLAG.DISK_ONLY);
    fetches.setFrom(fetch, from);
    this.ask(fetch);
    return true;
  }

  /**
   * Gets the remote page into `target[at]`, then calls `sink`. Joins a fetch that is under way.
   *
   * @returns PENDING, or NO_ROOM when FETCHES_MAX or WAITERS_MAX are under way.
   */
  fetch(
    page: number,
    getAndFree: GetAndFree,
    target: Uint8Array,
    at: number,
    sink: GetSink,
    token: number,
  ): Status {
    const { fetches, counters } = this.parts;
    if (!this.waiters.hasRoom) return STATUS.NO_ROOM;
    const fetch = this.fetchOf(page);
    if (fetch === 0) return STATUS.NO_ROOM;
    const waiter = this.waiters.add(getAndFree, target, at, sink, token);
    const last = fetches.waiterLast(fetch);
    if (last !== 0) {
      counters.fetch_shared += 1;
      this.waiters.setNext(last, waiter);
    }
    fetches.addWaiter(fetch, waiter);
    return STATUS.PENDING;
  }

  /** Fetches the page to bring it home, without a getter. @returns whether it is on its way. */
  bringHome(page: number): boolean {
    return !this.parts.zcache.tmem.inTransit(page) && this.headHome(this.fetchOf(page));
  }

  private headHome(fetch: number): boolean {
    if (fetch !== 0) this.parts.fetches.set(fetch, FETCH_FLAG.HOMEWARD);
    return fetch !== 0;
  }

  /** A record in transit leaves the index or is replaced. Its fetch is detached from it. */
  detach(page: number): void {
    const { zcache, fetches } = this.parts;
    const fetch = zcache.tmem.place(page);
    assert(fetches.page(fetch) === page);
    fetches.detach(fetch);
  }

  /**
   * Sets `busy[id]` for each pool with a fetch under way. Its getters may be served again from the
   * index by their handles, and must not get pages of a new pool with that id.
   */
  markPools(busy: Uint8Array): void {
    const { fetches } = this.parts;
    for (let fetch = 1; fetch < fetches.end; fetch += 1) {
      if (fetches.isLive(fetch)) busy[fetches.pool(fetch)] = 1;
    }
  }

  /** A link to the node is up, or has room again. Sends the asks that waited for it. */
  linkReady(node: number): void {
    this.asks.linkReady(node);
  }

  /** Whether fetches wait for a link to the node. */
  isWaitingFor(node: number): boolean {
    return this.asks.isWaitingFor(node);
  }

  /** There is news of the node, so it may answer again. */
  signOfLife(node: number): void {
    this.asks.signOfLife(node);
  }

  /** Ends the asks that wait for a link to the node. */
  holderDead(node: number): void {
    this.asks.holderDead(node);
  }

  /**
   * Ends asks that wait for a link and whose deadline comes before the next call, in `periodMs`.
   */
  expire(periodMs: number): void {
    this.asks.expire(periodMs);
  }

  /** AskSink. */
  onAnswer(ask: number, status: number, zpage: Zpage): void {
    const { fetches, counters, zcache, remotePages } = this.parts;
    const fetch = fetchOf(ask);
    if (!fetches.isLive(fetch)) {
      fetches.endAsk(ask);
      return;
    }
    const page = this.pageOf(fetch);
    if (page === 0) {
      counters.fetch_raced += 1;
      this.endAsk(ask);
      this.giveToRepair(fetch, 0, null);
      this.serveAgain(fetch, fetches.waiterFirst(fetch));
      return;
    }
    if (status !== STATUS.OK || zpage.version !== fetches.version(fetch)) {
      if (zcache.tmem.poolOf(page).persistent) counters.remote_pers_pages_unsucc_get += 1;
      else counters.remote_eph_pages_unsucc_get += 1;
      this.hasNoCopy(ask);
      return;
    }
    // The checksum does not cover the codec. The record knows it, whatever the holder says.
    zpage.codec = zcache.tmem.codec(page);
    fetches.readHandle(fetch, this.handle);
    const hasOthers = copyCount(fetches.copies(fetch)) > 1;
    const { seals } = this.parts;
    const isChecked = hasOthers || seals !== null || fetches.has(fetch, FETCH_FLAG.REPAIR);
    const isGood = !isChecked || this.isIntact(this.handle, zpage);
    const opened = isGood && seals !== null ? seals.open(page, this.handle, zpage) : zpage;
    if (!isGood || opened === null) {
      // The holder must not keep a page that no record names.
      const version = fetches.version(fetch);
      const node = fetches.askNode(ask);
      if (hasOthers && node !== SPILL) remotePages.addFlushBeforePut(node, this.handle, version);
      this.hasNoCopy(ask);
      return;
    }
    this.endAsk(ask);
    this.deliver(fetch, page, this.handle, opened, zpage);
  }

  /** AskSink: the next holder is asked. A lost link may come back before the deadline. */
  onNoAnswer(ask: number, linkLost: boolean): void {
    const { fetches, counters } = this.parts;
    const fetch = fetchOf(ask);
    if (!fetches.isLive(fetch)) {
      fetches.endAsk(ask);
      return;
    }
    if (linkLost && this.asks.msLeft(fetch) > 0) {
      this.asks.enqueue(ask);
      if (fetches.hasUntried(fetch)) this.ask(fetch);
      return;
    }
    counters.fetch_unreachable += 1;
    fetches.set(fetch, FETCH_FLAG.AWAY);
    this.unserved(ask);
  }

  close(): void {
    const { clock, fetches } = this.parts;
    if (this.hedgeTimer !== null) clock.cancel(this.hedgeTimer);
    fetches.close();
    this.waiters.close();
  }

  /** The page that is fetched. 0: it has left the index, or no handle can name it any more. */
  private pageOf(fetch: number): number {
    const { zcache, fetches } = this.parts;
    const { tmem } = zcache;
    const page = fetches.page(fetch);
    if (page === 0 || tmem.isLive(page)) return page;
    tmem.endTransit(page, fetches.copies(fetch));
    fetches.detach(fetch);
    return 0;
  }

  /** The fetch under way for the page, or a new one. 0 when there is no row. */
  private fetchOf(page: number): number {
    const { tmem } = this.parts.zcache;
    if (tmem.inTransit(page)) return tmem.place(page);
    const fetch = this.begin(page);
    if (fetch !== 0) this.ask(fetch);
    return fetch;
  }

  /** A new fetch without asks. 0 when there is no row. */
  private begin(page: number): number {
    const { zcache, fetches } = this.parts;
    const { tmem } = zcache;
    tmem.readHandle(page, this.handle);
    const deadlineMs = (this.asks.elapsedMs + this.requestTimeoutMs) | 0;
    const version = tmem.version(page);
    const fetch = fetches.add(page, tmem.place(page), version, this.handle, deadlineMs);
    if (fetch !== 0) tmem.startTransit(page, fetch);
    return fetch;
  }

  /** Asks the next holder. */
  private ask(fetch: number): void {
    const { fetches, buggify, clock } = this.parts;
    const untried = fetches.untried(fetch);
    const node = this.nearest(untried);
    const others = withoutCopy(untried, node);
    if (copyCount(others) > 0) {
      const patienceMs = buggify("fetch-hedged") ? 0 : hedgeMs(this.recent.p99Ms);
      const untilMs = (this.asks.elapsedMs + patienceMs) | 0;
      fetches.setPatience(fetch, untilMs);
      this.hedgeTimer ??= clock.after(HEDGE_TICK_MS, () => this.hedge());
    }
    this.asks.enqueue(fetches.addAsk(fetch, node, others));
  }

  /** The holder that is likely to answer first. Without links, one that may get a link. */
  private nearest(copies: Copies): number {
    let best = copyAt(copies, 0);
    let bestCost = this.asks.costOf(best);
    for (let i = 1; i < copyCount(copies); i += 1) {
      const node = copyAt(copies, i);
      const cost = this.asks.costOf(node);
      const isTie = cost === bestCost && best !== SPILL;
      if (cost < bestCost || (isTie && !this.parts.peers.isPeer(best))) {
        best = node;
        bestCost = cost;
      }
    }
    return best;
  }

  /** Asks other holders for pages that the first one is slow to send. */
  private hedge(): void {
    const { fetches, counters, clock } = this.parts;
    const nowMs = this.asks.elapsedMs;
    let waiting = 0;
    for (let fetch = 1; fetch < fetches.end; fetch += 1) {
      if (!fetches.isLive(fetch) || !fetches.hasUntried(fetch)) continue;
      if (this.pageOf(fetch) === 0) continue;
      if (((fetches.patience(fetch) - nowMs) | 0) <= 0) {
        counters.fetch_hedged += 1;
        this.ask(fetch);
      }
      if (fetches.hasUntried(fetch)) waiting += 1;
    }
    this.hedgeTimer = null;
    if (waiting > 0) this.hedgeTimer = clock.after(HEDGE_TICK_MS, () => this.hedge());
  }

  /**
   * The holder has no good copy. The last copy stays in the record, so that a get is never a miss.
   */
  private hasNoCopy(ask: number): void {
    const { fetches, records } = this.parts;
    const fetch = fetchOf(ask);
    const node = fetches.askNode(ask);
    const copies = fetches.copies(fetch);
    if (copyCount(copies) > 1 && hasCopy(copies, node)) {
      records.copyLost(fetches.page(fetch), node);
    }
    this.unserved(ask);
  }

  /**
   * The holder has not served the ask. The next holder is asked. When there is none, the fetch
   * ends. The page is lost only if no holder may have it.
   */
  private unserved(ask: number): void {
    const { fetches } = this.parts;
    const fetch = fetchOf(ask);
    const isAsked = this.endAsk(ask);
    const isThere = this.pageOf(fetch) !== 0;
    if (isThere) {
      if (fetches.hasUntried(fetch) && this.asks.msLeft(fetch) > 0) return this.ask(fetch);
      if (isAsked) return;
    }
    if (isThere && fetches.has(fetch, FETCH_FLAG.COPIED | FETCH_FLAG.DISK_ONLY)) {
      this.beginAgain(fetch);
      return;
    }
    const mayBeThere = fetches.has(fetch, FETCH_FLAG.AWAY) || fetches.hasUntried(fetch);
    this.end(fetch, mayBeThere ? STATUS.UNREACHABLE : STATUS.LOST);
  }

  /** No holder that was asked has the page any more, but another one does. */
  private beginAgain(fetch: number): void {
    const { fetches, zcache } = this.parts;
    const page = fetches.page(fetch);
    this.giveToRepair(fetch, page, null);
    zcache.tmem.endTransit(page, fetches.copies(fetch));
    this.serveAgain(fetch, fetches.waiterFirst(fetch));
  }

  /** @returns whether another holder of the same fetch is still to answer. */
  private endAsk(ask: number): boolean {
    return this.parts.fetches.endAsk(ask);
  }

  /**
   * Serves the waiters in order until one of them removes the page. The rest find it gone. `sealed`
   * is the zpage as its holder has it.
   */
  private deliver(fetch: number, page: number, handle: Handle, zpage: Zpage, sealed: Zpage): void {
    const { fetches, counters, zcache } = this.parts;
    const { waiters } = this;
    const { tmem } = zcache;
    const version = fetches.version(fetch);
    const { persistent } = tmem.poolOf(page);
    tmem.endTransit(page, fetches.copies(fetch));
    const first = fetches.waiterFirst(fetch);
    let waiter = first;
    let status: Status = STATUS.OK;
    while (waiter !== 0) {
      if (!tmem.isLive(page) || tmem.version(page) !== version) break;
      const target = waiters.target(waiter);
      if (!zcache.deliverZpage(handle, zpage, target, waiters.at(waiter))) {
        counters.fetch_corrupt += 1;
        status = persistent ? STATUS.LOST : STATUS.NOT_FOUND;
        if (!persistent) tmem.flush(page);
        break;
      }
      if (persistent) {
        counters.remote_pers_pages_succ_get += 1;
      } else {
        counters.remote_eph_pages_succ_get += 1;
        zcache.counters.cleancache_succ_gets += 1;
      }
      const getAndFree = waiters.getAndFree(waiter);
      if (getAndFree === 1 || (getAndFree === 0 && !persistent)) tmem.flush(page);
      waiter = waiters.next(waiter);
    }
    if (status === STATUS.OK && tmem.isLive(page) && tmem.version(page) === version) {
      this.comeHome(fetch, page, handle, zpage);
    }
    this.giveToRepair(fetch, page, sealed);
    this.endServed(fetch, waiter, status);
  }

  /** Gives the page to repair, once for each fetch, if it is still remote in the same version. */
  private giveToRepair(fetch: number, page: number, zpage: Zpage | null): void {
    const { fetches, zcache } = this.parts;
    if (!fetches.has(fetch, FETCH_FLAG.REPAIR)) return;
    const { tmem } = zcache;
    const isSame = page !== 0 && tmem.isLive(page) && tmem.version(page) === fetches.version(fetch);
    const isThere = isSame && tmem.tag(page) === TAG.REMOTE;
    const isOnDisk = fetches.has(fetch, FETCH_FLAG.DISK_ONLY);
    const from = fetches.from(fetch);
    fetches.readHandle(fetch, this.handle);
    this.zpageSink?.onZpage(page, from, this.handle, isThere ? zpage : null, isOnDisk);
  }

  /**
   * Keeps the page here from now on, if there is room below the low mark. If a getter wants a page
   * that is only on the disk, any free frame will do.
   */
  private comeHome(fetch: number, page: number, handle: Handle, zpage: Zpage): void {
    const { zcache, fetches, buggify, counters, records, remotePages, onHome } = this.parts;
    const { tmem, budget, frames } = zcache;
    const isOnlyOnDisk = withoutCopy(tmem.place(page), SPILL) === NO_COPIES;
    const isHot = isOnlyOnDisk && fetches.waiterFirst(fetch) !== 0;
    const isFull = budget.isOverLow(frames.framesUsed + 1) && !isHot;
    if (isFull || buggify("fetch-not-home")) {
      if (fetches.has(fetch, FETCH_FLAG.HOMEWARD)) {
        counters.pers_pages_remote_nomem += 1;
      }
      return;
    }
    const copies = tmem.place(page);
    // Without waiters it was not checked yet, and the holder's copy may be the only good one.
    const isChecked = fetches.waiterFirst(fetch) !== 0 || copyCount(copies) > 1;
    if (!isChecked && !this.isIntact(handle, zpage)) return;
    const zpageBytes = tmem.zpageBytes(page);
    if (!zcache.localify(page, zpage)) return;
    counters.pages_repatriated += 1;
    records.removed(page, copies, zpageBytes);
    const version = tmem.version(page);
    for (let i = 0; i < copyCount(copies); i += 1) {
      const node = copyAt(copies, i);
      if (node === SPILL) records.freeOnDisk(page);
      else remotePages.addFlushBeforePut(node, handle, version);
    }
    if (isHot) onHome();
  }

  /** Whether the zpage is the one that was stored under `handle`. */
  private isIntact(handle: Handle, zpage: Zpage): boolean {
    const { zcache, counters } = this.parts;
    const intact = zcache.isIntact(handle, zpage);
    if (!intact) counters.fetch_corrupt += 1;
    return intact;
  }

  /**
   * Ends the waiters before `until`, which were served, with OK. The others end with `status`. If
   * that is OK, they are served again.
   */
  private endServed(fetch: number, until: number, status: Status): void {
    let waiter = this.parts.fetches.waiterFirst(fetch);
    while (waiter !== until) waiter = this.waiters.end(waiter, STATUS.OK);
    if (status === STATUS.OK) this.serveAgain(fetch, waiter);
    else this.endAll(fetch, waiter, status);
  }

  /** The fetch failed for all its waiters. An ephemeral page is a miss from then on. */
  private end(fetch: number, status: Status): void {
    const { fetches, zcache } = this.parts;
    const page = this.pageOf(fetch);
    const first = fetches.waiterFirst(fetch);
    this.giveToRepair(fetch, status === STATUS.LOST ? 0 : page, null);
    if (page === 0) {
      this.serveAgain(fetch, first);
      return;
    }
    const { tmem } = zcache;
    tmem.endTransit(page, fetches.copies(fetch));
    if (tmem.poolOf(page).persistent) {
      this.endAll(fetch, first, status);
    } else {
      tmem.flush(page);
      this.endAll(fetch, first, STATUS.NOT_FOUND);
    }
  }

  /** Ends the waiters from `first` on, and the fetch. */
  private endAll(fetch: number, first: number, status: Status): void {
    let waiter = first;
    while (waiter !== 0) {
      if (status === STATUS.NOT_FOUND) this.parts.zcache.counters.cleancache_failed_gets += 1;
      waiter = this.waiters.end(waiter, status);
    }
    this.parts.fetches.finish(fetch);
  }

  /** Serves the waiters from `first` on again, and ends the fetch, which has the handle. */
  private serveAgain(fetch: number, first: number): void {
    const { fetches } = this.parts;
    let waiter = first;
    while (waiter !== 0) {
      fetches.readHandle(fetch, this.handle);
      waiter = this.waiters.retry(waiter, this.handle);
    }
    fetches.finish(fetch);
  }
}
