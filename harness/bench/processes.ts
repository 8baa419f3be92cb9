/**
 * A cluster of real processes with a key on this machine. Measured are three times: until all nodes
 * know each other after many starts, until all know of a death, and how long a program waits for
 * pages of the dead node. The first two come from the nodes' logs, so measuring costs them nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PageError } from "../../src/client/errors.ts";
import { connect } from "../../src/client/on-bun.ts";
import type { Pool } from "../../src/client/pool.ts";
import { formatKeyFile } from "../../src/security/key-file.ts";
import { makeKey } from "../../src/security/make-key.ts";
import { NodeProcess } from "../processes/node-process.ts";
import { keys, pageOf } from "../processes/process-world.ts";
import type { Bench, Figure } from "./bench.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
/** More processes would only delay each other's start. */
const STARTING_MAX = 8;
const POLL_MS = 10;
const PATIENCE_MS = 120_000;
/** Four times as much as fits the node itself. */
const PAGES = 4000;
const KNOWN_BUDGET_MS = 3000;
const DEAD_BUDGET_MS = 6000;
const REQUEST_BUDGET_MS = 2000;

export const processesBench: Bench = {
  name: "processes",
  about: "Real processes with a key: time to know all, to know of a death, waits for the dead.",
  run: async ({ quick }) => {
    const directory = mkdtempSync(join(tmpdir(), "ramster-bench-"));
    const world = new World(directory);
    try {
      return await measure(world, quick ? 16 : 64);
    } finally {
      await Promise.all(world.nodes.map((node) => node.kill()));
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

class World {
  readonly nodes: NodeProcess[] = [];
  lastStartMs = 0;
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  async start(count: number): Promise<void> {
    const key = await makeKey({ nowMs: Date.now(), days: 1 });
    writeFileSync(join(this.directory, "key"), formatKeyFile(key), { mode: 0o600 });
    await this.startOne("server", 0, []);
    const join0 = [`--join=${this.nodes[0]?.gossip}`];
    for (let from = 1; from < count; from += STARTING_MAX) {
      const batch = Array.from(
        { length: Math.min(STARTING_MAX, count - from) },
        (_, i) => from + i,
      );
      const role = (number: number) => (number === 1 ? "node" : "server");
      await Promise.all(batch.map((number) => this.startOne(role(number), number, join0)));
    }
  }

  private async startOne(role: string, number: number, flags: string[]): Promise<void> {
    const [file, size] = [join(this.directory, "key"), role === "node" ? "4MiB" : "16MiB"];
    const node = new NodeProcess(
      number,
      [
        process.execPath,
        MAIN,
        role,
        `--name=n${number}`,
        `--memory=${size}`,
        "--listen=127.0.0.1:0",
        "--gossip=127.0.0.1:0",
        `--key=${file}`,
        `--client=unix:${join(this.directory, `${number}.sock`)}`,
        ...flags,
      ],
      { verbose: false },
    );
    this.lastStartMs = performance.now();
    this.nodes[number] = node;
    await node.ready();
  }

  /** Waits until each of `nodes` has logged `pattern` `count` times. */
  async logged(nodes: readonly NodeProcess[], pattern: RegExp, count: number): Promise<void> {
    const startMs = performance.now();
    const isThere = ({ stderr }: NodeProcess): boolean => {
      return stderr.filter((line) => pattern.test(line)).length >= count;
    };
    while (!nodes.every(isThere)) {
      if (performance.now() - startMs > PATIENCE_MS) throw new Error(`never logged: ${pattern}`);
      await Bun.sleep(POLL_MS);
    }
  }
}

async function measure(world: World, count: number): Promise<Figure[]> {
  await world.start(count);
  const { nodes } = world;
  await world.logged(nodes, /member ".*" has joined/, count - 1);
  const knownMs = performance.now() - world.lastStartMs;
  const client = await connect((nodes[1] as NodeProcess).client);
  const pool = await client.newPool({ persistent: true });
  const puts = await pool.putMany(keys(PAGES).map((key) => ({ ...key, page: pageOf(key.index) })));
  if (puts.some((put) => !put.stored)) throw new Error("a page was refused");
  const { peers, members } = await client.stats();
  const [fullest] = [...peers].sort((a, b) => b.remote_pages - a.remote_pages);
  const name = members?.find(({ number }) => number === fullest?.node)?.name;
  const victim = nodes.find(({ number }) => `n${number}` === name) as NodeProcess;
  const killedMs = performance.now();
  await victim.kill();
  const rest = nodes.filter((node) => node !== victim);
  const death = new RegExp(`member "n${victim.number}" is dead`);
  const deadMs = world.logged(rest, death, 1).then(() => performance.now() - killedMs);
  const waitMs = await slowestGet(pool);
  const figures = [
    bounded(
      `${count} processes, all know each other after the last start`,
      knownMs,
      KNOWN_BUDGET_MS,
    ),
    bounded(`${count} processes, all know of a kill`, await deadMs, DEAD_BUDGET_MS),
    bounded("slowest get right after the kill", waitMs, REQUEST_BUDGET_MS),
  ];
  await client.close();
  return figures;
}

/** Gets all pages, batch by batch. @returns the longest wait. Gets from the dead node may fail. */
async function slowestGet(pool: Pool): Promise<number> {
  let slowestMs = 0;
  for (let from = 0; from < PAGES; from += 100) {
    const startMs = performance.now();
    await pool.getMany(keys(100, from)).catch((error: unknown) => {
      if (!(error instanceof PageError)) throw error;
    });
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  }
  return slowestMs;
}

function bounded(name: string, value: number, budgetMs: number): Figure {
  return { name, value, unit: "ms", target: `at most ${budgetMs} ms`, pass: value <= budgetMs };
}
