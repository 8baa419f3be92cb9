/**
 * CopyState: how many remote pages of this node have fewer copies than they should (enough.ts), how
 * fast they are repaired, and how many copies are possible.
 */
import type { Lenders } from "../holders/lenders.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Repair } from "./repair.ts";

export interface CopyState {
  readonly pagesAtRisk: number;
  /** How many of them have one copy in reach, and how many have none. */
  readonly pagesExposed: number;
  readonly pagesOutOfReach: number;
  /** How many other pages have lost all their copies. */
  readonly pagesLost: number;
  /** How many pages are repaired a second, and how long the rest will take. Null: not known. */
  readonly pagesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /**
   * How many copies a page should have, and how many are possible with the lenders and the disk.
   */
  readonly copiesIntended: number;
  readonly copiesPossible: number;
}

export function copyStateOf(
  pagesLost: number,
  lenders: Lenders,
  remotePages: RemotePages,
  { pagesPerSecond }: Repair,
): CopyState {
  const { copiesIntended, copiesPossible } = lenders;
  const { atRisk: pagesAtRisk, exposed, outOfReach } = remotePages.countAtRisk(copiesIntended);
  const isMoving = pagesPerSecond !== null && pagesPerSecond > 0;
  const secondsLeft = pagesAtRisk === 0 ? 0 : isMoving ? pagesAtRisk / pagesPerSecond : null;
  return {
    pagesAtRisk,
    pagesExposed: exposed,
    pagesOutOfReach: outOfReach,
    pagesLost,
    pagesPerSecond,
    secondsLeft,
    copiesIntended,
    copiesPossible,
  };
}

/** The state under its names in the stats. */
export function copyReport(state: CopyState) {
  return {
    pages_at_risk: state.pagesAtRisk,
    pages_exposed: state.pagesExposed,
    pages_out_of_reach: state.pagesOutOfReach,
    pages_lost: state.pagesLost,
    copies_intended: state.copiesIntended,
    copies_possible: state.copiesPossible,
  };
}
