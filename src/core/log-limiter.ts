/**
 * LogLimiter: limits how often a line is written, so that nobody outside can fill a log.
 *
 * Lines of one kind differ only within quotes, in numbers, and after a ": ". The quotes and numbers
 * are what a line is about:
 *
 *     Closed a connection from "10.0.0.9:4711": no such cluster
 *     kind:   Closed a connection from "":
 *     about:  10.0.0.9
 *
 * A line must pass two token buckets (RFC 2697 describes them for networks): one for its kind and
 * what it is about, and one for its kind. So a source with many lines hides itself, not the others.
 * Lines left out are counted, and the count is logged later with the last such line.
 */
import type { Clock } from "./clock.ts";
import {
  LOG_KIND_BURST,
  LOG_KIND_PERIOD_MS,
  LOG_KINDS_MAX,
  LOG_SOURCE_BURST,
  LOG_SOURCE_PERIOD_MS,
  LOG_SOURCES_MAX,
  LOG_SUMMARY_MS,
} from "./limits.ts";
import type { LogArea, LogLevel, LogSink } from "./log-line.ts";

export class LogLimiter {
  private readonly clock: Clock;
  private readonly sink: LogSink;
  private readonly kinds = new Map<string, Kind>();
  private readonly sources = new Map<string, Bucket>();
  private isSummaryDue = false;

  /** `sink` gets the lines that count what was left out. */
  constructor(clock: Clock, sink: LogSink) {
    this.clock = clock;
    this.sink = sink;
  }

  admits(level: LogLevel, area: LogArea, line: string): boolean {
    const { shape, about } = partsOf(line);
    const now = this.clock.now();
    const name = `${level} ${area} ${shape}`;
    const kind = this.kindOf(name, now);
    const isAllowed = this.sourceOf(`${name} ${about}`, now).take(now) && kind.bucket.take(now);
    if (isAllowed) return true;
    kind.leaveOut({ level, area, line });
    this.planSummary();
    return false;
  }

  /** Logs how many lines were left out so far. */
  private summarize(): void {
    for (const kind of this.kinds.values()) {
      const { last, leftOut } = kind;
      if (last === null) continue;
      kind.forget();
      const what = leftOut === 1 ? "1 line was" : `${leftOut} lines were`;
      this.sink(last.level, last.area, `${what} left out, the last one: ${last.line}`);
    }
  }

  private planSummary(): void {
    if (this.isSummaryDue) return;
    this.isSummaryDue = true;
    this.clock.after(LOG_SUMMARY_MS, () => {
      this.isSummaryDue = false;
      this.summarize();
    });
  }

  private kindOf(name: string, now: number): Kind {
    const known = this.kinds.get(name) ?? (this.isFull() ? this.kinds.get(OTHERS) : undefined);
    if (known !== undefined) return known;
    const kind = new Kind(now);
    this.kinds.set(this.isFull() ? OTHERS : name, kind);
    return kind;
  }

  private isFull(): boolean {
    return this.kinds.size >= LOG_KINDS_MAX;
  }

  /** The least recently used bucket makes room for a new one. */
  private sourceOf(name: string, now: number): Bucket {
    const bucket = this.sources.get(name) ?? newSource(now);
    this.sources.delete(name);
    this.sources.set(name, bucket);
    if (this.sources.size > LOG_SOURCES_MAX) {
      const [oldest = ""] = this.sources.keys();
      this.sources.delete(oldest);
    }
    return bucket;
  }
}

/** The kind of all lines beyond LOG_KINDS_MAX kinds. No line has it by itself. */
const OTHERS = "";

interface LeftOut {
  readonly level: LogLevel;
  readonly area: LogArea;
  readonly line: string;
}

class Kind {
  readonly bucket: Bucket;
  last: LeftOut | null = null;
  leftOut = 0;

  constructor(now: number) {
    this.bucket = new Bucket(LOG_KIND_BURST, LOG_KIND_PERIOD_MS, now);
  }

  leaveOut(line: LeftOut): void {
    this.last = line;
    this.leftOut += 1;
  }

  forget(): void {
    this.last = null;
    this.leftOut = 0;
  }
}

class Bucket {
  private readonly burst: number;
  private readonly periodMs: number;
  private tokens: number;
  private atMs: number;

  constructor(burst: number, periodMs: number, now: number) {
    this.burst = burst;
    this.periodMs = periodMs;
    this.tokens = burst;
    this.atMs = now;
  }

  take(now: number): boolean {
    this.tokens = Math.min(this.burst, this.tokens + (now - this.atMs) / this.periodMs);
    this.atMs = now;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

function newSource(now: number): Bucket {
  return new Bucket(LOG_SOURCE_BURST, LOG_SOURCE_PERIOD_MS, now);
}

/** A quoted text, in which a quote has a backslash before it; or a number. */
const VALUE = /"(?:[^"\\]|\\.)*"|\d+/g;
/** The port of an address, which is another one for each connection. */
const PORT = /:\d+"$/;
/** What lines are about is compared up to this length. */
const ABOUT_LENGTH_MAX = 100;

function partsOf(line: string): { shape: string; about: string } {
  const values: string[] = [];
  const valueless = line.replace(VALUE, (value) => {
    values.push(value.replace(PORT, ""));
    return value.startsWith('"') ? '""' : "0";
  });
  const [shape = ""] = valueless.split(": ", 1);
  const count = (shape.match(/""|0/g) ?? []).length;
  return { shape, about: values.slice(0, count).join(" ").slice(0, ABOUT_LENGTH_MAX) };
}
