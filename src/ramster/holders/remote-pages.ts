/**
 * RemotePages: what this node keeps of its own pages on each holder: how many, what they take
 * there, and what it owes them to flush. One row a holder, made at first use.
 *
 * Its own disk is no holder here: what is on it is counted, freed at once, and owed nothing.
 */
import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import { Handle } from "../../core/handle.ts";
import {
  FLUSH_BATCH_COUNT_MAX,
  FRAME_BYTES,
  OWED_FLUSHES_MAX,
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
import { OwedFlushes } from "./owed-flushes.ts";
import type { LinkedBoot, Presence } from "./presence.ts";

class Holder {
  pageCount = 0;
  /** What they take there, in halves of a frame. */
  halfFrames = 0;
  readonly owed: OwedFlushes;
  /** No put before this many entries of `owed` are done: see `oweBeforePut`. */
  doneBeforePut = 0;

  constructor(memory: Memory) {
    this.owed = new OwedFlushes(memory);
  }
}

export class RemotePages implements ReplySink {
  private readonly memory: Memory;
  private readonly peers: Peers;
  private readonly presence: Presence;
  private readonly counters: RamsterCounters;
  private readonly onFlushed: () => void;
  private readonly buggify: Buggify;
  private readonly requestTimeoutMs: number;
  private readonly holders: Array<Holder | undefined> = [];
  private readonly tally = new CopyTally();
  private readonly poolHandle = new Handle();

  constructor(
    parts: {
      memory: Memory;
      peers: Peers;
      presence: Presence;
      counters: RamsterCounters;
      /** A holder has flushed what it was told to: puts that had to wait behind may follow. */
      onFlushed: () => void;
      buggify: Buggify;
    },
    settings: { requestTimeoutMs: number },
  ) {
    this.memory = parts.memory;
    this.peers = parts.peers;
    this.presence = parts.presence;
    this.counters = parts.counters;
    this.onFlushed = parts.onFlushed;
    this.buggify = parts.buggify;
    this.requestTimeoutMs = settings.requestTimeoutMs;
  }

  /** Whether another page may turn remote there: its flush, one day, has a place. */
  hasRoom(node: number, count: number): boolean {
    const holder = this.holderOf(node);
    return holder.pageCount + holder.owed.count + count <= OWED_FLUSHES_MAX;
  }

  pageCount(node: number): number {
    return this.holders[node]?.pageCount ?? 0;
  }

  /** Frames that its pages take there: two to a frame where they fit. An estimate. */
  framesAt(node: number): number {
    return (this.holders[node]?.halfFrames ?? 0) / 2;
  }

  /** The same of all holders. */
  get framesTotal(): number {
    return this.holders.reduce((sum, holder) => sum + (holder?.halfFrames ?? 0) / 2, 0);
  }

  /**
   * Persistent pages that are at risk (see enough.ts) when they should have `copiesMin` copies;
   * and those of them of which no copy is in reach.
   */
  countAtRisk(copiesMin: number): { atRisk: number; outOfReach: number } {
    const { tally, presence } = this;
    return {
      atRisk: tally.count((copies) => isAtRisk(copies, presence.presentOf(copies), copiesMin)),
      outOfReach: tally.count((copies) => presence.presentOf(copies) === NO_COPIES),
    };
  }

  /** Copies that are out of reach, at nodes that are dead and may come back. */
  get absentTotal(): number {
    let count = 0;
    for (const [node, holder] of this.holders.entries()) {
      if (holder !== undefined && this.presence.isAbsent(node)) count += holder.pageCount;
    }
    return count;
  }

  owedCount(node: number): number {
    return this.holders[node]?.owed.count ?? 0;
  }

  owedTotal(): number {
    return this.holders.reduce((sum, holder) => sum + (holder?.owed.count ?? 0), 0);
  }

  /** Calls `visit` for each node that ever held a page, with how many flushes it is owed. */
  eachHolder(visit: (node: number, owedCount: number) => void): void {
    this.holders.forEach((holder, node) => {
      if (holder !== undefined) visit(node, holder.owed.count);
    });
  }

  /** Those that keep pages, or are owed a flush. */
  holderNodes(): number[] {
    const isNeeded = (node: number): boolean => this.pageCount(node) + this.owedCount(node) > 0;
    return [...this.holders.keys()].filter(isNeeded);
  }

  /** A page of `zpageBytes` is remote from now on, with these copies. */
  added(copies: Copies, persistent: boolean, zpageBytes: number): void {
    this.changed(NO_COPIES, copies, persistent, zpageBytes);
    if (persistent) this.counters.remote_pers_pages += 1;
    else this.counters.remote_eph_pages += 1;
  }

  /** The page is no longer kept there on our behalf: its record is gone, or points home. */
  removed(copies: Copies, persistent: boolean, zpageBytes: number): void {
    this.changed(copies, NO_COPIES, persistent, zpageBytes);
    if (persistent) this.counters.remote_pers_pages -= 1;
    else this.counters.remote_eph_pages -= 1;
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
    if (node === SPILL) {
      this.counters.spilled_pages += copies;
      return;
    }
    this.counters.remote_copies += copies;
    const holder = this.holderOf(node);
    holder.pageCount += copies;
    holder.halfFrames += zpageBytes > FRAME_BYTES / 2 ? 2 * copies : copies;
  }

  /**
   * The holder must flush what it has under the handle up to `version`. Sent at the next
   * `sendOwed`. One that has left is owed nothing: if it had not, all is flushed there at its link.
   */
  owe(node: number, handle: Handle, version: number, scope: FlushScope): void {
    if (this.presence.hasLeft(node)) return;
    this.peers.want(node);
    this.holderOf(node).owed.owe(handle, version, scope);
  }

  /**
   * As `owe`, for a page that is here in that very version and may be put there again. No put
   * follows until the holder has acknowledged it: a flush that times out is sent again, and behind
   * the put it would take the new copy.
   */
  oweBeforePut(node: number, handle: Handle, version: number): void {
    this.owe(node, handle, version, FLUSH_SCOPE.PAGE);
    const holder = this.holderOf(node);
    holder.doneBeforePut = holder.owed.oweCount;
  }

  /**
   * Of a holder that is not there, and may never be again, and of whose pages none is counted on:
   * what it is owed page by page becomes a flush of each pool up to `version`.
   */
  owePools(node: number, version: number): void {
    const holder = this.holders[node];
    if (holder === undefined || holder.pageCount > 0 || !this.presence.isAbsent(node)) return;
    if (holder.owed.count <= 2 * POOLS_PER_CLIENT_MAX || holder.owed.inFlightCount > 0) return;
    this.oweAll(holder, version);
  }

  /**
   * Sends what is owed to the node, as far as it is connected and one message is under way at a
   * time.
   *
   * @returns whether a put may follow on the same channel: all of it is at least sent, and what
   * must be done before is done.
   */
  sendOwed(node: number): boolean {
    const { owed, doneBeforePut } = this.holderOf(node);
    if (owed.unsentCount === 0) return owed.doneCount >= doneBeforePut;
    const channel = this.peers.channelOf(node);
    if (channel === null) this.peers.want(node);
    if (channel === null || owed.inFlightCount > 0) return false;
    if (this.buggify("owed-flush-later")) return false;
    const countMax = this.buggify("owed-flush-alone") ? 1 : FLUSH_BATCH_COUNT_MAX;
    const count = Math.min(owed.unsentCount, countMax);
    const bodyBytes = count * FLUSH_ENTRY_BYTES;
    if (!channel.begin(LANE.BULK, bodyBytes)) return false;
    owed.send(count, channel.bytes, channel.at);
    const timeoutMs = this.requestTimeoutMs;
    if (channel.commitRequest(MESSAGE.FLUSH, count, bodyBytes, this, node, timeoutMs) === 0) {
      owed.rewind();
      return false;
    }
    return owed.unsentCount === 0 && owed.doneCount >= doneBeforePut;
  }

  /** Sends what is owed to every holder that is connected. */
  sendAllOwed(): void {
    for (let node = 0; node < this.holders.length; node += 1) {
      if ((this.holders[node]?.owed.unsentCount ?? 0) > 0) this.sendOwed(node);
    }
  }

  /** Whether a holder that keeps pages is absent, and may come back. */
  get hasAbsent(): boolean {
    return this.absentTotal > 0;
  }

  /** Whether there is a link to it, by which it has all that it had. Asks for one if not. */
  isReached(node: number): boolean {
    const isLinked = this.peers.channelOf(node) !== null;
    if (!isLinked) this.peers.want(node);
    return isLinked && !this.presence.isInDoubt(node);
  }

  /** What the holder kept is gone: there is nothing to flush. */
  holderLeft(node: number): void {
    this.holders[node]?.owed.clear();
  }

  /**
   * A link is up, to this boot. A restarted holder has nothing to flush. One that was said to have
   * left, and did not, flushes all that was given up: up to `version`.
   */
  linkUp(node: number, boot: LinkedBoot, version: number): void {
    const holder = this.holderOf(node);
    if (boot !== "same") holder.owed.clear();
    if (boot === "left") this.oweAll(holder, version);
    this.sendOwed(node);
  }

  /** ReplySink: the holder has flushed, or never had, the oldest entries. */
  onReply(node: number, reply: Frame): void {
    if (this.buggify("owed-flush-again")) return this.onFailure(node);
    const { owed } = this.holderOf(node);
    // One that lends nothing any more has nothing of ours either.
    const refused = reply.handlerStatus !== STATUS.OK;
    if (refused) owed.clear();
    for (let at = 0; at < reply.count; at += 1) {
      const scope = owed.scopeInFlight(at);
      if (scope === FLUSH_SCOPE.PAGE) this.counters.remote_pages_flushed += 1;
      else this.counters.remote_objects_flushed += 1;
    }
    if (!refused) owed.acknowledge(reply.count);
    if (this.sendOwed(node)) this.onFlushed();
  }

  /** ReplySink: sent again on the next link, or at the next tick. */
  onFailure(node: number): void {
    this.counters.remote_page_flushes_failed += 1;
    this.holderOf(node).owed.rewind();
  }

  /** Whether it counts just these pages. For tests. */
  verify(pages: Iterable<{ copies: Copies; zpageBytes: number; persistent: boolean }>): void {
    const { memory, peers, presence, buggify, requestTimeoutMs, holders, tally } = this;
    const counters = new RamsterCounters();
    const parts = { memory, peers, presence, buggify, counters, onFlushed: () => {} };
    const anew = new RemotePages(parts, { requestTimeoutMs });
    for (const { copies, zpageBytes, persistent } of pages) {
      anew.added(copies, persistent, zpageBytes);
    }
    for (const name of ["remote_pers_pages", "remote_copies", "spilled_pages"] as const) {
      assert(counters[name] === this.counters[name], name);
    }
    for (const [node, holder] of holders.entries()) {
      const pageCount = holder?.pageCount ?? 0;
      assert(pageCount === anew.pageCount(node), `pages at node ${node}`);
      assert(this.framesAt(node) === anew.framesAt(node), `frames at node ${node}`);
    }
    tally.verify(anew.tally);
  }

  /** A flush of all pools, which no put overtakes. */
  private oweAll(holder: Holder, version: number): void {
    holder.owed.clear();
    for (let pool = 0; pool < POOLS_PER_CLIENT_MAX; pool += 1) {
      this.poolHandle.set(pool, [0n, 0n, 0n], 0);
      holder.owed.owe(this.poolHandle, version, FLUSH_SCOPE.POOL);
    }
    holder.doneBeforePut = holder.owed.oweCount;
  }

  private holderOf(node: number): Holder {
    assert(node !== SPILL, "the disk is no node");
    let holder = this.holders[node];
    if (holder === undefined) {
      holder = new Holder(this.memory);
      this.holders[node] = holder;
    }
    return holder;
  }
}
