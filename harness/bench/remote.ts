/**
 * Remote gets and remotify between two processes: an owner here, a memory server there, against
 * bare Bun sockets that move as much, in turns in one run.
 *
 * A get is Ramster.get with everything behind it: index, fetch, message, the holder's store,
 * checksum, decompression into place. The bare echo carries 4 KiB pages; ours are real pages, and,
 * apart, pages that travel whole.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../../src/core/assert.ts";
import { Handle } from "../../src/core/handle.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { STATUS, type Status } from "../../src/core/status.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { parseAddress } from "../../src/net/address.ts";
import { BunClock, BunRandom, BunTransport } from "../../src/net/bun.ts";
import { secured } from "../../src/net/secured.ts";
import type { TlsMaterial } from "../../src/net/transport.ts";
import { nodeConfig } from "../../src/node/config.ts";
import { Node } from "../../src/node/node.ts";
import type { GetSink } from "../../src/ramster/waiters.ts";
import { formatKeyFile } from "../../src/security/key-file.ts";
import { makeKey } from "../../src/security/make-key.ts";
import { NodeProcess } from "../node-process.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import { type Bench, type Figure, median } from "./bench.ts";
import { type Course, connectBare, drive, measure, spawnServer } from "./channel.ts";
import { bareBytesPerSecond } from "./sink.ts";

const DEPTH = 64;
const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const MIB = 1024 * 1024;

/** An owner in this process whose pages all go to a server in another. */
class Owner implements GetSink {
  readonly node: Node;
  readonly pageCount: number;
  onPages: (count: number) => void = () => {};
  private readonly server: NodeProcess;
  private readonly pool: number;
  private readonly handle = new Handle();
  private readonly pages: Uint8Array;
  private readonly targets = Array.from({ length: DEPTH }, () => new Uint8Array(PAGE_BYTES));
  private readonly random = new SeededRandom(1);
  private asked = 0;

  constructor(node: Node, server: NodeProcess, pages: Uint8Array, pageCount: number) {
    this.node = node;
    this.server = server;
    this.pages = pages;
    this.pageCount = pageCount;
    const pool = node.ramster.newPool({ persistent: true, storeWhole: true });
    assert(pool !== null);
    this.pool = pool.id;
  }

  /** `key`: the file of a key and what is in it, for a link under TLS; null: in clear. */
  static async start(
    pages: Uint8Array,
    pageCount: number,
    key: { path: string; tls: TlsMaterial } | null = null,
  ): Promise<Owner> {
    const lendBytes = pageCount * PAGE_BYTES * 1.1;
    const program = [process.execPath, MAIN, "server", "--number=0", "--name=bench"];
    const flags = ["--listen=127.0.0.1:0", "--gossip=none", `--memory=${Math.ceil(lendBytes)}`];
    if (key !== null) flags.push(`--key=${key.path}`);
    const client = "--client=tcp:127.0.0.1:0";
    const transport = new BunTransport();
    const server = new NodeProcess(0, [...program, ...flags, client], { verbose: false });
    await server.ready();
    const address = parseAddress(server.listen);
    assert(address.kind === "tcp");
    const config = nodeConfig({
      number: 1,
      name: "owner",
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
      peers: [{ number: 0, address }],
      memoryBytes: Math.ceil((pageCount * 1.1 * PAGE_BYTES) / FRAME_BYTES) * FRAME_BYTES,
      highMarkPercent: 1,
      lowMarkPercent: 0,
      selfshrink: false,
    });
    const env = {
      clock: new BunClock(),
      transport: key === null ? transport : secured(transport, key.tls),
      random: new BunRandom(),
      memory: openMemory(),
      disk: null,
      log: new Log(() => {}),
    };
    const node = await Node.create(env, config);
    await node.start();
    return new Owner(node, server, pages, pageCount);
  }

  fill(): void {
    const count = this.pages.byteLength / PAGE_BYTES;
    for (let number = 0; number < this.pageCount; number += 1) {
      const at = (number % count) * PAGE_BYTES;
      const status = this.node.ramster.put(this.name(number), this.pages, at);
      assert(status === STATUS.OK);
    }
  }

  /** Takes everything back: from the index here, and from the server. */
  async empty(): Promise<void> {
    const { ramster } = this.node;
    ramster.setTarget(null);
    ramster.flushPool(this.pool, { destroy: false });
    while (ramster.owedCount(0) > 0) await Bun.sleep(1);
  }

  /** Sends everything away. @returns bytes of zpages a second. */
  async remotify(): Promise<number> {
    const { ramster } = this.node;
    ramster.setTarget(0);
    while (this.node.links.channelOf(0) === null) await Bun.sleep(1);
    const started = performance.now();
    const before = ramster.counters.remoted_zbytes;
    while (ramster.zcache.zbud.counters.zpages[1] > 0) await Bun.sleep(1);
    const seconds = (performance.now() - started) / 1000;
    return (ramster.counters.remoted_zbytes - before) / seconds;
  }

  /** Gets of random pages. They stay away: there is no room below a low mark of nothing. */
  course(): Course {
    const ask = (count: number): void => {
      for (let i = 0; i < count; i += 1) this.ask();
    };
    return {
      run: (total, depth, trips) => {
        return drive(total, depth, trips, ask, (listener) => {
          this.onPages = listener;
        });
      },
      close: () => {},
    };
  }

  onGet(_token: number, status: Status): void {
    assert(status === STATUS.OK, "a get of the bench failed");
    this.onPages(1);
  }

  async stop(): Promise<void> {
    await this.node.stop();
    await this.server.stop();
  }

  private ask(): void {
    const number = this.random.u32() % this.pageCount;
    const slot = this.asked % DEPTH;
    this.asked += 1;
    const target = this.targets[slot];
    assert(target !== undefined);
    const { ramster } = this.node;
    const status = ramster.get(this.name(number), 0, target, 0, this, slot);
    if (status !== STATUS.PENDING) queueMicrotask(() => this.onGet(slot, status));
  }

  private name(number: number): Handle {
    this.handle.pool = this.pool;
    this.handle.oid0lo = number & 0xff;
    this.handle.index = number >>> 8;
    return this.handle;
  }
}

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
  await owner.remotify(); // Compiles what is hot, on both sides.
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

/** What the key costs: remotify in clear and under TLS, in turns. */
async function tlsFigure(pages: Uint8Array, quick: boolean): Promise<Figure> {
  const directory = mkdtempSync(join(tmpdir(), "ramster-bench-"));
  const path = join(directory, "key");
  const key = await makeKey({ nowMs: Date.now(), days: 1 });
  writeFileSync(path, formatKeyFile(key), { mode: 0o600 });
  const pageCount = quick ? 10_000 : 60_000;
  const owners = [
    await Owner.start(pages, pageCount),
    await Owner.start(pages, pageCount, { path, tls: key.tls }),
  ];
  const rates: number[][] = [];
  for (let round = 0; round < (quick ? 3 : 8); round += 1) {
    const rate: number[] = [];
    for (const owner of owners) {
      if (round > 0) await owner.empty();
      owner.fill();
      rate.push(await owner.remotify());
    }
    if (round > 0) rates.push(rate); // The first one compiles what is hot.
  }
  for (const owner of owners) await owner.stop();
  rmSync(directory, { recursive: true });
  const of = (i: number): number => median(rates.map((rate) => rate[i] ?? 0));
  const ratio = median(rates.map(([clear = 0, sealed = 1]) => clear / sealed));
  return {
    name: "remotify, real pages, under TLS",
    value: of(1) / MIB,
    unit: "MiB/s",
    reference: { name: "in clear", value: of(0) / MIB, unit: "MiB/s" },
    ratio,
    target: "costs at most 1.5",
    pass: ratio <= 1.5,
  };
}

export const remoteBench: Bench = {
  name: "remote",
  about: "An owner and a server, two processes: remote gets and remotify with all that they do.",
  async run({ quick }): Promise<Figure[]> {
    const real = Buffer.concat(loadPages(REAL_CLASSES).map(({ pages }) => pages));
    const noise = new Uint8Array(64 * PAGE_BYTES);
    const random = new SeededRandom(1);
    for (let at = 0; at < noise.byteLength; at += 1) noise[at] = random.u32();
    return [
      ...(await figuresOf("real pages", real, quick)),
      ...(await figuresOf("whole pages", noise, quick)),
      await tlsFigure(real, quick),
    ];
  },
};
