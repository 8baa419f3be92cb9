/**
 * Supervisor: starts real node processes of this same program on free ports, and ends each of them
 * by its id.
 *
 * Every node is started without peers and with port 0; who is whose peer is set through the client
 * doors once all are up. So no port is ever guessed.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../../src/client/client.ts";
import { RamsterError } from "../../src/core/errors.ts";
import type { NodePlan } from "./topology.ts";

/** From start to the ready line. Generous: many nodes start at once on few cores. */
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const STDERR_LINES_KEPT = 20;

export class NodeDiedError extends Error {
  override readonly name = "NodeDiedError";
}

/** One node process. */
export class NodeProcess {
  readonly plan: NodePlan;
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** Where it listens for peers and for programs, from its ready line. */
  listen = "";
  client = "";
  /** What it logged last. */
  readonly stderr: string[] = [];
  private ending = false;

  constructor(plan: NodePlan, argv: readonly string[], verbose: boolean) {
    this.plan = plan;
    this.child = Bun.spawn({ cmd: [...argv], stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    void this.keepStderr(verbose);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Rejects with NodeDiedError when it ends although nobody asked it to. */
  get died(): Promise<never> {
    return this.child.exited.then((code) => {
      if (this.ending) return new Promise<never>(() => {});
      throw new NodeDiedError(`node ${this.plan.number} died with exit code ${code}`);
    });
  }

  /** Reads its ready line. */
  async ready(): Promise<void> {
    const reader = this.child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    const timer = setTimeout(() => this.child.kill("SIGKILL"), READY_TIMEOUT_MS);
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    clearTimeout(timer);
    reader.releaseLock();
    const match = /^ready node=\d+ name=\S+ listen=(\S+) client=(\S+)$/m.exec(text);
    if (match === null) {
      const said = this.stderr.at(-1) ?? "nothing";
      throw new NodeDiedError(`node ${this.plan.number} did not start: it said ${said}`);
    }
    this.listen = match[1] ?? "";
    this.client = match[2] ?? "";
  }

  /** SIGTERM, and SIGKILL when that does not end it. @returns its exit code. */
  async stop(): Promise<number> {
    this.ending = true;
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const code = await this.child.exited;
    clearTimeout(timer);
    return code;
  }

  kill(): void {
    this.ending = true;
    this.child.kill("SIGKILL");
  }

  private async keepStderr(verbose: boolean): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr) {
      const text = decoder.decode(chunk, { stream: true });
      if (verbose) process.stderr.write(text);
      this.stderr.push(...text.split("\n").filter((line) => line !== ""));
      this.stderr.splice(0, this.stderr.length - STDERR_LINES_KEPT);
    }
  }
}

/** All nodes of a run, and a connection to each. */
export class Supervisor {
  readonly nodes: NodeProcess[] = [];
  readonly clients: Client[] = [];
  private readonly program: readonly string[];
  private readonly verbose: boolean;
  private directory = "";

  /** `program`: the words that start this program, to be followed by a command. */
  constructor(program: readonly string[], options: { verbose: boolean }) {
    this.program = program;
    this.verbose = options.verbose;
  }

  /** Starts all nodes and wires them. Rejects when one does not start. */
  async start(plans: readonly NodePlan[]): Promise<void> {
    this.directory = await mkdtemp(join(tmpdir(), "ramster-stress-"));
    for (const plan of plans) {
      this.nodes.push(new NodeProcess(plan, this.argvOf(plan), this.verbose));
    }
    await Promise.all(this.nodes.map((node) => node.ready()));
    for (const node of this.nodes) this.clients.push(await connect(node.client));
    await Promise.all(plans.map((plan) => this.wire(plan)));
  }

  /** Rejects as soon as a node dies that was not asked to. */
  async watch(): Promise<never> {
    return Promise.race(this.nodes.map((node) => node.died));
  }

  /**
   * Stops all nodes, those that keep pages elsewhere first. @returns those that did not end with 0.
   */
  async stop(): Promise<string[]> {
    for (const client of this.clients) await client.close();
    const failed: string[] = [];
    for (const loaded of [true, false]) {
      const group = this.nodes.filter((node) => node.plan.loaded === loaded);
      const codes = await Promise.all(group.map((node) => node.stop()));
      for (const [i, code] of codes.entries()) {
        if (code !== 0) failed.push(`node ${group[i]?.plan.number} ended with exit code ${code}`);
      }
    }
    this.removeDirectory();
    return failed;
  }

  /** Ends everything at once: for a run that failed or was interrupted. */
  async kill(): Promise<void> {
    for (const node of this.nodes) node.kill();
    await Promise.all(this.nodes.map((node) => node.child.exited));
    this.removeDirectory();
  }

  private argvOf(plan: NodePlan): string[] {
    const common = [
      `--number=${plan.number}`,
      `--name=n${plan.number}`,
      "--listen=127.0.0.1:0",
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
