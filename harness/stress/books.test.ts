import { expect, test } from "bun:test";
import type { Counters, NodeStats } from "../../src/wire/stats.ts";
import { idleHoldersOf, imbalancesOf, owedFlushesOf } from "./books.ts";
import { nodeStats, peerStats } from "./node-stats.ts";
import { rowsOf } from "./report.ts";

type Peers = Record<number, { remote?: number; foreign?: number }>;

function stats(number: number, counters: Counters, peers: Peers): NodeStats {
  return nodeStats(number, {
    counters,
    peers: Object.entries(peers).map(([node, { remote = 0, foreign = 0 }]) => {
      return peerStats(Number(node), { remote_pages: remote, foreign_pages: foreign });
    }),
  });
}

const server = stats(0, { foreign_pers_pages: 5 }, { 1: { foreign: 3 }, 2: { foreign: 2 } });
const one = stats(1, { remote_copies: 3 }, { 0: { remote: 3 } });
const two = stats(2, { remote_copies: 2 }, { 0: { remote: 2 } });

test("books agree when each page is remote here and foreign there", () => {
  expect(imbalancesOf([server, one, two])).toEqual([]);
  const ring = [
    stats(0, { remote_copies: 4, foreign_pers_pages: 7 }, { 1: { remote: 4, foreign: 7 } }),
    stats(1, { remote_copies: 7, foreign_eph_pages: 4 }, { 0: { remote: 7, foreign: 4 } }),
  ];
  expect(imbalancesOf(ring)).toEqual([]);
});

test("a surplus page at one owner is not balanced by a missing one at another", () => {
  const more = stats(1, { remote_copies: 4 }, { 0: { remote: 4 } });
  const fewer = stats(2, { remote_copies: 1 }, { 0: { remote: 1 } });
  expect(imbalancesOf([server, more, fewer])).toEqual([
    "node 1 keeps 4 pages at node 0, which holds 3",
    "node 2 keeps 1 pages at node 0, which holds 2",
  ]);
});

test("pages that only one side knows of are found on either side", () => {
  const forgotten = stats(2, {}, {});
  expect(imbalancesOf([server, one, forgotten])).toEqual([
    "node 2 keeps 0 pages at node 0, which holds 2",
  ]);
  const empty = stats(0, {}, {});
  expect(imbalancesOf([empty, one])).toEqual(["node 1 keeps 3 pages at node 0, which holds 0"]);
});

test("a total that is not the sum over the peers is found", () => {
  const miscounted = stats(1, { remote_copies: 9 }, { 0: { remote: 3 } });
  expect(imbalancesOf([server, miscounted, two])).toEqual([
    "node 1 counts 9 remote copies, and 3 over its peers",
  ]);
  const holder = stats(0, {}, { 1: { foreign: 3 }, 2: { foreign: 2 } });
  expect(imbalancesOf([holder, one, two])).toEqual([
    "node 0 counts 0 foreign pages, and 5 over its peers",
  ]);
});

test("a full node that sent nothing to its holder is found, and one with room is not", () => {
  const targets = new Map([
    [0, null],
    [1, 0],
    [2, 0],
  ]);
  const sent = stats(2, { pers_pages_remoted: 8 }, {});
  const rows = rowsOf([stats(0, {}, {}), stats(1, {}, {}), sent], targets);
  const full = new Map([0, 1, 2].map((node) => [node, { no_room: 6, compress_poor: 9 }]));
  expect(idleHoldersOf(rows, full)).toEqual([
    "node 1 refused 6 pages for want of room and sent none to node 0",
  ]);
  expect(idleHoldersOf(rows, new Map([[1, { compress_poor: 9 }]]))).toEqual([]);
  expect(idleHoldersOf(rows, new Map())).toEqual([]);
});

test("pending flushes are summed over all nodes", () => {
  expect(owedFlushesOf([stats(0, {}, {}), stats(1, { flnodes: 2 }, {})])).toBe(2);
  expect(owedFlushesOf([])).toBe(0);
});
