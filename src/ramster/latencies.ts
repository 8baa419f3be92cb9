/** Latencies of a node's operations, in milliseconds. The doors add to the first three. */
import { LATENCIES } from "../core/figures.ts";
import { Histogram, type HistogramSnapshot } from "../core/histogram.ts";

export type LatencyName = keyof typeof LATENCIES;

/** One histogram for each latency in the table of figures. */
export type Latencies = Readonly<Record<LatencyName, Histogram>>;

const NAMES = Object.keys(LATENCIES) as LatencyName[];

export function newLatencies(): Latencies {
  return byName(() => new Histogram());
}

export function latencyReport(latencies: Latencies): Record<LatencyName, HistogramSnapshot> {
  return byName((name) => latencies[name].snapshot());
}

function byName<T>(make: (name: LatencyName) => T): Record<LatencyName, T> {
  return Object.fromEntries(NAMES.map((name) => [name, make(name)])) as Record<LatencyName, T>;
}
