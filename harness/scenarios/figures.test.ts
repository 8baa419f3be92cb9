/**
 * Figures: nodes report exactly the rows of the table (src/core/figures.ts).
 *
 * Not here: names, kinds and texts of the table itself: src/core/figures.test.ts.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as TABLES from "../../src/core/figures.ts";
import { Log } from "../../src/core/log.ts";
import { Metrics, metricName } from "../../src/doors/metrics.ts";
import type { Address } from "../../src/net/address.ts";
import { Active } from "../../src/standby/active.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import { SimCluster } from "../sim/cluster.ts";

const { COUNTERS, PEER, EXPORT, EXPORT_LATENCIES, POOL, LATENCIES } = TABLES;
const MIB = 1024 * 1024;
const PAGES = 1500;
const SRC = join(import.meta.dir, "../../src");
const NBD: Address = { kind: "tcp", host: "10.0.0.0", port: 10809 };

/** Figures of an owner with a disk and an export, of its lender, and of a secured node. */
let reports: readonly NodeStats[] = [];

beforeAll(async () => {
  const sim = new SimCluster(3);
  const owner = { lendBytes: 0, spillPath: "disk", spillBytes: MIB, nbd: [NBD] };
  const exports = [{ name: "swap", byteCount: MIB }];
  await sim.startGossiping([
    { ...owner, exports },
    { lendBytes: 16 * MIB, target: null },
  ]);
  sim.until("they know each other", () => sim.nodes.every((it) => it.alive().length === 2));
  const lender = sim.node(1);
  const report = (): NodeStats[] => sim.nodes.map(({ node }) => node.admin.snapshot());
  const before = report();
  await lender.stop();
  lender.certificate = { path: "/key", endMs: () => 9e9, nowMs: () => 0, reload: () => false };
  const { clock, network } = sim;
  const outside = { clock, transport: network.transport("10.0.0.9"), log: new Log(() => {}) };
  lender.active = new Active(outside, { pid: 7, address: { kind: "unix", path: "/active" } });
  await lender.restart([sim.node(0)]);
  reports = [...before, ...report()];
  await sim.stop();
});

/** Names in any of the objects, sorted. */
function namesIn(objects: readonly object[]): string[] {
  return [...new Set(objects.flatMap((it) => Object.keys(it)))].sort();
}

const namesOf = (table: object): string[] => Object.keys(table).sort();

describe("nodes report exactly the rows of the table", () => {
  test("as counters", () => {
    expect(namesIn(reports.map(({ counters }) => counters))).toEqual(namesOf(COUNTERS));
  });

  test("for each peer, beside its identity", () => {
    const others = ["node", "name", "address", "state", "failure", "boot_id"];
    const names = namesIn(reports.flatMap(({ peers }) => peers));
    expect(names.filter((name) => !others.includes(name))).toEqual(namesOf(PEER));
  });

  test("for each export, beside its name and latencies", () => {
    const exports = reports.flatMap((report) => report.exports);
    const others = ["name", "latencies"];
    expect(namesIn(exports).filter((name) => !others.includes(name))).toEqual(namesOf(EXPORT));
    const latencies = namesIn(exports.map((it) => it.latencies));
    expect(latencies).toEqual(namesOf(EXPORT_LATENCIES));
  });

  test("for each pool, beside its number, its kind and its export", () => {
    const others = ["id", "kind", "export"];
    const names = namesIn(reports.flatMap(({ pools }) => pools));
    expect(names.filter((name) => !others.includes(name))).toEqual(namesOf(POOL));
  });

  test("as latencies", () => {
    expect(namesIn(reports.map(({ latencies }) => latencies))).toEqual(namesOf(LATENCIES));
  });
});

test("each reported counter is a metric with the kind and the help text of its row", async () => {
  for (const stats of reports) {
    const text = await new Metrics(() => stats).text();
    for (const [name, figure] of Object.entries(COUNTERS)) {
      const metric = metricName(name, figure);
      const isReported = Object.hasOwn(stats.counters, name);
      expect(text.includes(`# HELP ${metric} ${figure.help}\n`), name).toBe(isReported);
      expect(text.includes(`# TYPE ${metric} ${figure.kind}\n`), name).toBe(isReported);
    }
  }
});

test("each get of an ephemeral page counts as a hit or a miss, here and at a holder", async () => {
  const sim = new SimCluster(5);
  await sim.start([{ target: 1, remotifyEph: true, lendBytes: 0 }, { lendBytes: MIB / 2 }]);
  const owner = sim.node(0);
  const pool = owner.newPool({ persistent: false });
  const names = ["puts", "succ_gets", "failed_gets", "invalidates"] as const;
  const counts = () => names.map((name) => owner.counter(`cleancache_${name}`));
  for (let number = 0; number < PAGES; number += 1) {
    owner.put(pool, number, 1);
    sim.run(1);
  }
  expect(counts()).toEqual([PAGES, 0, 0, 0]);
  expect(owner.counter("eph_pages_remoted")).toBeGreaterThan(0);
  let hits = 0;
  for (let number = 0; number < PAGES; number += 1) {
    if (owner.get(pool, number) !== "miss") hits += 1;
  }
  expect(counts()).toEqual([PAGES, hits, PAGES - hits, 0]);
  expect(owner.counter("remote_eph_pages_succ_get")).toBeGreaterThan(0);
  expect(owner.counter("remote_eph_pages_unsucc_get")).toBeGreaterThan(0);
  expect(hits).toBeGreaterThan(owner.counter("remote_eph_pages_succ_get"));
  // Ephemeral pages that a get removed are misses. Persistent pages are not counted.
  expect(owner.get(pool, 0)).toBe("miss");
  owner.flush(pool, 0);
  owner.flushObject(pool, 0);
  const other = owner.newPool({ persistent: true });
  owner.put(other, 0, 1);
  owner.get(other, 0);
  owner.get(other, 1);
  owner.flush(other, 0);
  expect(counts()).toEqual([PAGES, hits, PAGES - hits + 1, 2]);
  await sim.stop();
});

test("each counter of the table is incremented somewhere", () => {
  const paths = [...new Bun.Glob("**/*.ts").scanSync(SRC)];
  const source = paths
    .filter((path) => !path.endsWith(".test.ts") && path !== "core/figures.ts")
    .map((path) => readFileSync(join(SRC, path), "utf8"))
    .join("\n");
  const counted = Object.entries(TABLES).filter(([table]) => table.endsWith("_COUNTED"));
  expect(counted.length).toBeGreaterThan(8);
  const uncounted = counted.flatMap(([, table]) => {
    return Object.keys(table).filter((name) => !new RegExp(`\\.${name} [+-]?= `).test(source));
  });
  expect(uncounted).toEqual([]);
});
