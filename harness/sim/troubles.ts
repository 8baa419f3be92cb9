/**
 * Troubles: faults of a simulated cluster, started one after the other. Most last for a while, and
 * several are active at a time.
 *
 *     crash      power off, and a start with nothing       stop       drained, ended, started again
 *                or only the process ends, which kept its pages
 *     pause      a process is stopped                      isolate    cut off, streams reset, and
 *     partition  two sides without each other                         back in the same boot
 *     deaf       nothing arrives, one way, of some pairs   cut        streams break, anywhere
 *     loss       datagrams are lost                        slow       everything takes longer
 *     flip       a bit of a stored page                    pressure   a machine needs its memory
 *     drain      a node is drained and goes on             retarget   other targets, other replicas
 *     disk       slow, failing, full, or with flipped bits
 *     squeeze    other marks: an owner moves nearly all pages away, including new ones, at once
 *
 * Before a fault destroys copies, the simulation notes the pages that have no other copy. Only
 * these pages may be lost.
 *
 * A second rule says when there may be such pages. `failures` counts the holders that have failed
 * since all pages had all their copies. While that is less than the number of copies of a page, no
 * page may be without another copy. Other faults may cost copies as well, such as partitions and
 * orders of operators. The rule does not hold after one of these (`isDisturbed`).
 */
import { assert } from "../../src/core/assert.ts";
import type { TimerId } from "../../src/core/clock.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { Handle } from "../../src/core/handle.ts";
import { HIGH_MARK_PERCENT_DEFAULT, LOW_MARK_PERCENT_DEFAULT } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { copyCount } from "../../src/ramster/copies.ts";
import type { Replicas } from "../../src/ramster/holders/lenders.ts";
import { TAG } from "../../src/tmem/pampd.ts";
import type { Zcache } from "../../src/zcache/zcache.ts";
import { flipBit } from "./borrowing.ts";
import type { SimCluster, SimNode } from "./cluster.ts";
import { NO_TROUBLES } from "./disk.ts";
import { drive } from "./drive.ts";
import { SimMachine } from "./machine.ts";
import type { SimOptions, Trouble } from "./options.ts";
import type { Owner } from "./owner.ts";
import { OWN, type Truth } from "./truth.ts";

const MIB = 1024 * 1024;
/** The longest duration of a trouble. */
const TROUBLE_MS_MAX = 8000;
const DRAIN_MS = 5000;
/** With fewer holders there is nothing to see. */
const NODES_UP_MIN = 4;
/** Copies with "auto", where there are as many lenders. */
const COPIES_AUTO = 2;
const FLIP_TRIES = 100;
/** A process is killed within so many writes to what it keeps: some operations. */
const KILL_WRITES_MAX = 2000;
const WATCH_MS = 100;
/** Troubles that cost no copy. */
const HARMLESS: readonly Trouble[] = ["cut", "loss", "squeeze"];

export class Troubles {
  private readonly sim: SimCluster;
  private readonly owners: readonly Owner[];
  private readonly random: Random;
  private readonly trace: (line: string) => void;
  private readonly options: SimOptions;
  private readonly truth: Truth;
  private readonly handle = new Handle();
  /** How and when lasting troubles end. */
  private readonly ends: Array<{ atMs: number; end: () => void | Promise<void> }> = [];
  private watchTimer: TimerId | null = null;
  /** Holders that have failed since all pages had all their copies. */
  private failures = 0;
  /** Something other than a failure may have cost copies since then. */
  private isDisturbed = false;

  constructor(
    parts: {
      sim: SimCluster;
      truth: Truth;
      owners: readonly Owner[];
      random: Random;
      trace: (line: string) => void;
    },
    options: SimOptions,
  ) {
    this.sim = parts.sim;
    this.owners = parts.owners;
    this.random = parts.random;
    this.trace = parts.trace;
    this.options = options;
    this.truth = parts.truth;
  }

  /** Starts one more trouble. */
  async next(): Promise<void> {
    const { troubles } = this.options;
    const trouble = troubles[below(this.random, troubles.length)];
    if (trouble !== undefined) await this.trouble(trouble);
  }

  /** Observes the cluster, at any time from now until `rest`. */
  start(): void {
    this.watchTimer = this.sim.clock.after(WATCH_MS, () => this.start());
    this.watch();
  }

  rest(): void {
    if (this.watchTimer !== null) this.sim.clock.cancel(this.watchTimer);
    this.watchTimer = null;
  }

  /**
   * An owner may give up a page's good copy while as many copies as it wants are gone or bad, as
   * long as it does not know that. Such pages may be lost.
   */
  private watch(): void {
    const { replicas, troubles } = this.options;
    const mayWantOne = replicas === "auto" || troubles.includes("retarget");
    for (const owner of this.owners) {
      const { node, isDamaged, nobodyHas } = owner;
      if (!node.isUp) continue;
      const damaged = owner.hasDamaged ? isDamaged : null;
      this.truth.eachInDoubt(node, mayWantOne, damaged, nobodyHas);
    }
  }

  /** Ends troubles whose time has come; with `all`, all of them. */
  async end({ all } = { all: false }): Promise<void> {
    // Ending takes time, and may be postponed: then it is tried at the next call.
    const due = this.ends.filter(({ atMs }) => all || atMs <= this.sim.clock.now());
    for (const entry of due) {
      this.ends.splice(this.ends.indexOf(entry), 1);
      await entry.end();
    }
  }

  private async trouble(trouble: Trouble): Promise<void> {
    const ms = 1 + below(this.random, TROUBLE_MS_MAX);
    const node = this.anyUp();
    this.trace(`trouble ${trouble} of ${node.index} for ${ms} ms`);
    const isFailure = trouble === "crash" || trouble === "stop" || trouble === "flip";
    if (isFailure) this.checkWhole();
    else if (!HARMLESS.includes(trouble)) this.isDisturbed = true;
    switch (trouble) {
      case "crash":
        return this.crash(node, ms);
      case "stop":
        return this.stop(node, ms);
      case "pause":
        return node.pause(ms);
      case "isolate":
        return this.isolate(node, ms);
      case "partition":
        return this.partition(ms);
      case "deaf":
        return this.deaf(ms);
      case "cut":
        return this.cut();
      case "loss":
        return this.loss(ms);
      case "slow":
        return this.slow(ms);
      case "flip":
        return this.flip(node);
      case "pressure":
        return this.pressure(node, ms);
      case "disk":
        return this.disk(node, ms);
      case "drain":
        return this.drain(node, ms);
      case "retarget":
        return this.retarget(node, ms);
      case "squeeze":
        return this.squeeze(node, ms);
    }
  }

  private crash(node: SimNode, ms: number): void {
    if (!this.maySpare(node)) return;
    if (node.keeps && below(this.random, 4) > 0) return this.kill(node, ms);
    this.copiesGo(node);
    node.crash();
    this.later(ms, () => this.restart(node));
  }

  /** Its process ends, at once or in the middle of an operation, and keeps its pages. */
  private kill(node: SimNode, ms: number): void {
    const { ramster } = node.node;
    let isDead = false;
    node.dieWithin(below(this.random, KILL_WRITES_MAX), () => {
      isDead = true;
      this.trace(`${node.index} is killed and keeps its pages`);
      this.copiesGo(node);
      this.ownerOf(node)?.killed();
    });
    this.later(ms, () => {
      if (node.isUp && node.node.ramster === ramster) node.killed();
      // Another trouble may have ended it before, and starts it again.
      return isDead ? this.restart(node) : undefined;
    });
  }

  private async stop(node: SimNode, ms: number): Promise<void> {
    // One that is about to be killed may never end.
    if (node.isDying || !this.maySpare(node)) return;
    await drive(this.sim.clock, node.node.drain.emptyForeign(DRAIN_MS));
    this.copiesGo(node);
    await node.stop();
    this.later(ms, () => this.restart(node));
  }

  private async restart(node: SimNode): Promise<void> {
    const seeds = this.sim.nodes.filter((other) => other.isUp && !other.isPaused);
    try {
      await node.restart(seeds);
    } catch (error) {
      if (!(error instanceof RamsterError)) throw error;
      // The node may be cut off, or mistaken for its earlier boot: it tries again.
      this.trace(`no restart of ${node.index}: ${error}`);
      this.sim.network.crash(node.host);
      this.later(1 + below(this.random, 1000), () => this.restart(node));
      return;
    }
    this.ownerOf(node)?.booted();
    if (!node.hasTakenOver) return;
    // Holders may have failed while nobody mended its pages.
    this.isDisturbed = true;
    this.exposedAt(node, null);
  }

  /** Its machine was not affected: the same boot. */
  private isolate(node: SimNode, ms: number): void {
    const others = this.sim.nodes.filter((other) => other !== node);
    for (const other of others) this.sim.network.cut(node.host, other.host);
    this.sim.partition([node], others);
    this.later(ms, () => this.sim.heal([node], others));
  }

  private partition(ms: number): void {
    const left = this.sim.nodes.filter(() => below(this.random, 2) === 0);
    const right = this.sim.nodes.filter((node) => !left.includes(node));
    this.sim.partition(left, right);
    this.later(ms, () => this.sim.heal(left, right));
  }

  /** One direction, of random pairs. */
  private deaf(ms: number): void {
    const { network, nodes } = this.sim;
    for (let i = 1 + below(this.random, 4); i > 0; i -= 1) {
      const from = nodes[below(this.random, nodes.length)]?.host ?? "";
      const to = nodes[below(this.random, nodes.length)]?.host ?? "";
      network.block(from, to);
      this.later(ms, () => network.unblock(from, to));
    }
  }

  private cut(): void {
    const { network, nodes } = this.sim;
    for (let i = 1 + below(this.random, 4); i > 0; i -= 1) {
      const a = nodes[below(this.random, nodes.length)]?.host ?? "";
      const b = nodes[below(this.random, nodes.length)]?.host ?? "";
      if (below(this.random, 2) === 0) network.cut(a, b);
      else network.cutAfter(a, b, below(this.random, 100_000));
    }
  }

  private loss(ms: number): void {
    const { settings } = this.sim.network.datagrams;
    const { lossPercent } = this.options;
    settings.lossPercent = 20 + below(this.random, 60);
    this.later(ms, () => {
      settings.lossPercent = lossPercent;
    });
  }

  private slow(ms: number): void {
    const { settings } = this.sim.network;
    const { latencyMaxMs } = this.options;
    settings.latencyMaxMs = latencyMaxMs * (10 + below(this.random, 100));
    this.later(ms, () => {
      settings.latencyMaxMs = latencyMaxMs;
    });
  }

  private flip(node: SimNode): void {
    const { foreign, ramster } = node.node;
    const ofOthers = foreign !== null && below(this.random, 4) > 0;
    const zcache = ofOthers ? foreign.zcache : ramster.zcache;
    const page = this.anyLocalPage(zcache);
    if (page === 0) return;
    this.failures += 1;
    const byte = below(this.random, zcache.tmem.zpageBytes(page));
    flipBit(zcache, page, byte, below(this.random, 8));
    zcache.tmem.readHandle(page, this.handle);
    this.flipped(node, zcache.tmem.poolOf(page).client, this.handle);
    this.watch();
  }

  /** The node's zpage of that page of the client is damaged. */
  private flipped(node: SimNode, client: number, handle: Handle): void {
    const owner = client === OWN ? node : this.sim.byNumber(client);
    const model = owner === null ? undefined : this.ownerOf(owner);
    if (owner === null || model === undefined) return;
    model.damaged(handle);
    // Pages at home, or in flight to this node, may have no other copy by the time they are lost.
    if (client === OWN || !this.truth.isNamed(owner, handle, node)) model.nobodyHas(handle);
    else this.exposedAt(owner, null);
  }

  /** Other programs take memory that it lends, or wait for memory. */
  private pressure(node: SimNode, ms: number): void {
    const { machine } = node;
    if (!(machine instanceof SimMachine)) return;
    machine.usedBytes = machine.availableBytes - below(this.random, machine.lentBytes + MIB);
    machine.stallPercent = below(this.random, 3) === 0 ? 40 : 0;
    this.later(ms, () => {
      machine.usedBytes = 0;
      machine.stallPercent = 0;
    });
  }

  private disk(node: SimNode, ms: number): void {
    if (!node.hasDisk) return;
    const { disk } = node;
    const { troubles } = disk;
    const kind = below(this.random, 4);
    this.trace(`disk ${["slow", "fails", "full", "flips"][kind]}`);
    switch (kind) {
      case 0:
        troubles.latencyMs = 10 + below(this.random, 1000);
        break;
      case 1:
        troubles.readFailPercent = below(this.random, 60);
        troubles.writeFailPercent = below(this.random, 60);
        break;
      case 2:
        troubles.bytesMax = below(this.random, disk.byteCount + 1);
        break;
      default:
        disk.flipBits(1 + below(this.random, 100_000));
        this.truth.diskFlipped(node);
        this.truth.eachAway(node, null, (handle, good) => {
          if (good === 0) this.ownerOf(node)?.nobodyHas(handle);
        });
    }
    this.later(ms, () => void Object.assign(troubles, NO_TROUBLES));
  }

  private drain(node: SimNode, ms: number): void {
    const { drain } = node.node;
    drain.start();
    this.later(ms, () => {
      if (node.isUp && node.node.drain === drain) drain.stop();
    });
  }

  private retarget(node: SimNode, ms: number): void {
    const { ramster } = node.node;
    const targets = [null, "auto", this.anyUp().number] as const;
    const target = targets[below(this.random, targets.length)];
    ramster.setTarget(target === undefined || target === node.number ? null : target);
    const replicas: readonly Replicas[] = ["auto", 1, 2, 3];
    ramster.setReplicas(replicas[below(this.random, replicas.length)] ?? "auto");
    this.watch();
    this.later(ms, () => {
      if (!node.isUp || node.node.ramster !== ramster) return;
      ramster.setTarget("auto");
      ramster.setReplicas(this.options.replicas);
      this.watch();
    });
  }

  private squeeze(node: SimNode, ms: number): void {
    const { budget } = node.node.ramster.zcache;
    const high = 1 + below(this.random, 10);
    budget.setMarks(high, below(this.random, high));
    this.later(ms, () => budget.setMarks(HIGH_MARK_PERCENT_DEFAULT, LOW_MARK_PERCENT_DEFAULT));
  }

  private later(ms: number, end: () => void | Promise<void>): void {
    this.ends.push({ atMs: this.sim.clock.now() + ms, end });
  }

  private anyUp(): SimNode {
    const up = this.sim.nodes.filter((node) => node.isUp);
    const node = up[below(this.random, up.length)];
    assert(node !== undefined);
    return node;
  }

  private maySpare(node: SimNode): boolean {
    return node.isUp && this.sim.nodes.filter(({ isUp }) => isUp).length > NODES_UP_MIN;
  }

  private ownerOf(node: SimNode): Owner | undefined {
    return this.owners.find((owner) => owner.node === node);
  }

  /** A page that has a zpage here, or 0. */
  private anyLocalPage({ tmem }: Zcache): number {
    for (let i = 0; i < FLIP_TRIES; i += 1) {
      const page = 1 + below(this.random, tmem.pageEnd);
      if (tmem.isTaken(page) && tmem.tag(page) === TAG.LOCAL) return page;
    }
    return 0;
  }

  /** Copies that every page has while nothing happens. */
  private get copies(): number {
    const { replicas } = this.options;
    return replicas === "auto" ? COPIES_AUTO : replicas;
  }

  /** Whether enough has happened to lose every copy of a page. */
  private get mayCostAll(): boolean {
    return this.isDisturbed || this.failures >= this.copies;
  }

  /** Failures are counted from the last moment at which every page had all its copies. */
  private checkWhole(): void {
    const up = this.owners.filter(({ node }) => node.isUp);
    if (!up.every(({ node }) => this.truth.isWhole(node, this.copies))) return;
    this.failures = 0;
    this.isDisturbed = this.ends.length > 0;
  }

  /** The node is about to end, and with it all its foreign pages. */
  private copiesGo(node: SimNode): void {
    this.failures += 1;
    for (const { node: owner, nobodyHas } of this.owners) {
      if (owner === node || !owner.isUp) continue;
      this.exposedAt(owner, node);
      if (this.mayCostAll) this.truth.eachOnItsWay(owner, node, nobodyHas);
    }
  }

  /** Marks the owner's pages of which only `gone` has copies. */
  private exposedAt(owner: SimNode, gone: SimNode | null): void {
    const { replicas } = this.options;
    this.truth.eachAway(owner, gone, (handle, good, page) => {
      if (good > 0) return;
      // With "auto", an owner that has just started uses the lenders that it knows.
      const isAlone = replicas === "auto" && copyCount(owner.node.ramster.copiesOf(page)) === 1;
      const what = `node ${owner.index} page ${handle.pool}/${handle.index}`;
      assert(
        this.mayCostAll || isAlone,
        `${what} has no other copy after ${this.failures} failures`,
      );
      this.ownerOf(owner)?.nobodyHas(handle);
    });
  }
}
