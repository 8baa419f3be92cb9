/**
 * AskQueue: asks of one holder that are not sent yet, and how quick it is. They are linked in the
 * rows of their fetches.
 */
import type { Fetches } from "./fetches.ts";

/** How long a holder is remembered to be slow: the half of it. */
const SLOW_MS = 5000;

export class AskQueue {
  head = 0;
  tail = 0;
  count = 0;
  flushSoon = false;
  /** Sent, and not answered. */
  sent = 0;
  /** What an answer takes, a moving mean, and when that was last seen. */
  private usualMs = 0;
  private seenMs = 0;

  push(fetches: Fetches, ask: number): void {
    fetches.setNextAsk(ask, 0);
    if (this.tail === 0) this.head = ask;
    else fetches.setNextAsk(this.tail, ask);
    this.tail = ask;
    this.count += 1;
  }

  shift(fetches: Fetches): number {
    const ask = this.head;
    this.head = fetches.nextAsk(ask);
    if (this.head === 0) this.tail = 0;
    this.count -= 1;
    return ask;
  }

  /** An answer came after so long. */
  took(ms: number, nowMs: number): void {
    this.usualMs += (ms - this.usualMs) / 8;
    this.seenMs = nowMs;
  }

  /**
   * How long an answer would take, more or less, with all that is asked for already (Envoy's peak
   * EWMA). For comparisons.
   */
  costMs(nowMs: number): number {
    const idleMs = (nowMs - this.seenMs) | 0;
    return this.usualMs * (1 + this.count + this.sent) * 2 ** (-idleMs / SLOW_MS);
  }
}
