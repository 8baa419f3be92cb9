/**
 * `ramster stress` in every topology, and with nodes that are killed and restarted. These runs keep
 * two cores busy for a minute, so they are not part of `npm test`: `bun run long`.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { NodeProcess } from "../processes/node-process.ts";
import { type Ended, ProcessWorld } from "../processes/process-world.ts";
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

test("a node that joins sends its pages to a lender", async () => {
  await using world = new ProcessWorld();
  const run = await runJoined(world, await startLender(world));
  expect(run).toMatchObject({ stderr: "", code: 0 });
  expect(run.stdout).toMatch(/^PASS {2}1 node/m);
  expect(Number(/^remote gets +(\d+)/m.exec(run.stdout)?.[1])).toBeGreaterThan(0);
  expect(directories(world)).toEqual([]);
});

test("a node that joins and has no lender says so, and loads nothing", async () => {
  await using world = new ProcessWorld();
  const lender = await startLender(world);
  await world.run(["drain", `--client=${lender.client}`]);
  const run = await runJoined(world, lender);

  const why =
    /: Cannot load the cluster: lender "lender" is drained, run "ramster undrain" there\n$/;
  expect(run).toMatchObject({ stderr: expect.stringMatching(why), code: 1 });
  expect(directories(world)).toEqual([]);
});

function startLender(world: ProcessWorld): Promise<NodeProcess> {
  const flags = ["--gossip=127.0.0.1:0", "--insecure", "--memory=64MiB", "--name=lender"];
  return world.start("server", 1, flags);
}

function runJoined(world: ProcessWorld, { gossip }: NodeProcess): Promise<Ended> {
  const load = ["--memory=1MiB", "--working-set=4MiB", "--duration=100ms"];
  return world.run(["stress", `--join=${gossip}`, "--insecure", ...load]);
}
