/** Timers: what is done again and again, each under a name. */
import type { Clock, TimerId } from "../core/clock.ts";

export class Timers {
  private readonly clock: Clock;
  private readonly timers = new Map<string, TimerId>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  has(name: string): boolean {
    return this.timers.has(name);
  }

  /** In place of what was under the name before. */
  every(name: string, firstMs: number, periodMs: number, work: () => void): void {
    const before = this.timers.get(name);
    if (before !== undefined) this.clock.cancel(before);
    const run = (): void => {
      this.timers.set(name, this.clock.after(periodMs, run));
      work();
    };
    this.timers.set(name, this.clock.after(firstMs, run));
  }

  stop(): void {
    for (const timer of this.timers.values()) this.clock.cancel(timer);
    this.timers.clear();
  }
}
