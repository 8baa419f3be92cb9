/**
 * Timeline: how a stress run went, second by second: pages a second, latencies, and what chaos did
 * meanwhile.
 */
import { Latency } from "./latency.ts";
import type { Latencies } from "./workload.ts";

export interface TimelineSample {
  /** The end of the second, since the start of the load. */
  readonly at_s: number;
  readonly phase: string;
  readonly pages_per_second: number;
  /** A share of a batch, in microseconds. Null: there was none. */
  readonly put_p99_us: number | null;
  readonly get_p99_us: number | null;
}

/** Something that was done to a node, or that was over. */
export interface TimelineMark {
  readonly at_s: number;
  readonly kind: "fault" | "back" | "recovered";
  readonly text: string;
}

const PERIOD_MS = 1000;

export class Timeline {
  readonly samples: TimelineSample[] = [];
  readonly marks: TimelineMark[] = [];
  /** Called for each mark. */
  onMark: (mark: TimelineMark) => void = () => {};
  private startMs: number | null = null;
  private lastMs = 0;
  private pages = 0;
  private puts = new Latency();
  private gets = new Latency();

  start(nowMs: number): void {
    this.startMs = nowMs;
    this.lastMs = nowMs;
  }

  mark(nowMs: number, kind: TimelineMark["kind"], text: string): void {
    const mark = { at_s: this.secondsAt(nowMs), kind, text };
    this.marks.push(mark);
    this.onMark(mark);
  }

  /** Pages a second, of the last whole second. */
  get rate(): number {
    return this.samples.at(-1)?.pages_per_second ?? 0;
  }

  /** Takes a sample once a second. `pages` and `latencies` are those since the start. */
  observe(nowMs: number, phase: string, pages: number, latencies: readonly Latencies[]): void {
    if (this.startMs === null || nowMs - this.lastMs < PERIOD_MS) return;
    const puts = summed(latencies.map((it) => it.batch_put));
    const gets = summed(latencies.map((it) => it.batch_get));
    this.samples.push({
      at_s: this.secondsAt(nowMs),
      phase,
      pages_per_second: Math.round(((pages - this.pages) * 1000) / (nowMs - this.lastMs)),
      put_p99_us: p99Of(puts.since(this.puts)),
      get_p99_us: p99Of(gets.since(this.gets)),
    });
    this.lastMs = nowMs;
    this.pages = pages;
    this.puts = puts;
    this.gets = gets;
  }

  private secondsAt(nowMs: number): number {
    return Math.round((nowMs - (this.startMs ?? nowMs)) / 100) / 10;
  }
}

function summed(all: readonly Latency[]): Latency {
  const sum = new Latency();
  for (const one of all) sum.merge(one);
  return sum;
}

function p99Of(latency: Latency): number | null {
  return latency.count === 0 ? null : Math.round(latency.percentile(0.99) * 10) / 10;
}
