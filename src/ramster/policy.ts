/** The decisions of ramster as pure functions: when to move pages, how many, and when to retry. */

/** Settings of selfshrink, with the original's defaults: docs/original.md, "selfshrink". */
export interface SelfshrinkSettings {
  enabled: boolean;
  intervalMs: number;
  hysteresis: number;
  inertia: number;
  /** The most pages at a time. */
  pagesMax: number;
}

export interface SelfshrinkState {
  lastPages: number;
  inertiaLeft: number;
}

/**
 * One tick of selfshrink: how many remote pages to bring home now, given how many there are
 * (ramster.c, frontswap_selfshrink). None while their number grows, or until `inertia` ticks were
 * quiet. After that it is one part in `hysteresis`, and the last `hysteresis` pages at once. It is
 * never more than `pagesMax`. Updates `state`.
 */
export function selfshrink(
  state: SelfshrinkState,
  pages: number,
  settings: SelfshrinkSettings,
): number {
  const last = state.lastPages;
  state.lastPages = pages;
  if (pages === 0 || pages > last) {
    state.inertiaLeft = settings.inertia;
    return 0;
  }
  if (state.inertiaLeft > 0) {
    state.inertiaLeft -= 1;
    if (state.inertiaLeft > 0) return 0;
  }
  const isLast = pages <= settings.hysteresis;
  return Math.min(settings.pagesMax, isLast ? pages : Math.floor(pages / settings.hysteresis));
}

/**
 * How long remotify leaves a lender alone after `refusals` in a row: 50 ms, doubling, at most 5 s.
 */
export function remotifyBackoffMs(refusals: number): number {
  return Math.min(50 * 2 ** Math.min(refusals - 1, 10), 5000);
}

/**
 * How long a fetch waits for a holder before the next holder is asked as well. `p99Ms` is the time
 * within which 99 of 100 recent answers came, or null when that is not known. The lower bound is
 * what a busy event loop may take. The upper bound is a part of a request's deadline.
 */
export function hedgeMs(p99Ms: number | null): number {
  return Math.min(500, Math.max(10, p99Ms ?? 100));
}
