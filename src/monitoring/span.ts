/**
 * Span: what a node has done between two of its reports: pages each second, and how long requests
 * took.
 */
import {
  type HistogramSnapshot,
  histogramBetween,
  histogramSum,
  percentileUs,
} from "../core/histogram.ts";
import type { CounterName, Counters, NodeStats, PeerStats } from "../wire/stats.ts";

/** A report, and when it was made: the milliseconds of any clock. */
export interface TimedStats {
  readonly stats: NodeStats;
  readonly atMs: number;
}

/** Pages each second. */
export interface Rates {
  readonly put: number;
  readonly got: number;
  readonly remotified: number;
  readonly fetched: number;
  readonly spilled: number;
  readonly repaired: number;
}

export interface Latency {
  /** Requests each second. */
  readonly rate: number;
  /** The ends of the buckets that hold the percentiles. Null: beyond the last bucket. */
  readonly p50_us: number | null;
  readonly p99_us: number | null;
}

export type Latencies = Readonly<Record<"put" | "get" | "remote_get", Latency | null>>;

const EMPTY: HistogramSnapshot = { counts: [], sum_us: 0 };

/** Which counters each rate is the sum of. */
const RATES: Readonly<Record<keyof Rates, readonly CounterName[]>> = {
  put: ["client_pages_put", "frontswap_succ_stores"],
  got: ["client_pages_got", "frontswap_loads"],
  remotified: ["eph_pages_remoted", "pers_pages_remoted"],
  fetched: ["remote_eph_pages_succ_get", "remote_pers_pages_succ_get"],
  spilled: ["spill_writes"],
  repaired: ["copies_repaired"],
};

/** What has happened between two reports. */
export class Span {
  private readonly now: NodeStats;
  private readonly before: NodeStats;
  private readonly peersBefore: ReadonlyMap<number, PeerStats>;
  readonly seconds: number;

  constructor(now: TimedStats, before: TimedStats | null) {
    const isSameBoot = before?.stats.node.boot_id === now.stats.node.boot_id;
    const start = before !== null && isSameBoot ? before : now;
    this.now = now.stats;
    this.before = start.stats;
    this.peersBefore = new Map(start.stats.peers.map((peer) => [peer.node, peer]));
    this.seconds = Math.max(0, now.atMs - start.atMs) / 1000;
  }

  /** How much it was each second. */
  private perSecond(count: number): number {
    return this.seconds === 0 ? 0 : Math.round(Math.max(0, count) / this.seconds);
  }

  private rate(names: readonly CounterName[]): number {
    return this.perSecond(sumOf(this.now.counters, names) - sumOf(this.before.counters, names));
  }

  /** `name` is a figure of the peer. */
  peerRate(peer: PeerStats | undefined, name: "bytes_sent" | "bytes_received"): number {
    const was = peer === undefined ? undefined : this.peersBefore.get(peer.node);
    return this.perSecond((peer?.[name] ?? 0) - (was?.[name] ?? 0));
  }

  rates(): Rates {
    const entries = Object.entries(RATES).map(([name, counters]) => [name, this.rate(counters)]);
    return Object.fromEntries(entries) as Record<keyof Rates, number>;
  }

  latencies(): Latencies {
    const remote = this.between("remote_get");
    return {
      put: this.latency(this.between("put")),
      get: this.latency(histogramSum(this.between("local_get"), remote)),
      remote_get: this.latency(remote),
    };
  }

  /** How long requests of programs and block devices waited, in milliseconds a second. */
  waitedMs(): number {
    const us = WAITS.reduce((sum, name) => sum + this.between(name).sum_us, 0);
    return this.perSecond(us / 1000);
  }

  private between(name: keyof NodeStats["latencies"]): HistogramSnapshot {
    const { now, before } = this;
    return histogramBetween(before.latencies[name] ?? EMPTY, now.latencies[name] ?? EMPTY);
  }

  private latency(between: HistogramSnapshot): Latency | null {
    const count = between.counts.reduce((sum, it) => sum + it, 0);
    if (count <= 0) return null;
    const percentile = (fraction: number): number | null => {
      const us = percentileUs(between, fraction);
      return Number.isFinite(us) ? us : null;
    };
    return { rate: this.perSecond(count), p50_us: percentile(0.5), p99_us: percentile(0.99) };
  }
}

const WAITS = ["put", "local_get", "remote_get"] as const;

function sumOf(counters: Counters, names: readonly CounterName[]): number {
  return names.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
}
