/**
 * The report of a stress run as one HTML file: the verdict, charts of throughput and latency with
 * kills and recoveries marked, and the figures of the report as text. It has no script, and needs
 * nothing from elsewhere.
 */
import { escapeHTML } from "bun";
import { PLAIN } from "../../src/cli/paint.ts";
import { shortCount, shortTime } from "../../src/monitoring/short-numbers.ts";
import { reportText, type StressReport } from "./report.ts";
import type { TimelineMark } from "./timeline.ts";

const LOADED: ReadonlySet<string> = new Set(["fill", "load"]);

const WIDTH = 960;
const HEIGHT = 240;
const LEFT = 64;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 28;
const LINES = 4;

interface Series {
  readonly name: string;
  readonly className: string;
  readonly values: ReadonlyArray<number | null>;
}

/** `command` is what was typed. */
export function htmlReport(report: StressReport, command: string): string {
  const { marks } = report.timeline;
  // Later phases check and clean up, one page at a time or many at once.
  const samples = report.timeline.samples.filter(({ phase }) => LOADED.has(phase));
  const seconds = samples.map(({ at_s }) => at_s);
  const throughput = [
    { name: "pages a second", className: "a", values: samples.map((it) => it.pages_per_second) },
  ];
  const latencies = [
    { name: "put p99", className: "a", values: samples.map((it) => it.put_p99_us) },
    { name: "get p99", className: "b", values: samples.map((it) => it.get_p99_us) },
  ];
  const verdict = report.pass ? "PASS" : "FAIL";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ramster stress: ${verdict}</title>
<style>${STYLE}</style>
</head>
<body>
<h1><span class="${verdict.toLowerCase()}">${verdict}</span> stress of ${report.nodes} nodes</h1>
<p><code>${escapeHTML(command)}</code></p>
<h2>Throughput</h2>
${chart("Pages a second", seconds, throughput, marks, shortCount)}
<h2>Latency of a batch of 64 pages, 99 of 100</h2>
${chart("Latency", seconds, latencies, marks, shortTime)}
${markTable(marks)}
<h2>Report</h2>
<pre>${escapeHTML(reportText(report, PLAIN))}</pre>
</body>
</html>
`;
}

const STYLE = `
body { max-width: 62rem; margin: 1rem auto; padding: 0 1rem; background: #fff; color: #1b1f24; }
body { font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.05rem; margin-top: 1.6rem; }
pre { overflow-x: auto; font-size: .85rem; }
code { overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
text { fill: currentColor; font-size: 12px; }
.pass { color: #1a7f42; }
.fail { color: #c22b2b; }
.grid { stroke: #8884; }
.line { fill: none; stroke-width: 1.6; }
.a { stroke: #2f6fd0; }
.b { stroke: #1f8a4c; }
.key { stroke: none; }
.key.a { fill: #2f6fd0; }
.key.b { fill: #1f8a4c; }
.mark { stroke-dasharray: 3 3; }
.fault { stroke: #c22b2b; }
.back { stroke: #c2780c; }
.recovered { stroke: #1f8a4c; }
table { border-collapse: collapse; }
td, th { padding: .15rem 1.2rem .15rem 0; text-align: left; }
@media (prefers-color-scheme: dark) {
  body { background: #12161b; color: #e4e9ef; }
  .pass { color: #53c489; }
  .fail { color: #ff7b72; }
}
`;

function chart(
  title: string,
  seconds: readonly number[],
  series: readonly Series[],
  marks: readonly TimelineMark[],
  format: (value: number) => string,
): string {
  const end = Math.max(1, ...seconds, ...marks.map(({ at_s }) => at_s));
  const most = Math.max(1, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const x = (second: number): number => LEFT + (second / end) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / most) * (HEIGHT - TOP - BOTTOM);
  const grid = Array.from({ length: LINES + 1 }, (_, i) => {
    const value = (most * i) / LINES;
    const at = y(value).toFixed(1);
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>
<text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">${format(Math.round(value))}</text>`;
  });
  const ticks = Array.from({ length: LINES + 1 }, (_, i) => {
    const second = (end * i) / LINES;
    const at = x(second).toFixed(1);
    return `<text x="${at}" y="${HEIGHT - 8}" text-anchor="middle">${second.toFixed(0)} s</text>`;
  });
  const lines = series.map(({ className, values }) => {
    return `<path class="line ${className}" d="${pathOf(values, seconds, x, y)}"/>`;
  });
  const keys = series.map(({ name, className }, i) => {
    const at = LEFT + 8 + i * 130;
    return `<rect class="key ${className}" x="${at}" y="${TOP}" width="10" height="10"/>
<text x="${at + 15}" y="${TOP + 9}">${name}</text>`;
  });
  const lasts = series.map(({ name, values }) => `${name} at most ${format(mostOf(values))}`);
  const label = `${title}: ${lasts.join(", ")}`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${[...grid, ...ticks, ...marks.map((mark) => markLine(mark, x)), ...lines, ...keys].join("\n")}
</svg>`;
}

function mostOf(values: ReadonlyArray<number | null>): number {
  return Math.max(0, ...values.map((value) => value ?? 0));
}

/** A path that is broken where there is no value. */
function pathOf(
  values: ReadonlyArray<number | null>,
  seconds: readonly number[],
  x: (second: number) => number,
  y: (value: number) => number,
): string {
  let isBroken = true;
  return values
    .map((value, i) => {
      if (value === null) {
        isBroken = true;
        return "";
      }
      const step = `${isBroken ? "M" : "L"}${x(seconds[i] ?? 0).toFixed(1)} ${y(value).toFixed(1)}`;
      isBroken = false;
      return step;
    })
    .join("");
}

function markLine({ at_s, kind, text }: TimelineMark, x: (second: number) => number): string {
  const at = x(at_s).toFixed(1);
  const title = `<title>${at_s} s: ${escapeHTML(text)}</title>`;
  const ends = `x1="${at}" x2="${at}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"`;
  return `<line class="mark ${kind}" ${ends}>${title}</line>`;
}

function markTable(marks: readonly TimelineMark[]): string {
  if (marks.length === 0) return "";
  const rows = marks.map(({ at_s, text }) => {
    return `<tr><td>${at_s.toFixed(1)} s</td><td>${escapeHTML(text)}</td></tr>`;
  });
  return `<h2>Faults and recoveries</h2>
<table><thead><tr><th>time</th><th>what happened</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table>`;
}
