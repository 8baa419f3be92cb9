/**
 * DiskAsks: fetches on their way to the node's own disk and back. asks.ts does the same for nodes.
 * Reads that the disk does not take at once wait here.
 *
 *     enqueue --> [ queue ] --> read --> onAnswer
 *                     ^           |
 *                     |           +--> failed, or too late: onNoAnswer
 *                     +-- stale, since the page has moved on the disk
 */

import type { Clock } from "../../core/clock.ts";
import { SPILL_READS_MAX } from "../../core/limits.ts";
import { STATUS } from "../../core/status.ts";
import { emptyZpage, type Zpage } from "../../core/zpage.ts";
import type { ReadOutcome, Spill, SpillReadSink } from "../../spill/spill.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import type { Latencies } from "../latencies.ts";
import { AskQueue } from "./ask-queue.ts";
import type { AskSink } from "./ask-sink.ts";
import { type Fetches, fetchOf } from "./fetches.ts";
import type { RecentLatency } from "./recent-latency.ts";

interface Parts {
  readonly spill: Spill;
  readonly zcache: Zcache;
  readonly fetches: Fetches;
  readonly latencies: Latencies;
  readonly recent: RecentLatency;
  readonly clock: Clock;
  readonly sink: AskSink;
}

export class DiskAsks implements SpillReadSink {
  private readonly parts: Parts;
  private readonly queue = new AskQueue();
  /** The ask of each read of the disk. 0: the ask has ended. */
  private readonly reading = new Int32Array(SPILL_READS_MAX);
  private readonly entry: Zpage;
  private readonly originMs: number;
  private readonly pump = (): void => this.readNext();

  constructor(parts: Parts) {
    this.parts = parts;
    this.originMs = parts.clock.now();
    this.entry = emptyZpage();
  }

  costMs(nowMs: number): number {
    return this.queue.costMs(nowMs);
  }

  /** The page of the ask is on the disk. The sink is not called before this returns. */
  enqueue(ask: number): void {
    this.queue.push(this.parts.fetches, ask);
    // If there are others, it waits for their reads.
    if (this.queue.count === 1) this.readNext();
  }

  /** Ends the asks for which `isOver`. Their reads go on, and are ignored. */
  expire(isOver: (ask: number) => boolean): void {
    const { fetches, sink } = this.parts;
    const { queue, reading } = this;
    while (queue.head !== 0 && isOver(queue.head)) sink.onNoAnswer(queue.shift(fetches), false);
    for (let read = 0; read < SPILL_READS_MAX; read += 1) {
      const ask = reading[read] ?? 0;
      if (ask === 0 || !isOver(ask)) continue;
      reading[read] = 0;
      queue.sent -= 1;
      sink.onNoAnswer(ask, false);
    }
  }

  /** SpillReadSink. */
  onRead(
    read: number,
    outcome: ReadOutcome,
    bytes: Uint8Array,
    at: number,
    checksum: number,
  ): void {
    const { fetches, clock, sink, spill, zcache } = this.parts;
    const { entry } = this;
    const ask = this.reading[read] ?? 0;
    clock.soon(this.pump); // The disk takes another read as soon as this returns.
    if (ask === 0) return;
    this.reading[read] = 0;
    this.queue.sent -= 1;
    if (outcome === "failed") return sink.onNoAnswer(ask, false);
    const fetch = fetchOf(ask);
    const page = fetches.isLive(fetch) ? fetches.page(fetch) : 0;
    if (outcome === "stale") {
      if (page !== 0 && spill.has(page)) this.queue.push(fetches, ask);
      else sink.onAnswer(ask, STATUS.NOT_FOUND, entry);
      return;
    }
    this.measure(ask);
    entry.bytes = bytes;
    entry.at = at;
    entry.checksum = checksum;
    if (page !== 0) {
      entry.zpageBytes = zcache.tmem.zpageBytes(page);
      entry.codec = zcache.tmem.codec(page);
      entry.version = fetches.version(fetch);
    }
    sink.onAnswer(ask, STATUS.OK, entry);
  }

  /** Starts reads while the disk takes them. */
  private readNext(): void {
    const { fetches, spill, sink, zcache } = this.parts;
    const { queue } = this;
    while (queue.head !== 0) {
      const ask = queue.head;
      const fetch = fetchOf(ask);
      const page = fetches.isLive(fetch) ? fetches.page(fetch) : 0;
      if (page === 0 || !spill.has(page)) {
        // An ask that was just enqueued is never here, since its page is on the disk.
        queue.shift(fetches);
        sink.onAnswer(ask, STATUS.NOT_FOUND, this.entry);
        continue;
      }
      const read = spill.read(page, zcache.tmem.zpageBytes(page), this);
      if (read < 0) return;
      queue.shift(fetches);
      queue.sent += 1;
      this.reading[read] = ask;
      fetches.setAskSentUs(ask, this.elapsedUs());
    }
  }

  private measure(ask: number): void {
    const { fetches, latencies, recent, clock } = this.parts;
    const tookMs = ((this.elapsedUs() - fetches.askSentUs(ask)) >>> 0) / 1000;
    latencies.spill_read.add(tookMs);
    recent.add(tookMs);
    this.queue.took(tookMs, Math.floor(clock.now() - this.originMs) | 0);
  }

  private elapsedUs(): number {
    return Math.floor((this.parts.clock.now() - this.originMs) * 1000) | 0;
  }
}
