/**
 * Churn: clusters of whole nodes that come and go, by seed and under virtual time. Nodes join,
 * leave, crash, restart, are cut off and return, while each of them puts, gets and flushes pages. A
 * get gives the page of the last put, or an error that an absent node explains. At the end no node
 * holds a page that its owner does not know. An assertion fails when a rule does not hold.
 */
import { assert } from "../../src/core/assert.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { STATUS } from "../../src/core/status.ts";
import { SimCluster, type SimNode } from "./cluster.ts";

const MIB = 1024 * 1024;
const NODES = 5;
/** About twice as many as fit into a node's own memory. */
const PAGES = 1000;
const EVENTS = 12;
/** Between two events. */
const PAUSE_MS_MAX = 30_000;

/** What may happen to a cluster. */
export type Trouble = "crash" | "stop" | "partition";

export interface ChurnOptions {
  readonly seed: number;
  readonly troubles: readonly Trouble[];
  /** Shorter than a partition: holders drop pages of owners that still run. */
  readonly foreignGraceMs: number;
  readonly replicas: number;
  /** Whether pages are sealed before they leave. */
  readonly seal?: boolean;
  /** Each node has a small disk that is slow, full or failing at times. */
  readonly disks?: boolean;
}

/** A node, and what its pool must hold: generations by page. */
class Worker {
  readonly node: SimNode;
  private readonly churn: Churn;
  private readonly pages = new Map<number, number>();
  private pool = 0;
  private generation = 0;

  constructor(churn: Churn, node: SimNode) {
    this.churn = churn;
    this.node = node;
    this.booted();
  }

  /** The node has started with nothing. */
  booted(): void {
    this.pages.clear();
    this.pool = this.node.newPool({ persistent: true });
  }

  work(count: number): void {
    const { random } = this.churn;
    for (let i = 0; i < count; i += 1) {
      const number = below(random, PAGES);
      const kind = below(random, 10);
      if (kind < 6) this.put(number);
      else if (kind < 9) this.check(number);
      else this.flush(number);
    }
  }

  /** Checks that every stored page is there, or known to be lost. @returns how many are there. */
  checkAll(): number {
    let lost = 0;
    for (const [number, generation] of this.pages) {
      const got = this.node.get(this.pool, number);
      if (got === "lost") lost += 1;
      else assert(got === generation, `page ${number}: ${got}, not ${generation}`);
    }
    return lost;
  }

  destroyPool(): void {
    this.node.node.ramster.flushPool(this.pool, { destroy: true });
    this.pages.clear();
  }

  private put(number: number): void {
    this.generation += 1;
    const status = this.node.put(this.pool, number, this.generation);
    if (status === STATUS.OK) this.pages.set(number, this.generation);
    else this.pages.delete(number); // A refused put removes the old page.
  }

  private check(number: number): void {
    const got = this.node.get(this.pool, number);
    if (got === "lost" || got === "away") return;
    const expected = this.pages.get(number) ?? "miss";
    assert(got === expected, `page ${number}: ${got}, not ${expected}`);
  }

  private flush(number: number): void {
    this.node.flush(this.pool, number);
    this.pages.delete(number);
  }
}

class Churn {
  readonly sim: SimCluster;
  readonly random: SeededRandom;
  readonly workers: Worker[] = [];
  private disks = false;
  private split: [SimNode[], SimNode[]] | null = null;

  constructor(seed: number) {
    this.sim = new SimCluster(seed, { lossPercent: seed % 2 === 0 ? 0 : 3 });
    this.random = new SeededRandom(seed * 7919);
  }

  async start(options: Omit<ChurnOptions, "seed" | "troubles">): Promise<void> {
    const { disks = false, seal = false, foreignGraceMs, replicas } = options;
    this.disks = disks;
    const spill = { spillPath: "disk", spillBytes: MIB, replicasOnDisk: replicas > 1 };
    const own = { lendBytes: 8 * MIB, foreignGraceMs, replicas, seal };
    const settings = { ...own, ...(disks ? spill : {}) };
    await this.sim.startGossiping(Array.from({ length: NODES }, () => settings));
    for (const node of this.sim.nodes) this.workers.push(new Worker(this, node));
    this.agree();
  }

  /** Random disturbances: absent nodes may return, and partitions heal. */
  async run(troubles: readonly Trouble[]): Promise<void> {
    for (let i = 0; i < EVENTS; i += 1) {
      this.work();
      if (this.disks) this.troubleDisks();
      const trouble = troubles[below(this.random, troubles.length)];
      if (trouble === "partition") this.partitionOrHeal();
      else await this.goOrComeBack(trouble === "crash");
      this.work();
      this.sim.run(below(this.random, PAUSE_MS_MAX));
    }
    this.heal();
    for (const worker of this.workers) await this.comeBack(worker);
    if (this.disks) this.healDisks();
    this.agree();
    this.work();
    this.settle();
  }

  private troubleDisks(): void {
    for (const { node } of this.workers) {
      const { troubles } = node.disk;
      troubles.latencyMs = below(this.random, 4) === 0 ? below(this.random, 3000) : 0.1;
      troubles.readFailPercent = below(this.random, 2) * below(this.random, 50);
      troubles.writeFailPercent = below(this.random, 2) * below(this.random, 100);
      troubles.bytesMax = below(this.random, 2) === 0 ? 2 * MIB : below(this.random, MIB);
    }
  }

  private healDisks(): void {
    for (const { node } of this.workers) {
      const bytesMax = 2 * MIB;
      Object.assign(node.disk.troubles, { latencyMs: 0.1, bytesMax });
      Object.assign(node.disk.troubles, { readFailPercent: 0, writeFailPercent: 0 });
    }
    this.sim.run(10_000);
  }

  /** Every node does a few operations. */
  private work(): void {
    for (let round = 0; round < 20; round += 1) {
      for (const worker of this.workers) if (worker.node.isUp) worker.work(20);
      this.sim.run(20);
    }
  }

  private async goOrComeBack(crash: boolean): Promise<void> {
    const worker = this.workers[below(this.random, this.workers.length)] as Worker;
    if (!worker.node.isUp) return this.comeBack(worker);
    if (this.workers.filter(({ node }) => node.isUp).length <= 2) return;
    if (crash) worker.node.crash();
    else await worker.node.stop();
  }

  private async comeBack(worker: Worker): Promise<void> {
    if (worker.node.isUp) return;
    const mine = this.split?.find((side) => side.includes(worker.node)) ?? this.sim.nodes;
    const seeds = mine.filter((node) => node.isUp);
    if (seeds.length === 0) return; // It would wait for a seed, and then fail to join.
    await worker.node.restart(seeds);
    worker.booted();
  }

  private partitionOrHeal(): void {
    if (this.split !== null) return this.heal();
    const left = this.sim.nodes.filter(() => below(this.random, 2) === 0);
    this.split = [left, this.sim.nodes.filter((node) => !left.includes(node))];
    this.sim.partition(...this.split);
  }

  private heal(): void {
    if (this.split !== null) this.sim.heal(...this.split);
    this.split = null;
  }

  /** All nodes take all for alive, under different numbers. */
  private agree(): void {
    const { nodes } = this.sim;
    const names = nodes.map((_, index) => `n${index}`).join();
    this.sim.until("all know all", () => nodes.every((node) => node.alive().join() === names));
    const numbers = nodes.map((node) => node.number);
    assert(new Set(numbers).size === nodes.length, "a number that two have");
  }

  /** Nothing is in flight, and owners and holders agree on remote pages exactly. */
  private settle(): void {
    const sum = (name: string): number => {
      return this.sim.nodes.reduce((total, node) => total + node.counter(name), 0);
    };
    this.sim.until("nothing is under way", () => {
      return sum("flnodes") + sum("frames_in_flight") + sum("fetches_in_flight") === 0;
    });
    this.sim.until("no orphan is left", () => {
      return sum("foreign_pers_pages") === sum("remote_copies");
    });
    this.sim.verify();
  }

  /** Flushes everything, and checks that nothing is left anywhere. */
  async end(): Promise<void> {
    for (const worker of this.workers) worker.destroyPool();
    this.settle();
    for (const node of this.sim.nodes) {
      const used = node.counter("foreign_frames_used") + node.counter("frames_used");
      assert(used === 0, "frames that nobody can free");
    }
    await this.sim.stop();
  }
}

/** One run. @returns how many pages of nodes that ran throughout were lost in the end. */
export async function churn({ seed, troubles, ...options }: ChurnOptions): Promise<number> {
  const world = new Churn(seed);
  await world.start(options);
  await world.run(troubles);
  const lost = world.workers.reduce((sum, worker) => sum + worker.checkAll(), 0);
  await world.end();
  return lost;
}
