/** A finding (monitoring/verdict.ts) as one line: state, reason, and what to do. */
import type { Finding } from "../wire/stats.ts";

/** `"FILLING: 91% of the space for pages is in use; add a lender or memory"`. */
export function findingText(finding: Finding): string {
  return `${finding.state}: ${findingDetail(finding)}`;
}

/** What follows the state. */
export function findingDetail({ reason, advice }: Finding): string {
  return advice === "" ? reason : `${reason}; ${advice}`;
}
