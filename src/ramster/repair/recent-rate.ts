/**
 * RecentRate: how fast a count grew in the last seconds. It estimates how long a repair will take.
 */
import type { Clock } from "../../core/clock.ts";

/** The span that is measured, long enough that a pause of a second makes little difference. */
const SPAN_MS = 5000;
const SAMPLE_MS = 500;
const SAMPLES = SPAN_MS / SAMPLE_MS + 1;
/** The rate is not known before this time. */
const KNOWN_AFTER_MS = 1000;

export class RecentRate {
  private readonly clock: Clock;
  private readonly totals = new Float64Array(SAMPLES);
  private readonly atMs = new Float64Array(SAMPLES);
  /** How many samples were taken since the last `reset`. */
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Notes the count so far. Called often. */
  note(total: number): void {
    const now = this.clock.now();
    const last = (this.count - 1) % SAMPLES;
    if (this.count > 0 && now - (this.atMs[last] ?? 0) < SAMPLE_MS) return;
    this.totals[this.count % SAMPLES] = total;
    this.atMs[this.count % SAMPLES] = now;
    this.count += 1;
  }

  /** Forgets earlier samples, since they say nothing about what follows. */
  reset(): void {
    this.count = 0;
  }

  /** The rate. Null while it is not known. */
  get perSecond(): number | null {
    if (this.count < 2) return null;
    const last = (this.count - 1) % SAMPLES;
    const first = this.count <= SAMPLES ? 0 : this.count % SAMPLES;
    const ms = (this.atMs[last] ?? 0) - (this.atMs[first] ?? 0);
    if (ms < KNOWN_AFTER_MS) return null;
    return (1000 * ((this.totals[last] ?? 0) - (this.totals[first] ?? 0))) / ms;
  }
}
