/**
 * History: what a node did lately, as rows of samples, for charts. One ring has the last minutes,
 * one the last day. Each row is about the time between two reports. The size is fixed.
 *
 *     reports --> ring: every 2 s, 10 minutes    --> rows after a number
 *             \-> ring: every 2 min, a day
 */
import { HISTORY_ROWS_DAY, HISTORY_ROWS_MINUTES } from "../core/monitoring-limits.ts";
import { Span, type TimedStats } from "./span.ts";

export const HISTORY_PERIODS_MS = { minutes: 2000, day: 120_000 } as const;

const ROWS_MAX = { minutes: HISTORY_ROWS_MINUTES, day: HISTORY_ROWS_DAY } as const;

/** The columns of a row. `age_ms` is how long ago it ended. A latency without requests is null. */
export const HISTORY_COLUMNS = [
  "age_ms",
  ...(["put", "got", "remotified", "fetched", "spilled", "repaired"] as const),
  ...(["put_p50_us", "put_p99_us", "get_p50_us", "get_p99_us", "remote_get_p99_us"] as const),
  ...(["waited_ms_per_second", "ratio", "at_risk"] as const),
] as const;

export type HistoryColumn = (typeof HISTORY_COLUMNS)[number];
export type RingName = keyof typeof HISTORY_PERIODS_MS;

/** Rows of one ring that are new to a reader, oldest first. */
export interface HistoryRows {
  /** The number of the last row. */
  readonly last: number;
  readonly rows: ReadonlyArray<ReadonlyArray<number | null>>;
}

const WIDTH = HISTORY_COLUMNS.length;

export class History {
  private readonly rings = { minutes: new Ring("minutes"), day: new Ring("day") };

  /** A new report of the node. Reports come more often than the shortest period. */
  observe(report: TimedStats): void {
    this.rings.minutes.observe(report);
    this.rings.day.observe(report);
  }

  /** The rows of the ring after that number. `nowMs` is of the clock of the reports. */
  rowsAfter(ring: RingName, number: number, nowMs: number): HistoryRows {
    return this.rings[ring].rowsAfter(number, nowMs);
  }
}

class Ring {
  /** How many rows there ever were. */
  last = 0;
  private readonly periodMs: number;
  private readonly rowsMax: number;
  /** Rows of WIDTH numbers. The first one is the time of the row. NaN: not known. */
  private readonly values: Float64Array;
  private before: TimedStats | null = null;

  constructor(name: RingName) {
    this.periodMs = HISTORY_PERIODS_MS[name];
    this.rowsMax = ROWS_MAX[name];
    this.values = new Float64Array(this.rowsMax * WIDTH);
  }

  observe(report: TimedStats): void {
    this.before ??= report;
    if (report.atMs - this.before.atMs < this.periodMs) return;
    const row = valuesOf(new Span(report, this.before), report);
    this.values.set(row, (this.last % this.rowsMax) * WIDTH);
    this.last += 1;
    this.before = report;
  }

  rowsAfter(number: number, nowMs: number): HistoryRows {
    const first = Math.max(number, this.last - this.rowsMax, 0);
    const rows = Array.from({ length: Math.max(0, this.last - first) }, (_, i) => {
      const at = ((first + i) % this.rowsMax) * WIDTH;
      const [atMs = 0, ...rest] = this.values.subarray(at, at + WIDTH);
      return [Math.round(nowMs - atMs), ...rest.map((it) => (Number.isNaN(it) ? null : it))];
    });
    return { last: this.last, rows };
  }
}

function valuesOf(span: Span, { stats, atMs }: TimedStats): number[] {
  const { put, get, remote_get } = span.latencies();
  const rates = span.rates();
  const { own_effective_ratio: ratio = 1 } = stats.counters;
  const values: Record<HistoryColumn, number | null | undefined> = {
    age_ms: atMs,
    ...rates,
    put_p50_us: put?.p50_us,
    put_p99_us: put?.p99_us,
    get_p50_us: get?.p50_us,
    get_p99_us: get?.p99_us,
    remote_get_p99_us: remote_get?.p99_us,
    waited_ms_per_second: span.waitedMs(),
    ratio,
    at_risk: stats.repair.pages_at_risk,
  };
  return HISTORY_COLUMNS.map((name) => values[name] ?? Number.NaN);
}
