import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { metricName } from "../doors/metrics.ts";
import { counter, countersOf, type Figure, gauge, prefixed, withPrefix } from "./figure.ts";
import * as TABLES from "./figures.ts";

const { COUNTERS, LATENCIES, PEER, EXPORT, POOL } = TABLES;

/** All rows by the name that their metric is made from. */
const ROWS: ReadonlyArray<readonly [name: string, figure: Figure]> = [
  ...Object.entries(COUNTERS),
  ...Object.entries(LATENCIES),
  ...Object.entries(prefixed("peer_", PEER)),
  ...Object.entries(prefixed("export_", { ...EXPORT, ...TABLES.EXPORT_LATENCIES })),
  ...Object.entries(prefixed("pool_", POOL)),
];

test("no counter is declared twice", () => {
  const { COUNTERS: all, PEER: peer, FIGURES: _, ...rest } = TABLES;
  const { LATENCIES: latencies, EXPORT: exports, POOL: pools, ...more } = rest;
  const { LINK_COUNTED, PEER_READ, EXPORT_LATENCIES, ...parts } = more;
  // The density of own pages and of lent memory, each under a prefix.
  const { DENSITY_READ: density, ...others } = parts;
  const twice = { ...prefixed("own_", density), ...prefixed("lent_", density) };
  const names = [twice, ...Object.values(others)].flatMap((table) => Object.keys(table));
  expect(names.length).toBe(Object.keys(all).length);
  expect(Object.keys(peer).length).toBe(
    Object.keys(LINK_COUNTED).length + Object.keys(PEER_READ).length,
  );
  expect(new Set(names).size).toBe(names.length);
  expect([latencies, exports, EXPORT_LATENCIES, pools].map((it) => Object.keys(it).length)).toEqual(
    [7, 6, 2, 5],
  );
});

test("each has a help text of one sentence, and a metric of its own", () => {
  for (const [name, { help }] of ROWS) expect(help, name).toMatch(/^[A-Z0-9][^.]{9,70}\.$/);
  const metrics = ROWS.map(([name, figure]) => metricName(name, figure));
  expect(new Set(metrics).size).toBe(metrics.length);
  for (const metric of metrics) expect(metric).toMatch(/^(?:ramster|process)_[a-z][a-z0-9_]+$/);
});

test("what only grows is a counter, and its metric says so", () => {
  for (const [name, figure] of ROWS) {
    const metric = metricName(name, figure);
    expect(metric.endsWith("_total"), name).toBe(figure.kind === "counter");
    expect(metric, name).not.toMatch(/_(count|sum|bucket|max)$/);
    if (/_max$|_count$|_in_flight$/.test(name)) expect(figure.kind, name).toBe("gauge");
  }
});

test("a counter of a part is a row of its table, and 0 at first", () => {
  const table = { hits: counter("pages", "Hits."), pages: gauge("pages", "Pages.") };
  const Counters = countersOf(table);
  const counters = new Counters();
  counters.hits += 2;
  expect({ ...counters }).toEqual({ hits: 2, pages: 0 });
  expect({ ...new Counters() }).toEqual({ hits: 0, pages: 0 });
  expect(withPrefix("a_", counters)).toEqual({ a_hits: 2, a_pages: 0 });
});

describe("the original's counters", () => {
  const text = readFileSync(join(import.meta.dir, "../../docs/original.md"), "utf8");

  /** The names in the tables of a section, `##` or `###`. */
  function namesIn(section: string): string[] {
    const [, rest = ""] = text.split(new RegExp(`\\n##+ ${section}\\n`));
    const [part = ""] = rest.split(/\n##+ /);
    const rows = part.split("\n").filter((line) => line.startsWith("| "));
    return rows.flatMap((row) => [...row.matchAll(/`([a-z_/]+)`/g)].map(([, name = ""]) => name));
  }

  const originals = new Set(
    ["Zbud counters", "Zcache counters", "Ramster counters"].flatMap(namesIn),
  );
  const [, nothing = ""] = text.split("These mean nothing here:\n");
  const left = [...(nothing.split("\n## ")[0] ?? "").matchAll(/^\| (`.*?) \| /gm)].flatMap(
    ([, cell = ""]) => [...cell.matchAll(/`([a-z_/]+)`/g)].map(([, name = ""]) => name),
  );

  test("are each in the table, or listed with the reason why not", () => {
    expect(originals.size).toBeGreaterThan(80);
    const here = ROWS.flatMap(([, { original }]) => original ?? []);
    expect([...here, ...left].sort()).toEqual([...originals].sort());
  });

  test("that have another name here are listed", () => {
    const listed = namesIn("Counters that are not here");
    for (const [name, { original }] of ROWS) {
      if (original === null || original.replace("/", "_") === name) continue;
      expect(listed).toContain(original);
      expect(listed).toContain(name);
    }
  });
});
