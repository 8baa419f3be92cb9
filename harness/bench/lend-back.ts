/**
 * A lender whose machine needs memory. The processes are real and use a key, and each page has two
 * copies. A server holds some 450 MiB of a node's pages. Then its reserve is raised so that 256 MiB
 * of them must go. Measured are three things: the time until its resident memory is that much
 * lower, the time that programs wait for pages meanwhile, and whether all pages are right
 * afterwards.
 *
 * The other lenders are on this machine too, and take the pages. So the machine has no more memory
 * than before. The reserve is set back as soon as the time is taken.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../../src/client/client.ts";
import { connect } from "../../src/client/on-bun.ts";
import type { Pool } from "../../src/client/pool.ts";
import { formatKeyFile } from "../../src/security/key-file.ts";
import { makeKey } from "../../src/security/make-key.ts";
import { memoryOf, NodeProcess } from "../processes/node-process.ts";
import { isPage, keys, pageOf } from "../processes/process-world.ts";
import type { Bench, Figure } from "./bench.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const MIB = 1024 * 1024;
const BACK_BYTES = 256 * MIB;
const BACK_BUDGET_MS = 3000;
/** Pages of the owner. The server holds two thirds of their copies. */
const PAGES = 350_000;
const BATCH = 256;
const LANES = 4;
const LOOK_MS = 5;
const PATIENCE_MS = 30_000;
const READS_BEFORE = 3000;

export const lendBackBench: Bench = {
  name: "lend-back",
  about: "A server gives 256 MiB back to its machine: time, reads meanwhile, pages lost.",
  run: async () => {
    const directory = mkdtempSync(join(tmpdir(), "ramster-bench-"));
    const nodes: NodeProcess[] = [];
    try {
      return await measure(directory, nodes);
    } finally {
      await Promise.all(nodes.map((node) => node.kill()));
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function measure(directory: string, nodes: NodeProcess[]): Promise<Figure[]> {
  const keyPath = join(directory, "key");
  writeFileSync(keyPath, formatKeyFile(await makeKey({ nowMs: Date.now(), days: 1 })), {
    mode: 0o600,
  });
  const clients: Client[] = [];
  for (const [number, role] of ["server", "server", "server", "node"].entries()) {
    const flags = [
      process.execPath,
      MAIN,
      role,
      `--name=n${number}`,
      `--zone=z${number}`,
      "--reserve=0",
      "--listen=127.0.0.1:0",
      "--gossip=127.0.0.1:0",
      "--network=local",
      `--key=${keyPath}`,
      `--client=unix:${join(directory, `${number}.sock`)}`,
      ...(role === "node" ? ["--memory=16MiB", "--selfshrink=off"] : ["--memory=1GiB"]),
      ...(number === 0 ? [] : [`--join=${nodes[0]?.gossip}`]),
    ];
    const node = new NodeProcess(number, flags, { verbose: false });
    nodes.push(node);
    await node.ready();
    clients.push(await connect(node.client));
  }
  const [short, , , owner] = clients as [Client, Client, Client, Client];
  await until(async () => (await owner.stats()).peers.length === 3);
  const pool = await owner.newPool({ persistent: true, storeWhole: true });
  await inLanes((from) => putBatch(pool, from));
  await until(async () => ((await owner.stats()).counters.frames_in_flight ?? 0) === 0);
  const { pid } = nodes[0] as NodeProcess;
  const startBytes = memoryOf(pid).residentBytes;
  const before = await readsUntil(pool, READS_BEFORE, () => false);
  const { counters } = await short.stats();
  const startMs = performance.now();
  await short.setKnob("reserve", String((counters.machine_available_bytes ?? 0) + BACK_BYTES));
  let ms = 0;
  const timer = setInterval(() => {
    const now = performance.now() - startMs;
    if (startBytes - memoryOf(pid).residentBytes < BACK_BYTES && now < PATIENCE_MS) return;
    clearInterval(timer);
    ms = now;
  }, LOOK_MS);
  const meanwhile = await readsUntil(pool, Number.POSITIVE_INFINITY, () => ms > 0);
  await short.setKnob("reserve", "0");
  let right = 0;
  await inLanes(async (from) => {
    const count = await countRight(pool, from);
    right += count;
  });
  const after = (await owner.stats()).counters;
  const lost = (after.remote_pers_pages_lost ?? 0) + PAGES - right;
  for (const client of clients) await client.close();
  const foreignMib = ((counters.foreign_frames_used ?? 0) * 4096) / MIB;
  return [
    { name: "resident memory of the server", value: startBytes / MIB, unit: "MiB" },
    { name: "of which frames of others", value: foreignMib, unit: "MiB" },
    {
      name: "256 MiB are given back",
      value: ms / 1000,
      unit: "s",
      target: `at most ${BACK_BUDGET_MS / 1000} s`,
      pass: ms <= BACK_BUDGET_MS,
    },
    {
      name: "pages wrong or lost",
      value: lost,
      unit: `of ${PAGES}`,
      target: "0",
      pass: lost === 0,
    },
    {
      name: "slowest read of 100 meanwhile",
      value: p99(meanwhile),
      unit: "ms",
      reference: { name: "before", value: p99(before), unit: "ms" },
      ratio: p99(meanwhile) / p99(before),
    },
  ];
}

async function inLanes(work: (from: number) => Promise<void>): Promise<void> {
  const lane = async (first: number): Promise<void> => {
    for (let from = first; from < PAGES; from += LANES * BATCH) await work(from);
  };
  await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i * BATCH)));
}

function batchAt(from: number) {
  return keys(Math.min(BATCH, PAGES - from), from);
}

/** Puts pages again that were refused, until all are stored. */
async function putBatch(pool: Pool, from: number): Promise<void> {
  let left = batchAt(from).map((key) => ({ ...key, page: pageOf(key.index) }));
  while (left.length > 0) {
    const puts = await pool.putMany(left);
    left = left.filter((_, i) => puts[i]?.stored !== true);
  }
}

async function countRight(pool: Pool, from: number): Promise<number> {
  const batch = batchAt(from);
  const pages = await pool.getMany(batch);
  return pages.filter((page, i) => isPage(page, batch[i]?.index ?? -1)).length;
}

/** Reads single pages, one after the other. @returns how many ms each took. */
async function readsUntil(pool: Pool, count: number, isOver: () => boolean): Promise<number[]> {
  const took: number[] = [];
  while (took.length < count && !isOver()) {
    const index = (took.length * 7919) % PAGES;
    const startMs = performance.now();
    const [page] = await pool.getMany([{ oid: keys(1)[0]?.oid ?? [0n, 0n, 0n], index }]);
    took.push(performance.now() - startMs);
    if (!isPage(page ?? null, index)) throw new Error(`page ${index} is wrong`);
  }
  return took;
}

function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 0;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startMs > PATIENCE_MS)
      throw new Error(`no such state within ${PATIENCE_MS} ms`);
    await Bun.sleep(LOOK_MS);
  }
}
