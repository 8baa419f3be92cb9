/**
 * Chaos: disturbs the holders of a run under load, one at a time. After each disturbance it waits
 * until all pages have all their copies again.
 *
 *     kill    SIGKILL; a moment later the same node starts with nothing
 *     restart SIGTERM, so the node moves everything away first; then the same node starts again
 *     rolling as restart, each node in the order of numbers, at least once. Nodes under load are
 *             restarted, too: their pages end with them, and they start with new ones
 *     pause   SIGSTOP and SIGCONT: the node returns with all its pages
 *     cut     no traffic to or from the node for a while
 *     slow    all traffic to and from the node takes SLOW_MS longer
 *
 * A moment is random, up to the time between two disturbances. Sometimes the other nodes take the
 * node for dead in that time, and sometimes they do not notice.
 */

import type { Client } from "../../src/client/client.ts";
import { below, type Random } from "../../src/core/random.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import type { ChaosKind } from "./options.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Timeline, TimelineMark } from "./timeline.ts";

/** Bound of the time until all copies are there again. */
const RECOVERY_MS = 60_000;
const POLL_MS = 100;
/** One way: far above usual latencies on one machine, and far below a deadline. */
const SLOW_MS = 250;

/** What happens to a node, as a person reads it. */
const FAULTS: Readonly<Record<ChaosKind, string>> = {
  kill: "killed",
  restart: "restarting",
  rolling: "restarting",
  pause: "stopped",
  cut: "cut off",
  slow: "slowed down",
};

export interface ChaosOptions {
  readonly kinds: readonly ChaosKind[];
  readonly everyMs: number;
  /** Numbers of the nodes that are disturbed, and of those whose pages they hold. */
  readonly holders: readonly number[];
  readonly owners: readonly number[];
}

/** The program that loads a node, while the node is restarted. */
export interface Restarted {
  /** Goes on without any page, with the client that `restart` has connected. */
  restartNode(restart: () => Promise<Client>): Promise<void>;
}

/** What was done, and how the cluster coped. */
export interface ChaosReport {
  readonly events: Partial<Record<ChaosKind, number>>;
  /** Time from the end of a disturbance until all copies were there again. */
  readonly slowest_recovery_ms: number;
  readonly findings: readonly string[];
}

export class Chaos {
  /** Whether the load may end. With "rolling" all nodes have their turn first. */
  isEnough: boolean;
  private readonly supervisor: Supervisor;
  private readonly random: Random;
  private readonly timeline: Timeline;
  private readonly options: ChaosOptions;
  private readonly events: Partial<Record<ChaosKind, number>> = {};
  private readonly findings: string[] = [];
  private slowestMs = 0;
  private readonly stopping = Promise.withResolvers<void>();
  private isStopping = false;
  private running: Promise<void> | null = null;

  constructor(
    parts: { supervisor: Supervisor; random: Random; timeline: Timeline },
    options: ChaosOptions,
  ) {
    this.supervisor = parts.supervisor;
    this.timeline = parts.timeline;
    this.random = parts.random;
    this.options = options;
    this.isEnough = !options.kinds.includes("rolling");
  }

  /** Resolves after the last disturbance. Rejects when a node does not return. */
  start(loads: ReadonlyMap<number, Restarted>): Promise<void> {
    this.running = this.options.kinds.includes("rolling") ? this.roll(loads) : this.run();
    return this.running;
  }

  /** Resolves when the last disturbance is over and all copies are there. */
  async stop(): Promise<ChaosReport> {
    this.isStopping = true;
    this.stopping.resolve();
    await this.running;
    const { events, findings } = this;
    return { events, slowest_recovery_ms: Math.round(this.slowestMs), findings };
  }

  private async run(): Promise<void> {
    const { kinds, everyMs, holders } = this.options;
    while (!this.isStopping) {
      await this.pause(everyMs);
      if (this.isStopping) return;
      const kind = kinds[below(this.random, kinds.length)];
      const holder = holders[below(this.random, holders.length)];
      if (kind === undefined || holder === undefined) return;
      this.events[kind] = (this.events[kind] ?? 0) + 1;
      this.mark("fault", `${FAULTS[kind]} node ${holder}`);
      await this.disturb(kind, holder, below(this.random, everyMs));
      this.mark("back", `node ${holder} is back`);
      await this.recovered(`${kind} of node ${holder}`, holder);
    }
  }

  private async roll(loads: ReadonlyMap<number, Restarted>): Promise<void> {
    const { everyMs, holders, owners } = this.options;
    const numbers = [...holders, ...owners].sort((a, b) => a - b);
    let count = 0;
    while (!this.isStopping) {
      await this.pause(everyMs);
      if (this.isStopping) return;
      const number = numbers[count % numbers.length];
      if (number === undefined) return;
      count += 1;
      this.events.rolling = count;
      this.mark("fault", `${FAULTS.rolling} node ${number}`);
      await this.restart(number, loads.get(number));
      this.mark("back", `node ${number} is back`);
      await this.recovered(`restart of node ${number}`, number);
      if (count === numbers.length) this.isEnough = true;
    }
  }

  private async restart(number: number, load: Restarted | undefined): Promise<void> {
    const restart = async (): Promise<Client> => {
      await this.supervisor.stopNode(number);
      await this.supervisor.restartNode(number);
      return this.clientOf(number);
    };
    if (load === undefined) await restart();
    else await load.restartNode(restart);
  }

  /** Waits for this long, or until the run is to end. */
  private async pause(ms: number): Promise<void> {
    await Promise.race([Bun.sleep(ms), this.stopping.promise]);
  }

  private async disturb(kind: ChaosKind, holder: number, ms: number): Promise<void> {
    const { supervisor } = this;
    switch (kind) {
      case "kill":
        await supervisor.killNode(holder);
        await this.pause(ms);
        return supervisor.restartNode(holder);
      case "restart":
      case "rolling":
        return this.restart(holder, undefined);
      case "pause":
        supervisor.signalNode(holder, "SIGSTOP");
        await this.pause(ms);
        return supervisor.signalNode(holder, "SIGCONT");
      case "cut":
        supervisor.cutNode(holder);
        await this.pause(ms);
        return supervisor.healNode(holder);
      case "slow":
        supervisor.slowNode(holder, SLOW_MS);
        await this.pause(ms);
        return supervisor.slowNode(holder, 0);
    }
  }

  /** Waits until all owners know the holder's present state, and no page lacks a copy. */
  private async recovered(what: string, holder: number): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      const bootId = (await this.statsOf(holder)).node.boot_id;
      const owners = await Promise.all(this.options.owners.map((owner) => this.statsOf(owner)));
      const ms = performance.now() - startedAt;
      if (owners.every((stats) => isWhole(stats, holder, bootId))) {
        this.slowestMs = Math.max(this.slowestMs, ms);
        this.mark("recovered", `all copies are there again after ${(ms / 1000).toFixed(1)} s`);
        return;
      }
      if (ms > RECOVERY_MS) {
        this.findings.push(`after ${what} pages lacked copies for ${RECOVERY_MS / 1000} s`);
        return;
      }
      await Bun.sleep(POLL_MS);
    }
  }

  private mark(kind: TimelineMark["kind"], text: string): void {
    this.timeline.mark(performance.now(), kind, text);
  }

  private statsOf(number: number): Promise<NodeStats> {
    return this.clientOf(number).stats();
  }

  private clientOf(number: number): Client {
    const client = this.supervisor.clients[number];
    if (client === undefined) throw new Error(`no client of node ${number}`);
    return client;
  }
}

/** Whether the owner takes the holder for alive, in this boot, and has all copies of all pages. */
function isWhole(stats: NodeStats, holder: number, bootId: string): boolean {
  const member = stats.members.find(({ number }) => number === holder);
  const peer = stats.peers.find(({ node }) => node === holder);
  if (member?.state !== "alive" || member.boot_id !== bootId) return false;
  const { pages_at_risk, reclaims_pending } = stats.counters;
  const isMended = pages_at_risk === 0 && reclaims_pending === 0;
  if (stats.node.number === holder) return isMended;
  if (peer === undefined || (peer.remote_pages > 0 && peer.boot_id !== bootId)) return false;
  return isMended;
}
