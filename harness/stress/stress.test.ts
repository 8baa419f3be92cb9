/**
 * `ramster stress` as a person runs it, but small: its report, what it leaves behind, and how it
 * ends when something happens in the middle. Longer runs: whole-runs.long.ts.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../src/client/on-bun.ts";
import {
  childrenOf,
  counter,
  ended,
  isRunning,
  ProcessWorld,
  until,
} from "../processes/process-world.ts";
import { checkSmallRun, directories, SMALL } from "./small-runs.ts";

const TEST_MS = 30_000;

/** A run of three nodes that would take a minute, with pages in flight. */
async function inTheMiddle(world: ProcessWorld) {
  const child = world.spawn(["stress", "--nodes=3", "--duration=1m", "--seed=7", ...SMALL]);
  const end = ended(child);
  const socket = (): string => join(world.directory, directories(world)[0] ?? "none", "0.sock");
  await until("node 0 listens", () => existsSync(socket()));
  const client = await connect(`unix:${socket()}`);
  await until("pages come in", async () => (await counter(client, "foreign_pers_pages")) > 500);
  const nodes = childrenOf(child.pid);
  expect(nodes.length).toBe(3);
  return { child, end, nodes, close: () => client.close() };
}

test(
  "a small run passes and reports under the fixed names",
  () => checkSmallRun("server", 3),
  TEST_MS,
);

test(
  "an interrupted run leaves no process and no directory",
  async () => {
    await using world = new ProcessWorld();
    const { child, end, nodes, close } = await inTheMiddle(world);
    child.kill("SIGINT");
    const { stdout, stderr, code } = await end;
    expect(stderr).toBe("ramster: Stress failed: interrupted\n");
    expect(stdout.trimEnd().split("\n").at(-1)).toStartWith("ramster stress --nodes=3 ");
    expect(code).toBe(1);
    expect(nodes.filter(isRunning)).toEqual([]);
    expect(directories(world)).toEqual([]);
    await close();
  },
  TEST_MS,
);

test(
  "a node that dies ends the run with 12 and the command that repeats it, and leaves nothing",
  async () => {
    await using world = new ProcessWorld();
    const { end, nodes, close } = await inTheMiddle(world);
    process.kill(nodes[1] ?? 0, "SIGKILL");
    const { stdout, stderr, code } = await end;
    expect(stderr).toMatch(/^ramster: Stress failed: node \d died with exit code 137\n$/);
    const repeat =
      "ramster stress --nodes=3 --duration=1m --memory=1MiB --working-set=4MiB --seed 7";
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(repeat);
    expect(code).toBe(12);
    expect(nodes.filter(isRunning)).toEqual([]);
    expect(directories(world)).toEqual([]);
    await close();
  },
  TEST_MS,
);

test(
  "loads running nodes, and leaves them as they were",
  async () => {
    await using world = new ProcessWorld();
    const server = await world.start("server", 0, ["--memory=32MiB"]);
    const wires = [`--peers=0@${server.listen}`, "--target=0"];
    const node = await world.start("node", 1, ["--memory=1MiB", ...wires]);
    const client = await world.connect(node);
    const pool = await client.newPool({ persistent: true });
    const page = new Uint8Array(4096).map((_, i) => i);
    expect(await pool.put([1n, 2n, 3n], 4, page)).toEqual({ stored: true });
    const flags = ["--working-set=8MiB", "--duration=1s"];
    const run = await world.run(["stress", `--connect=${node.client}`, ...flags]);
    expect(run).toMatchObject({ stderr: "", code: 0 });
    expect(run.stdout).toContain("PASS  1 node,");
    expect(await counter(client, "pers_pages_remoted")).toBeGreaterThan(1000);
    expect(await counter(client, "remote_pers_pages")).toBeLessThan(2); // It may have left.
    expect(await pool.get([1n, 2n, 3n], 4)).toEqual(page);
  },
  TEST_MS,
);

test("is refused before it starts when its report cannot be written, or no node answers", async () => {
  await using world = new ProcessWorld();
  const json = await world.run(["stress", "--nodes=3", `--json=${world.path("none/report.json")}`]);
  expect(json.stderr).toMatch(/^ramster: Cannot use --json "[^"]+": [^\n]+\n$/);
  expect([json.stdout, json.code]).toEqual(["", 2]);
  const html = await world.run(["stress", "--nodes=3", `--html=${world.path("none/report.html")}`]);
  expect(html.stderr).toMatch(/^ramster: Cannot use --html "[^"]+": [^\n]+\n$/);
  expect([html.stdout, html.code]).toEqual(["", 2]);
  const nobody = await world.run(["stress", `--connect=unix:${world.path("none.sock")}`]);
  expect(nobody.stderr).toMatch(/^ramster: [^\n]+no such file or directory\n$/);
  expect(nobody.code).toBe(3);
});
