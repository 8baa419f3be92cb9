/**
 * The cost of copies, and the speed of repair: an owner in this process, servers in others.
 *
 * Copies: remotify with two copies is compared with remotify with one. They take turns.
 *
 * Repair starts when one of three servers is killed. The rate at which pages get another copy is
 * compared with the rate of remotify before. Reads during repair are compared with reads just
 * before it. All processes share the cores of one machine.
 */
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import { type Bench, type Figure, median } from "./bench.ts";
import { Owner } from "./owner.ts";

const MIB = 1024 * 1024;
const POLL_MS = 1;
/** The pause between two reads, which are to measure the owner and not to load it. */
const READ_EVERY_MS = 2;
const READS = 1000;

export const copiesBench: Bench = {
  name: "copies",
  about: "An owner and servers: the cost of a second copy, and the rate of repair.",
  async run({ quick }): Promise<Figure[]> {
    const pages = Buffer.concat(loadPages(REAL_CLASSES).map((it) => it.pages));
    return [...(await replicationFigures(pages, quick)), ...(await repairFigures(pages, quick))];
  },
};

async function replicationFigures(pages: Uint8Array, quick: boolean): Promise<Figure[]> {
  const pageCount = quick ? 10_000 : 60_000;
  const owners = [
    await Owner.start(pages, pageCount, { servers: 2, replicas: 1 }),
    await Owner.start(pages, pageCount, { servers: 2, replicas: 2 }),
  ];
  const rates: number[][] = [];
  const bytes: number[][] = [];
  for (let round = 0; round < (quick ? 3 : 8); round += 1) {
    const rate: number[] = [];
    const sent: number[] = [];
    for (const owner of owners) {
      if (round > 0) await owner.empty();
      owner.fill();
      const before = owner.bytesSent;
      rate.push(await owner.remotify());
      sent.push(owner.bytesSent - before);
    }
    if (round > 0) rates.push(rate); // The first round only warms up the JIT.
    if (round > 0) bytes.push(sent);
  }
  for (const owner of owners) await owner.stop();
  const of = (values: number[][], i: number): number => median(values.map((it) => it[i] ?? 0));
  const time = median(rates.map(([one = 0, two = 1]) => one / two));
  const size = median(bytes.map(([one = 1, two = 0]) => two / one));
  return [
    {
      name: "remotify with two copies",
      value: of(rates, 1) / MIB,
      unit: "MiB/s",
      reference: { name: "one copy", value: of(rates, 0) / MIB, unit: "MiB/s" },
      ratio: time,
      target: "takes at most 1.5 times as long",
      pass: time <= 1.5,
    },
    {
      name: "bytes sent for two copies",
      value: of(bytes, 1) / MIB,
      unit: "MiB",
      reference: { name: "one copy", value: of(bytes, 0) / MIB, unit: "MiB" },
      ratio: size,
      target: "at most 2.2",
      pass: size <= 2.2,
    },
  ];
}

async function repairFigures(pages: Uint8Array, quick: boolean): Promise<Figure[]> {
  const pageCount = (quick ? 64 * MIB : 1024 * MIB) / PAGE_BYTES;
  const owner = await Owner.start(pages, pageCount, { servers: 3, replicas: 2 });
  for (let round = 0; round < 2; round += 1) {
    owner.fill();
    await owner.remotify();
    await owner.empty();
  }
  owner.fill();
  const leftMs = performance.now();
  await owner.remotify();
  const remotified = pageCount / ((performance.now() - leftMs) / 1000);
  await readUs(owner, () => false);
  const before = await readUs(owner, () => false);
  await owner.servers[2]?.kill();
  // Repair begins once the server is known to be dead.
  while (owner.counter("pages_at_risk") === 0) await Bun.sleep(POLL_MS);
  const copied = owner.counter("copies_repaired");
  const startMs = performance.now();
  const isDone = (): boolean => owner.counter("pages_at_risk") === 0;
  const meanwhile = await readUs(owner, isDone);
  while (!isDone()) await Bun.sleep(POLL_MS);
  const seconds = (performance.now() - startMs) / 1000;
  const repaired = (owner.counter("copies_repaired") - copied) / seconds;
  await owner.stop();
  const slower = p99(meanwhile) / p99(before);
  return [
    {
      name: "pages repaired",
      value: repaired / 1000,
      unit: "k/s",
      reference: { name: "remotified", value: remotified / 1000, unit: "k/s" },
      ratio: repaired / remotified,
      target: "at least 0.5",
      pass: repaired / remotified >= 0.5,
    },
    {
      name: "read during repair, p99",
      value: p99(meanwhile),
      unit: "us",
      reference: { name: "before", value: p99(before), unit: "us" },
      ratio: slower,
      target: "at most 2",
      pass: slower <= 2,
    },
  ];
}

/** Reads single pages with pauses, until `isDone`. @returns how long each read took. */
async function readUs(owner: Owner, isDone: () => boolean): Promise<number[]> {
  const course = owner.course();
  const times: number[] = [];
  while (times.length < READS && !isDone()) {
    const startMs = performance.now();
    await course.run(1, 1, null);
    times.push((performance.now() - startMs) * 1000);
    await Bun.sleep(READ_EVERY_MS);
  }
  return times;
}

function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}
