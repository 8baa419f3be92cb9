/**
 * Suspicion: the time that a suspected member has to object, shorter with each other member that
 * suspects it too (Lifeguard, "LHA-Suspicion"; memberlist's suspicion.go).
 */
import type { Clock, TimerId } from "../core/clock.ts";

/**
 * How long is left after `confirmations` of the `expected` ones, `elapsedMs` into it. Never below
 * what is left of `minMs`.
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

  /** `from` suspects first, and does not count as a confirmation. `onDeath`: the time is over. */
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
    const firstMs = options.expected < 1 ? options.minMs : options.maxMs;
    this.timer = clock.after(firstMs, this.onDeath);
  }

  /** @returns whether this is news: another member than before, and still wanted. */
  confirm(from: string): boolean {
    const confirmations = this.confirmers.size - 1;
    if (confirmations >= this.expected || this.confirmers.has(from)) return false;
    this.confirmers.add(from);
    const elapsedMs = this.clock.now() - this.startMs;
    const leftMs = remainingSuspicionMs(confirmations + 1, this.expected, elapsedMs, this.bounds);
    this.clock.cancel(this.timer);
    this.timer = this.clock.after(Math.max(0, leftMs), this.onDeath);
    return true;
  }

  stop(): void {
    this.clock.cancel(this.timer);
  }
}
