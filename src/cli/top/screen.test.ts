import { describe, expect, test } from "bun:test";
import { nodeStats, peerStats } from "../../../harness/stress/node-stats.ts";
import { overviewOf } from "../../monitoring/overview.ts";
import type { EventReport, NodeStats } from "../../wire/stats.ts";
import { PLAIN, paintFor } from "../paint.ts";
import { pageOf, type Shown, screenOf, type View } from "./screen.ts";

const NOON = Date.parse("2026-06-01T12:00:00.000Z");
const MEMBERS: View = {
  table: "members",
  order: { column: 0, isReversed: false },
  scrolled: 0,
  isPaused: false,
};
const SIZE = { columns: 80, rows: 24 };

function shown(stats: NodeStats, own: Partial<Shown> = {}): Shown {
  const before = { stats: nodeStats(1), atMs: 0 };
  return {
    overview: overviewOf({ stats, atMs: 1000 }, before),
    events: [],
    atMs: NOON,
    outage: null,
    ...own,
  };
}

function event(number: number): EventReport {
  return { number, kind: "died", text: `"n${number}" is dead`, age_ms: 60_000 };
}

/** A node with so many peers, which lend 1 MiB each. */
function withPeers(count: number): NodeStats {
  const peers = Array.from({ length: count }, (_, i) => {
    return peerStats(i + 2, { lend_frames: 256, free_frames: 64 * (i % 4), remote_pages: i });
  });
  return nodeStats(1, { peers });
}

test("a screen of 80 by 24 has all of it", () => {
  const stats = nodeStats(1, {
    counters: { client_pages_put: 12_345, page_count: 5000, two_copy_pages: 4000 },
    latencies: { put: { counts: [0, 0, 0, 9], sum_us: 1_000_000 } },
    peers: withPeers(2).peers,
  });
  const lines = screenOf(shown(stats, { events: [event(4)] }), MEMBERS, SIZE, PLAIN);
  expect(lines).toHaveLength(24);
  expect(lines.map((line) => line.trimEnd())).toEqual([
    'ramster  node 1 "n1" of cluster "ramster"  12:00:00Z',
    "HEALTHY: all pages are here",
    "pages/s  put 12.3k  got 0  remotified 0  fetched 0",
    "p50/p99  put 8us/8us  get -  remote get -  waited 1000ms/s",
    "pages    here 1,000  by copies 2: 4,000  at risk 0",
    "memory   ratio 1.00  space 0% of 0B  pooled 2MiB  gained 19.53MiB",
    "",
    "[members] exports pools by node  # own  = ours  + foreign  . free",
    "node name          state    memory           size  free  ours theirs out/s  in/s",
    "   1 n1            alive                        0     0     0      0     0     0",
    "   2 n2            up       +++++++++++++++ 1.00M     0     0      0     0     0",
    "   3 n3            up       ===========.... 1.00M  256k     1      0     0     0",
    ...Array.from({ length: 9 }, () => ""),
    "",
    '11:59:00Z died       "n4" is dead',
    "m members  e exports  p pools  s sort  r reverse  space pause  q quit",
  ]);
});

test("before there is a second report, rates are not known", () => {
  const overview = overviewOf({ stats: nodeStats(1), atMs: 0 }, null);
  const lines = screenOf({ ...shown(nodeStats(1)), overview }, MEMBERS, SIZE, PLAIN);
  expect(lines[2]).toBe("pages/s  put -  got -  remotified -  fetched -");
});

describe.each([
  [80, 24],
  [132, 50],
  [60, 15],
  [40, 12],
  [20, 6],
  [200, 3],
])("a screen of %p by %p", (columns, rows) => {
  test.each(["members", "exports", "pools"] as const)("fits with the table %s", (table) => {
    const findings = nodeStats(1).findings.map((it) => ({ ...it, reason: "word ".repeat(99) }));
    const stats = { ...withPeers(30), findings };
    const paint = paintFor({ isTTY: true }, { TERM: "xterm", FORCE_COLOR: "1" });
    const events = Array.from({ length: 10 }, (_, i) => event(i));
    const lines = screenOf(
      shown(stats, { events }),
      { ...MEMBERS, table },
      { columns, rows },
      paint,
    );
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
  });
});

test.each([
  [80, "m members  e exports  p pools  s sort  r reverse  space pause  q quit"],
  [67, "m members  e exports  p pools  s sort  r reverse  q quit"],
  [40, "m members  e exports  p pools  q quit"],
  [20, "m members  q quit"],
  [10, "q quit"],
])("in %p columns the last line has the most important keys", (columns, keys) => {
  const lines = screenOf(shown(withPeers(30)), MEMBERS, { columns, rows: 24 }, PLAIN);
  expect(lines.at(-1)).toBe(keys);
});

function firstCells(lines: readonly string[]): number[] {
  const rows = lines.filter((line) => /^ *\d+ n\d/.test(line));
  return rows.map((line) => Number.parseInt(line, 10));
}

test("rows are sorted by the chosen column, in either direction", () => {
  const all = shown(withPeers(4));
  const by = (column: number, isReversed = false) => {
    return firstCells(screenOf(all, { ...MEMBERS, order: { column, isReversed } }, SIZE, PLAIN));
  };
  expect(by(0)).toEqual([1, 2, 3, 4, 5]);
  expect(by(0, true)).toEqual([5, 4, 3, 2, 1]);
  const free = 5;
  expect(by(free)).toEqual([1, 2, 3, 4, 5]);
  expect(by(free, true)).toEqual([5, 4, 3, 2, 1]);
  // There are ten columns, and the first one follows the last one.
  expect(by(10)).toEqual(by(0));
});

test("a table that is too long is scrolled, and its last rows stay in sight", () => {
  const all = shown(withPeers(40));
  const at = (scrolled: number) => {
    return firstCells(screenOf(all, { ...MEMBERS, scrolled }, SIZE, PLAIN));
  };
  expect(at(0).slice(0, 2)).toEqual([1, 2]);
  expect(at(5).slice(0, 2)).toEqual([6, 7]);
  expect(at(1000).at(-1)).toBe(41);
  expect(at(1000)).toHaveLength(at(0).length);
});

test("an outage takes the place of the verdict", () => {
  const lines = screenOf(shown(nodeStats(1), { outage: "Cannot connect" }), MEMBERS, SIZE, PLAIN);
  expect(lines[1]).toBe("Cannot connect");
  expect(lines.join()).not.toContain("HEALTHY");
});

test("text that is not redrawn has all tables that have rows, and all events", () => {
  const pool = { id: 3, kind: "ephemeral", export: null, pages: 10 } as const;
  const codecs = { raw_pages: 1, lz4_pages: 2, zstd_pages: 3, zstd_dictionary_pages: 4 };
  const stats = nodeStats(1, { pools: [{ ...pool, ...codecs }] });
  const events = Array.from({ length: 7 }, (_, i) => event(i));
  const text = pageOf(shown(stats, { events }), 80, PLAIN).join("\n");
  expect(text).toContain("\n   3 ephemeral  -  ");
  expect(text).not.toContain("exports");
  expect(text.match(/is dead/g)).toHaveLength(7);
});
