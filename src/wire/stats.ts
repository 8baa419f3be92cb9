/**
 * Stats: what a node reports of itself, as JSON: the answer to STATS. Names are part of what
 * scripts read.
 *
 * Not here: what each figure counts (core/figures.ts).
 */
import type { Report } from "../core/figure.ts";
import type { COUNTERS, EXPORT, EXPORT_LATENCIES, LATENCIES, PEER, POOL } from "../core/figures.ts";
import type { HistogramSnapshot } from "../core/histogram.ts";

export type CounterName = keyof typeof COUNTERS;

/**
 * What is not reported is missing: a node that lends nothing has no `foreign_` counters, one
 * without exports no `nbd_` counters.
 */
export type Counters = Partial<Report<typeof COUNTERS>>;

/** The states of a node, worst first: src/monitoring/verdict.ts. */
export const VERDICTS = ["LOST", "ONE COPY", "DEGRADED", "FILLING", "DRAINING", "HEALTHY"] as const;

export type Verdict = (typeof VERDICTS)[number];

export const FINDINGS = [
  ...(["lost", "corrupt", "out_of_reach", "one_copy", "few_copies"] as const),
  ...(["nowhere", "certificate", "link", "dead_lender", "disk", "unseen", "cold_tier"] as const),
  ...(["filling", "full", "draining", "healthy"] as const),
] as const;

export type FindingName = (typeof FINDINGS)[number];

/** Something that an operator should know, and what to do. */
export interface Finding {
  readonly state: Verdict;
  /** What it is about, for programs. The texts are for people, and change. */
  readonly name: FindingName;
  /** 0: all is well, 1: a warning, 2: critical. Monitoring takes it as the exit code of a check. */
  readonly level: 0 | 1 | 2;
  readonly reason: string;
  /** What to do; "" when there is nothing to do, or the reason says it. */
  readonly advice: string;
}

export interface NodeStats {
  /** The state of the first finding. */
  verdict: Verdict;
  /** Worst first; one that says HEALTHY when there is nothing else. */
  findings: Finding[];
  node: {
    number: number;
    name: string;
    cluster: string;
    /** Of the program. */
    version: string;
    boot_id: string;
    listen: string;
  };
  /** Everybody in the cluster, this node too; empty when it does not gossip. */
  members: MemberStats[];
  /** Its pages that have too few copies elsewhere. */
  repair: RepairStats;
  /** Why its pages have nowhere to go, and what helps; null: they have, or there are none. */
  nowhere: string | null;
  /** What compresses its pages; null on a server. */
  codec: CodecStats | null;
  /** What compresses its cold pages again; null: nothing. */
  cold_codec: ColdCodecStats | null;
  /** Its block devices. */
  exports: ExportStats[];
  /** The pools of its own pages: those of programs and those of exports. */
  pools: PoolStats[];
  /** Its disk for pages. How much of it is in use is in the counters. */
  spill: SpillStats;
  /** What it lends to others. How much that is now is in the counters. */
  lending: LendingStats;
  /** What can be set while it runs, with the values in force. */
  knobs: Record<string, string>;
  counters: Counters;
  /** How long things took: counts of buckets that end at 1, 2, 4, ... microseconds, and the sum. */
  latencies: Partial<Record<keyof typeof LATENCIES, HistogramSnapshot>>;
  /** How many zpages of 0, 1, 2, ... chunks of 64 bytes, header included, were ever stored. */
  zbud: { eph_cumul_chunk_counts: number[]; pers_cumul_chunk_counts: number[] };
  peers: PeerStats[];
}

export const EVENT_KINDS = [
  ...(["verdict", "joined", "suspected", "recovered", "died", "left", "drained"] as const),
  ...(["undrained", "repaired", "lost", "failed", "refused", "evicted", "pressure"] as const),
] as const;

export type EventKind = (typeof EVENT_KINDS)[number];

/** The answer to EVENTS. */
export interface Events {
  /** Numbers begin again in another boot. */
  readonly boot_id: string;
  /** Oldest first. */
  readonly events: readonly EventReport[];
}

/** Something that has happened to the node or its cluster. */
export interface EventReport {
  /** It only grows while the node runs. */
  readonly number: number;
  readonly kind: EventKind;
  readonly text: string;
  /** How long ago it happened. */
  readonly age_ms: number;
}

export interface CodecStats {
  readonly name: string;
  /** The library of the system that runs, such as "liblz4 1.9.4"; null: lz4-wasm, or raw. */
  readonly library: string | null;
}

export interface ColdCodecStats {
  /** "libzstd 1.5.4", or that of the runtime. */
  readonly library: string;
  /** Whether pools have dictionaries of their own. */
  readonly dictionaries: boolean;
  /** It has failed too often, and was given up. */
  readonly failed: boolean;
}

export type ExportStats = {
  readonly name: string;
  readonly latencies: Readonly<Record<keyof typeof EXPORT_LATENCIES, HistogramSnapshot>>;
} & Report<typeof EXPORT>;

export type PoolStats = {
  readonly id: number;
  readonly kind: "persistent" | "ephemeral";
  /** The export whose pages it has; null: it is a program's. */
  readonly export: string | null;
} & Report<typeof POOL>;

export interface LendingStats {
  /** What it cannot see of its machine, and so lends with care. Empty: all, or it lends nothing. */
  readonly unseen: ReadonlyArray<"available" | "limit" | "waits" | "machine">;
}

export interface SpillStats {
  /** Why pages cannot be written there; null: they can, or there is no disk. */
  trouble: string | null;
}

export interface RepairStats {
  /** Pages that are away and have fewer copies in reach than they should, or none. */
  pages_at_risk: number;
  /** Those of them with one copy in reach, and those without. */
  pages_exposed: number;
  pages_out_of_reach: number;
  /** Other pages that have lost all their copies. */
  pages_lost: number;
  /** Copies that a page should have, and that there are places for now. */
  copies_intended: number;
  copies_possible: number;
  /** How many get a copy each second, and how long the rest will take; null: not known. */
  pages_per_second: number | null;
  seconds_left: number | null;
}

export interface MemberStats {
  name: string;
  /** Null for one that is not used; `note` says why. */
  number: number | null;
  state: "alive" | "suspect" | "dead" | "left";
  /** Where it gossips. */
  address: string;
  incarnation: number;
  rtt_ms: number | null;
  role: "node" | "server" | null;
  boot_id: string | null;
  /** What it may fail together with. */
  zone: string | null;
  /** Frames of 4 KiB that it lends, and those of them that are free. */
  lend_frames: number;
  free_frames: number;
  /** About how many pages it holds for other nodes. */
  foreign_pages: number;
  /** Frames of 4 KiB for its own pages, and how many percent of them are in use. */
  own_frames: number;
  pressure: number;
  /** Where its own pages go. */
  target: string | null;
  /** Whether it lends nothing any more and gets ready to leave. */
  drained: boolean;
  note: string;
}

export type PeerStats = {
  readonly node: number;
  /** "" while it is not known. */
  readonly name: string;
  readonly address: string;
  readonly state: string;
  /** Why the last attempt to link to it failed; "" when there was none since the last link. */
  readonly failure: string;
  /** On the last link; null before the first. */
  readonly boot_id: string | null;
} & Report<typeof PEER>;
