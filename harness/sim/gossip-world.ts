/**
 * GossipWorld: members of one cluster under virtual time, without pages: many members, and the
 * faults that tests may inject.
 */
import { Cluster, type Member } from "../../src/cluster/cluster.ts";
import { type ClusterSettings, LAN } from "../../src/cluster/settings.ts";
import { assert } from "../../src/core/assert.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { Keyring } from "../../src/gossip/keyring.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import { SimClock } from "./clock.ts";
import { type NetworkSettings, SimNetwork } from "./network.ts";
import { ProcessClock } from "./process-clock.ts";

export const GOSSIP_PORT = 7946;

export class GossipNode {
  readonly name: string;
  readonly host: string;
  readonly address: TcpAddress;
  /** Events in order: "join n3", "leave n3 dead", ... */
  readonly events: string[] = [];
  readonly notices: string[] = [];
  readonly conflicts: string[] = [];
  cluster: Cluster;
  readonly pauses: ProcessClock;
  private readonly world: GossipWorld;
  private readonly keys: readonly Uint8Array[];
  private boots = 0;

  constructor(
    world: GossipWorld,
    number: number,
    name = `n${number}`,
    keys: readonly Uint8Array[] = world.keys,
  ) {
    this.world = world;
    this.name = name;
    this.keys = keys;
    this.host = `10.0.${number >> 8}.${number & 255}`;
    this.address = { kind: "tcp", host: this.host, port: GOSSIP_PORT };
    this.pauses = new ProcessClock(world.clock);
    this.cluster = this.make();
  }

  async start(seeds: readonly GossipNode[] = []): Promise<void> {
    await this.cluster.start();
    if (seeds.length === 0) return;
    await this.world.wait(this.cluster.join(seeds.map((seed) => seed.address)));
  }

  crash(): void {
    this.world.network.crash(this.host);
    void this.cluster.stop();
  }

  /** Starts again after a crash or a stop, with empty state. */
  async restart(seeds: readonly GossipNode[]): Promise<void> {
    this.world.network.boot(this.host);
    this.cluster = this.make();
    await this.start(seeds);
  }

  member(name: string): Member | null {
    return this.cluster.members().find((member) => member.name === name) ?? null;
  }

  /** Names of the members that it takes for alive. */
  alive(): string[] {
    const alive = this.cluster.members().filter((member) => member.state === "alive");
    return alive.map((member) => member.name).sort();
  }

  private make(): Cluster {
    const { keys } = this;
    const { network, random, settings, tags } = this.world;
    this.boots += 1;
    const transport = this.pauses.transport(network.transport(this.host));
    const env = { clock: this.pauses, random, transport };
    return new Cluster(
      env,
      { ...settings, bind: this.address },
      { name: this.name, tags: { ...tags, boot: String(this.boots) } },
      {
        onJoin: (member) => void this.events.push(`join ${member.name}`),
        onUpdate: (member) => void this.events.push(`update ${member.name}`),
        onLeave: (member, how) => void this.events.push(`leave ${member.name} ${how}`),
        onNotice: (level, line) => {
          if (level !== "debug") this.notices.push(line);
        },
        onConflict: (reason) => void this.conflicts.push(reason),
      },
      keys.length === 0 ? null : new Keyring(keys, random),
    );
  }
}

export class GossipWorld {
  readonly clock = new SimClock();
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly settings: ClusterSettings;
  readonly keys: readonly Uint8Array[];
  /** The tags of each member, beside its boot id. */
  readonly tags: Readonly<Record<string, string>>;
  readonly nodes: GossipNode[] = [];

  constructor(
    options: {
      seed?: number;
      network?: Partial<NetworkSettings>;
      settings?: Partial<ClusterSettings>;
      keys?: readonly Uint8Array[];
      tags?: Readonly<Record<string, string>>;
    } = {},
  ) {
    this.random = new SeededRandom(options.seed ?? 1);
    this.network = new SimNetwork(this.clock, this.random, options.network);
    const bind: TcpAddress = { kind: "tcp", host: "10.0.0.0", port: GOSSIP_PORT };
    this.settings = { ...LAN, bind, advertise: null, label: "", ...options.settings };
    this.keys = options.keys ?? [];
    this.tags = options.tags ?? {};
  }

  /** Starts `count` more nodes; all but the very first join through that one. */
  async grow(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const node = new GossipNode(this, this.nodes.length);
      this.nodes.push(node);
      await node.start(this.nodes.slice(0, 1).filter((seed) => seed !== node));
    }
  }

  /** A node with other keys, outside this world's cluster; not started. */
  stranger(number: number, keys: readonly Uint8Array[]): GossipNode {
    return new GossipNode(this, number, `stranger${number}`, keys);
  }

  node(number: number): GossipNode {
    const node = this.nodes[number];
    assert(node !== undefined);
    return node;
  }

  /** Runs virtual time until the promise is settled. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const mark = (): void => {
      done = true;
    };
    promise.then(mark, mark);
    for (let i = 0; i < 100_000 && !done; i += 1) {
      await Promise.resolve();
      if (!done) this.clock.step();
    }
    return promise;
  }

  /** Runs until `condition` holds. @returns how many milliseconds that took. */
  until(what: string, condition: () => boolean, withinMs: number): number {
    const startMs = this.clock.now();
    const done = this.clock.runUntil(condition, withinMs);
    assert(done, `${what}: not in ${withinMs} ms`);
    return this.clock.now() - startMs;
  }

  /** Like `until`, for many nodes: checks only every `stepMs`. */
  untilStepwise(what: string, condition: () => boolean, within: { ms: number; stepMs: number }) {
    const startMs = this.clock.now();
    while (!condition()) {
      assert(this.clock.now() - startMs < within.ms, `${what}: not in ${within.ms} ms`);
      this.run(within.stepMs);
    }
    return this.clock.now() - startMs;
  }

  /** Whether each of `nodes` takes as many for alive: `agreeOn` where names cannot differ. */
  allCount(nodes: readonly GossipNode[]): boolean {
    return nodes.every((node) => {
      let alive = 0;
      for (const member of node.cluster.members()) if (member.state === "alive") alive += 1;
      return alive === nodes.length;
    });
  }

  run(ms: number): void {
    this.clock.run(this.clock.now() + ms);
  }

  /** Whether each of `nodes` takes exactly `nodes` for alive. */
  agreeOn(nodes: readonly GossipNode[]): boolean {
    const names = nodes
      .map((node) => node.name)
      .sort()
      .join();
    return nodes.every((node) => node.alive().join() === names);
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.cluster.stop();
  }
}
