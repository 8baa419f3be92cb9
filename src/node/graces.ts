/** Graces: nodes that are gone get time to come back, before what they had here is dropped. */
import type { Clock, TimerId } from "../core/clock.ts";

export class Graces {
  private readonly clock: Clock;
  private readonly timers = new Map<number, TimerId>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Calls `onGone` after `graceMs`, unless `end` comes first. An earlier grace is replaced. */
  start(node: number, graceMs: number, onGone: () => void): void {
    this.end(node);
    const gone = (): void => {
      this.timers.delete(node);
      onGone();
    };
    this.timers.set(node, this.clock.after(graceMs, gone));
  }

  /** The node is back, or is gone again. */
  end(node: number): void {
    const timer = this.timers.get(node);
    if (timer !== undefined) this.clock.cancel(timer);
    this.timers.delete(node);
  }

  stop(): void {
    for (const node of [...this.timers.keys()]) this.end(node);
  }
}
