/**
 * Nodes that consist of their Links only, on a simulated network: for tests of src/net/links.ts.
 */
import { assert } from "../../src/core/assert.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import type { LogLevel } from "../../src/core/log-line.ts";
import { NodeNames } from "../../src/core/node-names.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import type { Address } from "../../src/net/address.ts";
import { type Channel, LANE } from "../../src/net/channel.ts";
import { type LinkHandler, Links, type LinksSettings } from "../../src/net/links.ts";
import type { Frame } from "../../src/wire/framer.ts";
import { encodeHello, HELLO_BYTES_MAX, type Hello, ROLE } from "../../src/wire/handshake.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { frameBytes, Outcomes } from "./channel-pair.ts";
import { SimClock } from "./clock.ts";
import { type NetworkSettings, SimNetwork } from "./network.ts";

const FLUSH_ENTRY_BYTES = 48;

export function addressOf(node: number): Address {
  return { kind: "tcp", host: `host${node}`, port: 7777 };
}

export interface NodeOptions {
  bootId?: bigint;
  clusterName?: string;
  settings?: Partial<LinksSettings>;
}

export class LinksNode implements LinkHandler {
  readonly number: number;
  readonly links: Links;
  /** "up 2/7" (node, boot id) and "down 2: reason", in order. */
  readonly log: string[] = [];
  readonly notices: string[] = [];
  /** Requests received, by node. */
  readonly requests: number[] = [];
  readonly outcomes = new Outcomes();
  answers = true;
  private requestCount = 0;

  constructor(world: LinksWorld, number: number, options: NodeOptions) {
    this.number = number;
    const env = {
      clock: world.clock,
      transport: world.network.transport(`host${number}`),
      random: world.random,
      memory: new HeapMemory(),
      names: new NodeNames(),
    };
    const { bootId = BigInt(100 + number), clusterName = "test" } = options;
    const identity = { node: number, bootId, clusterName, nodeName: `n${number}`, codecs: 3 };
    this.links = new Links(env, identity, options.settings ?? {}, this);
  }

  onLinkUp(node: number, bootId: bigint, channel: Channel): void {
    assert(this.links.channelOf(node) === channel);
    this.log.push(`up ${node}/${bootId}`);
  }

  onLinkDown(node: number, reason: string): void {
    assert(this.links.channelOf(node) === null);
    this.log.push(`down ${node}: ${reason}`);
  }

  onRequest(node: number, channel: Channel, frame: Frame): void {
    this.requests.push(node);
    if (!this.answers || !channel.begin(LANE.URGENT, frame.count)) return;
    channel.bytes.fill(0, channel.at, channel.at + frame.count);
    channel.commitReply(frame.type, frame.request, 0, frame.count, frame.count);
  }

  onNotice(level: LogLevel, line: string): void {
    if (level === "debug") return;
    this.notices.push(line);
  }

  isUp(node: number): boolean {
    return this.links.channelOf(node) !== null;
  }

  /** Sends a request to a peer. @returns the context of its outcome. */
  ask(node: number): number {
    const channel = this.links.channelOf(node);
    assert(channel !== null);
    assert(channel.begin(LANE.BULK, FLUSH_ENTRY_BYTES));
    channel.bytes.fill(0, channel.at, channel.at + FLUSH_ENTRY_BYTES);
    this.requestCount += 1;
    const { outcomes, requestCount } = this;
    channel.commitRequest(MESSAGE.FLUSH, 1, FLUSH_ENTRY_BYTES, outcomes, requestCount, 10_000);
    return requestCount;
  }

  /** State and counters of a peer. */
  peer(node: number): ReturnType<Links["peers"]>[number] {
    const report = this.links.peers().find((peer) => peer.node === node);
    assert(report !== undefined);
    return report;
  }
}

export class LinksWorld {
  readonly clock = new SimClock();
  readonly network: SimNetwork;
  readonly random: SeededRandom;
  readonly nodes = new Map<number, LinksNode>();

  constructor(seed: number, settings: Partial<NetworkSettings> = {}) {
    this.random = new SeededRandom(seed);
    this.network = new SimNetwork(this.clock, this.random, settings);
  }

  /** Starts a node that knows `peers`. */
  async start(number: number, peers: number[], options: NodeOptions = {}): Promise<LinksNode> {
    const node = new LinksNode(this, number, options);
    for (const peer of peers) node.links.setPeer(peer, addressOf(peer));
    await node.links.listen(addressOf(number));
    this.nodes.set(number, node);
    return node;
  }

  run(forMs: number): void {
    this.clock.run(this.clock.now() + forMs);
  }

  until(condition: () => boolean, withinMs = 60_000): void {
    assert(this.clock.runUntil(condition, withinMs), "it never happened");
  }

  /** Stops every node and checks that nothing is left behind. */
  async stop(): Promise<void> {
    const stopped = [...this.nodes.values()].map((node) => node.links.stop());
    this.run(5000);
    await Promise.all(stopped);
    assert(this.network.streams.size === 0, "a stream is left");
    assert(this.network.listenerCount === 0, "a listener is left");
    this.run(this.network.settings.connectTimeoutMs); // Timers of the network itself.
    assert(this.clock.pendingCount === 0, "a timer is left");
  }
}

/** The HELLO of a raw peer: node 2, unless `changes` override that. */
export function helloBytes(changes: Partial<Hello> = {}, request = 1): Uint8Array {
  const hello: Hello = {
    role: ROLE.PEER,
    pageBytes: PAGE_BYTES,
    node: 2,
    bootId: 102n,
    features: 0,
    codecs: 3,
    keepaliveMs: 2000,
    idleMs: 30_000,
    clusterName: "test",
    nodeName: "bare",
    ...changes,
  };
  const body = new Uint8Array(HELLO_BYTES_MAX);
  const bodyBytes = encodeHello(hello, new DataView(body.buffer), 0);
  return frameBytes({ type: MESSAGE.HELLO, request, body: body.slice(0, bodyBytes) });
}
