/**
 * One simulated run: whole nodes, unmodified, under virtual time, everything from one seed.
 *
 *     phase one   all nodes start, owners work, troubles come        no wrong page is delivered
 *     phase two   troubles end, all nodes are up                     all converges, within a bound
 *     the end     every page is got and flushed, all nodes stop      nothing is left over
 *
 * A failed run throws. Its trace lists all events, and is the same for the same seed to the last
 * byte.
 */
import { assert } from "../../src/core/assert.ts";
import { NEVER } from "../../src/core/buggify.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { SimCluster } from "./cluster.ts";
import { SimMachine } from "./machine.ts";
import type { SimOptions } from "./options.ts";
import { Owner } from "./owner.ts";
import { Troubles } from "./troubles.ts";
import { Truth } from "./truth.ts";

const MIB = 1024 * 1024;
/** Memory of each machine: lent, reserved, and available to other programs. */
const MACHINE_BYTES = 64 * MIB;
const JOIN_TIMEOUT_MS = 10_000;
/** Bound of the time to converge: gossip tries to reach dead members every 30 s. */
const CONVERGE_MS = 120_000;
const LOOK_MS = 100;
/** MiB of each lender that are too little for all pages. */
const LEND_MIB_SCARCE = 1;
/** Timers of one node: those that always run, and a few for each link. */
const TIMERS_PER_NODE_MAX = 2000;

export interface SimResult {
  /** Operations, gossip and troubles, in virtual milliseconds. */
  readonly virtualMs: number;
  readonly traceHash: bigint;
  readonly traceLines: number;
}

class Trace {
  hash = 0n;
  lines = 0;
  private readonly sim: SimCluster;
  private readonly sink: ((line: string) => void) | null;

  constructor(sim: SimCluster, sink: ((line: string) => void) | null) {
    this.sim = sim;
    this.sink = sink;
  }

  readonly write = (text: string): void => {
    const line = `${this.sim.clock.now()} ${text}`;
    this.hash = Bun.hash.wyhash(line, this.hash);
    this.lines += 1;
    this.sink?.(line);
  };
}

/** Throws an Error with the broken rule. `onTrace` is called for every event, with a line each. */
export async function simulate(
  options: SimOptions,
  onTrace: ((line: string) => void) | null = null,
): Promise<SimResult> {
  const run = new Run(options, onTrace);
  try {
    return await run.all();
  } finally {
    run.close();
  }
}

class Run {
  private readonly options: SimOptions;
  private readonly random: SeededRandom;
  private readonly sim: SimCluster;
  private readonly trace: Trace;
  private readonly owners: Owner[] = [];
  private readonly truth: Truth;

  constructor(options: SimOptions, onTrace: ((line: string) => void) | null) {
    this.options = options;
    const { seed, lossPercent, latencyMaxMs, tinyPieceOneIn } = options;
    this.random = new SeededRandom(seed ^ 0x7ab1e5);
    this.sim = new SimCluster(seed, { lossPercent, latencyMaxMs, tinyPieceOneIn });
    this.trace = new Trace(this.sim, onTrace);
    this.truth = new Truth(this.sim);
  }

  async all(): Promise<SimResult> {
    await this.begin();
    await this.trouble();
    await this.converge();
    this.readAll();
    this.flushAll();
    await this.stop();
    const { hash, lines } = this.trace;
    return { virtualMs: this.sim.clock.now(), traceHash: hash, traceLines: lines };
  }

  /** Gives memory back, however the run ended. */
  close(): void {
    for (const node of this.sim.nodes) if (node.isUp) node.crash();
  }

  private async begin(): Promise<void> {
    const { replicas, remotifyEph, selfshrink, foreignGraceMs, seal, nodes } = this.options;
    const { pages, operationMs, buggify, buggifyPercent } = this.options;
    const { replicasOnDisk, lendMib, placement, order, cold } = this.options;
    // The disk of a process ends with it.
    const diskMib = this.options.keep ? 0 : this.options.diskMib;
    const disk = { spillPath: "disk", spillBytes: diskMib * MIB, replicasOnDisk };
    const own = {
      replicas,
      remotifyEph,
      selfshrink,
      foreignGraceMs,
      seal,
      placement,
      order,
      coldCodec: cold ? ("zstd" as const) : ("none" as const),
      keepPath: this.options.keep && placement === "blocks" ? "kept" : null,
      lendBytes: lendMib * MIB,
      ...(diskMib > 0 ? disk : {}),
    };
    this.sim.buggify = (point) => {
      return buggify.includes(point) && below(this.random, 100) < buggifyPercent;
    };
    this.sim.coldFailPercent = this.options.coldFailPercent;
    // A node that is cut off gives up, since troubles wait for it, and is started again.
    const joinTimeoutMs = JOIN_TIMEOUT_MS;
    const settings = Array.from({ length: nodes }, (_, number) => {
      return { ...own, joinTimeoutMs, number };
    });
    this.sim.onLog = (node, line) => this.trace.write(`${node.index} ${line}`);
    await this.sim.startGossiping(settings);
    for (const node of this.sim.nodes) new SimMachine(node, MACHINE_BYTES);
    const { clock } = this.sim;
    const { random } = this;
    for (const node of this.sim.nodes) {
      const lossesAllowed = foreignGraceMs < CONVERGE_MS;
      const parts = { clock, random, trace: this.trace.write, node };
      const owner = new Owner(parts, { pageCount: pages, operationMs, lossesAllowed });
      owner.booted();
      this.owners.push(owner);
    }
    this.until("all know all", () => this.isAgreed());
    for (const owner of this.owners) {
      owner.fill();
      owner.work();
    }
  }

  private async trouble(): Promise<void> {
    const { sim, truth, owners, random, trace, options } = this;
    const parts = { sim, truth, owners, random, trace: trace.write };
    const troubles = new Troubles(parts, options);
    troubles.start();
    const endMs = options.seconds * 1000;
    while (sim.clock.now() < endMs) {
      const untilMs = sim.clock.now() + below(random, options.troubleMs);
      while (sim.clock.now() < untilMs) {
        sim.run(Math.min(LOOK_MS, untilMs - sim.clock.now()));
        await troubles.end();
      }
      await troubles.next();
      this.checkBounds();
    }
    while (this.sim.nodes.some((node) => !node.isUp || node.isPaused)) {
      assert(sim.clock.now() < endMs + CONVERGE_MS, "a node does not start again");
      await troubles.end({ all: true });
      sim.run(LOOK_MS);
    }
    await troubles.end({ all: true });
    this.until("all know all", () => this.isAgreed());
    troubles.rest();
  }

  /** All nodes know each other, all copies exist, and no holder keeps a page without an owner. */
  private async converge(): Promise<void> {
    this.trace.write("heal");
    this.sim.buggify = NEVER;
    for (const owner of this.owners) owner.rest();
    // Links that were dialled before end, and are dialled again.
    this.sim.run(this.sim.network.settings.connectTimeoutMs);
    this.until("no get is under way", () => this.owners.every((it) => it.pendingCount === 0));
    this.until("all copies are there, and no orphan", () => {
      return this.isQuiet() && this.isMended() && this.isBalanced();
    });
    this.sim.verify();
    for (const node of this.sim.nodes) {
      const count = this.truth.strayPages(node);
      assert(count === 0, `node ${node.index} never moves ${count} of its pages`);
    }
  }

  /** No page lacks a copy or a lender, if there is room for all. */
  private isMended(): boolean {
    if (this.options.lendMib === LEND_MIB_SCARCE) return true;
    if (this.sum("reclaims_pending") > 0) return false;
    // A page whose last copy is damaged is at risk until it is put again.
    for (const node of this.sim.nodes) {
      const atRisk = node.counter("pages_at_risk");
      if (atRisk > 0 && atRisk > this.truth.damagedCount(node)) return false;
    }
    // A damaged page on a disk stays there, so that no get takes it for a miss.
    const sound = this.sim.nodes.filter((node) => !this.truth.isDiskFlipped(node));
    if (sound.some((node) => node.counter("spilled_pages") > 0)) return false;
    // A copy with a flipped bit is not known to be bad before it is read.
    if (this.options.troubles.includes("flip")) return true;
    return sound.every((node) => this.truth.isWhole(node, node.node.ramster.copiesWanted));
  }

  /** Owners and holders agree exactly on remote pages. */
  private isBalanced(): boolean {
    // An ephemeral page has one copy, and its holder may have dropped it.
    const ephemeral = this.sum("remote_eph_pages");
    const persistent = this.sum("remote_copies") - ephemeral;
    if (this.sum("foreign_eph_pages") > ephemeral) return false;
    return this.sum("foreign_pers_pages") === persistent;
  }

  private readAll(): void {
    this.trace.write("read all");
    for (const owner of this.owners) {
      owner.isCalm = true;
      owner.getAll();
    }
    this.until("all gets end", () => this.owners.every((it) => it.pendingCount === 0));
  }

  private flushAll(): void {
    this.trace.write("flush all");
    for (const owner of this.owners) owner.flushAll();
    this.until("nothing is left", () => {
      const left = [
        "frames_used",
        "foreign_frames_used",
        "remote_copies",
        "page_count",
        "spilled_pages",
        "spill_bytes",
      ];
      return this.isQuiet() && left.every((name) => this.sum(name) === 0);
    });
    this.sim.verify();
    const counters = ["pers_zombie_count", "remote_pers_pages", "remote_eph_pages", "obj_count"];
    for (const name of counters) assert(this.sum(name) === 0, `${name} is ${this.sum(name)}`);
  }

  private async stop(): Promise<void> {
    for (const node of this.sim.nodes) await node.stop();
    const { network, clock } = this.sim;
    assert(network.streams.size === 0, `${network.streams.size} streams are left`);
    assert(network.listenerCount === 0, "a listener is left");
    assert(network.datagrams.portCount === 0, "a port is left");
    clock.run(clock.now() + network.settings.connectTimeoutMs + 1000);
    assert(clock.pendingCount === 0, `${clock.pendingCount} timers are left`);
  }

  private checkBounds(): void {
    const { clock, nodes } = this.sim;
    const timers = clock.pendingCount;
    assert(timers < TIMERS_PER_NODE_MAX * nodes.length, `${timers} timers`);
    for (const node of nodes) {
      if (!node.isUp) continue;
      // At most all remote copies are flushed: each own page, at each of its holders.
      const pending = node.counter("flnodes");
      const most = nodes.length * node.counter("pers_pages_remoted") + 2 * this.options.pages;
      assert(pending <= most, `node ${node.index} has ${pending} pending flushes`);
    }
  }

  /** For an error message: some of the differences. */
  private differences(): string {
    const all = this.truth.differences();
    return `${all.length} differences, ${all.slice(0, 3).join(", ")}`;
  }

  private isAgreed(): boolean {
    const names = this.sim.nodes.map(({ index }) => `n${index}`).sort();
    return this.sim.nodes.every((node) => node.alive().join() === names.join());
  }

  private isQuiet(): boolean {
    return ["flnodes", "frames_in_flight", "fetches_in_flight"].every((it) => this.sum(it) === 0);
  }

  private sum(counter: string): number {
    return this.sim.nodes.reduce((sum, node) => sum + (node.counters[counter] ?? 0), 0);
  }

  private until(what: string, condition: () => boolean): void {
    const startMs = this.sim.clock.now();
    while (!condition()) {
      if (this.sim.clock.now() - startMs >= CONVERGE_MS) {
        assert(false, `not in ${CONVERGE_MS} ms: ${what}: ${this.differences()}`);
      }
      this.sim.run(LOOK_MS);
    }
    this.trace.write(`${what} after ${this.sim.clock.now() - startMs} ms`);
  }
}
