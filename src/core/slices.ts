/**
 * Slices: work that may be long, a slice a turn, so that messages, timers and other work have their
 * turns in between.
 *
 *     go() -> [ slice ] --more--> next turn: [ slice ] --more--> ... --no more--> next go()
 */
import type { Clock } from "./clock.ts";

export class Slices {
  private readonly clock: Clock;
  private readonly slice: () => boolean;
  private isWaiting = false;
  private isClosed = false;

  /** `slice` does a bounded piece of the work. It returns whether more can be done at once. */
  constructor(clock: Clock, slice: () => boolean) {
    this.clock = clock;
    this.slice = slice;
  }

  /** Whether the next slice comes by itself. */
  get isGoing(): boolean {
    return this.isWaiting;
  }

  /** Does a slice now and the others in the turns that follow, unless they are on their way. */
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
