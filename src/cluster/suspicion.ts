/**
 * Suspicion: the time that a suspected member has to object. Each further member that suspects it
 * shortens the time (Lifeguard, "LHA-Suspicion"; memberlist's suspicion.go).
 */
import type { Clock, TimerId } from "../core/clock.ts";

/**
 * A timer that is later than this shows that this process stood still. The awaited answer may be
 * received, but not read yet.
 */
export const LAG_MS = 30;

/**
 * The time left after `confirmations` of the `expected` ones and `elapsedMs`. At least the rest of
 * `minMs`.
 */
export function remainingSuspicionMs(
  confirmations: number,
  expected: number,
  elapsedMs: number,
  bounds: { minMs: number; maxMs: number },
): number {
  const { minMs, maxMs } = bounds;
  const share = expected < 1 ? 1 : Math.log(confirmations + 1) / Math.log(expected + 1);
  return Math.max(minMs, maxMs - share * (maxMs - minMs)) - elapsedMs;
}

export class Suspicion {
  private readonly clock: Clock;
  private readonly expected: number;
  private readonly bounds: { minMs: number; maxMs: number };
  private readonly onDeath: () => void;
  private readonly startMs: number;
  private readonly confirmers: Set<string>;
  private timer: TimerId;

  /** `from` suspects first, and is not a confirmation. `onDeath`: the time is over. */
  constructor(
    clock: Clock,
    from: string,
    options: { expected: number; minMs: number; maxMs: number; onDeath: () => void },
  ) {
    this.clock = clock;
    this.expected = options.expected;
    this.bounds = options;
    this.onDeath = options.onDeath;
    this.startMs = clock.now();
    this.confirmers = new Set([from]);
    this.timer = this.startTimer(options.expected < 1 ? options.minMs : options.maxMs);
  }

  /** @returns whether it is news: a new member confirms, and more confirmations are wanted. */
  confirm(from: string): boolean {
    const confirmations = this.confirmers.size - 1;
    if (confirmations >= this.expected || this.confirmers.has(from)) return false;
    this.confirmers.add(from);
    const elapsedMs = Math.max(0, this.clock.now() - this.startMs);
    const leftMs = remainingSuspicionMs(confirmations + 1, this.expected, elapsedMs, this.bounds);
    this.clock.cancel(this.timer);
    this.timer = this.startTimer(Math.max(0, leftMs));
    return true;
  }

  stop(): void {
    this.clock.cancel(this.timer);
  }

  /** A late timer gives the member as much more time, at most `minMs`. */
  private startTimer(delayMs: number): TimerId {
    const dueMs = this.clock.now() + delayMs;
    return this.clock.after(delayMs, () => {
      const lateMs = this.clock.now() - dueMs;
      if (lateMs <= LAG_MS) this.onDeath();
      else this.timer = this.startTimer(Math.min(lateMs, this.bounds.minMs));
    });
  }
}
