/**
 * Whether a page has enough copies at lenders and on the disk. These are pure functions.
 *
 * A copy on the disk never replaces one that a lender should have.
 */
import { type Copies, copyCount, hasCopy, SPILL, withoutCopy } from "../copies.ts";

/** How many copies lenders should have, and whether the disk should have one: see Lenders. */
interface Wanted {
  readonly copiesWanted: number;
  readonly wantsDiskCopy: boolean;
}

/**
 * Whether a page with these copies is at risk. `present` are the copies that count. A page is at
 * risk when fewer than `copiesMin` count, or at most one of several. A page on the disk is safe,
 * since no other node can lose it.
 */
export function isAtRisk(copies: Copies, present: Copies, copiesMin: number): boolean {
  if (hasCopy(present, SPILL)) return false;
  const count = copyCount(present);
  return count < copiesMin || (count <= 1 && count < copyCount(copies));
}

/** Whether lenders have too few of these copies, or the disk should have one and has none. */
export function isShort(copies: Copies, { copiesWanted, wantsDiskCopy }: Wanted): boolean {
  if (copyCount(withoutCopy(copies, SPILL)) < copiesWanted) return true;
  return wantsDiskCopy && !hasCopy(copies, SPILL) && copyCount(copies) === copiesWanted;
}

/** Whether these copies are enough. The one at `from`, which is to go, is not among them. */
export function isEnough(kept: Copies, from: number, wanted: Wanted): boolean {
  if (from !== SPILL) return !isShort(kept, wanted);
  return copyCount(kept) >= wanted.copiesWanted;
}

/** Whether these copies at lenders are enough without one on the disk. */
export function mayLeaveDisk(kept: Copies, { copiesWanted, wantsDiskCopy }: Wanted): boolean {
  return copyCount(kept) >= copiesWanted && !wantsDiskCopy;
}
