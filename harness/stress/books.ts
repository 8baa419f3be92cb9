/**
 * Books: compares the figures of the nodes of a run. Every page that one node keeps at another is
 * counted twice, as remote here and as foreign there, and in the totals of both nodes.
 *
 * Compared only while nothing is in flight; at other times the figures need not agree.
 */

import { STATUS, statusName } from "../../src/core/status.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import type { NodeRow } from "./report.ts";

/**
 * Finds where an owner and a holder disagree on the number of pages, and where a total is not the
 * sum over the peers. @returns a sentence each; empty when the books agree.
 */
export function imbalancesOf(stats: readonly NodeStats[]): string[] {
  const findings: string[] = [];
  for (const here of stats) {
    const { number } = here.node;
    for (const there of stats) {
      const other = there.node.number;
      const remote = here.peers.find((peer) => peer.node === other)?.remote_pages ?? 0;
      const foreign = there.peers.find((peer) => peer.node === number)?.foreign_pages ?? 0;
      if (remote === foreign) continue;
      findings.push(
        `node ${number} keeps ${remote} pages at node ${other}, which holds ${foreign}`,
      );
    }
    const { counters, peers } = here;
    const remote = counters.remote_copies ?? 0;
    const atPeers = peers.reduce((sum, peer) => sum + peer.remote_pages, 0);
    if (remote !== atPeers) {
      findings.push(`node ${number} counts ${remote} remote copies, and ${atPeers} over its peers`);
    }
    const foreign = (counters.foreign_pers_pages ?? 0) + (counters.foreign_eph_pages ?? 0);
    const ofPeers = peers.reduce((sum, peer) => sum + peer.foreign_pages, 0);
    if (foreign !== ofPeers) {
      findings.push(
        `node ${number} counts ${foreign} foreign pages, and ${ofPeers} over its peers`,
      );
    }
  }
  return findings;
}

/**
 * Finds nodes that had a holder and no room, and yet sent nothing to it. @returns a sentence each.
 * Their pages may all be right, but the run has not shown that pages can live elsewhere.
 */
export function idleHoldersOf(
  rows: readonly NodeRow[],
  refusedOf: ReadonlyMap<number, Readonly<Record<string, number>>>,
): string[] {
  return rows.flatMap(({ node, target, remotified }) => {
    const refused = refusedOf.get(node)?.[statusName(STATUS.NO_ROOM)] ?? 0;
    if (target === null || remotified > 0 || refused === 0) return [];
    const where = target === "auto" ? "a lender" : `node ${target}`;
    return [`node ${node} refused ${refused} pages for want of room and sent none to ${where}`];
  });
}

/** Counts pending flushes. They lose nothing, but each keeps a page at its holder. */
export function owedFlushesOf(stats: readonly NodeStats[]): number {
  return stats.reduce((sum, { counters }) => sum + (counters.flnodes ?? 0), 0);
}
