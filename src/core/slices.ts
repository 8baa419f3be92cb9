/**
 * Slices: long work, one slice a turn of the loop, so that messages, timers and other work have
 * their turns in between.
 *
 *     go() -> [ slice ] --more--> next turn: [ slice ] --more--> ... --no more--> next go()
 */
import type { Clock } from "./clock.ts";

export class Slices {
  private readonly clock: Clock;
  private readonly slice: () => boolean;
  private isWaiting = false;
  private isClosed = false;

  /** `slice` does a bounded piece of the work and returns whether there is more. */
  constructor(clock: Clock, slice: () => boolean) {
    this.clock = clock;
    this.slice = slice;
  }

  /** Whether the next slice is already scheduled. */
  get isGoing(): boolean {
    return this.isWaiting;
  }

  /** Does one slice now and the others in later turns, unless they are already scheduled. */
  go(): void {
    if (this.isWaiting || this.isClosed || !this.slice()) return;
    this.isWaiting = true;
    this.clock.soon(() => {
      this.isWaiting = false;
      this.go();
    });
  }

  /** No slice follows. */
  close(): void {
    this.isClosed = true;
  }
}
