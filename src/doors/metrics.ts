/**
 * Metrics: a node's counters in the exposition format of Prometheus, written by prom-client.
 *
 * Every counter is `ramster_` and its name in the stats. What can go down is a gauge. The rest are
 * counters, and their names end in `_total` as the format wants. Names that the format reserves are
 * changed (RENAMED). What is kept for each peer has the label `peer`, its number, and for each
 * export `export`, its name.
 */
import { Counter, Gauge, type Histogram, Registry } from "prom-client";
import { bucketEndUs, HISTOGRAM_BUCKETS, type HistogramSnapshot } from "../core/histogram.ts";
import { HELP, RENAMED } from "./metric-help.ts";

/** What of the stats is read here. */
export interface StatsForMetrics {
  readonly node: { readonly number: number; readonly name: string; readonly cluster: string };
  readonly counters: Readonly<Record<string, number>>;
  readonly latencies: Readonly<Record<string, HistogramSnapshot>>;
  readonly members: ReadonlyArray<{ readonly state: string }>;
  readonly exports: readonly object[];
  readonly peers: readonly object[];
}

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

const MEMBER_STATES = ["alive", "suspect", "dead", "left"] as const;

/** Names in the stats that say how much there is, not how often something happened. */
const GAUGE =
  /_max$|_used$|_in_flight$|_count$|^(remote|foreign)_(eph|pers)_pages$|^(eph|pers)_(zpages|zbytes|pageframes)$/;
const GAUGES: ReadonlySet<string> = new Set([
  ...["foreign_zbytes", "flnodes", "same_filled_pages"],
  ...["remote_pages", "foreign_pages", "owed_flushes", "connected", "gossip_health"],
  ...["remote_copies", "absent_copies", "pages_at_risk", "repair_pages_per_second"],
  ...["pages_out_of_reach", "copies_intended", "copies_possible", "reclaims_pending"],
  ...["spilled_pages", "spill_bytes", "spill_bytes_asked"],
  ...["foreign_granted_pages", "credit_pages", "granted_pages", "lend_limit_frames"],
  ...["machine_total_bytes", "machine_available_bytes", "machine_reserve_bytes"],
  ...["machine_stall_percent", "space_percent_used", "nbd_connections", "http_connections"],
  ...["certificate_days_left", "lend_frames", "free_frames", "drained", "gone"],
  ...["size_bytes", "pages", "used_bytes", "connections"],
]);

/** One page of metrics. A registry of its own each time: nothing is kept between two scrapes. */
export async function metricsText(stats: StatsForMetrics): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const info = { name: "ramster_node_info", help: "Which node this is", registers };
  const { number, name, cluster } = stats.node;
  new Gauge({ ...info, labelNames: ["number", "name", "cluster"] }).set(
    { number: String(number), name, cluster },
    1,
  );
  for (const [counter, value] of Object.entries(stats.counters)) {
    metric(registry, "", counter, []).set({}, value);
  }
  for (const [name, latency] of Object.entries(stats.latencies)) histogram(registry, name, latency);
  const members = new Gauge({
    ...{
      name: "ramster_members",
      help: "Members of the cluster",
      labelNames: ["state"],
      registers,
    },
  });
  for (const state of MEMBER_STATES) {
    members.set({ state }, stats.members.filter((member) => member.state === state).length);
  }
  labelled(registry, "peer", "node", stats.peers);
  labelled(registry, "export", "name", stats.exports);
  return registry.metrics();
}

/** What is kept for each of many: one metric a field, with a label that says whose it is. */
function labelled(registry: Registry, label: string, key: string, many: readonly object[]): void {
  const metrics = new Map<string, Metric>();
  for (const one of many) {
    const fields = new Map<string, unknown>(Object.entries(one));
    const labels = { [label]: String(fields.get(key)) };
    for (const [field, value] of fields) {
      if (field === key || (typeof value !== "number" && typeof value !== "boolean")) continue;
      const known = metrics.get(field) ?? metric(registry, `${label}_`, field, [label]);
      metrics.set(field, known);
      known.set(labels, Number(value));
    }
  }
}

/**
 * Seconds, as Prometheus wants them. The library's own histograms take one value at a time, so it
 * gets what such a one would say.
 */
function histogram(registry: Registry, latency: string, snapshot: HistogramSnapshot): void {
  const name = `ramster_${latency}_seconds`;
  const help = HELP[latency] ?? `"${latency}" of ramster stats.`;
  let count = 0;
  const buckets = Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => {
    count += snapshot.counts[bucket] ?? 0;
    const endUs = bucketEndUs(bucket);
    const le = Number.isFinite(endUs) ? String(endUs / 1e6) : "+Inf";
    return { metricName: `${name}_bucket`, labels: { le }, value: count };
  });
  const values = [
    ...buckets,
    { metricName: `${name}_sum`, value: snapshot.sum_us / 1e6 },
    { metricName: `${name}_count`, value: count },
  ];
  const metric = { name, help, type: "histogram", values };
  registry.registerMetric({ ...metric, get: async () => metric } as unknown as Histogram);
}

interface Metric {
  set(labels: Record<string, string>, value: number): void;
}

/** `prefix`: in front of the field's name, for what is kept for each of many. */
function metric(registry: Registry, prefix: string, field: string, labelNames: string[]): Metric {
  const help = HELP[`${prefix}${field}`] ?? `"${field}" of ramster stats.`;
  const options = { help, labelNames, registers: [registry] };
  const name = `ramster_${prefix}${RENAMED[field] ?? field.replace(/_(count|total)$/, "")}`;
  if (GAUGE.test(field) || GAUGES.has(field)) return new Gauge({ ...options, name });
  const counter = new Counter({ ...options, name: `${name}_total` });
  return { set: (labels, value) => counter.inc(labels, value) };
}
