/**
 * DelayLine: a queue whose entries are delivered later, in order, as a cable would. An entry is
 * never delivered before the one ahead of it. It takes one timer, whatever its length.
 *
 * Not here: a bound. Callers check `length` before they push.
 */
import type { Clock, TimerId } from "../../src/core/clock.ts";

/** Delivered entries at the head are cut off when there are this many. */
const COMPACT_AT = 1024;

export class DelayLine<T> {
  private readonly clock: Clock;
  private readonly deliver: (thing: T) => void;
  private queue: Array<{ thing: T; dueAt: number }> = [];
  private head = 0;
  private lastDueAt = 0;
  private timer: TimerId | null = null;

  /** `deliver` runs in a timer, never within a push, unless there is no delay. */
  constructor(clock: Clock, deliver: (thing: T) => void) {
    this.clock = clock;
    this.deliver = deliver;
  }

  get length(): number {
    return this.queue.length - this.head;
  }

  /** Without a delay, and with an empty queue, the entry is delivered within the call. */
  push(thing: T, delayMs: number): void {
    const now = this.clock.now();
    if (delayMs === 0 && this.length === 0) {
      this.deliver(thing);
      return;
    }
    const dueAt = Math.max(this.lastDueAt, now + delayMs);
    this.lastDueAt = dueAt;
    this.queue.push({ thing, dueAt });
    this.arm(now);
  }

  clear(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
    this.queue = [];
    this.head = 0;
  }

  private arm(now: number): void {
    const first = this.queue[this.head];
    if (this.timer !== null || first === undefined) return;
    this.timer = this.clock.after(Math.max(0, first.dueAt - now), () => this.run());
  }

  private run(): void {
    this.timer = null;
    const now = this.clock.now();
    for (let first = this.queue[this.head]; first !== undefined; first = this.queue[this.head]) {
      if (first.dueAt > now) break;
      this.head += 1;
      this.deliver(first.thing);
    }
    if (this.head >= COMPACT_AT || this.head === this.queue.length) {
      this.queue.splice(0, this.head);
      this.head = 0;
    }
    this.arm(now);
  }
}
