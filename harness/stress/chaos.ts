/**
 * Chaos: troubles the holders of a run while it is loaded, one at a time, and waits after each
 * until all pages have all their copies again: what a cluster promises to survive, over and over.
 *
 *     kill    SIGKILL, and a moment later the same node starts with nothing
 *     restart SIGTERM, and the same node starts again: it has moved all away before
 *     rolling as restart, each node in the order of their numbers, and all of them once or more:
 *             also those that are loaded, whose pages end with them; they start anew
 *     pause   SIGSTOP and SIGCONT: it comes back with all that it had
 *     cut     nothing gets to it or from it for a while
 *     slow    everything to it and from it takes SLOW_MS longer
 *
 * A moment is up to the time between two troubles: sometimes the others take the node for dead
 * meanwhile, and sometimes they do not notice.
 */

import type { Client } from "../../src/client/client.ts";
import { below, type Random } from "../../src/core/random.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import type { ChaosKind } from "./options.ts";
import type { Supervisor } from "./supervisor.ts";

/** How long all copies may take to be there again. */
const RECOVERY_MS = 60_000;
const POLL_MS = 100;
/** Each way: far beyond what is usual on one machine, and far below a deadline. */
const SLOW_MS = 250;

export interface ChaosOptions {
  readonly kinds: readonly ChaosKind[];
  readonly everyMs: number;
  /** Numbers of the nodes that are troubled, and of those whose pages they hold. */
  readonly holders: readonly number[];
  readonly owners: readonly number[];
}

/** The program that loads a node, which is restarted under it. */
export interface Restarted {
  /** Goes on, without any page, with what `restart` has connected. */
  restartNode(restart: () => Promise<Client>): Promise<void>;
}

/** What it did, and how the cluster took it. */
export interface ChaosReport {
  readonly events: Partial<Record<ChaosKind, number>>;
  /** From the end of a trouble until all copies were there again. */
  readonly slowest_recovery_ms: number;
  readonly findings: readonly string[];
}

export class Chaos {
  /** Whether the load may end: not before all nodes have had their turn. */
  isEnough: boolean;
  private readonly supervisor: Supervisor;
  private readonly random: Random;
  private readonly options: ChaosOptions;
  private readonly events: Partial<Record<ChaosKind, number>> = {};
  private readonly findings: string[] = [];
  private slowestMs = 0;
  private readonly stopping = Promise.withResolvers<void>();
  private isStopping = false;
  private running: Promise<void> | null = null;

  constructor(parts: { supervisor: Supervisor; random: Random }, options: ChaosOptions) {
    this.supervisor = parts.supervisor;
    this.random = parts.random;
    this.options = options;
    this.isEnough = !options.kinds.includes("rolling");
  }

  /** Resolves when no more trouble comes. Rejects when a node does not come back. */
  start(loads: ReadonlyMap<number, Restarted>): Promise<void> {
    this.running = this.options.kinds.includes("rolling") ? this.roll(loads) : this.run();
    return this.running;
  }

  /** Resolves when the last trouble is over and all copies are there. */
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
      await this.trouble(kind, holder, below(this.random, everyMs));
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
      await this.restart(number, loads.get(number));
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

  /** Cut short when it is to end. */
  private async pause(ms: number): Promise<void> {
    await Promise.race([Bun.sleep(ms), this.stopping.promise]);
  }

  private async trouble(kind: ChaosKind, holder: number, ms: number): Promise<void> {
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

  /** Waits until all owners know of the holder as it is now, and no page lacks a copy. */
  private async recovered(what: string, holder: number): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      const bootId = (await this.statsOf(holder)).node.boot_id;
      const owners = await Promise.all(this.options.owners.map((owner) => this.statsOf(owner)));
      const ms = performance.now() - startedAt;
      if (owners.every((stats) => isWhole(stats, holder, bootId))) {
        this.slowestMs = Math.max(this.slowestMs, ms);
        return;
      }
      if (ms > RECOVERY_MS) {
        this.findings.push(`after ${what} pages lacked copies for ${RECOVERY_MS / 1000} s`);
        return;
      }
      await Bun.sleep(POLL_MS);
    }
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

/** Whether it takes the holder for alive, in this boot, and has all copies of all pages. */
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
