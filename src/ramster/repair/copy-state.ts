/**
 * CopyState: how the remote pages of this node stand: how many have fewer copies than they should
 * (enough.ts), whether that is being mended, and how many copies there can be at all.
 */
import type { Lenders } from "../holders/lenders.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Repair } from "./repair.ts";

export interface CopyState {
  readonly pagesAtRisk: number;
  /** Of them, those of which no copy is in reach. */
  readonly pagesOutOfReach: number;
  /** How many are mended a second, and how long the rest will take; null: not known. */
  readonly pagesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** Copies that a page should have, and that lenders, and the disk, are there for. */
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
    ...{ pagesAtRisk, pagesOutOfReach: outOfReach, pagesPerSecond, secondsLeft },
    ...{ copiesIntended, copiesPossible },
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
