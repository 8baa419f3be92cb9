/**
 * Whether copies of a page are enough, as lenders, and what is wanted of the disk, have it now.
 * Pure functions.
 *
 * A copy on the disk counts for itself alone: it never makes up for one that a lender should have.
 */
import { type Copies, copyCount, hasCopy, SPILL, withoutCopy } from "../copies.ts";

/** Of Lenders. */
interface Wanted {
  readonly copiesWanted: number;
  readonly wantsDiskCopy: boolean;
}

/**
 * Whether a page with these copies, of which `present` are in reach, is at risk: it has fewer than
 * `copiesMin`, or one at most of those that it had. One on the disk is safe: no other node can take
 * it along.
 */
export function isAtRisk(copies: Copies, present: Copies, copiesMin: number): boolean {
  if (hasCopy(present, SPILL)) return false;
  const count = copyCount(present);
  return count < copiesMin || (count <= 1 && count < copyCount(copies));
}

/** Whether lenders have too few of these, or the disk has none and should. */
export function isShort(copies: Copies, { copiesWanted, wantsDiskCopy }: Wanted): boolean {
  if (copyCount(withoutCopy(copies, SPILL)) < copiesWanted) return true;
  return wantsDiskCopy && !hasCopy(copies, SPILL) && copyCount(copies) === copiesWanted;
}

/** Whether no further copy is to be made beside these; the one at `from` is not among them. */
export function isEnough(kept: Copies, from: number, wanted: Wanted): boolean {
  if (from !== SPILL) return !isShort(kept, wanted);
  return copyCount(kept) >= wanted.copiesWanted;
}

/** Whether these, at lenders, are enough without the disk. */
export function mayLeaveDisk(kept: Copies, { copiesWanted, wantsDiskCopy }: Wanted): boolean {
  return copyCount(kept) >= copiesWanted && !wantsDiskCopy;
}
