import { expect, test } from "bun:test";
import { nodeStats, peerStats } from "../../harness/stress/node-stats.ts";
import { statsText } from "./stats.ts";

const STATS = nodeStats(1, {
  counters: { pers_zpages: 10, eph_zbytes: 12345 },
  peers: [peerStats(0, { remote_pages: 7 })],
});

test("a counter is a line of name and value", () => {
  expect(statsText(STATS, { explain: false }).split("\n")).toEqual([
    'node 1 "n1" of cluster "ramster", boot id 1',
    "listens on 10.0.0.1:7777",
    "",
    "peer 0: up, 7 pages remote there, 0 foreign pages here",
    "",
    "pers_zpages 10",
    "eph_zbytes  12345",
  ]);
});

test("--explain adds the unit and what is counted", () => {
  expect(statsText(STATS, { explain: true }).split("\n").slice(-2)).toEqual([
    "pers_zpages 10     pages: Persistent pages in frames.",
    "eph_zbytes  12345  bytes: Bytes of compressed ephemeral pages in frames.",
  ]);
});

test("a counter of a newer node, which is not in the table, is shown without a text", () => {
  const counters = { ...STATS.counters, from_the_future: 1 };
  const text = statsText({ ...STATS, counters }, { explain: true });
  expect(text).toEndWith("\nfrom_the_future 1");
});
