/**
 * Asks: fetches on their way to holders and back. All asks of one turn for one holder go in one
 * message. They wait here while there is no link to the holder, or no room on it.
 *
 *     enqueue --> [ queue of the holder ] --> GET message --> onAnswer, for each
 *                        ^                        |
 *                        |                        +--> no answer: onNoAnswer, for each
 *                        +-- enqueue again, if the sink decides so
 *
 * Asks of a silent holder (ask-queue.ts) end at once. Pages on the node's own disk are read by
 * disk-asks.ts.
 *
 * Not here: which holder to ask, and what an answer means (repatriate.ts).
 */

import type { Clock } from "../../core/clock.ts";
import { Handle } from "../../core/handle.ts";
import { FETCH_BATCH_COUNT_MAX } from "../../core/limits.ts";
import { emptyZpage, type Zpage } from "../../core/zpage.ts";
import { LANE, type ReplySink } from "../../net/channel.ts";
import type { Spill } from "../../spill/spill.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  readGetReplyEntry,
  writeGetEntry,
} from "../../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../../wire/status.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { SPILL } from "../copies.ts";
import type { Latencies } from "../latencies.ts";
import type { Peers } from "../peers.ts";
import { AskQueue } from "./ask-queue.ts";
import type { AskSink } from "./ask-sink.ts";
import { DiskAsks } from "./disk-asks.ts";
import { type Fetches, fetchOf } from "./fetches.ts";
import type { RecentLatency } from "./recent-latency.ts";

interface Parts {
  readonly fetches: Fetches;
  readonly peers: Peers;
  readonly latencies: Latencies;
  readonly recent: RecentLatency;
  readonly clock: Clock;
  readonly sink: AskSink;
  readonly zcache: Zcache;
  readonly spill: Spill | null;
}

export class Asks implements ReplySink {
  private readonly parts: Parts;
  /** Null: there is no disk. */
  private readonly disk: DiskAsks | null;
  private readonly queues: Array<AskQueue | undefined> = [];
  private readonly handle = new Handle();
  private readonly entry: Zpage;
  private readonly originMs: number;

  constructor(parts: Parts) {
    this.parts = parts;
    this.originMs = parts.clock.now();
    const { spill } = parts;
    this.disk = spill === null ? null : new DiskAsks({ ...parts, spill });
    this.entry = emptyZpage();
  }

  /** Milliseconds that wrap after 49 days, so only differences are meaningful. */
  get elapsedMs(): number {
    return Math.floor(this.parts.clock.now() - this.originMs) | 0;
  }

  /** The time until the deadline of the fetch. */
  msLeft(fetch: number): number {
    return (this.parts.fetches.deadline(fetch) - this.elapsedMs) | 0;
  }

  /**
   * Estimates how long an answer of the node would take, for comparisons only. Infinite without a
   * link.
   */
  costOf(node: number): number {
    if (node === SPILL) return this.disk?.costMs(this.elapsedMs) ?? Number.POSITIVE_INFINITY;
    const channel = this.parts.peers.channelOf(node);
    const queue = this.queues[node];
    if (channel === null || queue?.isSilent(channel) === true) return Number.POSITIVE_INFINITY;
    return queue?.costMs(this.elapsedMs) ?? 0;
  }

  enqueue(ask: number): void {
    const { fetches, peers, clock } = this.parts;
    const node = fetches.askNode(ask);
    if (node === SPILL) {
      this.disk?.enqueue(ask);
      return;
    }
    let queue = this.queues[node];
    if (queue === undefined) {
      queue = new AskQueue();
      this.queues[node] = queue;
    }
    queue.push(fetches, ask);
    if (queue.flushSoon) return;
    queue.flushSoon = true;
    peers.want(node);
    clock.soon(() => this.sendQueue(node));
  }

  /** A link to the node is up, or has room again. Sends the asks that waited for it. */
  linkReady(node: number): void {
    this.sendQueue(node);
  }

  /** Whether asks wait for a link to the node, or waited until it was found silent. */
  isWaitingFor(node: number): boolean {
    const queue = this.queues[node];
    if (queue === undefined) return false;
    return queue.count > 0 || queue.isSilent(this.parts.peers.channelOf(node));
  }

  /** Another node has news of the node. */
  signOfLife(node: number): void {
    this.queues[node]?.signOfLife();
  }

  /** Ends the asks that wait for a link to the node. */
  holderDead(node: number): void {
    const { sink, fetches } = this.parts;
    const queue = this.queues[node];
    while (queue !== undefined && queue.head !== 0) {
      sink.onNoAnswer(queue.shift(fetches), false);
    }
  }

  /**
   * Ends asks that wait for a link and whose deadline comes before the next call, in `periodMs`.
   * Requests the links that the others wait for, since a lost link is not dialled by itself.
   */
  expire(periodMs: number): void {
    const { fetches, peers, clock, sink } = this.parts;
    for (const [node, queue] of this.queues.entries()) {
      if (queue === undefined) continue;
      while (queue.head !== 0 && this.isOver(queue.head, periodMs)) {
        const isLate = fetches.isLive(fetchOf(queue.head));
        const channel = peers.channelOf(node);
        if (isLate && channel === null) queue.unanswered(null, 0, clock.now());
        sink.onNoAnswer(queue.shift(fetches), false);
      }
      // Also without asks: what is heard on a link still counts when the link has ended. And only
      // a link shows that a silent holder is back.
      const isSilent = queue.isSilent(peers.channelOf(node));
      if (isSilent) this.holderDead(node);
      if (isSilent || queue.count > 0) peers.want(node);
    }
    this.disk?.expire((ask) => this.isOver(ask, periodMs));
  }

  /** ReplySink: one entry for each ask of the message, in order. `head` is the first of them. */
  onReply(head: number, reply: Frame): void {
    const { latencies, recent, fetches, sink } = this.parts;
    const tookMs = this.msSince(head);
    latencies.fetch.add(tookMs);
    recent.add(tookMs);
    const queue = this.queues[fetches.askNode(head)];
    queue?.took(tookMs, this.elapsedMs);
    const { entry } = this;
    let at = reply.bodyAt;
    let ask = head;
    for (let left = reply.count; ask !== 0; left -= 1) {
      const next = fetches.nextAsk(ask);
      if (queue !== undefined) queue.sent -= 1;
      if (left <= 0) {
        sink.onNoAnswer(ask, false);
      } else {
        const status = readGetReplyEntry(reply.view, at, entry);
        at += GET_REPLY_ENTRY_BYTES;
        entry.bytes = reply.bytes;
        entry.at = at;
        at += entry.zpageBytes;
        sink.onAnswer(ask, status, entry);
      }
      ask = next;
    }
  }

  /** ReplySink. */
  onFailure(head: number, transportStatus: number): void {
    const { fetches, peers, clock, sink } = this.parts;
    const linkLost =
      transportStatus === TRANSPORT_STATUS.DIED ||
      transportStatus === TRANSPORT_STATUS.NOT_CONNECTED;
    const node = fetches.askNode(head);
    const queue = this.queues[node];
    if (queue !== undefined && transportStatus === TRANSPORT_STATUS.TIMED_OUT) {
      queue.unanswered(peers.channelOf(node), this.msSince(head), clock.now());
    }
    let ask = head;
    while (ask !== 0) {
      const next = fetches.nextAsk(ask);
      if (queue !== undefined) queue.sent -= 1;
      sink.onNoAnswer(ask, linkLost);
      ask = next;
    }
  }

  private isOver(ask: number, periodMs: number): boolean {
    const fetch = fetchOf(ask);
    return !this.parts.fetches.isLive(fetch) || this.msLeft(fetch) <= periodMs;
  }

  private sendQueue(node: number): void {
    const { peers, fetches } = this.parts;
    const queue = this.queues[node];
    if (queue === undefined) return;
    queue.flushSoon = false;
    const channel = peers.channelOf(node);
    const isGone = channel === null && !peers.isPeer(node);
    if (isGone || queue.isSilent(channel)) this.holderDead(node);
    if (channel === null) return;
    while (queue.count > 0) {
      const count = Math.min(queue.count, FETCH_BATCH_COUNT_MAX);
      if (!channel.begin(LANE.URGENT, count * GET_ENTRY_BYTES)) return; // linkReady continues.
      let at = channel.at;
      let ask = queue.head;
      let last = 0;
      let timeoutMs = 1;
      for (let i = 0; i < count; i += 1) {
        const fetch = fetchOf(ask);
        fetches.readHandle(fetch, this.handle);
        writeGetEntry(channel.view, at, this.handle, fetches.version(fetch));
        at += GET_ENTRY_BYTES;
        timeoutMs = Math.max(timeoutMs, this.msLeft(fetch));
        last = ask;
        ask = fetches.nextAsk(ask);
      }
      const context = queue.head;
      const bodyBytes = count * GET_ENTRY_BYTES;
      if (channel.commitRequest(MESSAGE.GET, count, bodyBytes, this, context, timeoutMs) === 0) {
        return;
      }
      fetches.setAskSentUs(context, this.elapsedUs());
      fetches.setNextAsk(last, 0);
      queue.head = ask;
      queue.count -= count;
      queue.sent += count;
      if (queue.head === 0) queue.tail = 0;
    }
  }

  /** The time since the message that begins with this ask was sent. */
  private msSince(head: number): number {
    return ((this.elapsedUs() - this.parts.fetches.askSentUs(head)) >>> 0) / 1000;
  }

  private elapsedUs(): number {
    return Math.floor((this.parts.clock.now() - this.originMs) * 1000) | 0;
  }
}
