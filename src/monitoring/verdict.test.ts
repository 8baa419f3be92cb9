import { expect, test } from "bun:test";
import { nodeStats, peerStats } from "../../harness/stress/node-stats.ts";
import type { MemberStats, NodeStats, RepairStats } from "../wire/stats.ts";
import { findingText } from "./finding-text.ts";
import { findingsOf } from "./verdict.ts";

const MIB = 2 ** 20;

type Own = Partial<Omit<NodeStats, "repair">> & { repair?: Partial<RepairStats> };

/** The findings, each as its level and its line. */
function found(own: Own, isServer = false): string[] {
  const findings = findingsOf(nodeStats(1, own), { isServer, warnAtPercent: 80 });
  return findings.map((it) => `${it.level} ${findingText(it)}`);
}

function member(own: Partial<MemberStats>): MemberStats {
  const numbers = {
    number: 2,
    incarnation: 1,
    lend_frames: 0,
    free_frames: 0,
    foreign_pages: 0,
    own_frames: 0,
    pressure: 0,
  };
  const nulls = { rtt_ms: null, boot_id: null, zone: null, target: null };
  const texts = { name: "b", address: "10.0.0.2:7946", note: "" };
  return { ...numbers, ...nulls, ...texts, state: "dead", role: "server", drained: false, ...own };
}

test("a node without trouble is healthy, and says where its pages are", () => {
  expect(found({})).toEqual(["0 HEALTHY: all pages are here"]);
  expect(found({ counters: { remote_pers_pages: 1536 } })).toEqual([
    "0 HEALTHY: 1,536 pages (6MiB) are away, with 2 copies each",
  ]);
  expect(found({ counters: { remote_pers_pages: 1 }, repair: { copies_intended: 1 } })).toEqual([
    "0 HEALTHY: 1 page (4KiB) is away, with one copy each, as --replicas or --target says",
  ]);
  const counters = { lend_limit_frames: 1024, foreign_frames_used: 256 };
  expect(found({ counters }, true)).toEqual(["0 HEALTHY: it lends 4MiB, of which 1MiB are in use"]);
});

test("pages that no node has are lost", () => {
  expect(found({ repair: { pages_lost: 15_673 } })).toEqual([
    "2 LOST: 15,673 pages (61.22MiB) are lost: no node keeps a copy any more; " +
      "reads of them fail until they are written again or discarded",
  ]);
  expect(found({ counters: { corrupt_pages: 1 } })).toEqual([
    "2 LOST: 1 page in memory did not match the checksum; test the memory of this machine",
  ]);
});

test("pages out of reach name the lenders to bring back", () => {
  const peers = [
    peerStats(2, { name: "b", state: "waiting", remote_pages: 7 }),
    peerStats(3, { name: "", state: "waiting", remote_pages: 7 }),
    peerStats(4, { name: "d", state: "up", remote_pages: 7 }),
    peerStats(5, { name: "e", state: "idle", remote_pages: 0 }),
  ];
  const repair = { pages_at_risk: 512, pages_out_of_reach: 512 };
  expect(found({ repair, peers })).toEqual([
    "2 LOST: 512 pages (2MiB) are out of reach: reads of them fail; " +
      'bring "b", "node 3" back; if ramster was restarted there, they are lost',
  ]);
});

test.each([
  [
    { pages_at_risk: 35_968, pages_exposed: 35_968, copies_possible: 1, seconds_left: null },
    "35,968 pages (140.5MiB) have no second copy; add a lender in another zone",
  ],
  [
    { pages_at_risk: 1, pages_exposed: 1, seconds_left: 12 },
    "1 page (4KiB) has no second copy; copying again is under way, about 12s left",
  ],
  [
    { pages_at_risk: 2, pages_exposed: 2, seconds_left: null },
    "2 pages (8KiB) have no second copy; copying again is under way",
  ],
  [{ copies_possible: 1 }, "a page that moves away gets one copy; add a lender in another zone"],
] as const)("with %j pages have one copy", (repair, text) => {
  expect(found({ repair })).toEqual([`1 ONE COPY: ${text}`]);
});

test.each([
  ["one copy is intended", { repair: { copies_intended: 1, copies_possible: 1 } }],
  ["no copy is possible", { repair: { copies_possible: 0 } }],
] as const)("that pages get fewer than two copies is no finding while %s", (_why, own) => {
  expect(found(own)).toEqual(["0 HEALTHY: all pages are here"]);
});

test("pages with two copies of three are in no danger", () => {
  const three = { copies_intended: 3, copies_possible: 2 };
  expect(found({ repair: { ...three, pages_at_risk: 5 } })).toEqual([
    "1 DEGRADED: 5 pages (20KiB) have fewer than 3 copies; add a lender in another zone",
  ]);
  expect(found({ repair: three })).toEqual([
    "1 DEGRADED: a page that moves away gets 2 copies, not 3; add a lender in another zone",
  ]);
  expect(found({ repair: { ...three, copies_possible: 3, pages_at_risk: 5 } })).toEqual([
    "1 DEGRADED: 5 pages (20KiB) have fewer than 3 copies; copying again is under way",
  ]);
});

const END = "2026-06-01T00:00:00.000Z";

test.each<[string, Own, string[]]>([
  [
    "pages have nowhere to go",
    { nowhere: "the target is none, set --target auto" },
    ["1 DEGRADED: pages have nowhere to go; the target is none, set --target auto"],
  ],
  [
    "the certificate ends soon",
    { counters: { certificate_days_left: 29 }, knobs: { certificate: END } },
    [
      `1 DEGRADED: the certificate ends on ${END}, 29 days left; renew it as docs/cluster.md describes`,
    ],
  ],
  [
    "the certificate has expired",
    { counters: { certificate_days_left: -1 }, knobs: { certificate: END } },
    [
      `2 DEGRADED: the certificate expired on ${END}, and no link can be made; ` +
        "renew it as docs/cluster.md describes",
    ],
  ],
  ["the certificate is valid for long", { counters: { certificate_days_left: 30 } }, []],
  [
    "a peer cannot be reached",
    { peers: [peerStats(2, { failure: "refused", name: "b" }), peerStats(3)] },
    ["1 DEGRADED: no link to b: refused"],
  ],
  [
    "many peers cannot be reached",
    { peers: [2, 3, 4, 5, 6].map((node) => peerStats(node, { failure: "refused" })) },
    [
      ...[2, 3, 4].map((node) => `1 DEGRADED: no link to n${node}: refused`),
      "1 DEGRADED: no link to 2 more nodes",
    ],
  ],
  [
    "a peer that cannot be reached has left",
    { peers: [peerStats(2, { failure: "refused" })], members: [member({ state: "left" })] },
    [],
  ],
  [
    "a lender is dead",
    { members: [member({})] },
    ['1 DEGRADED: lender "b" is dead; start it again, or see docs/operations.md'],
  ],
  [
    "many lenders are dead",
    { members: ["b", "c", "d", "e"].map((name) => member({ name })) },
    [
      '1 DEGRADED: lenders "b", "c", "d" and 1 more are dead; start them again, or see docs/operations.md',
    ],
  ],
  ["a node that lends nothing is dead", { members: [member({ role: "node" })] }, []],
  ["a lender is suspected", { members: [member({ state: "suspect" })] }, []],
  [
    "the disk fails",
    { spill: { trouble: "input/output error" } },
    [
      "1 DEGRADED: pages cannot be written to the disk: input/output error; " +
        "free space there, or check the disk",
    ],
  ],
  [
    "the disk is small",
    { counters: { spill_bytes_max: 6 * MIB, spill_bytes_asked: 40 * MIB } },
    [
      "1 DEGRADED: the disk has room for 6MiB, not 40MiB (--spill-size); " +
        "free space there, or ask for less",
    ],
  ],
  [
    "a lender cannot see its machine",
    { lending: { unseen: ["limit", "waits"] } },
    ["1 DEGRADED: cannot see the memory limit of its cgroup: lending nothing more"],
  ],
  [
    "the cold tier has failed",
    { cold_codec: { library: "libzstd", dictionaries: true, failed: true } },
    [
      "1 DEGRADED: cold pages are not compressed again, because that failed; " +
        "see the log, then restart the node",
    ],
  ],
  [
    "space runs out",
    { counters: { space_percent_used: 80 } },
    ["1 FILLING: 80% of the space for pages is in use; add a lender or memory"],
  ],
  ["space is left", { counters: { space_percent_used: 79 } }, []],
  [
    "space is full",
    { counters: { space_percent_used: 100, space_full_count: 1 } },
    ["2 FILLING: the space for pages is full, and writes are refused; add a lender or memory"],
  ],
  [
    "the node is drained",
    { knobs: { draining: "1" }, repair: { copies_possible: 1 } },
    [
      "1 DRAINING: the node lends nothing and moves no page away; " +
        'to end that, run "ramster undrain"',
    ],
  ],
])("when %s, it is found", (_what, own, texts) => {
  expect(found(own)).toEqual(texts.length === 0 ? ["0 HEALTHY: all pages are here"] : texts);
});

test("what is critical comes first, then what endangers pages", () => {
  const findings = found({
    knobs: { draining: "1" },
    nowhere: "why",
    counters: { space_full_count: 1 },
    repair: { pages_at_risk: 3, pages_exposed: 3 },
  });
  expect(findings.map((text) => text.split(":")[0])).toEqual([
    "2 FILLING",
    "1 ONE COPY",
    "1 DEGRADED",
    "1 DRAINING",
  ]);
});

test("a server is never filling: its space is that of other nodes", () => {
  expect(found({ counters: { space_percent_used: 100, space_full_count: 1 } }, true)).toEqual([
    "0 HEALTHY: it lends 0B, of which 0B are in use",
  ]);
});
