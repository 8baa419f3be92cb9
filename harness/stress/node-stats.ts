/** Stats of a node that never ran, for tests of readers: all figures are 0 unless given. */
import { PEER } from "../../src/core/figures.ts";
import type { NodeStats, PeerStats, RepairStats } from "../../src/wire/stats.ts";

const NOTHING_AT_RISK: RepairStats = {
  pages_at_risk: 0,
  pages_exposed: 0,
  pages_out_of_reach: 0,
  pages_lost: 0,
  copies_intended: 2,
  copies_possible: 2,
  pages_per_second: null,
  seconds_left: 0,
};

export function nodeStats(
  number: number,
  own: Partial<Omit<NodeStats, "repair">> & { repair?: Partial<RepairStats> } = {},
): NodeStats {
  return {
    node: {
      ...{ number, name: `n${number}`, cluster: "ramster", version: "0.0.1" },
      ...{ boot_id: "1", listen: "10.0.0.1:7777" },
    },
    verdict: "HEALTHY",
    findings: [
      { state: "HEALTHY", name: "healthy", level: 0, reason: "all pages are here", advice: "" },
    ],
    members: [],
    nowhere: null,
    codec: null,
    cold_codec: null,
    exports: [],
    pools: [],
    spill: { trouble: null },
    lending: { unseen: [] },
    knobs: {},
    counters: {},
    latencies: {},
    zbud: { eph_cumul_chunk_counts: [], pers_cumul_chunk_counts: [] },
    peers: [],
    ...own,
    repair: { ...NOTHING_AT_RISK, ...own.repair },
  };
}

/** A peer with a link. */
export function peerStats(node: number, own: Partial<PeerStats> = {}): PeerStats {
  const zeros = Object.fromEntries(Object.keys(PEER).map((name) => [name, 0]));
  return {
    ...(zeros as Record<keyof typeof PEER, number>),
    node,
    name: `n${node}`,
    address: "",
    state: "up",
    failure: "",
    boot_id: null,
    connected: true,
    drained: false,
    gone: false,
    ...own,
  };
}
