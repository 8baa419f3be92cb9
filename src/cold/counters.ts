/** Counters of the cold tier. */
import { countersOf, type Report } from "../core/figure.ts";
import { COLD_COUNTED, type COLD_READ } from "../core/figures.ts";
import type { Dictionaries } from "./dictionaries.ts";

export const ColdCounters = countersOf(COLD_COUNTED);
export type ColdCounters = InstanceType<typeof ColdCounters>;

export type ColdReport = Report<typeof COLD_COUNTED & typeof COLD_READ>;

/** `dictionaries`: null when the node has no cold tier. */
export function coldReport(counters: ColdCounters, dictionaries: Dictionaries | null): ColdReport {
  return {
    ...counters,
    dictionaries: dictionaries?.count ?? 0,
    dictionary_bytes: dictionaries?.byteCount ?? 0,
  };
}
