/** Timers: what is done later, or again and again, each under a name. */
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

  /** Once. In place of what was under the name before. */
  after(name: string, delayMs: number, work: () => void): void {
    const before = this.timers.get(name);
    if (before !== undefined) this.clock.cancel(before);
    const run = (): void => {
      this.timers.delete(name);
      work();
    };
    this.timers.set(name, this.clock.after(delayMs, run));
  }

  /** Likewise, and again in each period. */
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
