/**
 * Recent: the recent messages of one Lamport clock of Serf, so that each is handled once
 * (hashicorp/serf, handleUserEvent and handleQuery, eventBuffer and queryBuffer).
 *
 *     time    too old | 512 times | now
 *
 * A message that is too old is ignored: it was handled before, or comes too late. When memory is
 * full, the messages of the oldest time are dropped, and that time is too old from then on. So no
 * message is gossiped for ever. Times are compared as in Serf, so that this node passes on what
 * Serf's agents accept.
 */
import { SERF_RECENT_BYTES_MAX, SERF_TIMES_MAX } from "../core/limits.ts";
import type { LTime } from "../gossip/serf-messages.ts";
import { LamportClock } from "./lamport.ts";

/** The overhead of an entry, in bytes. */
const ENTRY_BYTES = 64;
const WINDOW = BigInt(SERF_TIMES_MAX);

interface AtOneTime<T> {
  readonly items: Map<string, T>;
  byteCount: number;
}

export class Recent<T> {
  readonly clock = new LamportClock();
  private readonly times = new Map<LTime, AtOneTime<T>>();
  private byteCount = 0;
  /** The last time that was dropped. */
  private gone: LTime = 0n;

  /** @returns whether the message is new. `byteCount`: the size of `item`. */
  add(time: LTime, id: string, item: T, byteCount: number): boolean {
    this.clock.witness(time);
    if (this.isOld(time)) return false;
    let at = this.times.get(time);
    if (at?.items.has(id) === true) return false;
    if (at === undefined) {
      for (const other of this.times.keys()) if (this.isOld(other)) this.forget(other);
      at = { items: new Map(), byteCount: 0 };
      this.times.set(time, at);
    }
    at.items.set(id, item);
    at.byteCount += byteCount + ENTRY_BYTES;
    this.byteCount += byteCount + ENTRY_BYTES;
    while (this.byteCount > SERF_RECENT_BYTES_MAX) this.forgetOldest();
    return true;
  }

  /** All items, by time. */
  *entries(): Generator<readonly [LTime, readonly T[]]> {
    for (const [time, { items }] of this.times) yield [time, [...items.values()]];
  }

  private isOld(time: LTime): boolean {
    const { upcoming } = this.clock;
    // A time that was dropped before the clock wrapped around does not count.
    return time + WINDOW < upcoming || (time <= this.gone && this.gone < upcoming);
  }

  private forgetOldest(): void {
    const { upcoming } = this.clock;
    let oldest: LTime | null = null;
    for (const time of this.times.keys()) {
      if (oldest === null || time < oldest) oldest = time;
      if (time < upcoming) continue;
      // The time is from before the clock wrapped around.
      oldest = time;
      break;
    }
    if (oldest === null) return;
    this.forget(oldest);
    this.gone = oldest;
  }

  private forget(time: LTime): void {
    this.byteCount -= this.times.get(time)?.byteCount ?? 0;
    this.times.delete(time);
  }
}
