/** What the tests of whole runs of `ramster stress` share. */
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { ProcessWorld } from "../processes/process-world.ts";
import type { Topology } from "./options.ts";
import type { StressReport } from "./report.ts";

export const SMALL = ["--memory=1MiB", "--working-set=4MiB"];
/** Most pages must leave, although a node of 1 MiB keeps more than 2 MiB of them. */
const CROWDED = ["--memory=1MiB", "--working-set=8MiB"];

/** The directories of runs that are there. */
export function directories(world: ProcessWorld): string[] {
  return readdirSync(world.directory).filter((name) => name.startsWith("ramster-stress-"));
}

/** A small run passes, its report is whole, and nothing is left. */
export async function checkSmallRun(topology: Topology, nodes: number): Promise<void> {
  await using world = new ProcessWorld();
  const json = world.path("report.json");
  const flags = [`--nodes=${nodes}`, `--topology=${topology}`, "--duration=500ms", "--seed=11"];
  const run = await world.run(["stress", ...flags, ...CROWDED, `--json=${json}`]);
  expect(run).toMatchObject({ stderr: "", code: 0 });
  expect(run.stdout).toStartWith(`stress: seed 11\nPASS  ${nodes} nodes, seed 11, `);
  for (const line of run.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  const report = JSON.parse(readFileSync(json, "utf8")) as StressReport;
  expect(report).toMatchObject({ pass: true, nodes, seed: 11, wrong: 0, lost: 0 });
  expect(report.leaks).toEqual({ frames: 0, remote: 0, foreign: 0 });
  for (const count of Object.values(report.ops)) expect(count).toBeGreaterThan(0);
  expect(Object.keys(report.ops)).toEqual(["put", "get", "flush"]);
  expect(typeof report.refused).toBe("object");
  expect(report.remotified).toBeGreaterThan(1000);
  expect(report.remote_gets).toBeGreaterThan(100);
  expect(report.repatriated).toBeGreaterThanOrEqual(0);
  expect(report.compression_ratio).toBeGreaterThan(1);
  for (const name of ["local_get", "remote_get", "put"] as const) {
    const { p50, p99, p999 } = report.latency_us[name];
    expect(p50 > 0 && p50 <= p99 && p99 <= p999).toBe(true);
  }
  expect(report.per_node.map((row) => row.node)).toEqual(
    Array.from({ length: nodes }, (_, i) => i),
  );
  for (const row of report.per_node) expect(row.foreign).toBe(row.foreign_expected);
  expect(directories(world)).toEqual([]);
}
