/**
 * Supervisor: starts real node processes of this program on free ports, and ends each of them by
 * its id.
 *
 * Every node is started with port 0, so no port is guessed. Nodes that choose their lenders join
 * the first node. The others get their peers through the client doors once all are up. All have a
 * key that was made for this run. With losses or delays their traffic goes through a relay.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../../src/client/client.ts";
import { connect } from "../../src/client/on-bun.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { SeededRandom } from "../../src/core/random.ts";
import type { Order, PlacementName } from "../../src/placement/placement.ts";
import type { Replicas } from "../../src/ramster/holders/lenders.ts";
import { formatKeyFile } from "../../src/security/key-file.ts";
import { makeKey } from "../../src/security/make-key.ts";
import { NodeDiedError, NodeProcess } from "../processes/node-process.ts";
import { Detour, type DetouredNode } from "./detour.ts";
import type { ChaosKind } from "./options.ts";
import type { NodePlan } from "./topology.ts";

const GOSSIP = ["--gossip=127.0.0.1:0", "--network=local"];
/** Generous, because many nodes start at once on few cores. */
const ACQUAINTED_MS = 60_000;
const POLL_MS = 20;
/** Processes that start at once: more would only delay each other. */
const STARTING_MAX = 16;

export interface SupervisorOptions {
  verbose: boolean;
  insecure: boolean;
  replicas: Replicas;
  placement: PlacementName;
  order: Order;
  seal: boolean;
  /** Bytes of each loaded node's disk; null: no disk. */
  spillBytes: number | null;
  /** Losses and delays of traffic between nodes: see relay.ts. */
  lossPercent: number;
  delayMs: number;
  seed: number;
  /** Some disturbances act between the nodes. */
  chaos: readonly ChaosKind[];
}

/** All nodes of a run, and a connection to each. */
export class Supervisor {
  readonly nodes: NodeProcess[] = [];
  readonly clients: Client[] = [];
  private readonly program: readonly string[];
  private readonly verbose: boolean;
  private readonly insecure: boolean;
  private readonly replicas: Replicas;
  private readonly placement: PlacementName;
  private readonly order: Order;
  private readonly seal: boolean;
  private readonly spillBytes: number | null;
  private directory = "";
  private plans: readonly NodePlan[] = [];
  /** Null while traffic is direct. */
  private readonly detour: Detour | null;
  private readonly detoured = new Map<number, DetouredNode>();
  /** Rejects when a node ends without being asked to. */
  private readonly death = Promise.withResolvers<never>();

  /** `program`: the command that starts this program, without its subcommand. */
  constructor(program: readonly string[], options: SupervisorOptions) {
    this.program = program;
    this.insecure = options.insecure;
    this.replicas = options.replicas;
    this.placement = options.placement;
    this.order = options.order;
    this.seal = options.seal;
    this.spillBytes = options.spillBytes;
    this.verbose = options.verbose;
    const { delayMs, lossPercent, seed, chaos } = options;
    const isCut = chaos.includes("cut") || chaos.includes("slow");
    const isDirect = delayMs === 0 && lossPercent === 0 && !isCut;
    const loss = lossPercent / 100;
    this.death.promise.catch(() => {}); // The rejection is for those who await `death`.
    this.detour = isDirect ? null : new Detour(new SeededRandom(seed), { loss, delayMs });
  }

  /**
   * Starts all nodes and connects them: by gossip when one of them chooses its lenders, else as the
   * plans define. Rejects when a node does not start.
   */
  async start(plans: readonly NodePlan[]): Promise<void> {
    this.plans = plans;
    this.directory = mkdtempSync(join(tmpdir(), "ramster-stress-"));
    if (!this.insecure) await this.makeKey();
    const gossips = plans.some((plan) => plan.target === "auto");
    const [first, ...rest] = plans;
    if (first === undefined) return;
    const seed = await this.startNode(first, { gossips, join: null });
    const seedAddress = this.detoured.get(first.number)?.gossip ?? seed.gossip;
    for (let from = 0; from < rest.length; from += STARTING_MAX) {
      const batch = rest.slice(from, from + STARTING_MAX);
      await Promise.all(batch.map((plan) => this.startNode(plan, { gossips, join: seedAddress })));
    }
    for (const node of this.nodes) this.clients.push(await connect(node.client));
    if (gossips) await this.acquainted();
    else await Promise.all(plans.map((plan) => this.wire(plan)));
  }

  private async startNode(
    plan: NodePlan,
    options: { gossips: boolean; join: string | null },
  ): Promise<NodeProcess> {
    const { number } = plan;
    const detoured = await this.detour?.addNode(number);
    if (detoured !== undefined) this.detoured.set(number, detoured);
    const flags = [...(detoured?.flags ?? ["--listen=127.0.0.1:0"])];
    if (options.gossips) flags.push(...(detoured?.gossipFlags ?? GOSSIP));
    else flags.push("--gossip=none");
    if (options.gossips && options.join !== null) flags.push(`--join=${options.join}`);
    const argv = [...this.argvOf(plan), ...flags];
    return this.spawn(number, argv);
  }

  private async spawn(number: number, argv: readonly string[]): Promise<NodeProcess> {
    const node = new NodeProcess(number, argv, { verbose: this.verbose });
    this.nodes[number] = node;
    this.detour?.pids.set(number, node.pid);
    node.died.catch((error: unknown) => this.death.reject(error));
    await node.ready();
    return node;
  }

  // Disturbances: see chaos.ts.

  async killNode(number: number): Promise<void> {
    await this.node(number).kill();
    await this.clients[number]?.close();
  }

  /** Stops the node cleanly, after it has moved its foreign pages elsewhere. */
  async stopNode(number: number): Promise<void> {
    const code = await this.node(number).stop();
    if (code !== 0)
      this.death.reject(new NodeDiedError(`node ${number} stopped with code ${code}`));
    await this.clients[number]?.close();
  }

  /** Starts the same node again at its address, with nothing. It joins one of the others. */
  async restartNode(number: number): Promise<void> {
    const plan = this.plans[number];
    const old = this.node(number);
    const other = this.nodes.find((node) => node.number !== number);
    if (plan === undefined || other === undefined) throw new Error(`no node ${number}`);
    const join = this.detoured.get(other.number)?.gossip ?? other.gossip;
    const detoured = this.detoured.get(number);
    const flags =
      detoured === undefined
        ? [`--listen=${old.listen}`, `--gossip=${old.gossip}`, "--network=local"]
        : [...detoured.flags, ...detoured.gossipFlags];
    const node = await this.spawn(number, [...this.argvOf(plan), ...flags, `--join=${join}`]);
    this.clients[number] = await connect(node.client);
  }

  signalNode(number: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.node(number).child.kill(signal);
  }

  cutNode(number: number): void {
    const others = this.nodes.map((node) => node.number).filter((other) => other !== number);
    this.detour?.relay.partition([number], others);
  }

  healNode(number: number): void {
    for (const { number: other } of this.nodes) this.detour?.relay.heal(number, other);
  }

  /** Delays all traffic of the node by this much more. */
  slowNode(number: number, delayMs: number): void {
    this.detour?.relay.slow(number, delayMs);
  }

  private node(number: number): NodeProcess {
    const node = this.nodes[number];
    if (node === undefined) throw new Error(`no node ${number}`);
    return node;
  }

  /** Waits until every node knows every other one. Rejects with RamsterError TIMED_OUT. */
  private async acquainted(): Promise<void> {
    const deadline = performance.now() + ACQUAINTED_MS;
    for (const client of this.clients) {
      for (;;) {
        const { peers, node } = await client.stats();
        if (peers.length >= this.clients.length - 1) break;
        if (performance.now() > deadline) {
          const what = `Cannot start node ${node.number}: it knows ${peers.length} other nodes`;
          throw new RamsterError("TIMED_OUT", `${what} after ${ACQUAINTED_MS / 1000} s`);
        }
        await Bun.sleep(POLL_MS);
      }
    }
  }

  private async makeKey(): Promise<void> {
    const key = await makeKey({ nowMs: Date.now(), days: 1 });
    writeFileSync(this.keyPath, formatKeyFile(key), { mode: 0o600 });
  }

  private get keyPath(): string {
    return join(this.directory, "cluster.key");
  }

  /** Rejects with NodeDiedError as soon as a node ends without being asked to. */
  watch(): Promise<never> {
    return this.death.promise;
  }

  /**
   * Stops all nodes, owners of remote pages first. @returns the nodes that did not exit with 0.
   */
  async stop(): Promise<string[]> {
    for (const client of this.clients) await client.close();
    const failed: string[] = [];
    for (const loaded of [true, false]) {
      const group = this.nodes.filter((node) => this.plans[node.number]?.loaded === loaded);
      const codes = await Promise.all(group.map((node) => node.stop()));
      for (const [i, code] of codes.entries()) {
        if (code !== 0) failed.push(`node ${group[i]?.number} ended with exit code ${code}`);
      }
    }
    this.cleanUp();
    return failed;
  }

  /** Kills all nodes at once: for a run that failed or was interrupted. */
  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    this.cleanUp();
  }

  private argvOf(plan: NodePlan): string[] {
    const common = [
      `--number=${plan.number}`,
      `--name=n${plan.number}`,
      `--zone=z${plan.number}`,
      `--placement=${this.placement}`,
      `--order=${this.order}`,
      "--reserve=0", // All are on one machine: memory that one gives back another would lend.
      ...(this.insecure ? [] : [`--key=${this.keyPath}`]),
      `--client=unix:${join(this.directory, `${plan.number}.sock`)}`,
    ];
    if (!plan.loaded) return [...this.program, "server", ...common, `--memory=${plan.lendBytes}`];
    const sizes = [`--memory=${plan.memoryBytes}`, `--lend=${plan.lendBytes}`];
    if (plan.target === "auto") sizes.push("--target=auto", `--replicas=${this.replicas}`);
    if (this.seal) sizes.push("--seal");
    if (this.spillBytes !== null) {
      const path = join(this.directory, `${plan.number}.spill`);
      sizes.push(`--spill=${path}`, `--spill-size=${this.spillBytes}`);
    }
    return [...this.program, "node", ...common, ...sizes];
  }

  private async wire(plan: NodePlan): Promise<void> {
    const { target } = plan;
    if (target === null || target === "auto") return;
    const client = this.clients[plan.number];
    const holder = this.nodes[target];
    if (client === undefined || holder === undefined) {
      throw new RamsterError("BAD_CONFIG", `Cannot connect node ${plan.number} to node ${target}`);
    }
    await client.setKnob("peers", `${target}@${this.detoured.get(target)?.pages ?? holder.listen}`);
    await client.setKnob("remote_target_nodenum", `${target}`);
  }

  private cleanUp(): void {
    this.detour?.close();
    if (this.directory !== "") rmSync(this.directory, { recursive: true, force: true });
  }
}
