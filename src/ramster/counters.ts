/** Counters of remote pages, and of pages that are held for other nodes. */
import type { ColdReport } from "../cold/counters.ts";
import { countersOf, type Prefixed, type Report } from "../core/figure.ts";
import {
  type DENSITY_READ,
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
  ColdReport &
  SpillReport &
  Report<Prefixed<"own_", typeof DENSITY_READ>> &
  Report<typeof RAMSTER_COUNTED & typeof RAMSTER_READ>;

export const ForeignCounters = countersOf(FOREIGN_COUNTED);
export type ForeignCounters = InstanceType<typeof ForeignCounters>;

export type ForeignReport = Report<Prefixed<"lent_", typeof DENSITY_READ>> &
  Report<typeof FOREIGN_COUNTED & typeof FOREIGN_READ>;
