/**
 * A node's block device under fio, compared with nbdkit's memory plugin on the same machine.
 * Requests of 4 KiB go to random offsets over a unix socket. Their buffers are always new, and
 * compress by 60 %. The three servers take turns, and each figure is the median of its rounds.
 *
 * Nodes run the compiled program, as users do. Remote pages are at a server on the same machine, so
 * both share its processors.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/on-bun.ts";
import { compiledProgram } from "../processes/compiled.ts";
import { memoryOf, NodeProcess } from "../processes/node-process.ts";
import { type Bench, type Figure, median } from "./bench.ts";

const MIB = 1024 * 1024;
/** The part of the device that is read and written at random. */
const SPAN_MIB = 256;
const DEPTHS = [1, 16, 64] as const;
const RUN_SECONDS = 2;
const ROUNDS = 3;
const LOOK_MS = 20;
const PATIENCE_MS = 30_000;

export const nbdBench: Bench = {
  name: "nbd",
  about: "A node as a block device, beside nbdkit's memory plugin: fio, 4 KiB, a unix socket.",
  run: async ({ quick }) => {
    const missing = ["fio", "nbdkit"].filter((tool) => Bun.which(tool) === null);
    if (missing.length > 0) throw new Error(`Cannot run: ${missing.join(", ")} not installed`);
    const world = new World(quick);
    try {
      return await measure(world);
    } finally {
      await world.end();
    }
  },
};

/** fio's figures of one run. */
interface Run {
  iops: number;
  p50Us: number;
  p99Us: number;
}

interface Target {
  readonly uri: string;
  readonly pid: number;
}

class World {
  readonly isQuick: boolean;
  private readonly directory = mkdtempSync(join(tmpdir(), "ramster-bench-"));
  private readonly nodes: NodeProcess[] = [];
  private readonly kits: Bun.Subprocess[] = [];
  private count = 0;

  constructor(isQuick: boolean) {
    this.isQuick = isQuick;
  }

  async node(memoryMib: number, deviceMib: number, server: NodeProcess | null): Promise<Target> {
    const path = this.newPath();
    // In swap mode, all memory would be resident from the start.
    const flags = [`--memory=${memoryMib}MiB`, `--nbd=unix:${path}`, `--export=d=${deviceMib}MiB`];
    flags.push("--no-swap");
    const away = server === null ? [] : [`--peers=2@${server.listen}`, "--target=2"];
    const node = await this.start("node", 1, [...flags, ...away]);
    return { uri: `nbd+unix:///d?socket=${path}`, pid: node.pid };
  }

  server(memoryMib: number): Promise<NodeProcess> {
    return this.start("server", 2, [`--memory=${memoryMib}MiB`, "--reserve=0"]);
  }

  async kit(...flags: string[]): Promise<Target> {
    const path = this.newPath();
    const cmd = ["nbdkit", "-f", "-U", path, "memory", `${SPAN_MIB}M`, ...flags];
    const child = Bun.spawn(cmd, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
    this.kits.push(child);
    await waitFor(
      async () =>
        (await Bun.file(path)
          .stat()
          .catch(() => null)) !== null,
    );
    return { uri: `nbd+unix:///?socket=${path}`, pid: child.pid };
  }

  clientOf(number: number): string {
    return this.nodes.find((node) => node.number === number)?.client ?? "";
  }

  private newPath(): string {
    this.count += 1;
    return join(this.directory, `${this.count}.sock`);
  }

  async end(): Promise<void> {
    for (const kit of this.kits) kit.kill("SIGKILL");
    await Promise.all([
      ...this.kits.map((kit) => kit.exited),
      ...this.nodes.map((it) => it.kill()),
    ]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Ends all servers, so that the next ones have the machine to themselves. */
  async endAll(): Promise<void> {
    for (const kit of this.kits.splice(0)) {
      kit.kill("SIGKILL");
      await kit.exited;
    }
    await Promise.all(this.nodes.splice(0).map((it) => it.kill()));
  }

  private async start(role: string, number: number, flags: string[]): Promise<NodeProcess> {
    const argv = [
      compiledProgram(),
      role,
      `--number=${number}`,
      `--name=n${number}`,
      "--gossip=none",
      "--listen=127.0.0.1:0",
      `--client=unix:${this.newPath()}`,
      ...flags,
    ];
    const node = new NodeProcess(number, argv, { verbose: false });
    this.nodes.push(node);
    await node.ready();
    return node;
  }
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startMs > PATIENCE_MS)
      throw new Error(`no such state within ${PATIENCE_MS} ms`);
    await Bun.sleep(LOOK_MS);
  }
}

async function fio(target: Target, flags: readonly string[]): Promise<Run> {
  const common = [
    "--name=b",
    "--ioengine=nbd",
    `--uri=${target.uri}`,
    "--output-format=json",
    "--refill_buffers",
    "--buffer_compress_percentage=60",
  ];
  const cmd = ["fio", ...common, ...flags];
  const child = Bun.spawn(cmd, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`fio failed: ${text}`);
  const [job] = JSON.parse(text.slice(text.indexOf("{"))).jobs;
  const side = job.read.total_ios > 0 ? job.read : job.write;
  const us = (percentile: string): number => (side.clat_ns.percentile?.[percentile] ?? 0) / 1000;
  return { iops: side.iops, p50Us: us("50.000000"), p99Us: us("99.000000") };
}

function timed(rw: string, depth: number, isQuick: boolean): string[] {
  const seconds = isQuick ? 1 : RUN_SECONDS;
  return [
    `--rw=${rw}`,
    "--bs=4k",
    `--iodepth=${depth}`,
    `--size=${SPAN_MIB}m`,
    "--time_based",
    `--runtime=${seconds}`,
    "--norandommap",
  ];
}

function fill(mib: number): string[] {
  return ["--rw=write", "--bs=64k", "--iodepth=4", `--size=${mib}m`];
}

async function measure(world: World): Promise<Figure[]> {
  const resident = await measureMemory(world);
  const local = await measureLocal(world);
  const remote = await measureRemote(world, local.readAt64);
  return [...local.figures, ...resident, ...remote, await measureSwapoff(world)];
}

/** Writes the whole span once, in random order. */
async function measureMemory(world: World): Promise<Figure[]> {
  const once = ["--rw=randwrite", "--bs=4k", "--iodepth=16", `--size=${SPAN_MIB}m`];
  const ours = await world.node(512, SPAN_MIB, null);
  const idle = mibOf(ours.pid);
  await fio(ours, once);
  const full = mibOf(ours.pid);
  await world.endAll();
  const zstd = await world.kit("allocator=zstd");
  await fio(zstd, once);
  const kit = mibOf(zstd.pid);
  await world.endAll();
  const reference = { name: "nbdkit zstd", unit: "MiB" };
  return [
    {
      name: `anonymous memory, ${SPAN_MIB} MiB written at random`,
      value: full.anonymous,
      unit: "MiB",
      reference: { ...reference, value: kit.anonymous },
      ratio: full.anonymous / kit.anonymous,
      target: "at most 0.75x",
      pass: full.anonymous <= 0.75 * kit.anonymous,
    },
    { name: "of which before the first page", value: idle.anonymous, unit: "MiB" },
    {
      name: "the same with the pages of the program's file",
      value: full.resident,
      unit: "MiB",
      reference: { ...reference, value: kit.resident },
      ratio: full.resident / kit.resident,
    },
  ];
}

/** Pages of files are the kernel's cache: it takes them back when memory is short. */
function mibOf(pid: number): { anonymous: number; resident: number } {
  const { anonymousBytes, residentBytes } = memoryOf(pid);
  return { anonymous: anonymousBytes / MIB, resident: residentBytes / MIB };
}

type Runs = Map<string, Run[]>;

async function measureLocal(world: World): Promise<{ figures: Figure[]; readAt64: number }> {
  const targets = {
    ours: await world.node(512, SPAN_MIB, null),
    kit: await world.kit(),
    zstd: await world.kit("allocator=zstd"),
  };
  for (const target of Object.values(targets)) await fio(target, fill(SPAN_MIB));
  const runs: Runs = new Map();
  for (let round = 0; round < (world.isQuick ? 1 : ROUNDS); round += 1) {
    for (const rw of ["randread", "randwrite"]) {
      for (const depth of DEPTHS) {
        for (const [name, target] of Object.entries(targets)) {
          const run = await fio(target, timed(rw, depth, world.isQuick));
          const key = `${name} ${rw} ${depth}`;
          runs.set(key, [...(runs.get(key) ?? []), run]);
        }
      }
    }
  }
  await world.endAll();
  const of = (key: string, field: keyof Run): number => {
    return median((runs.get(key) ?? []).map((run) => run[field]));
  };
  return { figures: localFigures(of), readAt64: of("ours randread 64", "iops") };
}

function localFigures(of: (key: string, field: keyof Run) => number): Figure[] {
  const figures: Figure[] = [];
  const rate = (rw: string, depth: number, against: string, least: number): void => {
    const [value, reference] = ["ours", against].map((it) => of(`${it} ${rw} ${depth}`, "iops"));
    const ratio = (value ?? 0) / (reference ?? 1);
    figures.push({
      name: `${rw}, depth ${depth}`,
      value: (value ?? 0) / 1000,
      unit: "k/s",
      reference: { name: nameOf(against), value: (reference ?? 0) / 1000, unit: "k/s" },
      ratio,
      target: `at least ${least}x`,
      pass: ratio >= least,
    });
  };
  for (const depth of [16, 64]) {
    rate("randread", depth, "zstd", 1.2);
    rate("randwrite", depth, "zstd", 4);
    rate("randread", depth, "kit", 0.8);
    rate("randwrite", depth, "kit", 0.5);
    figures.push(latency("randwrite", depth, "p99Us", "zstd", 1 / 3, of));
  }
  for (const rw of ["randread", "randwrite"]) figures.push(latency(rw, 1, "p50Us", "kit", 3, of));
  return figures;
}

function latency(
  rw: string,
  depth: number,
  field: "p50Us" | "p99Us",
  against: string,
  most: number,
  of: (key: string, field: keyof Run) => number,
): Figure {
  const value = of(`ours ${rw} ${depth}`, field);
  const reference = of(`${against} ${rw} ${depth}`, field);
  const ratio = value / Math.max(0.001, reference);
  return {
    name: `${rw}, depth ${depth}, ${field.slice(0, 3)}`,
    value,
    unit: "us",
    reference: { name: nameOf(against), value: reference, unit: "us" },
    ratio,
    target: `at most ${most.toFixed(2)}x`,
    pass: ratio <= most,
  };
}

function nameOf(target: string): string {
  return target === "zstd" ? "nbdkit zstd" : "nbdkit memory";
}

/** Half of the pages are here, half at a server. */
async function measureRemote(world: World, localIops: number): Promise<Figure[]> {
  const server = await world.server(512);
  const ours = await world.node(72, SPAN_MIB, server);
  await fio(ours, fill(SPAN_MIB));
  const share = await remoteShare(world, SPAN_MIB);
  const runs: Run[] = [];
  for (let round = 0; round < (world.isQuick ? 1 : ROUNDS); round += 1) {
    runs.push(await fio(ours, timed("randread", 64, world.isQuick)));
  }
  await world.endAll();
  const value = median(runs.map(({ iops }) => iops));
  const ratio = value / localIops;
  return [
    {
      name: `randread, depth 64, ${Math.round(100 * share)}% away`,
      unit: "k/s",
      value: value / 1000,
      reference: { name: "all here", value: localIops / 1000, unit: "k/s" },
      ratio,
      target: "at least 0.4x",
      pass: ratio >= 0.4,
    },
  ];
}

async function remoteShare(world: World, mib: number): Promise<number> {
  const client = await connect(world.clientOf(1));
  const { counters } = await client.stats();
  await client.close();
  return (counters.remote_pers_pages ?? 0) / ((mib * MIB) / 4096);
}

/** Reads in order, eight pages a request, one request at a time, as a kernel swaps in. */
async function measureSwapoff(world: World): Promise<Figure> {
  const mib = world.isQuick ? 128 : 1024;
  const server = await world.server(mib);
  const ours = await world.node(4, mib, server);
  await fio(ours, fill(mib));
  const share = await remoteShare(world, mib);
  const read = ["--rw=read", "--bs=32k", "--iodepth=1", `--size=${mib}m`];
  const { iops } = await fio(ours, read);
  await world.endAll();
  const value = (iops * 32) / 1024;
  return {
    name: `${mib} MiB in order, 32 KiB, ${Math.round(100 * share)}% away`,
    value,
    unit: "MiB/s",
    target: "at least 200 MiB/s",
    pass: value >= 200,
  };
}
