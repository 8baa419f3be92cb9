import { expect, test } from "bun:test";
import { nodeStats, peerStats } from "../../harness/stress/node-stats.ts";
import type { NodeStats, RepairStats } from "../wire/stats.ts";
import { statusText } from "./status.ts";

test("says of block devices how full they are, and when room runs out", () => {
  const used = { pages: 3, used_bytes: 2 ** 20, swap_bytes: 0, stale_bytes: 0 };
  const none = { counts: [], sum_us: 0 };
  const latencies = { read: none, write: none };
  const swap = { name: "swap", latencies, size_bytes: 2 ** 30, ...used, connections: 1 };
  const counters = { space_percent_used: 85, space_warn_count: 1, nbd_enospc: 2 };
  expect(
    textOf({}, { exports: [swap], counters })
      .split("\n")
      .slice(3, 5),
  ).toEqual([
    'export "swap": 1MiB of 1GiB, 1 connected',
    "space for pages: 85% used, more than --warn-at, 2 writes refused",
  ]);
  const stale = { ...swap, swap_bytes: 2 ** 18, stale_bytes: 3 * 2 ** 18 };
  expect(textOf({}, { exports: [stale], counters })).toContain(
    'export "swap": 1MiB of 1GiB, 1 connected, 75% stale (ramster swap rotate)',
  );
});

function textOf(repair: Partial<RepairStats>, own: Partial<NodeStats> = {}): string {
  return statusText(nodeStats(1, { ...own, repair }));
}

const PEER = peerStats(0);

test("of peers without gossip it says what they lend, and which are drained, or gone", () => {
  const peer = { ...PEER, node: 4, remote_pages: 7, lend_frames: 512, free_frames: 256 };
  const rows = (drained: boolean, gone: boolean) => {
    const lines = textOf({}, { peers: [{ ...peer, drained, gone }] }).split("\n");
    return lines.slice(-2).map((line) => line.split(/ {2,}/));
  };
  expect(rows(false, false)).toEqual([
    ["node", "link", "lends", "free", "ours", "theirs"],
    ["4", "up", "2MiB", "1MiB", "7", "0"],
  ]);
  expect(rows(true, false)[1]?.[1]).toBe("up, drained");
  expect(rows(false, true)[1]?.[1]).toBe("gone");
});

test("says which codec runs, unless the node is a server", () => {
  const lineOf = (codec: NodeStats["codec"]) => textOf({}, { codec }).split("\n")[2];
  expect(lineOf({ name: "lz4", library: "liblz4 1.9.4" })).toBe("codec: lz4, by liblz4 1.9.4");
  expect(lineOf({ name: "lz4", library: null })).toBe("codec: lz4, by WebAssembly");
  expect(lineOf({ name: "raw", library: null })).toBe("codec: raw, pages are not compressed");
  expect(lineOf(null)).toBe("at risk: no page");
});

test("says how many copies are out of reach", () => {
  const lines = textOf({}, { counters: { absent_copies: 1 } }).split("\n");
  expect(lines[3]).toBe("out of reach: 1 copy, at nodes that are dead and may come back");
});

test("says how much of the disk is used", () => {
  const MIB = 2 ** 20;
  const bytes = { spill_bytes: 5 * MIB, spill_bytes_max: 6 * MIB, spill_bytes_asked: 40 * MIB };
  const counters = { spilled_pages: 12, ...bytes };
  expect(textOf({}, { counters }).split("\n")[3]).toBe("spilled: 12 pages, 5MiB of 6MiB");
});

test("a drained node is marked as drained, in its own status and in that of others", () => {
  const zeros = {
    lend_frames: 0,
    free_frames: 0,
    foreign_pages: 0,
    own_frames: 0,
    pressure: 0,
    incarnation: 1,
  };
  const texts = { address: "10.0.0.2:7946", role: "server", target: "none", note: "" } as const;
  const nulls = { rtt_ms: null, boot_id: null, zone: null };
  const member = { name: "n2", number: 2, drained: true, ...zeros, ...texts, ...nulls };
  const states = (state: "alive" | "dead", drained: boolean) => {
    const text = textOf({}, { members: [{ ...member, state, drained }] });
    return text.split("\n").at(-1)?.split(/ {2,}/)[2];
  };
  expect(states("alive", true)).toBe("drained");
  expect(states("alive", false)).toBe("alive");
  expect(states("dead", true)).toBe("dead");
});

test("shows how many copies are out of reach, and how many pages a lender gives up", () => {
  const counters = { absent_copies: 1234, reclaims_pending: 12 };
  const lines = textOf({}, { counters }).split("\n");
  expect(lines.slice(3, 5)).toEqual([
    "out of reach: 1,234 copies, at nodes that are dead and may come back",
    "given up by lenders: 12 pages, on the way to other nodes",
  ]);
});

test("begins with the findings, and --check has their level", () => {
  const findings = [
    {
      state: "ONE COPY",
      name: "one_copy",
      level: 1,
      reason: "1 page (4KiB) has no second copy",
      advice: "wait",
    },
    { state: "DRAINING", name: "draining", level: 1, reason: "a\nreason", advice: "" },
  ] as const;
  const lines = textOf({}, { verdict: "ONE COPY", findings: [...findings] }).split("\n");
  expect(lines.slice(0, 2)).toEqual([
    "ONE COPY: 1 page (4KiB) has no second copy; wait",
    "DRAINING: a reason",
  ]);
  expect(lines[2]).toStartWith("node 1 ");
});

test("a node of an earlier version has no verdict", () => {
  const { verdict: _, findings: __, ...earlier } = nodeStats(1);
  expect(statusText(earlier as NodeStats)).toStartWith("node 1 ");
});

test("says why pages at risk are not repaired", () => {
  const line = (repair: Parameters<typeof textOf>[0]) => {
    return textOf({ pages_at_risk: 7, seconds_left: null, ...repair }).split("\n")[2];
  };
  expect(line({ copies_intended: 2, copies_possible: 1 })).toBe(
    "at risk: 7 pages, not repaired: no other lender to copy to, start one",
  );
  expect(line({ pages_out_of_reach: 7 })).toBe("at risk: 7 pages, not repaired: no copy in reach");
});

test("shows how many pages are lost, if any are", () => {
  const lines = (lost: number) => {
    return textOf({}, { counters: { remote_pers_pages_lost: lost } })
      .split("\n")
      .slice(2, 4);
  };
  expect(lines(0)).toEqual(["at risk: no page", ""]);
  expect(lines(12_345)).toEqual(["at risk: no page", "lost: 12,345 pages since it started"]);
});

test.each([
  [0, null, 0, "no page"],
  [1, null, null, "1 page, repair time not known yet"],
  [12_345, 4120, 3, "12,345 pages, repaired in about 3s, 4,120 a second"],
  [67_108_864, 100_000, 671, "67,108,864 pages, repaired in about 11.18m, 100,000 a second"],
] as const)("says of %d pages at risk how long they will be", (pages, rate, seconds, text) => {
  const lines = textOf({
    pages_at_risk: pages,
    pages_per_second: rate,
    seconds_left: seconds,
  }).split("\n");
  expect(lines[2]).toBe(`at risk: ${text}`);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});

test("any name of a member stays in its cell", () => {
  const zeros = {
    lend_frames: 0,
    free_frames: 0,
    foreign_pages: 0,
    own_frames: 0,
    pressure: 0,
    incarnation: 1,
  };
  const texts = { address: "10.0.0.2:7946", role: "server", target: "none", note: "" } as const;
  const nulls = { rtt_ms: null, boot_id: null, zone: null };
  const name = "n2\n3  n3  alive\u001b[2J\u009b0m";
  const member = { name, number: 2, drained: false, ...zeros, ...texts, ...nulls };
  const lines = textOf({}, { members: [{ ...member, state: "alive" }] }).split("\n");
  expect(lines.at(-1)).toMatch(/^2 {5}n2 3 {2}n3 {2}alive \[2J 0m {2}alive /);
});
