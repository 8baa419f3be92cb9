/**
 * AskQueue: the asks for one holder that are not sent yet, how fast the holder answers, and whether
 * it answers at all. Asks are linked in the rows of their fetches.
 *
 * A holder is silent when one of its asks ended without an answer, and nothing came from it for
 * half of that time. Its asks then end at once, until there is a sign of life. Otherwise each get
 * would wait for its whole deadline.
 */
import type { Fetches } from "./fetches.ts";

/** The half-life of the measured latency of a holder. */
const SLOW_MS = 5000;

/** The part of the channel to the holder that is used here. */
interface Link {
  /** When anything was last received from the holder. */
  readonly heardAtMs: number;
}

export class AskQueue {
  head = 0;
  tail = 0;
  count = 0;
  flushSoon = false;
  /** How many asks are sent and not answered. */
  sent = 0;
  /** Since when the holder is silent. Null: it is not known to be silent. */
  private silentSinceMs: number | null = null;
  /** A moving mean of the time that an answer takes. `seenMs` is when the last one came. */
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

  /** An ask ended without an answer after this time. */
  unanswered(link: Link | null, waitedMs: number, nowMs: number): void {
    if (link === null || nowMs - link.heardAtMs >= waitedMs / 2) this.silentSinceMs = nowMs;
  }

  /** `link` is the current link to the holder. */
  isSilent(link: Link | null): boolean {
    if (this.silentSinceMs === null) return false;
    if (link !== null && link.heardAtMs > this.silentSinceMs) this.silentSinceMs = null;
    return this.silentSinceMs !== null;
  }

  signOfLife(): void {
    this.silentSinceMs = null;
  }

  /** An answer came after this time. */
  took(ms: number, nowMs: number): void {
    this.usualMs += (ms - this.usualMs) / 8;
    this.seenMs = nowMs;
  }

  /**
   * Estimates how long an answer would take, behind the asks that are queued or sent (Envoy's peak
   * EWMA). For comparisons only.
   */
  costMs(nowMs: number): number {
    const idleMs = nowMs - this.seenMs;
    return this.usualMs * (1 + this.count + this.sent) * 2 ** (-idleMs / SLOW_MS);
  }
}
