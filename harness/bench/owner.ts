/**
 * Owner: a node in this process that sends all its pages to servers in other processes. A single
 * server is the configured target. Several find each other by gossip. Each is in its own zone,
 * because they share a machine.
 */
import { openCodecs } from "../../src/cli/codecs.ts";
import { assert } from "../../src/core/assert.ts";
import { Handle } from "../../src/core/handle.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { STATUS, type Status } from "../../src/core/status.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { parseAddress, type TcpAddress } from "../../src/net/address.ts";
import { BunClock, BunRandom, BunTransport } from "../../src/net/bun.ts";
import { secured } from "../../src/net/secured.ts";
import type { TlsMaterial } from "../../src/net/transport.ts";
import { nodeConfig } from "../../src/node/config.ts";
import { openMembership } from "../../src/node/membership.ts";
import { Node } from "../../src/node/node.ts";
import type { RamsterReport } from "../../src/ramster/counters.ts";
import type { Target } from "../../src/ramster/holders/lenders.ts";
import type { GetSink } from "../../src/ramster/repatriate/waiters.ts";
import { NodeProcess } from "../processes/node-process.ts";
import { type Course, drive } from "./channel.ts";

/** Gets in flight at most. */
export const DEPTH = 64;
const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

export interface OwnerOptions {
  /** A key file and its content, for links under TLS. Null: links in clear. */
  key?: { path: string; tls: TlsMaterial } | null;
  seal?: boolean;
  /** How many servers. 1 by default. */
  servers?: number;
  replicas?: number;
}

export class Owner implements GetSink {
  readonly node: Node;
  readonly pageCount: number;
  readonly servers: readonly NodeProcess[];
  onPages: (count: number) => void = () => {};
  private readonly pool: number;
  private readonly handle = new Handle();
  private readonly pages: Uint8Array;
  private readonly targets = Array.from({ length: DEPTH }, () => new Uint8Array(PAGE_BYTES));
  private readonly random = new SeededRandom(1);
  private getCount = 0;

  private constructor(
    node: Node,
    servers: readonly NodeProcess[],
    pages: Uint8Array,
    pageCount: number,
  ) {
    this.node = node;
    this.servers = servers;
    this.pages = pages;
    this.pageCount = pageCount;
    const pool = node.ramster.newPool({ persistent: true, storeWhole: true });
    assert(pool !== null);
    this.pool = pool.id;
  }

  static async start(
    pages: Uint8Array,
    pageCount: number,
    options: OwnerOptions = {},
  ): Promise<Owner> {
    const { key = null, seal = false, servers: count = 1, replicas = 1 } = options;
    const servers = await startServers(pageCount * PAGE_BYTES * 1.1, count, key?.path ?? null);
    const address = parseAddress(servers[0]?.listen ?? "") as TcpAddress;
    const gossip: TcpAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };
    const many = count > 1;
    const seeds = many ? [parseAddress(servers[0]?.gossip ?? "") as TcpAddress] : [];
    const config = nodeConfig({
      number: count,
      name: "owner",
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
      ...(many ? { gossip, seeds, replicas } : { peers: [{ number: 0, address }] }),
      memoryBytes: Math.ceil((pageCount * 1.1 * PAGE_BYTES) / FRAME_BYTES) * FRAME_BYTES,
      highMarkPercent: 1,
      lowMarkPercent: 0,
      selfshrink: false,
      target: null,
      seal,
    });
    const transport = new BunTransport();
    const env = {
      clock: new BunClock(),
      transport: key === null ? transport : secured(transport, key.tls),
      random: new BunRandom(),
      memory: openMemory(),
      hostMemory: { read: () => null, process: () => ({}) },
      disk: null,
      log: new Log(() => {}),
    };
    const membership = openMembership({ ...env, transport, keyring: null }, config);
    await membership?.start();
    const codecs = await openCodecs(env, config);
    const node = new Node(env, config, codecs, membership);
    await node.start();
    return new Owner(node, servers, pages, pageCount);
  }

  fill(): void {
    const count = this.pages.byteLength / PAGE_BYTES;
    for (let number = 0; number < this.pageCount; number += 1) {
      const at = (number % count) * PAGE_BYTES;
      const status = this.node.ramster.put(this.name(number), this.pages, at);
      assert(status === STATUS.OK);
    }
  }

  /** Flushes all pages, here and at the servers. */
  async empty(): Promise<void> {
    const { ramster } = this.node;
    ramster.setTarget(null);
    ramster.flushPool(this.pool, { destroy: false });
    while (this.counter("flnodes") > 0) await Bun.sleep(1);
  }

  /** Sends all pages away. @returns bytes of zpages a second; further copies do not count. */
  async remotify(): Promise<number> {
    const { ramster, links } = this.node;
    const target: Target = this.servers.length === 1 ? 0 : "auto";
    ramster.setTarget(target);
    const isUp = (server: NodeProcess): boolean => links.channelOf(server.number) !== null;
    while (!this.servers.every(isUp)) {
      for (const { number } of this.servers) links.want(number);
      await Bun.sleep(1);
    }
    const started = performance.now();
    const before = ramster.counters.remoted_zbytes;
    while (ramster.zcache.placement.counters.zpages[1] > 0) await Bun.sleep(1);
    const seconds = (performance.now() - started) / 1000;
    return (ramster.counters.remoted_zbytes - before) / seconds;
  }

  counter(name: keyof RamsterReport): number {
    return this.node.ramster.snapshot()[name];
  }

  /** Over all links so far. */
  get bytesSent(): number {
    const peers = this.node.links.peers();
    return peers.reduce((sum, { counters }) => sum + counters.bytes_sent, 0);
  }

  /** Gets random pages. They stay away, because a low mark of 0 leaves no room at home. */
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
    for (const server of this.servers) await server.kill();
  }

  private ask(): void {
    const number = this.random.u32() % this.pageCount;
    const slot = this.getCount % DEPTH;
    this.getCount += 1;
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

async function startServers(
  lendBytes: number,
  count: number,
  keyPath: string | null,
): Promise<NodeProcess[]> {
  const servers: NodeProcess[] = [];
  for (let number = 0; number < count; number += 1) {
    const argv = [
      process.execPath,
      MAIN,
      "server",
      `--number=${number}`,
      `--name=bench${number}`,
      "--listen=127.0.0.1:0",
      `--memory=${Math.ceil(lendBytes)}`,
      `--zone=zone${number}`,
      count > 1 ? "--gossip=127.0.0.1:0" : "--gossip=none",
      "--client=tcp:127.0.0.1:0",
      ...(number > 0 ? [`--join=${servers[0]?.gossip}`] : []),
      ...(keyPath === null ? [] : [`--key=${keyPath}`]),
    ];
    const server = new NodeProcess(number, argv, { verbose: false });
    servers.push(server);
    await server.ready();
  }
  return servers;
}
