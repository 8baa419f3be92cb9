/**
 * Remote gets and remotify between two processes, an owner and a memory server. The reference is
 * bare Bun sockets that move as many bytes. Both take turns in one run.
 *
 * A get is all of Ramster.get: index, fetch, message, the holder's store, checksum and
 * decompression. The bare echo sends 4 KiB pages. Gets are measured with real pages, and with pages
 * that do not compress.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { formatKeyFile } from "../../src/security/key-file.ts";
import { makeKey } from "../../src/security/make-key.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import { type Bench, type Figure, median } from "./bench.ts";
import { connectBare, measure, spawnServer } from "./channel.ts";
import { Owner, type OwnerOptions } from "./owner.ts";
import { bareBytesPerSecond } from "./sink.ts";

const MIB = 1024 * 1024;

async function getFigures(owner: Owner, what: string, quick: boolean): Promise<Figure[]> {
  const { barePort, end } = await spawnServer();
  const bare = await connectBare(barePort);
  const ours = owner.course();
  const rounds = quick ? 3 : 7;
  const [trips, rates] = [quick ? 1000 : 4000, quick ? 20_000 : 100_000];
  const results: Array<{ bare: { tripUs: number; rate: number }; ours: typeof bareResult }> = [];
  const bareResult = await measure(bare, trips, rates);
  await measure(ours, trips, rates);
  for (let round = 0; round < rounds; round += 1) {
    results.push({
      bare: await measure(bare, trips, rates),
      ours: await measure(ours, trips, rates),
    });
  }
  bare.close();
  await end();
  const of = (value: (result: (typeof results)[number]) => number): number => {
    return median(results.map(value));
  };
  const tripRatio = of((result) => result.ours.tripUs / result.bare.tripUs);
  const rateRatio = of((result) => result.ours.rate / result.bare.rate);
  return [
    {
      name: `remote get, ${what}, p50`,
      value: of((result) => result.ours.tripUs),
      unit: "us",
      reference: { name: "bare echo", value: of((result) => result.bare.tripUs), unit: "us" },
      ratio: tripRatio,
      target: "at most 2.5",
      pass: tripRatio <= 2.5,
    },
    {
      name: `remote gets, ${what}, 64 in flight`,
      value: of((result) => result.ours.rate) / 1000,
      unit: "k/s",
      reference: { name: "bare echo", value: of((result) => result.bare.rate) / 1000, unit: "k/s" },
      ratio: rateRatio,
      target: "at least 0.33",
      pass: rateRatio >= 1 / 3,
    },
  ];
}

async function figuresOf(what: string, pages: Uint8Array, quick: boolean): Promise<Figure[]> {
  const pageCount = quick ? 10_000 : 60_000;
  const moved: number[] = [];
  const bare: number[] = [];
  const rounds = quick ? 2 : 7;
  const owner = await Owner.start(pages, pageCount);
  owner.fill();
  await owner.remotify(); // Warms up the JIT on both sides.
  for (let round = 0; round < rounds; round += 1) {
    await owner.empty();
    owner.fill();
    bare.push(await bareBytesPerSecond(128 * MIB));
    moved.push(await owner.remotify());
  }
  const figures = await getFigures(owner, what, quick);
  await owner.stop();
  const ratio = median(moved.map((value, i) => value / (bare[i] ?? 1)));
  figures.push({
    name: `remotify, ${what}`,
    value: median(moved) / MIB,
    unit: "MiB/s",
    reference: { name: "bare socket", value: median(bare) / MIB, unit: "MiB/s" },
    ratio,
    target: "at least 0.5",
    pass: ratio >= 0.5,
  });
  return figures;
}

/** The cost of TLS: remotify in clear and under TLS take turns. */
async function tlsFigure(pages: Uint8Array, quick: boolean): Promise<Figure> {
  const directory = mkdtempSync(join(tmpdir(), "ramster-bench-"));
  const path = join(directory, "key");
  const key = await makeKey({ nowMs: Date.now(), days: 1 });
  writeFileSync(path, formatKeyFile(key), { mode: 0o600 });
  const options = { key: { path, tls: key.tls } };
  const what = { name: "remotify, real pages, under TLS", atMost: 1.5 };
  const figure = await costFigure(what, pages, options, quick);
  rmSync(directory, { recursive: true });
  return figure;
}

/** The cost of options: remotify without and with them take turns. */
async function costFigure(
  { name, atMost }: { name: string; atMost: number },
  pages: Uint8Array,
  options: OwnerOptions,
  quick: boolean,
): Promise<Figure> {
  const pageCount = quick ? 10_000 : 60_000;
  const owners = [
    await Owner.start(pages, pageCount),
    await Owner.start(pages, pageCount, options),
  ];
  const rates: number[][] = [];
  for (let round = 0; round < (quick ? 3 : 8); round += 1) {
    const rate: number[] = [];
    for (const owner of owners) {
      if (round > 0) await owner.empty();
      owner.fill();
      rate.push(await owner.remotify());
    }
    if (round > 0) rates.push(rate); // The first round only warms up the JIT.
  }
  for (const owner of owners) await owner.stop();
  const of = (i: number): number => median(rates.map((rate) => rate[i] ?? 0));
  const ratio = median(rates.map(([clear = 0, dear = 1]) => clear / dear));
  return {
    name,
    value: of(1) / MIB,
    unit: "MiB/s",
    reference: { name: "in clear", value: of(0) / MIB, unit: "MiB/s" },
    ratio,
    target: `costs at most ${atMost}`,
    pass: ratio <= atMost,
  };
}

export const remoteBench: Bench = {
  name: "remote",
  about: "An owner and a server in two processes: remote gets and remotify from end to end.",
  async run({ quick }): Promise<Figure[]> {
    const real = Buffer.concat(loadPages(REAL_CLASSES).map(({ pages }) => pages));
    const noise = new Uint8Array(64 * PAGE_BYTES);
    const random = new SeededRandom(1);
    for (let at = 0; at < noise.byteLength; at += 1) noise[at] = random.u32();
    return [
      ...(await figuresOf("real pages", real, quick)),
      ...(await figuresOf("whole pages", noise, quick)),
      await tlsFigure(real, quick),
      await costFigure(
        { name: "remotify, real pages, sealed", atMost: 2 },
        real,
        { seal: true },
        quick,
      ),
    ];
  },
};
