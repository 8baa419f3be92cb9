/** Counters of the disk for pages. */
import { countersOf, type Report } from "../core/figure.ts";
import { SPILL_COUNTED, type SPILL_READ } from "../core/figures.ts";

export const SpillCounters = countersOf(SPILL_COUNTED);
export type SpillCounters = InstanceType<typeof SpillCounters>;

export type SpillReport = Report<typeof SPILL_COUNTED & typeof SPILL_READ>;

interface SpillState {
  readonly bytesUsed: number;
  readonly bytesMax: number;
  readonly bytesAsked: number;
  readonly pagesInFlight: number;
  /** Why writes fail. Null: they do not. */
  readonly trouble: string | null;
}

/** `spill`: null when the node has no disk. */
export function spillReport(counters: SpillCounters, spill: SpillState | null): SpillReport {
  return {
    ...counters,
    spill_bytes: spill?.bytesUsed ?? 0,
    spill_bytes_max: spill?.bytesMax ?? 0,
    spill_bytes_asked: spill?.bytesAsked ?? 0,
    spill_pages_in_flight: spill?.pagesInFlight ?? 0,
    spill_failing_count: Number((spill?.trouble ?? null) !== null),
  };
}
