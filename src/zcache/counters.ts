/** Counters of zcache. */
import { countersOf, type Report } from "../core/figure.ts";
import { ZCACHE_COUNTED, type ZCACHE_READ } from "../core/figures.ts";
import type { PlacementReport } from "../placement/counters.ts";

export const ZcacheCounters = countersOf(ZCACHE_COUNTED);
export type ZcacheCounters = InstanceType<typeof ZcacheCounters>;

export type ZcacheReport = PlacementReport & Report<typeof ZCACHE_COUNTED & typeof ZCACHE_READ>;
