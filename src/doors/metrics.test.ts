import { expect, test } from "bun:test";
import { nodeStats, peerStats } from "../../harness/stress/node-stats.ts";
import type { NodeStats } from "../wire/stats.ts";
import { Metrics } from "./metrics.ts";

/** The samples of successive scrapes. Each scrape has a report of its own. */
async function scrapes(reports: readonly NodeStats[]): Promise<string[][]> {
  let [now] = reports;
  const metrics = new Metrics(() => now ?? nodeStats(1));
  const texts: string[] = [];
  for (const report of reports) {
    now = report;
    texts.push(await metrics.text());
  }
  return texts.map((text) => text.split("\n").filter((line) => /^ramster_/.test(line)));
}

test("each scrape has the values of its report, and does not add to those of before", async () => {
  const report = (flushes: number, pages: number, bytes: number) =>
    nodeStats(1, {
      counters: { flush_total: flushes, page_count: pages },
      peers: [peerStats(2, { bytes_sent: bytes })],
      latencies: { put: { counts: [flushes], sum_us: flushes } },
    });
  const [first, second] = await scrapes([report(5, 9, 100), report(6, 4, 150)]);
  expect(first).toContain("ramster_flush_total 5");
  expect(second).toContain("ramster_flush_total 6");
  expect(second).toContain("ramster_index_pages 4");
  expect(second).toContain('ramster_peer_bytes_sent_total{peer="2",name="n2"} 150');
  expect(second).toContain("ramster_put_seconds_count 6");
});

test("a figure that is not reported, or no longer, has no sample", async () => {
  const counters = { machine_stall_percent: 3, foreign_puts: 1 };
  const peers = [peerStats(2), peerStats(3)];
  const [first = [], second = [], third] = await scrapes([
    nodeStats(1, { counters, peers }),
    nodeStats(1, { peers: peers.slice(1) }),
    nodeStats(1, { counters, peers }),
  ]);
  expect(first).toContain("ramster_machine_stall_percent 3");
  expect(first.filter((line) => line.includes("nbd_"))).toEqual([]);
  expect(second.filter((line) => /machine_|foreign_puts/.test(line))).toEqual([]);
  expect(second.filter((line) => line.includes('peer="2"'))).toEqual([]);
  expect(second).toContain('ramster_peer_connected{peer="3",name="n3"} 1');
  expect(third).toEqual(first);
});
