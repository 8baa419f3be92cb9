/**
 * CopyState: how many remote pages of this node have fewer copies than they should (enough.ts), how
 * fast that is repaired, and how many copies there can be.
 */
import type { Lenders } from "../holders/lenders.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Repair } from "./repair.ts";

export interface CopyState {
  readonly pagesAtRisk: number;
  /** Those of them without any copy in reach. */
  readonly pagesOutOfReach: number;
  /** How many are repaired a second, and how long the rest will take; null: not known. */
  readonly pagesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** Copies that a page should have, and those for which there are lenders, or the disk. */
  readonly copiesIntended: number;
  readonly copiesPossible: number;
}

export function copyStateOf(
  lenders: Lenders,
  remotePages: RemotePages,
  { pagesPerSecond }: Repair,
): CopyState {
  const { copiesIntended, copiesPossible } = lenders;
  const { atRisk: pagesAtRisk, outOfReach } = remotePages.countAtRisk(copiesIntended);
  const isMoving = pagesPerSecond !== null && pagesPerSecond > 0;
  const secondsLeft = pagesAtRisk === 0 ? 0 : isMoving ? pagesAtRisk / pagesPerSecond : null;
  return {
    pagesAtRisk,
    pagesOutOfReach: outOfReach,
    pagesPerSecond,
    secondsLeft,
    copiesIntended,
    copiesPossible,
  };
}

/** By the names that they have in the stats. */
export function copyReport(state: CopyState) {
  return {
    pages_at_risk: state.pagesAtRisk,
    pages_out_of_reach: state.pagesOutOfReach,
    copies_intended: state.copiesIntended,
    copies_possible: state.copiesPossible,
  };
}
