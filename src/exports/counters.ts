/** Counters of the NBD door. */
import { countersOf, type Report } from "../core/figure.ts";
import { type EXPORT, type EXPORT_LATENCIES, NBD_COUNTED, type NBD_READ } from "../core/figures.ts";
import type { HistogramSnapshot } from "../core/histogram.ts";

export const NbdCounters = countersOf(NBD_COUNTED);
export type NbdCounters = InstanceType<typeof NbdCounters>;

export type NbdReport = Report<typeof NBD_COUNTED & typeof NBD_READ>;
export type ExportReport = {
  readonly name: string;
  readonly latencies: Readonly<Record<keyof typeof EXPORT_LATENCIES, HistogramSnapshot>>;
} & Report<typeof EXPORT>;
