/** Counters of zcache. */
import { countersOf, type Report } from "../core/figure.ts";
import { type ZBUD_READ, ZCACHE_COUNTED, type ZCACHE_READ } from "../core/figures.ts";

export const ZcacheCounters = countersOf(ZCACHE_COUNTED);
export type ZcacheCounters = InstanceType<typeof ZcacheCounters>;

export type ZcacheReport = Report<typeof ZBUD_READ & typeof ZCACHE_COUNTED & typeof ZCACHE_READ>;
