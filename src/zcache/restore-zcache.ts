/**
 * Makes the store again from the kept memory of a predecessor (core/journal.ts). Its last operation
 * was undone, so index and placement agree. They come from outside all the same: a page whose zpage
 * is not where its record says is lost, and a zpage without a page is freed.
 *
 * Pages that were being freed are gone.
 *
 * The bytes of zpages are not read. Each get checks them, as always.
 */
import { CODEC } from "../compress/codec.ts";
import type { Journal } from "../core/journal.ts";
import type { Placement } from "../placement/placement.ts";
import { sameFilledCheck, TAG } from "../tmem/pampd.ts";
import type { Pool } from "../tmem/pool.ts";
import { type Tmem, VERDICT, type Verdict } from "../tmem/tmem.ts";
import type { ZcacheCounters } from "./counters.ts";

interface Parts {
  readonly tmem: Tmem;
  readonly placement: Placement;
  readonly counters: ZcacheCounters;
}

/** @returns false when that is not possible. */
export function restoreZcache(
  { tmem, placement, counters }: Parts,
  journal: Journal,
  isGoodRemote: (page: number, pool: Pool) => boolean,
): boolean {
  let local = 0;
  const isGood = (page: number, pool: Pool): boolean => {
    const tag = tmem.tag(page);
    if (!tmem.hasPossibleVersion(page)) return false;
    if (tag === TAG.LOCAL) {
      const isHere = placement.holds(page, tmem.place(page), tmem.zpageBytes(page));
      if (isHere) local += 1;
      return isHere;
    }
    if (tag === TAG.SAME_FILLED) {
      const isSound =
        tmem.zpageBytes(page) === sameFilledCheck(tmem.place(page)) &&
        tmem.codec(page) === CODEC.RAW &&
        !tmem.inTransit(page);
      if (isSound) counters.same_filled_pages += 1;
      return isSound;
    }
    // An ephemeral page that is lost was about to be flushed (ramster/repair/losses.ts).
    if (tag === TAG.LOST) return pool.persistent;
    return tag === TAG.REMOTE && isGoodRemote(page, pool);
  };
  const judge = (page: number, pool: Pool): Verdict => {
    if (pool.isDoomed) return VERDICT.GONE;
    if (isGood(page, pool)) return VERDICT.GOOD;
    return pool.persistent ? VERDICT.LOST : VERDICT.GONE;
  };
  journal.isRestoring = true;
  journal.begin();
  const isRestored = placement.restore() && tmem.restore(judge);
  const { zpages } = placement.counters;
  if (isRestored && local !== zpages[0] + zpages[1]) {
    placement.freeOthers((page, ref) => {
      return tmem.isTaken(page) && tmem.tag(page) === TAG.LOCAL && tmem.place(page) === ref;
    });
  }
  journal.end();
  journal.isRestoring = false;
  return isRestored;
}
