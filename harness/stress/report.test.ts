import { expect, test } from "bun:test";
import type { Counters, NodeStats } from "../../src/wire/stats.ts";
import { nodeStats, peerStats } from "./node-stats.ts";
import {
  compressionRatio,
  isBalanced,
  isQuiet,
  leaksOf,
  pagesOf,
  reportText,
  rowsOf,
  sumLatencies,
  sumTotals,
} from "./report.ts";
import { STRESS_REPORT } from "./report-sample.ts";
import { noLatencies } from "./workload.ts";

const PLAIN = { good: String, bad: String };

function stats(
  number: number,
  counters: Counters,
  remoteAt: Record<number, number> = {},
): NodeStats {
  const peers = Object.entries(remoteAt).map(([node, remote_pages]) => {
    return peerStats(Number(node), { remote_pages, bytes_sent: 10, bytes_received: 20 });
  });
  return nodeStats(number, { counters, peers });
}

const CLUSTER = [
  stats(0, { foreign_pers_pages: 30, foreign_eph_pages: 5, foreign_frames_used: 18 }),
  stats(1, { remote_pers_pages: 20, frames_used: 4, pers_pages_remoted: 50 }, { 0: 20 }),
  stats(2, { remote_pers_pages: 10, remote_eph_pages: 5, pages_repatriated: 3 }, { 0: 15 }),
];
const TARGETS = new Map([
  [0, null],
  [1, 0],
  [2, 0],
]);

test("pages that are remote here are foreign there", () => {
  const rows = rowsOf(CLUSTER, TARGETS);
  expect(rows[0]).toMatchObject({ target: null, foreign: 35, foreign_expected: 35, frames: 18 });
  expect(rows[1]).toMatchObject({ target: 0, remote: 20, remotified: 50, bytes_sent: 10 });
  expect(rows[2]).toMatchObject({ remote: 15, repatriated: 3 });
  expect(isBalanced(rows)).toBe(true);
  const uneven = [...CLUSTER.slice(0, 2), stats(2, {}, { 0: 14 })];
  expect(isBalanced(rowsOf(uneven, TARGETS))).toBe(false);
});

test("counters start at the beginning of the run", () => {
  const before = [stats(1, { pers_pages_remoted: 40, pers_cumul_zpages: 5 }, { 0: 1 })];
  const now = [stats(1, { pers_pages_remoted: 50, pers_cumul_zpages: 7 }, { 0: 20 })];
  const [row] = rowsOf(now, TARGETS, before);
  expect(row).toMatchObject({ remotified: 10, bytes_sent: 0 });
});

test("leaks are summed over all nodes; quiet means that nothing is in flight or pending", () => {
  expect(leaksOf(CLUSTER)).toEqual({ frames: 22, remote: 35, foreign: 35 });
  expect(pagesOf([...CLUSTER, stats(3, { pers_zpages: 3, eph_zpages: 4 })])).toBe(42);
  expect(isQuiet(CLUSTER)).toBe(true);
  for (const name of ["flnodes", "frames_in_flight", "fetches_in_flight"]) {
    expect(isQuiet([...CLUSTER, stats(3, { [name]: 1 })])).toBe(false);
  }
});

test("sums are over all nodes", () => {
  const one = { put: 1, get: 2, flush: 3, refused: { no_room: 1 } };
  const two = { put: 10, get: 20, flush: 30, refused: { no_room: 1, compress_poor: 4 } };
  const refused = { no_room: 2, compress_poor: 4 };
  expect(sumTotals([one, two])).toEqual({ put: 11, get: 22, flush: 33, refused });
  const latencies = [noLatencies(), noLatencies()];
  for (const each of latencies) each.put.add(100);
  expect(sumLatencies(latencies).put.samples).toBe(2);
  expect(compressionRatio([stats(0, { pers_cumul_zpages: 2, pers_cumul_zbytes: 4096 })])).toBe(2);
  expect(compressionRatio([stats(0, {})])).toBe(0);
});

test("the text fits 80 columns with any numbers", () => {
  for (const line of reportText(STRESS_REPORT, PLAIN).split("\n")) {
    expect({ line, fits: line.length <= 80 }).toEqual({ line, fits: true });
  }
});

test("the text begins with the verdict, and marks failures", () => {
  const marks = { good: (text: string) => `+${text}+`, bad: (text: string) => `-${text}-` };
  expect(reportText(STRESS_REPORT, marks)).toStartWith("-FAIL-  128 nodes, seed 4294967295");
  expect(reportText(STRESS_REPORT, marks)).toContain("\n  -!- page 127/65535/4294967295 holds");
  const passed = { ...STRESS_REPORT, pass: true, refused: {}, examples: [] };
  expect(reportText(passed, marks)).toStartWith("+PASS+  128 nodes");
  expect(reportText(passed, marks)).toMatch(/^refused +none$/m);
  expect(reportText(passed, marks)).not.toContain("!");
});
