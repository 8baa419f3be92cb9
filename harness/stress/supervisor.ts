/**
 * Supervisor: starts real node processes of this same program on free ports, and ends each of them
 * by its id.
 *
 * Every node is started without peers and with port 0; who is whose peer is set through the client
 * doors once all are up. So no port is ever guessed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../../src/client/client.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { NodeProcess } from "../node-process.ts";
import type { NodePlan } from "./topology.ts";

/** All nodes of a run, and a connection to each. */
export class Supervisor {
  readonly nodes: NodeProcess[] = [];
  readonly clients: Client[] = [];
  private readonly program: readonly string[];
  private readonly verbose: boolean;
  private directory = "";
  private plans: readonly NodePlan[] = [];

  /** `program`: the words that start this program, to be followed by a command. */
  constructor(program: readonly string[], options: { verbose: boolean }) {
    this.program = program;
    this.verbose = options.verbose;
  }

  /** Starts all nodes and wires them. Rejects when one does not start. */
  async start(plans: readonly NodePlan[]): Promise<void> {
    this.plans = plans;
    this.directory = mkdtempSync(join(tmpdir(), "ramster-stress-"));
    for (const plan of plans) {
      const options = { verbose: this.verbose };
      this.nodes.push(new NodeProcess(plan.number, this.argvOf(plan), options));
    }
    await Promise.all(this.nodes.map((node) => node.ready()));
    for (const node of this.nodes) this.clients.push(await connect(node.client));
    await Promise.all(plans.map((plan) => this.wire(plan)));
  }

  /** Rejects with NodeDiedError as soon as a node dies that was not asked to. */
  watch(): Promise<never> {
    return Promise.race(this.nodes.map((node) => node.died));
  }

  /**
   * Stops all nodes, those that keep pages elsewhere first. @returns those that did not end with 0.
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
    this.removeDirectory();
    return failed;
  }

  /** Ends everything at once: for a run that failed or was interrupted. */
  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    this.removeDirectory();
  }

  private argvOf(plan: NodePlan): string[] {
    const common = [
      `--number=${plan.number}`,
      `--name=n${plan.number}`,
      "--listen=127.0.0.1:0",
      "--gossip=none",
      `--client=unix:${join(this.directory, `${plan.number}.sock`)}`,
    ];
    if (!plan.loaded) return [...this.program, "server", ...common, `--memory=${plan.lendBytes}`];
    const sizes = [`--memory=${plan.memoryBytes}`, `--lend=${plan.lendBytes}`];
    return [...this.program, "node", ...common, ...sizes];
  }

  private async wire(plan: NodePlan): Promise<void> {
    const { target } = plan;
    if (target === null) return;
    const client = this.clients[plan.number];
    const holder = this.nodes[target];
    if (client === undefined || holder === undefined) {
      throw new RamsterError("BAD_CONFIG", `Cannot wire node ${plan.number} to ${target}`);
    }
    await client.setKnob("peers", `${target}@${holder.listen}`);
    await client.setKnob("remote_target_nodenum", `${target}`);
  }

  private removeDirectory(): void {
    if (this.directory !== "") rmSync(this.directory, { recursive: true, force: true });
  }
}
