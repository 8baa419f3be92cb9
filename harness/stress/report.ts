/**
 * Report: the result of a stress run, as JSON for scripts (names are fixed, more may be added), and
 * as text of 80 columns.
 */
import type { CounterName, Counters, NodeStats } from "../../src/wire/stats.ts";
import type { ChaosReport } from "./chaos.ts";
import type { LatencySummary } from "./latency.ts";
import type { TimelineMark, TimelineSample } from "./timeline.ts";
import type { Latencies, WorkloadTotals } from "./workload.ts";
import { fetchedPages, noLatencies } from "./workload.ts";

/** How a verdict is emphasised; plain text where there are no colours. */
export interface ReportColors {
  good(text: string): string;
  bad(text: string): string;
}

export interface NodeRow {
  node: number;
  target: number | "auto" | null;
  frames: number;
  /** Pages in these frames, its own and foreign ones. */
  zpages: number;
  remote: number;
  foreign: number;
  /** Pages that the nodes keep remote here. */
  foreign_expected: number;
  /** Pages of this node that the others hold: equal to `remote` when all is right. */
  foreign_there: number;
  remotified: number;
  repatriated: number;
  remote_gets: number;
  bytes_sent: number;
}

export interface StressReport {
  pass: boolean;
  nodes: number;
  seed: number;
  seconds: number;
  ops: { put: number; get: number; flush: number };
  pages_per_second: number;
  refused: Record<string, number>;
  wrong: number;
  lost: number;
  unreachable: number;
  remotified: number;
  repatriated: number;
  remote_gets: number;
  compression_ratio: number;
  bytes_on_wire: number;
  latency_us: Record<keyof Latencies, LatencySummary>;
  leaks: { frames: number; remote: number; foreign: number };
  /** Flushes that holders have not acknowledged at the end. */
  owed_flushes: number;
  chaos?: ChaosReport;
  /** How the run went, second by second, and what was done to nodes meanwhile. */
  timeline: { samples: readonly TimelineSample[]; marks: readonly TimelineMark[] };
  examples: string[];
  per_node: NodeRow[];
}

const PAGE_BYTES = 4096;
const COLUMNS = 80;
const NAME_COLUMNS = 14;

/**
 * One row for each node, from its counters, taken while nothing is in flight. Counters are relative
 * to `before`, because running nodes have counted earlier work.
 */
export function rowsOf(
  stats: readonly NodeStats[],
  targets: ReadonlyMap<number, number | "auto" | null>,
  before: readonly NodeStats[] = [],
): NodeRow[] {
  return stats.map((one) => {
    const { node, counters } = one;
    const past = before.find((other) => other.node.number === node.number);
    const since = (count: (of: NodeStats) => number): number => {
      return count(one) - (past === undefined ? 0 : count(past));
    };
    const expected = stats.reduce((sum, other) => sum + remoteAt(other, node.number), 0);
    return {
      node: node.number,
      target: targets.get(node.number) ?? null,
      frames: (counters.frames_used ?? 0) + (counters.foreign_frames_used ?? 0),
      zpages: (counters.pers_zpages ?? 0) + (counters.eph_zpages ?? 0) + foreignOf(counters),
      remote: (counters.remote_pers_pages ?? 0) + (counters.remote_eph_pages ?? 0),
      foreign: foreignOf(counters),
      foreign_expected: expected,
      foreign_there: stats.reduce((sum, other) => sum + foreignAt(other, node.number), 0),
      remotified: since(({ counters: c }) => {
        return (c.pers_pages_remoted ?? 0) + (c.eph_pages_remoted ?? 0);
      }),
      repatriated: since(({ counters: c }) => c.pages_repatriated ?? 0),
      remote_gets: since(fetchedPages),
      bytes_sent: since(({ peers }) => peers.reduce((sum, peer) => sum + peer.bytes_sent, 0)),
    };
  });
}

/** Whether owner and holder agree on each number of pages. */
export function isBalanced(rows: readonly NodeRow[]): boolean {
  return rows.every((row) => row.foreign === row.foreign_expected);
}

export function isQuiet(stats: readonly NodeStats[]): boolean {
  return stats.every(({ counters }) => {
    const { flnodes = 0, frames_in_flight = 0, fetches_in_flight = 0 } = counters;
    return flnodes + frames_in_flight + fetches_in_flight === 0;
  });
}

export function leaksOf(stats: readonly NodeStats[]): StressReport["leaks"] {
  const sum = (value: (counters: Counters) => number): number => {
    return stats.reduce((total, { counters }) => total + value(counters), 0);
  };
  return {
    frames: sum((c) => (c.frames_used ?? 0) + (c.foreign_frames_used ?? 0)),
    remote: sum((c) => (c.remote_pers_pages ?? 0) + (c.remote_eph_pages ?? 0)),
    foreign: sum(foreignOf),
  };
}

/** Own pages of the nodes, in frames here or away. Same-filled pages are in neither. */
export function pagesOf(stats: readonly NodeStats[]): number {
  return stats.reduce((total, { counters: c }) => {
    const here = (c.pers_zpages ?? 0) + (c.eph_zpages ?? 0);
    return total + here + (c.remote_pers_pages ?? 0) + (c.remote_eph_pages ?? 0);
  }, 0);
}

/** Ratio of the bytes of pages stored in frames to the bytes that they take. */
export function compressionRatio(
  stats: readonly NodeStats[],
  before: readonly NodeStats[] = [],
): number {
  const total = (of: readonly NodeStats[], pers: CounterName, eph: CounterName): number => {
    return of.reduce((sum, { counters }) => sum + (counters[pers] ?? 0) + (counters[eph] ?? 0), 0);
  };
  const since = (pers: CounterName, eph: CounterName): number => {
    return total(stats, pers, eph) - total(before, pers, eph);
  };
  const pages = since("pers_cumul_zpages", "eph_cumul_zpages");
  const bytes = since("pers_cumul_zbytes", "eph_cumul_zbytes");
  return bytes === 0 ? 0 : Math.round(((pages * PAGE_BYTES) / bytes) * 100) / 100;
}

export function sumTotals(totals: readonly WorkloadTotals[]): WorkloadTotals {
  const sum: WorkloadTotals = { put: 0, get: 0, flush: 0, refused: {} };
  for (const one of totals) {
    sum.put += one.put;
    sum.get += one.get;
    sum.flush += one.flush;
    for (const [reason, count] of Object.entries(one.refused)) {
      sum.refused[reason] = (sum.refused[reason] ?? 0) + count;
    }
  }
  return sum;
}

export function sumLatencies(all: readonly Latencies[]): StressReport["latency_us"] {
  const sum = noLatencies();
  const names = Object.keys(sum) as Array<keyof Latencies>;
  for (const one of all) for (const name of names) sum[name].merge(one[name]);
  return Object.fromEntries(
    names.map((name) => [name, sum[name].summary()]),
  ) as StressReport["latency_us"];
}

/** The report as text. */
export function reportText(report: StressReport, colors: ReportColors): string {
  const { ops, leaks } = report;
  const total = (value: (node: NodeRow) => number): number => {
    return report.per_node.reduce((sum, node) => sum + value(node), 0);
  };
  const verdict = report.pass ? colors.good("PASS") : colors.bad("FAIL");
  const lines = [
    `${verdict}  ${report.nodes} ${report.nodes === 1 ? "node" : "nodes"}, seed ${report.seed}, ${report.seconds.toFixed(1)} s`,
    "",
    row("pages", `${ops.put} put, ${ops.get} got, ${ops.flush} flushed`),
    row("throughput", `${report.pages_per_second} pages/s in all`),
    row("refused", refusals(report.refused)),
    row("wrong / lost", `${report.wrong} / ${report.lost}, ${report.unreachable} unreachable`),
    row("remotified", `${report.remotified} pages, ${report.repatriated} came home`),
    row("remote gets", `${report.remote_gets}`),
    row("compression", `${report.compression_ratio} : 1`),
    row("on the wire", `${(report.bytes_on_wire / 1024 / 1024).toFixed(1)} MiB`),
    row(
      "kept",
      keptText(
        total((node) => node.zpages),
        total((node) => node.frames),
      ),
    ),
    row(
      "left over",
      `${leaks.frames} frames, ${leaks.remote} remote, ${leaks.foreign} foreign, ` +
        `${report.owed_flushes} flushes owed`,
    ),
    ...(report.chaos === undefined ? [] : [row("chaos", chaosText(report.chaos))]),
    "",
    "latency, us       p50       p99     p99.9       max   samples",
  ];
  for (const [name, us] of Object.entries(report.latency_us)) {
    const numbers = [us.p50, us.p99, us.p999, us.max, us.samples];
    lines.push(`${name.padEnd(11)}${numbers.map((n) => String(n).padStart(10)).join("")}`);
  }
  lines.push(
    "",
    // Pages that are remote here are foreign there.
    "node target  frames   remote   =there  foreign  remotified  home  remote gets",
    ...report.per_node.map(nodeText),
  );
  for (const example of report.examples) {
    lines.push(`  ${colors.bad("!")} ${folded(example, 4)}`);
  }
  return lines.join("\n");
}

function chaosText({ events, slowest_recovery_ms }: ChaosReport): string {
  const counts = Object.entries(events).map(([kind, count]) => `${count} ${kind}`);
  const slowest = (slowest_recovery_ms / 1000).toFixed(1);
  return `${counts.join(", ") || "none"}, all copies there again after ${slowest} s at most`;
}

function nodeText(node: NodeRow): string {
  const cell = (value: number | string, width: number): string => String(value).padStart(width);
  return (
    cell(node.node, 4) +
    cell(node.target ?? "-", 7) +
    cell(node.frames, 8) +
    cell(node.remote, 9) +
    cell(isThereKnown(node) ? node.foreign_there : "-", 9) +
    cell(node.foreign, 9) +
    cell(node.remotified, 12) +
    cell(node.repatriated, 6) +
    cell(node.remote_gets, 13)
  );
}

/** With running nodes, the holder may not be among those that were asked. */
function isThereKnown(node: NodeRow): boolean {
  return node.target !== null || node.foreign_there > 0 || node.remote === 0;
}

function row(name: string, value: string): string {
  return `${name.padEnd(NAME_COLUMNS)}${folded(value, NAME_COLUMNS)}`;
}

/** The text from column `indent` on, over as many lines as it needs. */
function folded(text: string, indent: number): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (indent + line.length + 1 + word.length <= COLUMNS) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else lines.push(word);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}

function keptText(zpages: number, frames: number): string {
  const density = frames === 0 ? "" : `, ${(zpages / frames).toFixed(2)} a frame`;
  return `${zpages} zpages in ${frames} frames${density}`;
}

function refusals(refused: Record<string, number>): string {
  const parts = Object.entries(refused).map(([reason, count]) => `${count} ${reason}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

function remoteAt(stats: NodeStats, holder: number): number {
  return stats.peers.find((peer) => peer.node === holder)?.remote_pages ?? 0;
}

function foreignAt(stats: NodeStats, owner: number): number {
  return stats.peers.find((peer) => peer.node === owner)?.foreign_pages ?? 0;
}

function foreignOf(counters: Counters): number {
  return (counters.foreign_pers_pages ?? 0) + (counters.foreign_eph_pages ?? 0);
}
