import { expect, test } from "bun:test";
import { nodeStats, peerStats } from "../../harness/stress/node-stats.ts";
import type { MemberStats, NodeStats } from "../wire/stats.ts";
import { type Machine, overviewOf } from "./overview.ts";

const MIB = 2 ** 20;
const FRAMES_OF_MIB = 256;

function member(number: number, own: Partial<MemberStats> = {}): MemberStats {
  const numbers = { number, incarnation: 1, lend_frames: 0, free_frames: 0, foreign_pages: 0 };
  const nulls = { rtt_ms: null, boot_id: null, zone: null, target: null, role: null };
  const texts = { name: `n${number}`, state: "alive", address: "", note: "" } as const;
  return { ...numbers, ...nulls, ...texts, own_frames: 0, pressure: 0, drained: false, ...own };
}

function overview(stats: NodeStats, before: NodeStats | null = null, seconds = 2) {
  const earlier = before === null ? null : { stats: before, atMs: 1000 };
  return overviewOf({ stats, atMs: 1000 + 1000 * seconds }, earlier);
}

test("rates are counts by seconds, over all doors", () => {
  const before = nodeStats(1, { counters: { client_pages_put: 10, frontswap_succ_stores: 5 } });
  const after = nodeStats(1, { counters: { client_pages_put: 30, frontswap_succ_stores: 45 } });
  const { rates, seconds } = overview(after, before);
  expect({ put: rates.put, got: rates.got, seconds }).toEqual({ put: 30, got: 0, seconds: 2 });
});

test("without an earlier report of the same boot there are no rates", () => {
  const counters = { client_pages_put: 100 };
  const latencies = { put: { counts: [1, 2], sum_us: 3 } };
  const first = overview(nodeStats(1, { counters, latencies }));
  expect([first.seconds, first.rates.put, first.latencies.put]).toEqual([0, 0, null]);
  const other = nodeStats(1);
  const restarted = overview(nodeStats(1, { counters, latencies }), {
    ...other,
    node: { ...other.node, boot_id: "another" },
  });
  expect([restarted.seconds, restarted.rates.put]).toEqual([0, 0]);
});

test("latencies are those between the reports, and gets are local and remote ones", () => {
  const before = nodeStats(1, { latencies: { local_get: { counts: [100], sum_us: 100 } } });
  const after = nodeStats(1, {
    latencies: {
      local_get: { counts: [100, 0, 0, 6], sum_us: 130 },
      remote_get: { counts: [0, 0, 0, 0, 0, 0, 2], sum_us: 70 },
    },
  });
  const { latencies, memory } = overview(after, before);
  expect(latencies.get).toEqual({ rate: 4, p50_us: 8, p99_us: 64 });
  expect(latencies.remote_get).toEqual({ rate: 1, p50_us: 64, p99_us: 64 });
  expect(latencies.put).toBeNull();
  expect(memory.waited_ms_per_second).toBe(0);
});

test("a percentile beyond the last bucket is not a number of microseconds", () => {
  const counts = [...Array.from({ length: 23 }, () => 0), 4];
  const slow = nodeStats(1, { latencies: { put: { counts, sum_us: 8e9 } } });
  expect(overview(slow, nodeStats(1)).latencies.put).toEqual({
    rate: 2,
    p50_us: null,
    p99_us: null,
  });
});

function bytesOf({ own_bytes, ours_bytes, foreign_bytes, free_bytes }: Machine) {
  const all = [own_bytes, ours_bytes, foreign_bytes, free_bytes];
  return all.map((bytes) => bytes / MIB);
}

test("the memory of a machine is its own pages, ours, those of others, and free", () => {
  const lends = { lend_frames: 8 * FRAMES_OF_MIB, free_frames: 4 * FRAMES_OF_MIB };
  const owns = { own_frames: 10 * FRAMES_OF_MIB, pressure: 50, foreign_pages: 4000 };
  const stats = nodeStats(1, {
    counters: {
      frames_used: 2 * FRAMES_OF_MIB,
      frames_max: 4 * FRAMES_OF_MIB,
      foreign_frames_used: FRAMES_OF_MIB,
      foreign_frames_max: 2 * FRAMES_OF_MIB,
    },
    members: [member(2, { ...lends, ...owns }), member(1), member(3, { ...lends, state: "dead" })],
    peers: [peerStats(2, { remote_pages: 1000, foreign_pages: 7, bytes_sent: 4096 })],
  });
  const { machines, memory } = overview(stats, nodeStats(1, { peers: [peerStats(2)] }));
  expect(machines.map(({ name, is_self }) => [name, is_self])).toEqual([
    ["n1", true],
    ["n2", false],
    ["n3", false],
  ]);
  expect(machines.map(bytesOf)).toEqual([
    [2, 0, 1, 3],
    [5, 1, 3, 9],
    [0, 0, 0, 0],
  ]);
  expect(machines[1]).toMatchObject({ ours: 1000, theirs: 7, sent_bytes_per_second: 2048 });
  // The dead machine lends nothing.
  expect(memory.pooled_bytes).toBe(8 * MIB);
});

test("a peer that does not gossip is shown with what it lends", () => {
  const lends = { lend_frames: 4 * FRAMES_OF_MIB, free_frames: 3 * FRAMES_OF_MIB };
  const stats = nodeStats(1, { peers: [peerStats(2, { ...lends, remote_pages: 5, name: "" })] });
  const { machines, memory } = overview(stats);
  expect(machines.map(({ name, state }) => [name, state])).toEqual([
    ["n1", "alive"],
    ["2", "up"],
  ]);
  expect(machines.slice(1).map(bytesOf)).toEqual([[0, 1, 0, 3]]);
  expect(memory.pooled_bytes).toBe(4 * MIB);
});

test("pages that are not away are here, and what they take here is no gain", () => {
  const counters = { page_count: 1000, one_copy_pages: 100, two_copy_pages: 300 };
  const taken = { own_frame_bytes: 1_000_000, own_metadata_bytes: 96_000 };
  const { pages, memory } = overview(nodeStats(1, { counters: { ...counters, ...taken } }));
  expect(pages).toMatchObject({ here: 600, no_copy: 0, one_copy: 100, two_copies: 300 });
  expect(memory.gained_bytes).toBe(3_000_000);
});
