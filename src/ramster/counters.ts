/** Counters of remote pages, and of pages that are held for other nodes. */
import { countersOf, type Report } from "../core/figure.ts";
import {
  FOREIGN_COUNTED,
  type FOREIGN_READ,
  RAMSTER_COUNTED,
  type RAMSTER_READ,
} from "../core/figures.ts";
import type { SpillReport } from "../spill/counters.ts";
import type { ZcacheReport } from "../zcache/counters.ts";

export const RamsterCounters = countersOf(RAMSTER_COUNTED);
export type RamsterCounters = InstanceType<typeof RamsterCounters>;

export type RamsterReport = ZcacheReport &
  SpillReport &
  Report<typeof RAMSTER_COUNTED & typeof RAMSTER_READ>;

export const ForeignCounters = countersOf(FOREIGN_COUNTED);
export type ForeignCounters = InstanceType<typeof ForeignCounters>;

export type ForeignReport = Report<typeof FOREIGN_COUNTED & typeof FOREIGN_READ>;
