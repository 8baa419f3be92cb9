/**
 * `ramster stress` in every topology, and with nodes that are killed and restarted. These runs keep
 * two cores busy for a minute, so they are not part of `npm test`: `bun run long`.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ProcessWorld } from "../processes/process-world.ts";
import { TOPOLOGIES } from "./options.ts";
import type { StressReport } from "./report.ts";
import { checkSmallRun, directories, SMALL } from "./small-runs.ts";

/** Numbers of nodes: pairs need an even number, and a server may have two clients or seven. */
const RUNS = [
  ...TOPOLOGIES.map((topology) => [topology, topology === "pair" ? 4 : 3] as const),
  ["server", 8] as const,
];

test.each(RUNS)(
  "a small run of topology %s with %d nodes passes and reports under the fixed names",
  checkSmallRun,
);

test("holders are killed, stopped, cut off and slowed down, and no page is wrong or lost", async () => {
  await using world = new ProcessWorld();
  const json = world.path("report.json");
  const flags = ["--nodes=4", "--servers=2", "--duration=4s", "--seed=2", "--chaos-every=200ms"];
  const chaos = "--chaos=kill,pause,cut,slow,restart";
  const run = await world.run(["stress", ...flags, chaos, ...SMALL, `--json=${json}`]);
  expect(run).toMatchObject({ stderr: "", code: 0 });
  const report = JSON.parse(readFileSync(json, "utf8")) as StressReport;
  expect(report).toMatchObject({ pass: true, wrong: 0, lost: 0, unreachable: 0 });
  expect(Object.keys(report.chaos?.events ?? {}).length).toBeGreaterThan(1);
  expect(directories(world)).toEqual([]);
});

test("all nodes are restarted in turn under load, and no client of another node has an error", async () => {
  await using world = new ProcessWorld();
  const json = world.path("report.json");
  const flags = ["--nodes=4", "--servers=2", "--duration=1s", "--seed=2", "--chaos-every=50ms"];
  const run = await world.run(["stress", ...flags, "--chaos=rolling", ...SMALL, `--json=${json}`]);
  expect(run).toMatchObject({ stderr: "", code: 0 });
  const report = JSON.parse(readFileSync(json, "utf8")) as StressReport;
  expect(report).toMatchObject({ pass: true, wrong: 0, lost: 0, unreachable: 0 });
  expect(report.chaos?.events.rolling).toBeGreaterThanOrEqual(4);
  expect(directories(world)).toEqual([]);
});
