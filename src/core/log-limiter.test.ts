import { beforeEach, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import {
  LOG_KIND_BURST,
  LOG_KINDS_MAX,
  LOG_LINE_LENGTH_MAX,
  LOG_SOURCE_BURST,
  LOG_SOURCE_PERIOD_MS,
  LOG_SUMMARY_MS,
} from "./limits.ts";
import { Log } from "./log.ts";
import { LogLimiter } from "./log-limiter.ts";

let clock: SimClock;
let lines: string[];
let log: Log;

beforeEach(() => {
  clock = new SimClock();
  lines = [];
  const sink = (_level: string, _area: string, line: string): void => void lines.push(line);
  log = new Log(sink, { limiter: new LogLimiter(clock, sink) });
});

function pass(ms: number): void {
  clock.run(clock.now() + ms);
}

function closed(host: string, port: number, why = "no such cluster"): string {
  return `Closed a connection from "${host}:${port}": ${why}`;
}

test("a source with too many lines is limited, whatever its port and reason, and others are not", () => {
  for (let i = 0; i < 1000; i += 1) log.write("warn", "net", closed("10.0.0.9", i, `reason ${i}`));
  log.write("warn", "net", closed("10.0.0.8", 1));
  log.write("info", "net", "link to node 3 is up");
  expect(lines.length).toBe(LOG_SOURCE_BURST + 2);
  expect(lines.slice(-2)).toEqual([closed("10.0.0.8", 1), "link to node 3 is up"]);
  expect(log.counters.log_lines_suppressed).toBe(1000 - LOG_SOURCE_BURST);
});

test("many sources of one kind are limited together, and other kinds are not", () => {
  for (let i = 0; i < 5000; i += 1)
    log.write("warn", "net", closed(`10.0.${i >> 8}.${i & 255}`, 1));
  expect(lines.length).toBe(LOG_KIND_BURST);
  log.write("error", "ramster", "Lost 3 pages: no copy is left");
  log.write("warn", "net", 'member "a" is dead');
  expect(lines.length).toBe(LOG_KIND_BURST + 2);
});

test("kinds beyond LOG_KINDS_MAX share one limit", () => {
  for (let i = 0; i < 100_000; i += 1)
    log.write("warn", "net", `${"a".repeat(1 + (i % 1000))}${i}`);
  const others = LOG_KIND_BURST;
  expect(lines.length).toBeLessThanOrEqual(LOG_KINDS_MAX * LOG_KIND_BURST + others);
  const before = lines.length;
  for (let i = 0; i < 10_000; i += 1) log.write("warn", "net", `${"b".repeat(1 + (i % 1000))}`);
  expect(lines.length).toBe(before);
});

test("lines left out are counted in one line, and later lines are written", () => {
  for (let i = 0; i < 120; i += 1) log.write("warn", "net", closed("10.0.0.9", i));
  lines.length = 0;
  pass(LOG_SUMMARY_MS);
  expect(lines).toEqual([`100 lines were left out, the last one: ${closed("10.0.0.9", 119)}`]);
  pass(LOG_SOURCE_PERIOD_MS);
  log.write("warn", "net", closed("10.0.0.9", 7));
  expect(lines.slice(1)).toEqual([closed("10.0.0.9", 7)]);
  pass(10 * LOG_SUMMARY_MS);
  expect(lines.length).toBe(2);
});

test("a quote within a value does not hide what follows", () => {
  for (let i = 0; i < 100; i += 1) {
    log.write("info", "cluster", `member ${JSON.stringify(`a"b${i}: c`)} has joined`);
  }
  log.write("info", "cluster", 'member "a" has left');
  expect(lines.length).toBe(101);
});

test("a line has a bounded length", () => {
  log.write("warn", "net", "x".repeat(1_000_000));
  expect(lines[0]?.length).toBe(LOG_LINE_LENGTH_MAX + "...".length);
});
