/**
 * SimCluster: whole nodes, unmodified, in one process under virtual time, and the faults that tests
 * may inject.
 *
 * A page has a number, and its content is made from (number, generation). A test writes `put(7,
 * 1)`, and a stale page is recognised.
 */
import { Lz4 } from "../../src/compress/lz4.ts";
import { Raw } from "../../src/compress/raw.ts";
import { assert } from "../../src/core/assert.ts";
import { type Buggify, NEVER } from "../../src/core/buggify.ts";
import type { Clock } from "../../src/core/clock.ts";
import { Handle } from "../../src/core/handle.ts";
import type { HostMemory } from "../../src/core/host-memory.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { STATUS, type Status } from "../../src/core/status.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import type { Certificate } from "../../src/node/certificate-watch.ts";
import { type NodeConfig, nodeConfig } from "../../src/node/config.ts";
import { KeptNode } from "../../src/node/kept-node.ts";
import { type Membership, openMembership } from "../../src/node/membership.ts";
import { Node } from "../../src/node/node.ts";
import type { GetAndFree } from "../../src/ramster/repatriate/waiters.ts";
import type { Active } from "../../src/standby/active.ts";
import { CrashingBytes } from "../kept/crashing-bytes.ts";
import { SimClock } from "./clock.ts";
import { SimDisk } from "./disk.ts";
import { drive } from "./drive.ts";
import { PLENTY } from "./machine.ts";
import { type NetworkSettings, SimNetwork } from "./network.ts";
import { ProcessClock } from "./process-clock.ts";
import { SimRecompressor } from "./recompressor.ts";

const MIB = 1024 * 1024;

const memory = openMemory();
/** Scenarios run with each placement: `bun run zbud` (package.json). */
const PLACEMENT = process.env.PLACEMENT === "zbud" ? "zbud" : "blocks";

const hotCodecs = [new Raw(memory), await Lz4.load(memory)] as const;

/** The gossip port of every node that gossips. */
const GOSSIP_PORT = 7946;

/** A node of the simulation, with the log of all its boots. */
export class SimNode {
  readonly index: number;
  readonly host: string;
  readonly log: string[] = [];
  /** Tokens of gets in flight. */
  readonly results = new Map<number, Status>();
  isUp = false;
  /** The memory figures of its machine. */
  machine: HostMemory = PLENTY;
  /** The key from its next start on; null: no key. */
  certificate: Certificate | null = null;
  active: Active | null = null;
  /** The number that it was given, or has claimed. */
  number = -1;
  private readonly cluster: SimCluster;
  private readonly config: NodeConfig;
  private membership: Membership | null = null;
  private running: Node | null = null;
  private process: ProcessClock;
  private simDisk: SimDisk | null = null;
  /** What outlives its process (--keep). Null: nothing does. */
  private keptBytes: CrashingBytes | null = null;
  /** Whether this boot took over the pages of the one before. */
  hasTakenOver = false;
  private lastToken = 0;
  private readonly handle = new Handle();
  private readonly page = new Uint8Array(PAGE_BYTES);
  /** Pages that no get reads into at present. */
  private readonly targets: Uint8Array[] = [];

  constructor(cluster: SimCluster, index: number, config: NodeConfig) {
    this.cluster = cluster;
    this.index = index;
    this.config = config;
    this.host = hostOf(index);
    this.process = new ProcessClock(cluster.clock);
  }

  /** The node that runs, or ran last. */
  get node(): Node {
    assert(this.running !== null);
    return this.running;
  }

  /** The disk of a node that spills, in its present or last boot. */
  get hasDisk(): boolean {
    return this.simDisk !== null;
  }

  get disk(): SimDisk {
    assert(this.simDisk !== null);
    return this.simDisk;
  }

  get counters(): Record<string, number> {
    const { ramster, foreign, lending } = this.node;
    return { ...ramster.snapshot(), ...foreign?.snapshot(), ...lending?.snapshot() };
  }

  counter(name: string): number {
    const value = this.counters[name];
    assert(value !== undefined, `no counter ${name}`);
    return value;
  }

  /**
   * Starts with a new boot id and empty memory, or with what it has kept. One that gossips first
   * joins through `seeds`.
   */
  async start(seeds: readonly SimNode[] = []): Promise<void> {
    const { network, random } = this.cluster;
    const clock = new ProcessClock(this.cluster.clock);
    clock.onKilled = () => this.killed();
    this.process = clock;
    const log = new Log((_level, area, line) => {
      this.log.push(`${this.cluster.clock.now().toFixed(3)} ${area}: ${line}`);
      this.cluster.onLog?.(this, `${area}: ${line}`);
    });
    const transport = clock.transport(network.transport(this.host));
    const buggify: Buggify = (point) => this.cluster.buggify(point);
    const hostMemory = {
      read: () => this.machine.read(),
      process: () => this.machine.process(),
    };
    this.simDisk = this.config.spillPath === null ? null : new SimDisk(clock, random);
    const { simDisk: disk } = this;
    const secured = this.certificate === null ? null : { certificate: this.certificate };
    const recompressor = this.newRecompressor(clock);
    const env = { clock, transport, random, hostMemory, log, buggify, disk, ...secured };
    const kept = this.openKept();
    const known = kept?.number ?? this.config.number;
    const config = { ...this.config, number: known, seeds: seeds.map((seed) => seed.gossip) };
    this.membership = openMembership({ ...env, keyring: null }, config, kept?.bootId ?? null);
    const { membership } = this;
    const driven = this.cluster.clock;
    const joined = membership === null ? config : await drive(driven, membership.start());
    const { number } = joined;
    assert(number !== null);
    this.number = number;
    const codecs = recompressor?.codecs ?? hotCodecs;
    const { active } = this;
    const parts = { ...env, memory, recompressor, kept, active };
    this.running = new Node(parts, { ...config, number }, codecs, this.membership);
    this.running.setNumber(number);
    this.running.takeOver();
    assert(!this.node.ramster.zcache.tmem.isDamaged, "no bit has flipped");
    this.hasTakenOver = kept?.memory.isSucceeding === true;
    this.takePools();
    await this.running.start();
    this.isUp = true;
  }

  /** Null: it compresses nothing again. */
  private newRecompressor(clock: Clock): SimRecompressor | null {
    if (this.config.coldCodec === "none") return null;
    const recompressor = new SimRecompressor({ clock, random: this.cluster.random }, hotCodecs);
    recompressor.failPercent = this.cluster.coldFailPercent;
    return recompressor;
  }

  private openKept(): KeptNode | null {
    if (this.config.keepPath === null) return null;
    const { random } = this.cluster;
    this.keptBytes ??= new CrashingBytes(random);
    return new KeptNode(this.keptBytes.newMemory(), random);
  }

  /** The pools that this boot took over, by kind. */
  private readonly taken: [number | null, number | null] = [null, null];

  private takePools(): void {
    const { restoring } = this.node.ramster;
    for (const kind of [0, 1] as const) {
      this.taken[kind] = restoring.take((key) => key[0] === kind)?.id ?? null;
    }
  }

  /** The pool of that kind that a predecessor kept, or null. */
  takenPool({ persistent }: { persistent: boolean }): number | null {
    return this.taken[persistent ? 1 : 0];
  }

  get keeps(): boolean {
    return this.config.keepPath !== null;
  }

  /**
   * Ends its process within so many writes to kept memory, in the middle of one. `onDeath` is
   * called before.
   */
  dieWithin(writes: number, onDeath: () => void): void {
    this.onDeath = onDeath;
    this.keptBytes?.killAfter(writes);
  }

  /** Whether it is to be killed within some writes. */
  get isDying(): boolean {
    return this.onDeath !== null;
  }

  /** A program on this node does something. @returns false when the process was killed in it. */
  run(work: () => void): boolean {
    return this.process.call(work);
  }

  /** It was killed, now or in the middle of what it does. It keeps what it keeps. */
  killed(): void {
    const { onDeath } = this;
    this.onDeath = null;
    onDeath?.();
    const kept = this.keptBytes;
    kept?.killAfter(Number.POSITIVE_INFINITY);
    this.crash();
    this.keptBytes = kept;
  }

  private onDeath: (() => void) | null = null;

  /** Cuts the power. */
  crash(): void {
    this.isUp = false;
    this.onDeath = null;
    this.keptBytes = null;
    this.cluster.network.crash(this.host);
    this.process.kill();
    this.simDisk?.close();
    this.node.ramster.close();
    this.node.foreign?.close();
  }

  /** Stops its process for this long, as SIGSTOP does; traffic to it waits. */
  pause(ms: number): void {
    this.process.pause(ms);
  }

  get isPaused(): boolean {
    return this.process.isPaused;
  }

  /** Stops it cleanly. */
  async stop(): Promise<void> {
    this.isUp = false;
    this.keptBytes = null;
    await drive(this.cluster.clock, this.node.stop());
    this.process.kill();
  }

  /** Starts it again after a crash or a stop. */
  async restart(seeds: readonly SimNode[] = []): Promise<void> {
    this.cluster.network.boot(this.host);
    await this.start(seeds);
  }

  get gossip(): TcpAddress {
    return { kind: "tcp", host: this.host, port: GOSSIP_PORT };
  }

  /**
   * Sorted names of the members that it takes for alive and whose number and port it knows, itself
   * included.
   */
  alive(): string[] {
    const members = this.membership?.views() ?? [];
    const alive = members.filter(({ member, tags }) => {
      return member.state === "alive" && (member.isSelf || (tags?.page ?? null) !== null);
    });
    return alive.map(({ member }) => member.name).sort();
  }

  newPool(options: { persistent: boolean; storeWhole?: boolean }): number {
    const key = [options.persistent ? 1 : 0, 0, 0, 0] as const;
    const pool = this.node.ramster.newPool({ storeWhole: false, ...options, key });
    assert(pool !== null);
    return pool.id;
  }

  put(pool: number, number: number, generation: number): Status {
    fillTestPage(this.page, this.index, pool, number, generation);
    return this.node.ramster.put(this.at(pool, number), this.page, 0);
  }

  /**
   * The outcome of a get: the generation read, or a status. Runs virtual time until the get ends.
   */
  get(pool: number, number: number, getAndFree: GetAndFree = 0): number | "lost" | "miss" | "away" {
    return this.wait(this.startGet(pool, number, getAndFree));
  }

  startGet(pool: number, number: number, getAndFree: GetAndFree = 0): PendingGet {
    this.lastToken += 1;
    const token = this.lastToken;
    const target = this.targets.pop() ?? new Uint8Array(PAGE_BYTES);
    const handle = this.at(pool, number);
    const sink = { onGet: (done: number, status: Status) => void this.results.set(done, status) };
    const status = this.node.ramster.get(handle, getAndFree, target, 0, sink, token);
    if (status !== STATUS.PENDING) this.results.set(token, status);
    return { token, target, pool, number };
  }

  wait(pending: PendingGet): number | "lost" | "miss" | "away" {
    const { token, target, pool, number } = pending;
    const done = this.cluster.clock.runUntil(() => this.results.has(token), 60_000);
    assert(done, "a get that never ends");
    const status = this.results.get(token);
    this.results.delete(token);
    this.targets.push(target);
    switch (status) {
      case STATUS.OK:
        return generationOf(target, this.index, pool, number);
      case STATUS.NOT_FOUND:
        return "miss";
      case STATUS.LOST:
        return "lost";
      case STATUS.UNREACHABLE:
        return "away";
      default:
        throw new Error(`get ended with status ${status}`);
    }
  }

  flush(pool: number, number: number): Status {
    return this.node.ramster.flushPage(this.at(pool, number));
  }

  flushObject(pool: number, number: number): Status {
    return this.node.ramster.flushObject(this.at(pool, number));
  }

  /** The handle of a page: 64 pages an object. The object is valid until the next call. */
  at(pool: number, number: number): Handle {
    return this.handle.set(pool, [1n, BigInt(number >> 6), 1n << 63n], number & 63);
  }

  verify(): void {
    this.node.ramster.verify();
    this.node.foreign?.zcache.verify();
  }
}

export interface PendingGet {
  token: number;
  /** Used again by a later get once `wait` has returned. */
  target: Uint8Array;
  pool: number;
  number: number;
}

export class SimCluster {
  readonly clock = new SimClock();
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly nodes: SimNode[] = [];
  /** Called with every line that a node logs. */
  onLog: ((node: SimNode, line: string) => void) | null = null;
  /** Which rare branches nodes take. */
  buggify: Buggify = NEVER;
  /** How many jobs of their recompressors fail. */
  coldFailPercent = 0;

  constructor(seed: number, network: Partial<NetworkSettings> = {}) {
    this.random = new SeededRandom(seed);
    this.network = new SimNetwork(this.clock, this.random, network);
  }

  /**
   * Makes and starts nodes 0 .. n - 1, each a peer of the others. `settings` override the defaults
   * of a simulation.
   */
  async start(settings: ReadonlyArray<Partial<NodeConfig>>): Promise<void> {
    for (const [index, own] of settings.entries()) {
      const others = settings.map((_, other) => other).filter((other) => other !== index);
      const peers = others.map((other) => ({ number: other, address: pageAddressOf(other) }));
      await this.add(index, { number: index, peers, ...own }).start();
    }
  }

  /** The same for nodes that find each other, and get a number, by gossip. */
  async startGossiping(settings: ReadonlyArray<Partial<NodeConfig>>): Promise<void> {
    for (const [index, own] of settings.entries()) {
      const gossip = { kind: "tcp", host: hostOf(index), port: GOSSIP_PORT } as const;
      const seeds = [...this.nodes];
      await this.add(index, { number: null, gossip, ...own }).start(seeds);
    }
  }

  private add(index: number, own: Pick<NodeConfig, "number"> & Partial<NodeConfig>): SimNode {
    const config = nodeConfig({
      name: `n${index}`,
      listen: pageAddressOf(index),
      memoryBytes: MIB,
      lendBytes: 16 * MIB,
      selfshrink: false,
      insecure: true,
      placement: PLACEMENT,
      coldCodec: "none",
      ...own,
    });
    const node = new SimNode(this, index, config);
    this.nodes.push(node);
    return node;
  }

  /** Stops all traffic between the two sides; traffic in flight waits. */
  partition(left: readonly SimNode[], right: readonly SimNode[]): void {
    for (const a of left) {
      for (const b of right) {
        this.network.block(a.host, b.host);
        this.network.block(b.host, a.host);
      }
    }
  }

  heal(left: readonly SimNode[], right: readonly SimNode[]): void {
    for (const a of left) {
      for (const b of right) {
        this.network.unblock(a.host, b.host);
        this.network.unblock(b.host, a.host);
      }
    }
  }

  /** The running node with this number, or null. */
  byNumber(number: number): SimNode | null {
    return this.nodes.find((node) => node.isUp && node.number === number) ?? null;
  }

  node(number: number): SimNode {
    const node = this.nodes[number];
    assert(node !== undefined);
    return node;
  }

  run(ms: number): void {
    this.clock.run(this.clock.now() + ms);
  }

  /** Runs until `condition` holds. Throws when it does not within a minute of virtual time. */
  until(what: string, condition: () => boolean): void {
    // One callback at a time is too slow for conditions that look at everything.
    for (let i = 0; i < 6000; i += 1) {
      if (condition()) return;
      this.run(10);
    }
    throw new Error(`not within 60 s: ${what}`);
  }

  verify(): void {
    for (const node of this.nodes) if (node.isUp) node.verify();
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.isUp) void node.node.stop();
    this.run(10_000);
  }
}

/** Gossip needs addresses, not names. */
function hostOf(index: number): string {
  return `10.0.${index >> 8}.${index & 255}`;
}

function pageAddressOf(index: number): TcpAddress {
  return { kind: "tcp", host: hostOf(index), port: 7777 };
}

const SIX_BITS = 0x3f3f_3f3f;

/**
 * A page that compresses to about half of a frame, 1600 to 2000 bytes, so that all placements need
 * about as many frames. One in eleven fills a frame (3400 bytes), and one has 400 to 1600. Its
 * content names its number and generation. Its random bytes have six bits each, of which zstd makes
 * a quarter less, and lz4 does not.
 */
export function fillTestPage(
  page: Uint8Array,
  owner: number,
  pool: number,
  number: number,
  generation: number,
): void {
  const random = randomOf(owner, number, generation);
  page.fill(0);
  const view = new DataView(page.buffer, page.byteOffset, PAGE_BYTES);
  const end = randomEndOf(number);
  for (let word = 4; word < end; word += 1) view.setUint32(word * 4, random.u32() & SIX_BITS);
  view.setUint32(0, owner);
  view.setUint32(4, pool);
  view.setUint32(8, number);
  view.setUint32(12, generation);
}

/** The generation that the page names. Fails when any byte differs from that page. */
export function generationOf(
  page: Uint8Array,
  owner: number,
  pool: number,
  number: number,
): number {
  const view = new DataView(page.buffer, page.byteOffset, PAGE_BYTES);
  const generation = view.getUint32(12);
  // Without a second page to compare with, since every get comes here.
  let isRight = view.getUint32(0) === owner && view.getUint32(4) === pool;
  isRight &&= view.getUint32(8) === number;
  const random = randomOf(owner, number, generation);
  const end = randomEndOf(number);
  for (let word = 4; word < PAGE_BYTES / 4; word += 1) {
    isRight &&= view.getUint32(word * 4) === (word < end ? random.u32() & SIX_BITS : 0);
  }
  assert(isRight, `wrong bytes for page ${pool}/${number}`);
  return generation;
}

function randomOf(owner: number, number: number, generation: number): SeededRandom {
  return new SeededRandom(number * 31 + generation * 7 + owner);
}

/** The first word of a test page after the random ones. */
function randomEndOf(number: number): number {
  const kind = number % 11;
  return 4 + (kind === 10 ? 850 : kind === 3 ? 100 + (number % 300) : 400 + (number % 100));
}
