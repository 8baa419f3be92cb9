/**
 * How many frames a lender lends, given what its machine has available. Pure decisions;
 * node/lending.ts keeps their state.
 *
 *     available:  0 ......... reserve ...... + margin ...... + 2 margins .........>
 *                 gives back  |  grants what is left over    | lends more again, slowly,
 *                 at once     |  and no more                 | after LEND_CALM_MS of that
 *
 * Down at once and up slowly, with a margin between the two, so that nothing flaps. Giving back
 * ends in the middle of the margin.
 *
 * Available counts what is free now. Frames that are granted and not used yet are not subtracted,
 * so the limit is what is resident now plus what is left over. While frames are on their way out
 * each look comes to the same limit: fewer resident frames are more available ones.
 *
 * Programs that wait for memory (PSI, Documentation/accounting/psi.rst in Linux) show what that
 * count does not: available memory that is in use all the same. Then it shrinks step by step, as
 * long as the waits get no better.
 */
import {
  LEND_CALM_MS,
  LEND_GROW_MS,
  LEND_STEPS,
  RESERVE_BYTES_MAX_DEFAULT,
  RESERVE_MARGIN_BYTES_MAX,
  RESERVE_MARGIN_PART,
  RESERVE_PERCENT_DEFAULT,
  RESERVE_UNSEEN_FACTOR,
  STALL_PERCENT,
  STALL_RESERVES_MAX,
  STALL_SHRINK_MS,
  STALL_SHRINK_PART,
} from "../../core/limits.ts";

/** What must stay available to the machine itself; 0 of either: all may be lent. */
export type Reserve = { readonly bytes: number } | { readonly percent: number } | "auto";

/** Whether all may be lent, whatever the machine has. */
export function isNoReserve(reserve: Reserve): boolean {
  if (reserve === "auto") return false;
  return "bytes" in reserve ? reserve.bytes === 0 : reserve.percent === 0;
}

/** "auto" is a tenth, up to a bound; twice that where waits for memory cannot be seen. */
export function reserveBytes(reserve: Reserve, totalBytes: number, areWaitsSeen = true): number {
  if (isNoReserve(reserve)) return 0;
  if (reserve === "auto") {
    const tenth = Math.floor((totalBytes * RESERVE_PERCENT_DEFAULT) / 100);
    const bytes = Math.min(tenth, RESERVE_BYTES_MAX_DEFAULT);
    return Math.max(1, areWaitsSeen ? bytes : RESERVE_UNSEEN_FACTOR * bytes);
  }
  if ("bytes" in reserve) return reserve.bytes;
  return Math.max(1, Math.floor((totalBytes * reserve.percent) / 100));
}

/** All in bytes. */
export function marginBytes(reserve: number): number {
  return Math.min(Math.floor(reserve / RESERVE_MARGIN_PART), RESERVE_MARGIN_BYTES_MAX);
}

/** Counts are frames. */
export interface LendSeen {
  readonly nowMs: number;
  /** What the machine has, or the cgroup that is tighter. */
  readonly total: number;
  readonly available: number;
  readonly reserve: number;
  readonly margin: number;
  readonly stallPercent: number;
  /** Frames that it may lend by its configuration. */
  readonly given: number;
  /** Those of them that are memory now: used, or free and not returned. */
  readonly resident: number;
}

export interface LendState {
  limit: number;
  /** Since when there has been enough. */
  calmSinceMs: number;
  grownAtMs: number;
  stallShrunkAtMs: number;
  lastStallPercent: number;
}

/** At the start nothing is known to be short: it lends all. */
export function newLendState(given: number): LendState {
  const never = Number.NEGATIVE_INFINITY;
  return {
    limit: given,
    calmSinceMs: never,
    grownAtMs: never,
    stallShrunkAtMs: never,
    lastStallPercent: 0,
  };
}

/** The frames that it lends from now on; `state.limit` too. Updates `state`. */
export function lendLimit(state: LendState, seen: LendSeen): number {
  const { nowMs, total, available, reserve, margin, given, resident } = seen;
  if (reserve === 0) {
    Object.assign(state, newLendState(given));
    return given;
  }
  // A step of the configured size could be more than the machine has.
  const step = Math.max(1, Math.floor(Math.min(given, total) / LEND_STEPS));
  const over = available - reserve - margin;
  if (available < reserve) lower(state, down(resident + over, step));
  // In whole steps, so that the announced figure changes seldom.
  else lower(state, Math.ceil((resident + Math.max(0, over)) / step) * step);
  const waits = isStalled(seen);
  if (waits) shrinkForStall(state, seen, step);
  state.lastStallPercent = seen.stallPercent;
  const isWell = over >= margin && !waits && !isStalled(seen, STALL_PERCENT / 2);
  if (!isWell) state.calmSinceMs = nowMs;
  else if (nowMs - state.calmSinceMs >= LEND_CALM_MS && nowMs - state.grownAtMs >= LEND_GROW_MS) {
    grow(state, seen, step);
  }
  return state.limit;
}

/** What is available is not known: resident frames stay, nothing more is granted. */
export function lendNoMore(
  state: LendState,
  { nowMs, resident }: { nowMs: number; resident: number },
): void {
  lower(state, resident);
  state.calmSinceMs = nowMs;
}

function lower(state: LendState, limit: number): void {
  state.limit = Math.max(0, Math.min(state.limit, limit));
}

function down(frames: number, step: number): number {
  return Math.floor(frames / step) * step;
}

function isStalled({ stallPercent, available, reserve }: LendSeen, percent = STALL_PERCENT) {
  return stallPercent >= percent && available < STALL_RESERVES_MAX * reserve;
}

/** Grants nothing more, and gives back while the ten-second average of waits does not fall. */
function shrinkForStall(
  state: LendState,
  { nowMs, resident, stallPercent }: LendSeen,
  step: number,
) {
  lower(state, Math.ceil(resident / step) * step);
  if (nowMs - state.stallShrunkAtMs < STALL_SHRINK_MS) return;
  if (stallPercent < state.lastStallPercent) return;
  state.stallShrunkAtMs = nowMs;
  lower(state, down(resident - Math.max(1, Math.floor(resident / STALL_SHRINK_PART)), step));
}

/** By a step, when there is room for two. The last step may be a smaller one. */
function grow(state: LendState, seen: LendSeen, step: number): void {
  const { available, reserve, margin, given, resident, nowMs } = seen;
  const room = resident + available - reserve - margin;
  if (state.limit + 2 * step > room) return;
  const next = state.limit + step;
  state.limit = next + step > given ? given : next;
  state.grownAtMs = nowMs;
}
