/**
 * Live: what watchers of a node get as it happens: an overview a second, new events, and new rows
 * of the history. A watcher that gets nothing for a while misses overviews, and no event or row
 * that is still kept.
 *
 *     reports, one a second --> History
 *                           \-> Overview + what is new to the watcher --> JSON
 *
 * Not here: how a message travels (doors/live-stream.ts).
 */
import type { Clock } from "../core/clock.ts";
import { LIVE_EVENTS_MAX, LIVE_SHARE } from "../core/monitoring-limits.ts";
import type { EventReport, NodeStats } from "../wire/stats.ts";
import { EventRing } from "./events.ts";
import { History, type HistoryRows } from "./history.ts";
import { type Overview, overviewOf } from "./overview.ts";
import type { TimedStats } from "./span.ts";

export interface LiveMessage {
  readonly overview: Overview;
  /** Oldest first. */
  readonly events: readonly EventReport[];
  readonly minutes: HistoryRows;
  readonly day: HistoryRows;
}

/** What a watcher has got so far. */
export interface LiveCursor {
  readonly event: number;
  readonly minutes: number;
  readonly day: number;
}

export const LIVE_START: LiveCursor = { event: 0, minutes: 0, day: 0 };

export class Live {
  readonly events: EventRing;
  private readonly clock: Clock;
  private readonly history = new History();
  private readonly watchers = new Set<() => void>();
  private now: TimedStats | null = null;
  private before: TimedStats | null = null;
  /** The last message, and for which cursor it is. Most watchers have the same one. */
  private made: { cursor: LiveCursor; text: string; next: LiveCursor } | null = null;
  /** Until then no message is made, so that watchers cost little. */
  private restUntilMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.events = new EventRing(clock);
  }

  /** A new report of the node. Watchers are told. */
  observe(stats: NodeStats): void {
    const now = this.clock.now();
    this.before = this.now;
    this.now = { stats, atMs: now };
    this.history.observe(this.now);
    this.made = null;
    if (now < this.restUntilMs) return;
    for (const watcher of this.watchers) watcher();
    this.restUntilMs = now + (this.clock.now() - now) / LIVE_SHARE;
  }

  /** Calls `watcher` after each report, until the result is called. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  /** The message for a watcher, and its next cursor. Null before the first report. */
  messageAfter(cursor: LiveCursor): { text: string; next: LiveCursor } | null {
    if (this.now === null) return null;
    if (this.made !== null && isSame(this.made.cursor, cursor)) return this.made;
    const nowMs = this.clock.now();
    const events = this.events.after(cursor.event).slice(-LIVE_EVENTS_MAX);
    const message: LiveMessage = {
      overview: overviewOf(this.now, this.before),
      events,
      minutes: this.history.rowsAfter("minutes", cursor.minutes, nowMs),
      day: this.history.rowsAfter("day", cursor.day, nowMs),
    };
    const { minutes, day } = message;
    const event = events.at(-1)?.number ?? cursor.event;
    const next = { event, minutes: minutes.last, day: day.last };
    this.made = { cursor, text: JSON.stringify(message), next };
    return this.made;
  }
}

function isSame(a: LiveCursor, b: LiveCursor): boolean {
  return a.event === b.event && a.minutes === b.minutes && a.day === b.day;
}
