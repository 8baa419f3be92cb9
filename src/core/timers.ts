/** Timers: work that is done later, once or repeatedly, each under a name. */
import type { Clock, TimerId } from "./clock.ts";

export class Timers {
  private readonly clock: Clock;
  private readonly timers = new Map<string, TimerId>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  has(name: string): boolean {
    return this.timers.has(name);
  }

  /** Runs `work` once. A timer of the same name is cancelled. */
  after(name: string, delayMs: number, work: () => void): void {
    const before = this.timers.get(name);
    if (before !== undefined) this.clock.cancel(before);
    const run = (): void => {
      this.timers.delete(name);
      work();
    };
    this.timers.set(name, this.clock.after(delayMs, run));
  }

  /** Runs `work` after `firstMs` and then in each period. A timer of the same name is cancelled. */
  every(name: string, firstMs: number, periodMs: number, work: () => void): void {
    this.after(name, firstMs, () => {
      this.every(name, periodMs, periodMs, work);
      work();
    });
  }

  stop(): void {
    for (const timer of this.timers.values()) this.clock.cancel(timer);
    this.timers.clear();
  }
}
