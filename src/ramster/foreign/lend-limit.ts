/**
 * How many frames a lender lends, given what its machine has available. The decisions are pure
 * functions. node/lending.ts keeps their state.
 *
 *     available:  0 ......... reserve ...... + margin ...... + 2 margins .........>
 *                 gives back  |  grants what is left over    | lends more again, slowly,
 *                 at once     |  and no more                 | after LEND_CALM_MS of that
 *
 * The limit falls at once and rises slowly, with a margin between the two, so that it does not
 * flap. Giving back ends in the middle of the margin.
 *
 * Available memory is what is free now. Frames that are granted and not used yet are not
 * subtracted, so the limit is the resident frames plus what is left over. While frames are given
 * back, each check finds the same limit, since fewer resident frames leave more available.
 *
 * Some memory that counts as available is in fact in use. Programs that wait for memory show that
 * (PSI, Documentation/accounting/psi.rst in Linux). The limit then shrinks step by step, until the
 * waits get better.
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

/**
 * Memory that must stay available to the machine itself. With 0 bytes or percent all may be lent.
 */
export type Reserve = { readonly bytes: number } | { readonly percent: number } | "auto";

/** Whether all may be lent, regardless of what the machine has. */
export function isNoReserve(reserve: Reserve): boolean {
  if (reserve === "auto") return false;
  return "bytes" in reserve ? reserve.bytes === 0 : reserve.percent === 0;
}

/**
 * The reserve in bytes. "auto" is a tenth, up to a bound, and twice that where waits for memory
 * cannot be seen.
 */
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

/** The margin for a reserve, both in bytes. */
export function marginBytes(reserve: number): number {
  return Math.min(Math.floor(reserve / RESERVE_MARGIN_PART), RESERVE_MARGIN_BYTES_MAX);
}

/** What a lender sees of its memory, in frames. */
export interface LendSeen {
  readonly nowMs: number;
  /** The memory of the machine, or of its cgroup if that has less. */
  readonly total: number;
  readonly available: number;
  readonly reserve: number;
  readonly margin: number;
  readonly stallPercent: number;
  /** The frames that the lender may lend by its configuration. */
  readonly given: number;
  /** Those of them that are resident: used, or free and not returned to the operating system. */
  readonly resident: number;
}

export interface LendState {
  limit: number;
  /** Since when enough memory has been available. */
  calmSinceMs: number;
  grownAtMs: number;
  stallShrunkAtMs: number;
  lastStallPercent: number;
}

/** At the start no shortage is known, so the lender lends everything. */
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

/**
 * @returns the frames that the lender lends from now on, as `state.limit` does. Updates `state`.
 */
export function lendLimit(state: LendState, seen: LendSeen): number {
  const { nowMs, total, available, reserve, margin, given, resident } = seen;
  if (reserve === 0) {
    Object.assign(state, newLendState(given));
    return given;
  }
  // A step of the configured size could be larger than the machine's memory.
  const step = Math.max(1, Math.floor(Math.min(given, total) / LEND_STEPS));
  const over = available - reserve - margin;
  if (available < reserve) lower(state, down(resident + over, step));
  // The limit is a multiple of the step, so the announced figure changes rarely.
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

/** The available memory is not known. Resident frames stay, and nothing more is granted. */
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

/**
 * Grants nothing more, and gives back frames while the ten-second average of waits does not fall.
 */
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

/** Raises the limit by a step when there is room for two. The last step may be smaller. */
function grow(state: LendState, seen: LendSeen, step: number): void {
  const { available, reserve, margin, given, resident, nowMs } = seen;
  const room = resident + available - reserve - margin;
  if (state.limit + 2 * step > room) return;
  const next = state.limit + step;
  state.limit = next + step > given ? given : next;
  state.grownAtMs = nowMs;
}
