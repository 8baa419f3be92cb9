/**
 * RecentLatency: how long answers took in the last seconds, so that a much slower one is noticed.
 * Two histograms take turns. One is being filled, and the other is from the period before.
 */
import type { Clock } from "../../core/clock.ts";
import { bucketEndUs, bucketOf, HISTOGRAM_BUCKETS } from "../../core/histogram.ts";

const TURN_MS = 2000;
/** With fewer answers, the slowest of a hundred is not known. */
const COUNT_MIN = 100;

export class RecentLatency {
  private readonly clock: Clock;
  private readonly turns = [
    new Float64Array(HISTOGRAM_BUCKETS),
    new Float64Array(HISTOGRAM_BUCKETS),
  ] as const;
  private readonly counts: [number, number] = [0, 0];
  private current: 0 | 1 = 0;
  private turnsAtMs: number;

  constructor(clock: Clock) {
    this.clock = clock;
    this.turnsAtMs = clock.now() + TURN_MS;
  }

  add(ms: number): void {
    this.turn();
    const counts = this.turns[this.current];
    const bucket = bucketOf(ms);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    this.counts[this.current] += 1;
  }

  /**
   * The time that 99 of 100 answers took at most, to the end of its bucket. Null when too little is
   * known.
   */
  get p99Ms(): number | null {
    this.turn();
    const count = this.counts[0] + this.counts[1];
    if (count < COUNT_MIN) return null;
    let left = 0.99 * count;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket += 1) {
      left -= (this.turns[0][bucket] ?? 0) + (this.turns[1][bucket] ?? 0);
      if (left <= 0) return bucketEndUs(bucket) / 1000;
    }
    return null;
  }

  private turn(): void {
    const now = this.clock.now();
    if (now < this.turnsAtMs) return;
    // After a long pause both are old.
    if (now >= this.turnsAtMs + TURN_MS) this.clear(this.current);
    this.current = this.current === 0 ? 1 : 0;
    this.clear(this.current);
    this.turnsAtMs = now + TURN_MS;
  }

  private clear(which: 0 | 1): void {
    this.turns[which].fill(0);
    this.counts[which] = 0;
  }
}
