/**
 * Runs of `ramster stress` that must fail, and what they leave on nodes that go on. Reports, and
 * how a run's own nodes end, are tested in stress.test.ts.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { SeededRandom } from "../../src/core/random.ts";
import {
  childrenOf,
  counter,
  ended,
  isRunning,
  ProcessWorld,
  until,
} from "../processes/process-world.ts";
import { which } from "../processes/tools.ts";
import type { StressReport } from "./report.ts";

const TEST_MS = 30_000;

test(
  "an interrupted run flushes its pages on nodes that go on",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, ["--memory=4MiB"]);
    const client = await world.connect(node);
    const flags = ["--working-set=2MiB", "--duration=1m"];
    const json = world.path("report.json");
    const argv = ["stress", `--connect=${node.client}`, ...flags, `--json=${json}`];
    const child = world.spawn(argv);
    const end = ended(child);
    await until("pages come in", async () => (await counter(client, "pers_zpages")) > 100);
    child.kill("SIGINT");
    const { stderr, code } = await end;
    expect(stderr).toBe("ramster: Stress failed: interrupted\n");
    expect(code).toBe(1);
    expect(await counter(client, "frames_used")).toBe(0);
    const report = JSON.parse(readFileSync(json, "utf8")) as StressReport;
    expect(report).toMatchObject({ pass: false, nodes: 1, wrong: 0, lost: 0 });
    expect(report.examples).toEqual(["interrupted"]);
  },
  TEST_MS,
);

test.skipIf(which("setpriv") === null)(
  "nodes of a run that is killed end too",
  async () => {
    await using world = new ProcessWorld();
    const child = world.spawn(["stress", "--nodes=2", "--working-set=2MiB", "--duration=1m"]);
    await until("both nodes run", () => childrenOf(child.pid).length === 2);
    const nodes = childrenOf(child.pid);
    child.kill("SIGKILL");
    await child.exited;
    await until("no node runs", () => !nodes.some(isRunning));
  },
  TEST_MS,
);

test(
  "a run whose puts were all refused has made no progress and exits with 11",
  async () => {
    await using world = new ProcessWorld();
    const random = new SeededRandom(1);
    const path = world.path("noise");
    writeFileSync(path, Buffer.from(new Uint32Array(8192).map(() => random.u32()).buffer));
    const flags = ["--nodes=2", "--memory=1MiB", "--working-set=1MiB", "--duration=100ms"];
    const run = await world.run(["stress", ...flags, `--data=${path}`, "--seed=3"]);
    const why = "every put was refused, so there was nothing to check";
    expect(run.stderr).toBe(`ramster: Stress failed: ${why}\n`);
    expect(run.stdout.trimEnd().split("\n").at(-1)).toEndWith(" --seed 3");
    expect(run.code).toBe(11);
  },
  TEST_MS,
);

test("a node that is named twice, or missing data, is refused with 2", async () => {
  await using world = new ProcessWorld();
  const node = await world.start("node", 1, ["--memory=1MiB"]);
  const twice = await world.run(["stress", `--connect=${node.client},${node.client}`]);
  expect(twice.stderr).toBe("ramster: Cannot use --connect: node 1 is named twice\n");
  expect(twice.code).toBe(2);
  const data = await world.run(["stress", "--nodes=2", `--data=${world.path("none")}`]);
  expect(data.stderr).toMatch(/^ramster: Cannot use --data "[^"]+": [^\n]+\n$/);
  expect(data.code).toBe(2);
});
