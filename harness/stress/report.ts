/**
 * Report: what a stress run came to, as the JSON that scripts read (names are fixed, more may be
 * added) and as text that fits 80 columns.
 */
import type { NodeStats } from "../../src/client/client.ts";
import type { Latencies, WorkloadTotals } from "./workload.ts";
import { fetchedPages, noLatencies } from "./workload.ts";

/** How a verdict stands out; the same text where there are no colours. */
export interface ReportColors {
  good(text: string): string;
  bad(text: string): string;
}

export interface NodeRow {
  node: number;
  target: number | null;
  frames: number;
  zpages: number;
  remote: number;
  foreign: number;
  /** Pages that the nodes which target this one keep remote. */
  foreign_expected: number;
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
  latency_us: Record<keyof Latencies, { p50: number; p99: number; p999: number; samples: number }>;
  leaks: { frames: number; remote: number; foreign: number };
  examples: string[];
  per_node: NodeRow[];
}

const PAGE_BYTES = 4096;

/** A row a node, from the counters of all, taken while nothing is under way. */
export function rowsOf(
  stats: readonly NodeStats[],
  targets: ReadonlyMap<number, number | null>,
): NodeRow[] {
  return stats.map(({ node, counters, peers }) => {
    const expected = stats
      .filter((other) => targets.get(other.node.number) === node.number)
      .reduce((sum, other) => sum + remoteAt(other, node.number), 0);
    return {
      node: node.number,
      target: targets.get(node.number) ?? null,
      frames: (counters.frames_used ?? 0) + (counters.foreign_frames_used ?? 0),
      zpages: (counters.pers_zpages ?? 0) + (counters.eph_zpages ?? 0),
      remote: (counters.remote_pers_pages ?? 0) + (counters.remote_eph_pages ?? 0),
      foreign: foreignOf(counters),
      foreign_expected: expected,
      remotified: (counters.pers_pages_remoted ?? 0) + (counters.eph_pages_remoted ?? 0),
      repatriated: counters.pages_repatriated ?? 0,
      remote_gets: fetchedPages({ node, counters, peers }),
      bytes_sent: peers.reduce((sum, peer) => sum + peer.bytes_sent, 0),
    };
  });
}

/** Whether what one side says is remote the other side holds. */
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
  const sum = (value: (counters: Record<string, number>) => number): number => {
    return stats.reduce((total, { counters }) => total + value(counters), 0);
  };
  return {
    frames: sum((c) => (c.frames_used ?? 0) + (c.foreign_frames_used ?? 0)),
    remote: sum((c) => (c.remote_pers_pages ?? 0) + (c.remote_eph_pages ?? 0)),
    foreign: sum(foreignOf),
  };
}

/** Bytes of the pages that were stored in frames over the bytes that they took. */
export function compressionRatio(stats: readonly NodeStats[]): number {
  let pages = 0;
  let bytes = 0;
  for (const { counters } of stats) {
    pages += (counters.pers_cumul_zpages ?? 0) + (counters.eph_cumul_zpages ?? 0);
    bytes += (counters.pers_cumul_zbytes ?? 0) + (counters.eph_cumul_zbytes ?? 0);
  }
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
  const verdict = report.pass ? colors.good("PASS") : colors.bad("FAIL");
  const lines = [
    `${verdict}  ${report.nodes} nodes, seed ${report.seed}, ${report.seconds.toFixed(1)} s`,
    "",
    row("pages", `${ops.put} put, ${ops.get} got, ${ops.flush} flushed`),
    row("throughput", `${report.pages_per_second} pages/s in all`),
    row("refused", refusals(report.refused)),
    row("wrong / lost", `${report.wrong} / ${report.lost}`),
    row("remotified", `${report.remotified} pages, ${report.repatriated} came home`),
    row("remote gets", `${report.remote_gets}`),
    row("compression", `${report.compression_ratio} : 1`),
    row("on the wire", `${(report.bytes_on_wire / 1024 / 1024).toFixed(1)} MiB`),
    row("left over", `${leaks.frames} frames, ${leaks.remote} remote, ${leaks.foreign} foreign`),
    "",
    "latency, us       p50       p99     p99.9   samples",
  ];
  for (const [name, us] of Object.entries(report.latency_us)) {
    const numbers = [us.p50, us.p99, us.p999, us.samples];
    lines.push(`${name.padEnd(11)}${numbers.map((n) => String(n).padStart(10)).join("")}`);
  }
  lines.push(
    "",
    "node  target  frames   remote  foreign    (of)  remotified  home  remote gets",
    ...report.per_node.map(nodeText),
  );
  for (const example of report.examples) lines.push(`  ${colors.bad("!")} ${example}`);
  return lines.join("\n");
}

function nodeText(node: NodeRow): string {
  const cell = (value: number | string, width: number): string => String(value).padStart(width);
  return (
    cell(node.node, 4) +
    cell(node.target ?? "-", 8) +
    cell(node.frames, 8) +
    cell(node.remote, 9) +
    cell(node.foreign, 9) +
    cell(node.foreign_expected, 8) +
    cell(node.remotified, 12) +
    cell(node.repatriated, 6) +
    cell(node.remote_gets, 13)
  );
}

function row(name: string, value: string): string {
  return `${name.padEnd(14)}${value}`;
}

function refusals(refused: Record<string, number>): string {
  const parts = Object.entries(refused).map(([reason, count]) => `${count} ${reason}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

function remoteAt(stats: NodeStats, holder: number): number {
  return stats.peers.find((peer) => peer.node === holder)?.remote_pages ?? 0;
}

function foreignOf(counters: Record<string, number>): number {
  return (counters.foreign_pers_pages ?? 0) + (counters.foreign_eph_pages ?? 0);
}
