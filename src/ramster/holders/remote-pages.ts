/**
 * RemotePages: the pages of this node at each holder: how many there are, how much they take there,
 * and the pending flushes. Each holder has a row, made at first use.
 *
 * The node's own disk is not a holder here. Pages on it are counted, and freed at once without a
 * flush.
 *
 * Not here: which holders have which page (copy-records.ts), and which holders are there
 * (presence.ts).
 */
import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import { Handle } from "../../core/handle.ts";
import {
  COPIES_MAX,
  FLUSH_BATCH_COUNT_MAX,
  FRAME_BYTES,
  PENDING_FLUSHES_MAX,
  POOLS_PER_CLIENT_MAX,
} from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { STATUS } from "../../core/status.ts";
import { LANE, type ReplySink } from "../../net/channel.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { FLUSH_ENTRY_BYTES, FLUSH_SCOPE, type FlushScope } from "../../wire/peer-entries.ts";
import { type Copies, copyAt, copyCount, NO_COPIES, SPILL } from "../copies.ts";
import { RamsterCounters } from "../counters.ts";
import type { Peers } from "../peers.ts";
import { CopyTally } from "./copy-tally.ts";
import { isAtRisk } from "./enough.ts";
import { PendingFlushes } from "./pending-flushes.ts";
import type { LinkedBoot, Presence } from "./presence.ts";

class Holder {
  pageCount = 0;
  /** Bytes of the zpages there. */
  zbytes = 0;
  readonly flushes: PendingFlushes;
  /** No put follows before this many entries of `flushes` are done: see `addFlushBeforePut`. */
  doneBeforePut = 0;

  constructor(memory: Memory, counters: RamsterCounters) {
    this.flushes = new PendingFlushes(memory, counters);
  }
}

interface Parts {
  readonly memory: Memory;
  readonly peers: Peers;
  readonly presence: Presence;
  readonly counters: RamsterCounters;
  readonly buggify: Buggify;
  /** Called when a holder has flushed. Puts that waited behind the flush may follow. */
  readonly onFlushed: () => void;
}

export class RemotePages implements ReplySink {
  private readonly parts: Parts;
  private readonly requestTimeoutMs: number;
  private readonly holders: Array<Holder | undefined> = [];
  private readonly tally = new CopyTally();
  private readonly poolHandle = new Handle();

  constructor(parts: Parts, settings: { requestTimeoutMs: number }) {
    this.parts = parts;
    this.requestTimeoutMs = settings.requestTimeoutMs;
  }

  /**
   * Whether this many more pages may turn remote there, so that there will be room for their
   * flushes.
   */
  hasRoom(node: number, count: number): boolean {
    const holder = this.holderOf(node);
    return holder.pageCount + holder.flushes.count + count <= PENDING_FLUSHES_MAX;
  }

  pageCount(node: number): number {
    return this.holders[node]?.pageCount ?? 0;
  }

  /** An estimate of the frames that the pages take there, as if they filled them. */
  framesAt(node: number): number {
    return (this.holders[node]?.zbytes ?? 0) / FRAME_BYTES;
  }

  /** The same for all holders together. */
  get framesTotal(): number {
    return this.holders.reduce((sum, holder) => sum + (holder?.zbytes ?? 0), 0) / FRAME_BYTES;
  }

  /**
   * How many persistent pages are at risk (see enough.ts) when they should have `copiesMin` copies,
   * and how many of these have one copy in reach, and none.
   */
  countAtRisk(copiesMin: number): { atRisk: number; exposed: number; outOfReach: number } {
    const { presence } = this.parts;
    const count = (atMost: number): number => {
      return this.tally.count((copies) => {
        const present = presence.presentOf(copies);
        return copyCount(present) <= atMost && isAtRisk(copies, present, copiesMin);
      });
    };
    const outOfReach = count(0);
    return { atRisk: count(COPIES_MAX), exposed: count(1) - outOfReach, outOfReach };
  }

  /** How many persistent pages have so many copies in reach. The disk is one of them. */
  pagesWith(copies: number): number {
    const { presence } = this.parts;
    return this.tally.count((it) => copyCount(presence.presentOf(it)) === copies);
  }

  /** How many copies are out of reach, at nodes that are dead and may come back. */
  get absentTotal(): number {
    let count = 0;
    for (const [node, holder] of this.holders.entries()) {
      if (holder !== undefined && this.parts.presence.isAbsent(node)) count += holder.pageCount;
    }
    return count;
  }

  pendingFlushCount(node: number): number {
    return this.holders[node]?.flushes.count ?? 0;
  }

  /** A mark that is passed when all flushes of the node so far are done. */
  flushMark(node: number): number {
    return this.holderOf(node).flushes.addedCount;
  }

  hasPassed(node: number, flushMark: number): boolean {
    return this.holderOf(node).flushes.doneCount >= flushMark;
  }

  pendingFlushTotal(): number {
    return this.holders.reduce((sum, holder) => sum + (holder?.flushes.count ?? 0), 0);
  }

  /** Calls `visit` for each node that ever kept a page, with the number of its pending flushes. */
  eachHolder(visit: (node: number, flushCount: number) => void): void {
    this.holders.forEach((holder, node) => {
      if (holder !== undefined) visit(node, holder.flushes.count);
    });
  }

  /** The holders that keep pages, or have pending flushes. */
  holderNodes(): number[] {
    const isNeeded = (node: number): boolean =>
      this.pageCount(node) + this.pendingFlushCount(node) > 0;
    return [...this.holders.keys()].filter(isNeeded);
  }

  /** A page of `zpageBytes` is remote from now on, with these copies. */
  added(copies: Copies, persistent: boolean, zpageBytes: number): void {
    const { counters } = this.parts;
    this.changed(NO_COPIES, copies, persistent, zpageBytes);
    if (persistent) counters.remote_pers_pages += 1;
    else counters.remote_eph_pages += 1;
  }

  /**
   * No holder keeps the page for this node any more. Its record is gone or lost, or the page is
   * home.
   */
  removed(copies: Copies, persistent: boolean, zpageBytes: number): void {
    const { counters } = this.parts;
    this.changed(copies, NO_COPIES, persistent, zpageBytes);
    if (persistent) counters.remote_pers_pages -= 1;
    else counters.remote_eph_pages -= 1;
  }

  /** A page has other copies than before. */
  changed(before: Copies, after: Copies, persistent: boolean, zpageBytes: number): void {
    for (let i = 0; i < copyCount(before); i += 1) this.count(copyAt(before, i), -1, zpageBytes);
    for (let i = 0; i < copyCount(after); i += 1) this.count(copyAt(after, i), 1, zpageBytes);
    if (!persistent) return;
    if (before !== NO_COPIES) this.tally.remove(before);
    if (after !== NO_COPIES) this.tally.add(after);
  }

  private count(node: number, copies: 1 | -1, zpageBytes: number): void {
    const { counters } = this.parts;
    if (node === SPILL) {
      counters.spilled_pages += copies;
      return;
    }
    counters.remote_copies += copies;
    const holder = this.holderOf(node);
    holder.pageCount += copies;
    holder.zbytes += copies * zpageBytes;
  }

  /**
   * The holder must flush the page under the handle up to `version`. The entry is sent at the next
   * `sendFlushes`. A holder that left has no pending flushes. If it was wrongly reported to have
   * left, it flushes everything at its next link.
   */
  addFlush(node: number, handle: Handle, version: number, scope: FlushScope): void {
    const { presence, peers } = this.parts;
    if (presence.hasLeft(node)) return;
    peers.want(node);
    this.holderOf(node).flushes.add(handle, version, scope);
  }

  /**
   * The same as `addFlush`, for a page that is here in this version and may be put there again. No
   * put follows until the holder has acknowledged the flush. A flush that times out is sent again.
   * Behind the put it would remove the new copy.
   */
  addFlushBeforePut(node: number, handle: Handle, version: number): void {
    this.addFlush(node, handle, version, FLUSH_SCOPE.PAGE);
    const holder = this.holderOf(node);
    holder.doneBeforePut = holder.flushes.addedCount;
  }

  /**
   * Collapses the pending flushes of an absent holder without pages to one for each pool, up to
   * `version`. The holder may never come back.
   */
  collapseFlushes(node: number, version: number): void {
    const holder = this.holders[node];
    if (holder === undefined || holder.pageCount > 0 || !this.parts.presence.isAbsent(node)) return;
    if (holder.flushes.count <= 2 * POOLS_PER_CLIENT_MAX || holder.flushes.inFlightCount > 0)
      return;
    this.addFlushOfAll(holder, version);
  }

  /**
   * Sends the pending flushes of the node, if it has a link. Only one message is under way at a
   * time.
   *
   * @returns whether a put may follow on the same channel. All flushes must be sent, and those that
   * a put must wait for must be done.
   */
  sendFlushes(node: number): boolean {
    const { peers, buggify } = this.parts;
    const { flushes, doneBeforePut } = this.holderOf(node);
    if (flushes.unsentCount === 0) return flushes.doneCount >= doneBeforePut;
    const channel = peers.channelOf(node);
    if (channel === null) peers.want(node);
    if (channel === null || flushes.inFlightCount > 0) return false;
    if (buggify("flush-later")) return false;
    const countMax = buggify("flush-alone") ? 1 : FLUSH_BATCH_COUNT_MAX;
    const count = Math.min(flushes.unsentCount, countMax);
    const bodyBytes = count * FLUSH_ENTRY_BYTES;
    if (!channel.begin(LANE.BULK, bodyBytes)) return false;
    flushes.send(count, channel.bytes, channel.at);
    const timeoutMs = this.requestTimeoutMs;
    if (channel.commitRequest(MESSAGE.FLUSH, count, bodyBytes, this, node, timeoutMs) === 0) {
      flushes.rewind();
      return false;
    }
    return flushes.unsentCount === 0 && flushes.doneCount >= doneBeforePut;
  }

  /** Sends the pending flushes of every holder. */
  sendAllFlushes(): void {
    for (let node = 0; node < this.holders.length; node += 1) {
      if ((this.holders[node]?.flushes.unsentCount ?? 0) > 0) this.sendFlushes(node);
    }
  }

  /** Whether a holder that keeps pages is absent, and may come back. */
  get hasAbsent(): boolean {
    return this.absentTotal > 0;
  }

  /**
   * Whether there is a link to the holder, which shows that it still has its copies. Requests one
   * if not.
   */
  isReached(node: number): boolean {
    const { peers, presence } = this.parts;
    const isLinked = peers.channelOf(node) !== null;
    if (!isLinked) peers.want(node);
    return isLinked && !presence.isInDoubt(node);
  }

  /** The pages of the holder are gone, so there is nothing to flush. */
  holderLeft(node: number): void {
    this.holders[node]?.flushes.clear();
  }

  /**
   * A link to this boot is up. A restarted holder has nothing to flush. A holder that was wrongly
   * reported to have left flushes all pages that were given up, up to `version`.
   */
  linkUp(node: number, boot: LinkedBoot, version: number): void {
    const holder = this.holderOf(node);
    if (boot !== "same") holder.flushes.clear();
    if (boot === "left") this.addFlushOfAll(holder, version);
    this.sendFlushes(node);
  }

  /** ReplySink: the holder has flushed the oldest entries, or never had their pages. */
  onReply(node: number, reply: Frame): void {
    const { buggify, counters, onFlushed } = this.parts;
    if (buggify("flush-again")) return this.onFailure(node);
    const { flushes } = this.holderOf(node);
    // A holder that no longer lends has no page of this node either.
    const refused = reply.handlerStatus !== STATUS.OK;
    if (refused) flushes.clear();
    for (let at = 0; at < reply.count; at += 1) {
      const scope = flushes.scopeInFlight(at);
      if (scope === FLUSH_SCOPE.PAGE) counters.remote_pages_flushed += 1;
      else counters.remote_objects_flushed += 1;
    }
    if (!refused) flushes.acknowledge(reply.count);
    if (this.sendFlushes(node)) onFlushed();
  }

  /** ReplySink: the entries are sent again on the next link, or at the next tick. */
  onFailure(node: number): void {
    const { counters } = this.parts;
    const { flushes } = this.holderOf(node);
    for (let at = 0; at < flushes.inFlightCount; at += 1) {
      const scope = flushes.scopeInFlight(at);
      if (scope === FLUSH_SCOPE.PAGE) counters.remote_page_flushes_failed += 1;
      else counters.remote_object_flushes_failed += 1;
    }
    flushes.rewind();
  }

  /** Checks that exactly these pages are counted. For tests. */
  verify(pages: Iterable<{ copies: Copies; zpageBytes: number; persistent: boolean }>): void {
    const { requestTimeoutMs, holders, tally } = this;
    const counters = new RamsterCounters();
    const rebuilt = new RemotePages({ ...this.parts, counters }, { requestTimeoutMs });
    for (const { copies, zpageBytes, persistent } of pages) {
      rebuilt.added(copies, persistent, zpageBytes);
    }
    for (const name of ["remote_pers_pages", "remote_copies", "spilled_pages"] as const) {
      assert(counters[name] === this.parts.counters[name], name);
    }
    for (const [node, holder] of holders.entries()) {
      const pageCount = holder?.pageCount ?? 0;
      assert(pageCount === rebuilt.pageCount(node), `pages at node ${node}`);
      assert(this.framesAt(node) === rebuilt.framesAt(node), `frames at node ${node}`);
    }
    assert(this.parts.counters.flnodes === this.pendingFlushTotal(), "flnodes");
    tally.verify(rebuilt.tally);
  }

  /** Adds a flush of all pools. No put overtakes it. */
  private addFlushOfAll(holder: Holder, version: number): void {
    holder.flushes.clear();
    for (let pool = 0; pool < POOLS_PER_CLIENT_MAX; pool += 1) {
      this.poolHandle.set(pool, [0n, 0n, 0n], 0);
      holder.flushes.add(this.poolHandle, version, FLUSH_SCOPE.POOL);
    }
    holder.doneBeforePut = holder.flushes.addedCount;
  }

  private holderOf(node: number): Holder {
    assert(node !== SPILL, "the disk is no node");
    let holder = this.holders[node];
    if (holder === undefined) {
      holder = new Holder(this.parts.memory, this.parts.counters);
      this.holders[node] = holder;
    }
    return holder;
  }
}
