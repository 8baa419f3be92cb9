/**
 * Repatriate: brings the bytes of remote pages back, for getters that wait and for pages that come
 * home.
 *
 *     getter --> waiter --\
 *     getter --> waiter ---> fetch (one a page) --> [ GET batch to the holder ] --> verify, deliver
 *                                      ^------ link lost: asked again until the deadline
 *
 * A get never takes the holder's copy away (two phases): the copy is owed a flush only once the
 * page is in the hands of its getter, or home. While a fetch is under way the record is in transit:
 * its place is the fetch's row, which keeps the holder. The version decides what an answer is
 * worth: when the page was put anew or flushed meanwhile, the getters are served again from the
 * index.
 *
 * Outcomes for a getter (the original's localify table, reference 5.4): OK; NOT_FOUND, an ephemeral
 * page that the holder evicted or cannot be reached for; LOST, a persistent page that the holder
 * does not have, or that fails its checksum, and whose record stays so that it is never taken for a
 * miss; UNREACHABLE, no answer before the deadline.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { Handle } from "../core/handle.ts";
import { FETCH_BATCH_COUNT_MAX, FETCHES_MAX } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { Table } from "../core/table.ts";
import { LANE, type ReplySink } from "../net/channel.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import {
  FLUSH_SCOPE,
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  readGetReplyEntry,
  writeGetEntry,
  type ZpageEntry,
} from "../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import type { Zcache } from "../zcache/zcache.ts";
import { copyAt, copyCount, withoutCopy } from "./copies.ts";
import type { RamsterCounters } from "./counters.ts";
import type { Latencies } from "./latencies.ts";
import type { Peers } from "./peers.ts";
import { hedgeMs } from "./policy.ts";
import type { RemotePages } from "./remote-pages.ts";
import { type GetAndFree, type GetSink, type RetryGet, Waiters } from "./waiters.ts";

// Words of a fetch's row. Word 0 links the fetches of one queue or message, and the free list.
const FETCH_NEXT = 0;
const FETCH_PAGE = 1;
const FETCH_HOLDER = 2;
const FETCH_VERSION_HI = 3;
const FETCH_VERSION_LO = 4;
const FETCH_WAITER_FIRST = 5;
const FETCH_WAITER_LAST = 6;
const FETCH_HANDLE = 7; // Eight words: what a getter is served again with when the page is gone.
const FETCH_DEADLINE = 15;
const FETCH_HOMEWARD = 16;
const FETCH_SENT = 17; // Of the first of a message: when it went, in microseconds that wrap.
const FETCH_COPIES = 18; // Of the record, while it is in transit.
const FETCH_UNTRIED = 19; // Those of them that were not asked.
const FETCH_AWAY = 20; // Whether one that was asked may have it, and does not answer.
const FETCH_UNTIL = 21; // When the holder that is being asked has had its time.
const WORDS_PER_FETCH = 22;

/** Fetches for one holder that are not sent yet. */
class Queue {
  head = 0;
  tail = 0;
  count = 0;
  flushSoon = false;
}

export class Repatriate implements ReplySink {
  private readonly zcache: Zcache;
  private readonly peers: Peers;
  private readonly remotePages: RemotePages;
  private readonly counters: RamsterCounters;
  private readonly latencies: Latencies;
  private readonly clock: Clock;
  private readonly requestTimeoutMs: number;
  private readonly fetches: Table;
  private readonly waiters: Waiters;
  private readonly queues: Array<Queue | undefined> = [];
  private readonly handle = new Handle();
  private readonly entry: ZpageEntry;
  private readonly originMs: number;
  /** What an answer takes, a moving mean. */
  private usualMs = 0;

  constructor(
    parts: {
      memory: Memory;
      zcache: Zcache;
      peers: Peers;
      remotePages: RemotePages;
      counters: RamsterCounters;
      latencies: Latencies;
      clock: Clock;
      /** Serves a getter again from the index. */
      retryGet: RetryGet;
    },
    settings: { requestTimeoutMs: number },
  ) {
    this.zcache = parts.zcache;
    this.peers = parts.peers;
    this.remotePages = parts.remotePages;
    this.counters = parts.counters;
    this.latencies = parts.latencies;
    this.clock = parts.clock;
    this.requestTimeoutMs = settings.requestTimeoutMs;
    this.originMs = parts.clock.now();
    const { memory } = parts;
    this.fetches = new Table(memory, { rowCountMax: FETCHES_MAX, wordsPerRow: WORDS_PER_FETCH });
    this.waiters = new Waiters(memory, parts.retryGet);
    this.entry = { bytes: new Uint8Array(0), at: 0, ...NO_ZPAGE };
  }

  get fetchCount(): number {
    return this.fetches.rowCount;
  }

  /** Of a remote page, in transit or not: see copies.ts. */
  copiesOf(page: number): number {
    const place = this.zcache.tmem.place(page);
    return this.zcache.tmem.inTransit(page) ? this.fetches.get(place, FETCH_COPIES) : place;
  }

  /**
   * Has `sink` told of the remote page once it is in `target[at]`. Joins a fetch that is under way.
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
    if (!this.waiters.hasRoom) return STATUS.NO_ROOM;
    const fetch = this.fetchOf(page);
    if (fetch === 0) return STATUS.NO_ROOM;
    const waiter = this.waiters.add(getAndFree, target, at, sink, token);
    const last = this.fetches.get(fetch, FETCH_WAITER_LAST);
    if (last === 0) {
      this.fetches.set(fetch, FETCH_WAITER_FIRST, waiter);
    } else {
      this.counters.fetch_shared += 1;
      this.waiters.setNext(last, waiter);
    }
    this.fetches.set(fetch, FETCH_WAITER_LAST, waiter);
    return STATUS.PENDING;
  }

  /** Fetches the page with nobody waiting, to bring it home. @returns whether it is on its way. */
  bringHome(page: number): boolean {
    if (this.zcache.tmem.inTransit(page)) return false;
    const fetch = this.fetchOf(page);
    if (fetch === 0) return false;
    this.fetches.set(fetch, FETCH_HOMEWARD, 1);
    return true;
  }

  /**
   * A record that is in transit leaves the index or is put anew: its fetch no longer speaks for it.
   */
  detach(page: number): void {
    const fetch = this.zcache.tmem.place(page);
    assert(this.fetches.get(fetch, FETCH_PAGE) === page);
    this.fetches.set(fetch, FETCH_PAGE, 0);
  }

  /** A link to the node is up, or has room again: what waited for it goes out. */
  linkReady(node: number): void {
    this.sendQueue(node);
  }

  /** Whether fetches wait for a link to the node. */
  isWaitingFor(node: number): boolean {
    return (this.queues[node]?.count ?? 0) > 0;
  }

  /** Nobody needs to wait for a link to it any more: what is queued ends. */
  holderDead(node: number): void {
    const queue = this.queues[node];
    if (queue === undefined) return;
    while (queue.head !== 0) {
      this.away(this.shift(queue));
    }
  }

  /**
   * Ends the fetches that wait for a link and whose deadline comes before the next call, in
   * `periodMs`. Asks again for the links that the others wait for, since a link that is lost is not
   * dialled by itself.
   */
  expire(periodMs: number): void {
    for (const [node, queue] of this.queues.entries()) {
      if (queue === undefined) continue;
      while (queue.head !== 0 && this.msLeft(queue.head) <= periodMs) {
        this.away(this.shift(queue));
      }
      if (queue.count > 0) this.peers.want(node);
    }
  }

  /** ReplySink: one entry for each fetch of the message, in order. `head` is the first of them. */
  onReply(head: number, reply: Frame): void {
    const tookUs = (this.elapsedUs() - this.fetches.get(head, FETCH_SENT)) >>> 0;
    this.latencies.fetch.add(tookUs / 1000);
    this.usualMs += (tookUs / 1000 - this.usualMs) / 8;
    let at = reply.bodyAt;
    let fetch = head;
    for (let left = reply.count; fetch !== 0; left -= 1) {
      const next = this.fetches.get(fetch, FETCH_NEXT);
      if (left <= 0) {
        this.away(fetch);
      } else {
        const status = readGetReplyEntry(reply.view, at, this.entry);
        at += GET_REPLY_ENTRY_BYTES;
        this.entry.bytes = reply.bytes;
        this.entry.at = at;
        at += this.entry.zpageBytes;
        this.arrived(fetch, status as Status);
      }
      fetch = next;
    }
  }

  /**
   * ReplySink: no answer. Others that have a copy are asked, or, after a lost link, the same one
   * again while there is time.
   */
  onFailure(head: number, transportStatus: number): void {
    const linkLost =
      transportStatus === TRANSPORT_STATUS.DIED ||
      transportStatus === TRANSPORT_STATUS.NOT_CONNECTED;
    let fetch = head;
    while (fetch !== 0) {
      const next = this.fetches.get(fetch, FETCH_NEXT);
      const isLast = copyCount(this.fetches.get(fetch, FETCH_UNTRIED)) === 0;
      if (linkLost && isLast && this.msLeft(fetch) > 0) this.enqueue(fetch);
      else this.away(fetch);
      fetch = next;
    }
  }

  close(): void {
    this.fetches.close();
    this.waiters.close();
  }

  /** The fetch under way for the page, or a new one. 0 when there is no row. */
  private fetchOf(page: number): number {
    const { tmem } = this.zcache;
    if (tmem.inTransit(page)) return tmem.place(page);
    const fetch = this.fetches.take();
    if (fetch === 0) return 0;
    const { fetches, handle } = this;
    const version = tmem.version(page);
    fetches.set(fetch, FETCH_PAGE, page);
    fetches.set(fetch, FETCH_COPIES, tmem.place(page));
    fetches.set(fetch, FETCH_UNTRIED, tmem.place(page));
    fetches.set(fetch, FETCH_AWAY, 0);
    fetches.set(fetch, FETCH_VERSION_HI, Math.floor(version / 4294967296));
    fetches.set(fetch, FETCH_VERSION_LO, version | 0);
    fetches.set(fetch, FETCH_WAITER_FIRST, 0);
    fetches.set(fetch, FETCH_WAITER_LAST, 0);
    fetches.set(fetch, FETCH_DEADLINE, (this.elapsedMs() + this.requestTimeoutMs) | 0);
    fetches.set(fetch, FETCH_HOMEWARD, 0);
    tmem.readHandle(page, handle);
    this.storeHandle(fetch);
    tmem.startTransit(page, fetch);
    this.ask(fetch);
    return fetch;
  }

  /** Asks the next holder. All but the last have a short time: the others may be quicker. */
  private ask(fetch: number): void {
    const { fetches } = this;
    const untried = fetches.get(fetch, FETCH_UNTRIED);
    const node = this.nearest(untried);
    const others = withoutCopy(untried, node);
    const deadline = fetches.get(fetch, FETCH_DEADLINE);
    const patience = copyCount(others) === 0 ? this.requestTimeoutMs : hedgeMs(this.usualMs);
    const until = (this.elapsedMs() + patience) | 0;
    fetches.set(fetch, FETCH_HOLDER, node);
    fetches.set(fetch, FETCH_UNTRIED, others);
    fetches.set(fetch, FETCH_UNTIL, ((deadline - until) | 0) < 0 ? deadline : until);
    this.enqueue(fetch);
  }

  /** One with a link, else one that may have one. */
  private nearest(copies: number): number {
    let best = copyAt(copies, 0);
    for (let i = 0; i < copyCount(copies); i += 1) {
      const node = copyAt(copies, i);
      if (this.peers.channelOf(node) !== null) return node;
      if (!this.peers.isPeer(best)) best = node;
    }
    return best;
  }

  private enqueue(fetch: number): void {
    const node = this.fetches.get(fetch, FETCH_HOLDER);
    let queue = this.queues[node];
    if (queue === undefined) {
      queue = new Queue();
      this.queues[node] = queue;
    }
    this.fetches.set(fetch, FETCH_NEXT, 0);
    if (queue.tail === 0) queue.head = fetch;
    else this.fetches.set(queue.tail, FETCH_NEXT, fetch);
    queue.tail = fetch;
    queue.count += 1;
    if (queue.flushSoon) return;
    queue.flushSoon = true;
    this.peers.want(node);
    this.clock.soon(() => this.sendQueue(node));
  }

  private shift(queue: Queue): number {
    const fetch = queue.head;
    queue.head = this.fetches.get(fetch, FETCH_NEXT);
    if (queue.head === 0) queue.tail = 0;
    queue.count -= 1;
    return fetch;
  }

  private sendQueue(node: number): void {
    const queue = this.queues[node];
    if (queue === undefined) return;
    queue.flushSoon = false;
    const channel = this.peers.channelOf(node);
    if (channel === null) {
      if (!this.peers.isPeer(node)) this.holderDead(node);
      return;
    }
    while (queue.count > 0) {
      const count = Math.min(queue.count, FETCH_BATCH_COUNT_MAX);
      if (!channel.begin(LANE.URGENT, count * GET_ENTRY_BYTES)) return; // roomOnLink goes on.
      let at = channel.at;
      let fetch = queue.head;
      let last = 0;
      for (let i = 0; i < count; i += 1) {
        this.loadHandle(fetch);
        writeGetEntry(channel.view, at, this.handle, this.versionOf(fetch));
        at += GET_ENTRY_BYTES;
        last = fetch;
        fetch = this.fetches.get(fetch, FETCH_NEXT);
      }
      const context = queue.head;
      const bodyBytes = count * GET_ENTRY_BYTES;
      const timeoutMs = Math.max(1, this.msLeft(context));
      if (channel.commitRequest(MESSAGE.GET, count, bodyBytes, this, context, timeoutMs) === 0) {
        return;
      }
      this.fetches.set(context, FETCH_SENT, this.elapsedUs());
      this.fetches.set(last, FETCH_NEXT, 0);
      queue.head = fetch;
      queue.count -= count;
      if (queue.head === 0) queue.tail = 0;
    }
  }

  /** What the holder said of one fetch; the zpage, if any, is in `entry`. */
  private arrived(fetch: number, status: Status): void {
    const page = this.fetches.get(fetch, FETCH_PAGE);
    if (page === 0) {
      this.counters.fetch_raced += 1;
      this.serveAgain(fetch, this.fetches.get(fetch, FETCH_WAITER_FIRST));
      return;
    }
    const found = status === STATUS.OK && this.entry.version === this.versionOf(fetch);
    if (!found) {
      const persistent = this.zcache.tmem.poolOf(page).persistent;
      if (persistent) this.counters.remote_pers_pages_unsucc_get += 1;
      else this.counters.remote_eph_pages_unsucc_get += 1;
      this.unserved(fetch, STATUS.LOST);
      return;
    }
    if (copyCount(this.fetches.get(fetch, FETCH_COPIES)) > 1) {
      this.loadHandle(fetch);
      if (!this.isIntact()) {
        // The holder has the record, and must not keep what nobody points at.
        const holder = this.fetches.get(fetch, FETCH_HOLDER);
        this.remotePages.owe(holder, this.handle, this.versionOf(fetch), FLUSH_SCOPE.PAGE);
        this.unserved(fetch, STATUS.LOST);
        return;
      }
    }
    this.deliver(fetch, page);
  }

  /** The holder does not answer. */
  private away(fetch: number): void {
    this.counters.fetch_unreachable += 1;
    this.unserved(fetch, STATUS.UNREACHABLE);
  }

  /**
   * The holder that was asked has not served it: LOST, it has no good copy, or UNREACHABLE. The
   * next one is asked. When there is none the fetch ends; it is lost only if nobody may have it.
   */
  private unserved(fetch: number, status: Status): void {
    const { fetches } = this;
    if (fetches.get(fetch, FETCH_PAGE) !== 0) {
      if (status === STATUS.LOST) this.dropCopy(fetch);
      else fetches.set(fetch, FETCH_AWAY, 1);
      const hasTime = ((fetches.get(fetch, FETCH_DEADLINE) - this.elapsedMs()) | 0) > 0;
      if (hasTime && copyCount(fetches.get(fetch, FETCH_UNTRIED)) > 0) return this.ask(fetch);
    }
    const mayBeThere =
      fetches.get(fetch, FETCH_AWAY) === 1 || copyCount(fetches.get(fetch, FETCH_UNTRIED)) > 0;
    this.end(fetch, mayBeThere ? STATUS.UNREACHABLE : status);
  }

  /** The holder has it no more. The last one stays in the record, so that it is never a miss. */
  private dropCopy(fetch: number): void {
    const { fetches } = this;
    const copies = fetches.get(fetch, FETCH_COPIES);
    if (copyCount(copies) === 1) return;
    const holder = fetches.get(fetch, FETCH_HOLDER);
    fetches.set(fetch, FETCH_COPIES, withoutCopy(copies, holder));
    this.remotePages.copyRemoved(holder);
    this.counters.copies_lost += 1;
  }

  /** Serves the waiters in order until one of them takes the page away; the rest find it gone. */
  private deliver(fetch: number, page: number): void {
    const { tmem } = this.zcache;
    const version = this.versionOf(fetch);
    const { persistent } = tmem.poolOf(page);
    tmem.endTransit(page, this.fetches.get(fetch, FETCH_COPIES));
    this.loadHandle(fetch);
    const first = this.fetches.get(fetch, FETCH_WAITER_FIRST);
    let waiter = first;
    let status: Status = STATUS.OK;
    while (waiter !== 0) {
      if (!tmem.isLive(page) || tmem.version(page) !== version) break;
      const target = this.waiters.target(waiter);
      const at = this.waiters.at(waiter);
      if (!this.zcache.deliverZpage(this.handle, this.entry, target, at)) {
        this.counters.fetch_corrupt += 1;
        status = persistent ? STATUS.LOST : STATUS.NOT_FOUND;
        if (!persistent) tmem.flush(page);
        break;
      }
      if (persistent) this.counters.remote_pers_pages_succ_get += 1;
      else this.counters.remote_eph_pages_succ_get += 1;
      const getAndFree = this.waiters.getAndFree(waiter);
      if (getAndFree === 1 || (getAndFree === 0 && !persistent)) tmem.flush(page);
      waiter = this.waiters.next(waiter);
    }
    if (status === STATUS.OK && tmem.isLive(page) && tmem.version(page) === version) {
      this.comeHome(fetch, page, persistent);
    }
    this.tell(fetch, waiter, status);
  }

  /** Keeps the page here from now on when there is room below the low mark; else it stays away. */
  private comeHome(fetch: number, page: number, persistent: boolean): void {
    const { tmem, budget, frames } = this.zcache;
    if (budget.isOverLow(frames.framesUsed + 1)) {
      if (this.fetches.get(fetch, FETCH_HOMEWARD) === 1) {
        this.counters.pers_pages_remote_nomem += 1;
      }
      return;
    }
    const copies = tmem.place(page);
    // With nobody waiting it was not checked yet, and the holder's copy may be the only good one.
    if (this.fetches.get(fetch, FETCH_WAITER_FIRST) === 0 && !this.isIntact()) return;
    if (!this.zcache.localify(page, this.entry)) return;
    this.counters.pages_repatriated += 1;
    this.remotePages.removed(copies, persistent);
    const version = tmem.version(page);
    for (let i = 0; i < copyCount(copies); i += 1) {
      this.remotePages.oweBeforePut(copyAt(copies, i), this.handle, version);
    }
  }

  /** Whether the zpage in `entry` is the one that was stored under `handle`. */
  private isIntact(): boolean {
    const intact = this.zcache.isIntact(this.handle, this.entry);
    if (!intact) this.counters.fetch_corrupt += 1;
    return intact;
  }

  /**
   * Tells the waiters before `until` that they were served, and those from it on that they were
   * not.
   */
  private tell(fetch: number, until: number, status: Status): void {
    let waiter = this.fetches.get(fetch, FETCH_WAITER_FIRST);
    while (waiter !== until) waiter = this.waiters.tell(waiter, STATUS.OK);
    if (status === STATUS.OK) this.serveAgain(fetch, waiter);
    else this.tellAll(fetch, waiter, status);
  }

  /** The fetch failed: all its waiters hear of it. An ephemeral page is then a miss, for good. */
  private end(fetch: number, status: Status): void {
    const page = this.fetches.get(fetch, FETCH_PAGE);
    const first = this.fetches.get(fetch, FETCH_WAITER_FIRST);
    if (page === 0) {
      this.serveAgain(fetch, first);
      return;
    }
    const { tmem } = this.zcache;
    tmem.endTransit(page, this.fetches.get(fetch, FETCH_COPIES));
    if (tmem.poolOf(page).persistent) {
      this.tellAll(fetch, first, status);
    } else {
      tmem.flush(page);
      this.tellAll(fetch, first, STATUS.NOT_FOUND);
    }
  }

  /** Tells the waiters from `first` on, and gives the fetch back. */
  private tellAll(fetch: number, first: number, status: Status): void {
    let waiter = first;
    while (waiter !== 0) waiter = this.waiters.tell(waiter, status);
    this.fetches.give(fetch);
  }

  /**
   * Serves the waiters from `first` on again, and gives the fetch back, which keeps the handle
   * until then.
   */
  private serveAgain(fetch: number, first: number): void {
    let waiter = first;
    while (waiter !== 0) {
      this.loadHandle(fetch);
      waiter = this.waiters.retry(waiter, this.handle);
    }
    this.fetches.give(fetch);
  }

  private versionOf(fetch: number): number {
    const lo = this.fetches.get(fetch, FETCH_VERSION_LO) >>> 0;
    return this.fetches.get(fetch, FETCH_VERSION_HI) * 4294967296 + lo;
  }

  private storeHandle(fetch: number): void {
    const { fetches, handle } = this;
    fetches.set(fetch, FETCH_HANDLE, handle.oid0hi);
    fetches.set(fetch, FETCH_HANDLE + 1, handle.oid0lo);
    fetches.set(fetch, FETCH_HANDLE + 2, handle.oid1hi);
    fetches.set(fetch, FETCH_HANDLE + 3, handle.oid1lo);
    fetches.set(fetch, FETCH_HANDLE + 4, handle.oid2hi);
    fetches.set(fetch, FETCH_HANDLE + 5, handle.oid2lo);
    fetches.set(fetch, FETCH_HANDLE + 6, handle.index | 0);
    fetches.set(fetch, FETCH_HANDLE + 7, handle.pool);
  }

  private loadHandle(fetch: number): void {
    const { fetches, handle } = this;
    handle.oid0hi = fetches.get(fetch, FETCH_HANDLE);
    handle.oid0lo = fetches.get(fetch, FETCH_HANDLE + 1);
    handle.oid1hi = fetches.get(fetch, FETCH_HANDLE + 2);
    handle.oid1lo = fetches.get(fetch, FETCH_HANDLE + 3);
    handle.oid2hi = fetches.get(fetch, FETCH_HANDLE + 4);
    handle.oid2lo = fetches.get(fetch, FETCH_HANDLE + 5);
    handle.index = fetches.get(fetch, FETCH_HANDLE + 6) >>> 0;
    handle.pool = fetches.get(fetch, FETCH_HANDLE + 7);
  }

  /**
   * Until the holder that is asked has had its time. Deadlines are kept in a word that wraps after
   * 49 days; the difference does not care.
   */
  private msLeft(fetch: number): number {
    return (this.fetches.get(fetch, FETCH_UNTIL) - this.elapsedMs()) | 0;
  }

  private elapsedUs(): number {
    return Math.floor((this.clock.now() - this.originMs) * 1000) | 0;
  }

  private elapsedMs(): number {
    return Math.floor(this.clock.now() - this.originMs) | 0;
  }
}

const NO_ZPAGE = { zpageBytes: 0, codec: 0, checksum: 0, version: 0 } as const;
