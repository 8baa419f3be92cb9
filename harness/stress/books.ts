/**
 * Books: what the nodes of a run say of each other, compared. Every page that one node keeps at
 * another is in two books, as remote here and as foreign there, and in the totals of both.
 *
 * Compared while nothing is on its way; before that they need not agree.
 */

import { STATUS, statusName } from "../../src/core/status.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import type { NodeRow } from "./report.ts";

/**
 * Where what one node says it keeps at another is not what the other says it holds, and where a
 * total is not the sum over the peers: a sentence each. Empty when the books agree.
 */
export function imbalancesOf(stats: readonly NodeStats[]): string[] {
  const found: string[] = [];
  for (const here of stats) {
    const { number } = here.node;
    for (const there of stats) {
      const other = there.node.number;
      const remote = here.peers.find((peer) => peer.node === other)?.remote_pages ?? 0;
      const foreign = there.peers.find((peer) => peer.node === number)?.foreign_pages ?? 0;
      if (remote === foreign) continue;
      found.push(`node ${number} keeps ${remote} pages at node ${other}, which holds ${foreign}`);
    }
    const { counters, peers } = here;
    const remote = counters.remote_copies ?? 0;
    const atPeers = peers.reduce((sum, peer) => sum + peer.remote_pages, 0);
    if (remote !== atPeers) {
      found.push(`node ${number} counts ${remote} remote copies, and ${atPeers} over its peers`);
    }
    const foreign = (counters.foreign_pers_pages ?? 0) + (counters.foreign_eph_pages ?? 0);
    const ofPeers = peers.reduce((sum, peer) => sum + peer.foreign_pages, 0);
    if (foreign !== ofPeers) {
      found.push(`node ${number} counts ${foreign} foreign pages, and ${ofPeers} over its peers`);
    }
  }
  return found;
}

/**
 * Nodes that had a holder and no room, and yet sent it nothing, a sentence each. Their pages may
 * all have been right; that pages can live elsewhere was not shown.
 */
export function idleHoldersOf(
  rows: readonly NodeRow[],
  refusedOf: ReadonlyMap<number, Readonly<Record<string, number>>>,
): string[] {
  return rows.flatMap(({ node, target, remotified }) => {
    const refused = refusedOf.get(node)?.[statusName(STATUS.NO_ROOM)] ?? 0;
    if (target === null || remotified > 0 || refused === 0) return [];
    return [`node ${node} refused ${refused} pages for want of room and sent none to ${target}`];
  });
}

/** Flushes that are still owed. Nothing is lost by one, but its page stays where it is. */
export function owedFlushesOf(stats: readonly NodeStats[]): number {
  return stats.reduce((sum, { counters }) => sum + (counters.flnodes ?? 0), 0);
}
