/** Counters of zcache. */
import { countersOf, type Report } from "../core/figure.ts";
import { ZCACHE_COUNTED, type ZCACHE_READ } from "../core/figures.ts";
import { type Kind, PERSISTENT } from "../core/kind.ts";
import type { PlacementCounters, PlacementReport } from "../placement/counters.ts";

export const ZcacheCounters = countersOf(ZCACHE_COUNTED);
export type ZcacheCounters = InstanceType<typeof ZcacheCounters>;

export type ZcacheReport = PlacementReport & Report<typeof ZCACHE_COUNTED & typeof ZCACHE_READ>;

export function countEviction(counters: ZcacheCounters, kind: Kind, evicted: boolean): void {
  if (evicted) counters.evicted_eph_pageframes += 1;
  if (kind === PERSISTENT) {
    if (evicted) counters.pers_ate_eph += 1;
    else counters.pers_ate_eph_failed += 1;
  } else if (evicted) counters.eph_ate_tail += 1;
  else counters.eph_ate_tail_failed += 1;
}

export function countSameFilled(counters: ZcacheCounters): void {
  counters.same_filled_puts += 1;
  counters.same_filled_pages += 1;
  if (counters.same_filled_pages > counters.same_filled_pages_max) {
    counters.same_filled_pages_max = counters.same_filled_pages;
  }
}

export function countPeaks(
  counters: ZcacheCounters,
  { pageframes, zpages, zbytes }: PlacementCounters,
  objectCount: number,
): void {
  if (pageframes[0] > counters.eph_pageframes_max) counters.eph_pageframes_max = pageframes[0];
  if (pageframes[1] > counters.pers_pageframes_max) counters.pers_pageframes_max = pageframes[1];
  if (zpages[0] > counters.eph_zpages_max) counters.eph_zpages_max = zpages[0];
  if (zpages[1] > counters.pers_zpages_max) counters.pers_zpages_max = zpages[1];
  if (zbytes[0] > counters.eph_zbytes_max) counters.eph_zbytes_max = zbytes[0];
  if (zbytes[1] > counters.pers_zbytes_max) counters.pers_zbytes_max = zbytes[1];
  if (objectCount > counters.obj_count_max) counters.obj_count_max = objectCount;
}
