/**
 * Histogram: how long something took, in buckets of doubling width, as Prometheus has them. Its
 * size is fixed, and adding to it allocates nothing.
 *
 *     bucket      0        1          2          ...   i                  ...  23
 *     holds     < 1 us   < 2 us    2 .. 4 us         2^(i-1) .. 2^i us        the rest
 */

/** The last but one bucket ends at 4.2 s, twice the deadline of a request. */
export const HISTOGRAM_BUCKETS = 24;

export interface HistogramSnapshot {
  /** By bucket, without trailing zeros. */
  readonly counts: readonly number[];
  readonly sum_us: number;
}

export class Histogram {
  private readonly counts = new Float64Array(HISTOGRAM_BUCKETS);
  private sumUs = 0;

  /** `ms`: milliseconds, with a fraction. `times`: how many took that long. */
  add(ms: number, times = 1): void {
    const bucket = bucketOf(ms);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + times;
    this.sumUs += Math.max(0, ms * 1000) * times;
  }

  snapshot(): HistogramSnapshot {
    const used = this.counts.findLastIndex((count) => count > 0) + 1;
    return { counts: [...this.counts.subarray(0, used)], sum_us: Math.round(this.sumUs) };
  }
}

/** The values that were added between two snapshots. */
export function histogramBetween(
  before: HistogramSnapshot,
  after: HistogramSnapshot,
): HistogramSnapshot {
  return combined(after, before, -1);
}

/** The values of both. */
export function histogramSum(a: HistogramSnapshot, b: HistogramSnapshot): HistogramSnapshot {
  return combined(a, b, 1);
}

function combined(a: HistogramSnapshot, b: HistogramSnapshot, sign: 1 | -1): HistogramSnapshot {
  const size = Math.max(a.counts.length, b.counts.length);
  const counts = Array.from({ length: size }, (_, i) => {
    return (a.counts[i] ?? 0) + sign * (b.counts[i] ?? 0);
  });
  return { counts, sum_us: a.sum_us + sign * b.sum_us };
}

/** The bucket for `ms` milliseconds. */
export function bucketOf(ms: number): number {
  const us = Math.max(0, ms * 1000);
  // Beyond 2^31 us the shift below would wrap.
  return us >= 2 ** (HISTOGRAM_BUCKETS - 2) ? HISTOGRAM_BUCKETS - 1 : 32 - Math.clz32(us);
}

/** Where bucket `i` ends, in microseconds. */
export function bucketEndUs(i: number): number {
  return i === HISTOGRAM_BUCKETS - 1 ? Number.POSITIVE_INFINITY : 2 ** i;
}

/** The end of the bucket that holds the percentile, in microseconds; 0 when there are no values. */
export function percentileUs({ counts }: HistogramSnapshot, fraction: number): number {
  let left = counts.reduce((sum, count) => sum + count, 0) * fraction;
  if (left === 0) return 0;
  const bucket = counts.findIndex((count) => {
    left -= count;
    return left <= 0;
  });
  return bucketEndUs(bucket);
}
