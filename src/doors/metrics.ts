/**
 * Metrics: a node's figures in the exposition format of Prometheus, written by prom-client.
 *
 * Kind and help come from the table of figures (core/figures.ts). The name of a metric is
 * `ramster_` and the name in the stats; `process_` is a prefix of its own. Counters end in `_total`
 * and latencies in `_seconds`, as the format requires. A figure that ends in `_max` is a `_peak` or
 * a `_limit`. Figures of a peer have the labels `peer`, its number, and `name`. Figures of an
 * export have the label `export`, its name. Figures of a pool have the label `pool`, its number.
 *
 * A figure becomes a metric when the node first reports it, so a node without exports has no
 * metrics of exports. At each scrape the metrics collect their values from one report.
 */
import { Counter, Gauge, Histogram, type HistogramConfiguration, Registry } from "prom-client";
import { type Figure, type FigureTable, gauge } from "../core/figure.ts";
import { COUNTERS, EXPORT, EXPORT_LATENCIES, LATENCIES, PEER, POOL } from "../core/figures.ts";
import { bucketEndUs, HISTOGRAM_BUCKETS, type HistogramSnapshot } from "../core/histogram.ts";
import { type Counters, VERDICTS, type Verdict } from "../wire/stats.ts";

/** The part of the stats that becomes metrics. */
export interface StatsForMetrics {
  readonly node: {
    readonly number: number;
    readonly name: string;
    readonly cluster: string;
    readonly version: string;
  };
  readonly verdict: Verdict;
  readonly counters: Counters;
  readonly latencies: Readonly<Record<string, HistogramSnapshot>>;
  readonly members: ReadonlyArray<{ readonly state: string }>;
  readonly exports: ReadonlyArray<
    Entry & { readonly latencies: Readonly<Record<string, HistogramSnapshot>> }
  >;
  readonly pools: readonly Entry[];
  readonly peers: readonly Entry[];
}

/** A peer, an export or a pool. It has figures among other fields. */
type Entry = Readonly<Record<string, unknown>>;

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

const MEMBER_STATES = ["alive", "suspect", "dead", "left"] as const;
/** Labels, and the fields of an entry that they have. */
type Labels = Readonly<Record<string, string>>;

const NO_LABELS: Labels = {};
const OF_PEER: Labels = { peer: "node", name: "name" };
const OF_EXPORT: Labels = { export: "name" };
const OF_POOL: Labels = { pool: "id" };

const BUILD_INFO = gauge("0 or 1", "Which version of ramster this is.");
const NODE_INFO = gauge("0 or 1", "Which node this is.");
const VERDICT = gauge("0 or 1", "1 for the state that the node is in: see ramster status.");
const PAGES = gauge("pages", "Pages away from here, by how many copies are in reach.");
const MEMBERS = gauge("members", "Members of the cluster.");

interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

interface LatencySample {
  readonly labels: Record<string, string>;
  readonly snapshot: HistogramSnapshot;
}

export class Metrics {
  private readonly registry = new Registry();
  private readonly report: () => StatsForMetrics;
  /** The report that the metrics collect their values from. */
  private stats: StatsForMetrics | null = null;

  /** `report` gives the node's counters and state (NodeAdmin). */
  constructor(report: () => StatsForMetrics) {
    this.report = report;
  }

  /** One page of metrics. */
  text(): Promise<string> {
    const stats = this.report();
    this.stats = stats;
    this.addNode(stats);
    this.addTable("", COUNTERS, NO_LABELS, ({ counters }) => [counters]);
    this.addTable("peer_", PEER, OF_PEER, ({ peers }) => peers);
    this.addTable("export_", EXPORT, OF_EXPORT, ({ exports }) => exports);
    this.addTable("pool_", POOL, OF_POOL, ({ pools }) => pools);
    for (const [name, figure] of Object.entries(LATENCIES)) {
      this.addLatency(stats, name, figure, ({ latencies }) => {
        const snapshot = latencies[name];
        return snapshot === undefined ? [] : [{ labels: {}, snapshot }];
      });
    }
    for (const [name, figure] of Object.entries(EXPORT_LATENCIES)) {
      this.addLatency(stats, `export_${name}`, figure, ({ exports }) => {
        return exports.flatMap((it) => {
          const snapshot = it.latencies[name];
          return snapshot === undefined ? [] : [{ labels: labelsOf(it, OF_EXPORT), snapshot }];
        });
      });
    }
    return this.registry.metrics();
  }

  private addNode(stats: StatsForMetrics): void {
    this.add(stats, "ramster_node_info", NODE_INFO, ["number", "name", "cluster"], ({ node }) => {
      const { number, name, cluster } = node;
      return [{ labels: { number: String(number), name, cluster }, value: 1 }];
    });
    this.add(stats, "ramster_build_info", BUILD_INFO, ["version"], ({ node: { version } }) => {
      return [{ labels: { version }, value: 1 }];
    });
    this.add(stats, "ramster_verdict", VERDICT, ["state"], ({ verdict }) => {
      return VERDICTS.map((state) => ({ labels: { state }, value: Number(state === verdict) }));
    });
    this.add(stats, "ramster_pages", PAGES, ["copies"], ({ counters }) => {
      const { no_copy_pages, one_copy_pages, two_copy_pages, three_copy_pages } = counters;
      const counts = [no_copy_pages, one_copy_pages, two_copy_pages, three_copy_pages];
      return counts.map((value = 0, copies) => ({ labels: { copies: String(copies) }, value }));
    });
    this.add(stats, "ramster_members", MEMBERS, ["state"], ({ members }) => {
      return MEMBER_STATES.map((state) => {
        return { labels: { state }, value: members.filter((it) => it.state === state).length };
      });
    });
  }

  private addTable(
    prefix: string,
    table: FigureTable,
    labels: Labels,
    entriesOf: (stats: StatsForMetrics) => readonly Entry[],
  ): void {
    const { stats } = this;
    if (stats === null) return;
    for (const [field, figure] of Object.entries(table)) {
      const name = metricName(`${prefix}${field}`, figure);
      this.add(stats, name, figure, Object.keys(labels), (now) => {
        const having = entriesOf(now).filter((entry) => entry[field] !== undefined);
        return having.map((entry) => {
          return { labels: labelsOf(entry, labels), value: Number(entry[field]) };
        });
      });
    }
  }

  private addLatency(
    stats: StatsForMetrics,
    latency: string,
    figure: Figure,
    samplesOf: (stats: StatsForMetrics) => LatencySample[],
  ): void {
    const name = metricName(latency, figure);
    if (this.registry.getSingleMetric(name) !== undefined) return;
    if (samplesOf(stats).length === 0) return;
    const config = { name, help: figure.help, registers: [] };
    const samples = () => (this.stats === null ? [] : samplesOf(this.stats));
    this.registry.registerMetric(new CountedHistogram(config, samples));
  }

  /** Adds a metric that has samples now, and had none before. */
  private add(
    stats: StatsForMetrics,
    name: string,
    figure: Figure,
    labelNames: string[],
    samplesOf: (stats: StatsForMetrics) => Sample[],
  ): void {
    if (this.registry.getSingleMetric(name) !== undefined) return;
    if (samplesOf(stats).length === 0) return;
    const samples = (): Sample[] => (this.stats === null ? [] : samplesOf(this.stats));
    const config = { name, help: figure.help, labelNames, registers: [] };
    // A metric without labels has a sample of 0 when it is made, and when it is reset.
    if (figure.kind === "gauge") {
      const collect = function (this: Gauge): void {
        this.reset();
        this.remove({});
        for (const { labels, value } of samples()) this.set(labels, value);
      };
      this.registry.registerMetric(new Gauge({ ...config, collect }));
    } else {
      const collect = function (this: Counter): void {
        this.reset();
        this.remove({});
        for (const { labels, value } of samples()) this.inc(labels, value);
      };
      this.registry.registerMetric(new Counter({ ...config, collect }));
    }
  }
}

/**
 * A histogram whose samples are already counted (core/histogram.ts). prom-client's own takes
 * samples one by one, which the page path cannot afford.
 */
class CountedHistogram extends Histogram {
  private readonly config: HistogramConfiguration<string>;
  private readonly samples: () => LatencySample[];

  constructor(config: HistogramConfiguration<string>, samples: () => LatencySample[]) {
    super(config);
    this.config = config;
    this.samples = samples;
  }

  /**
   * The values that the registry writes: see lib/registry.js and lib/histogram.js of prom-client.
   */
  async getForPromString() {
    const { name, help } = this.config;
    const values = this.samples().flatMap((sample) => valuesOf(name, sample));
    return { name, help, type: "histogram", values };
  }
}

function valuesOf(name: string, { labels, snapshot: { counts, sum_us } }: LatencySample) {
  let count = 0;
  const buckets = Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => {
    count += counts[bucket] ?? 0;
    const endUs = bucketEndUs(bucket);
    const le = Number.isFinite(endUs) ? String(endUs / 1e6) : "+Inf";
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  const sum = { metricName: `${name}_sum`, labels, value: sum_us / 1e6 };
  return [...buckets, sum, { metricName: `${name}_count`, labels, value: count }];
}

function labelsOf(entry: Entry, labels: Labels): Record<string, string> {
  const pairs = Object.entries(labels).map(([label, field]) => [label, String(entry[field])]);
  return Object.fromEntries(pairs);
}

/**
 * The format keeps endings such as `_count` for histograms. Figures of the process have the names
 * that Prometheus' clients have in common.
 */
export function metricName(name: string, { kind, metric, isPeak = false }: Figure): string {
  const plain = name.replace(/_(count|total)$/, "").replace(/_count_max$/, "s_max");
  const own = metric ?? plain.replace(/_max$/, isPeak ? "_peak" : "_limit");
  const base = own.startsWith("process_") ? own : `ramster_${own}`;
  if (kind === "counter") return `${base}_total`;
  return kind === "histogram" ? `${base}_seconds` : base;
}
