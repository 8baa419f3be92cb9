/**
 * The node that is killed (kills.ts), and what comes after it: the same process started again, or
 * its standby.
 */
import type { Client } from "../../src/client/client.ts";
import { hasEnded } from "../../src/memory/processes.ts";
import { isAnswered } from "../../src/net/bun.ts";
import type { NodeProcess } from "../processes/node-process.ts";
import { counter, type ProcessWorld, until } from "../processes/process-world.ts";

export interface KilledNode {
  /** The path of the socket of its exports. */
  readonly nbd: string;
  /** Ends the process that serves with SIGKILL. */
  kill(): Promise<void>;
  /** Resolves when the next process serves. */
  again(): Promise<void>;
  /** A client of the process that serves. */
  connect(): Promise<Client>;
  /** Ends it in good order. */
  stop(): Promise<void>;
}

/** A node of one process. It is started again each time. */
export class RestartedNode implements KilledNode {
  readonly nbd: string;
  private readonly world: ProcessWorld;
  private readonly flags: readonly string[];
  private node: NodeProcess;

  private constructor(world: ProcessWorld, flags: readonly string[], node: NodeProcess) {
    this.world = world;
    this.flags = flags;
    this.node = node;
    this.nbd = world.path("nbd.sock");
  }

  static async start(world: ProcessWorld, flags: readonly string[]): Promise<RestartedNode> {
    const all = [...flags, `--nbd=unix:${world.path("nbd.sock")}`];
    return new RestartedNode(world, all, await world.start("node", 1, all));
  }

  kill(): Promise<void> {
    return this.node.kill();
  }

  async again(): Promise<void> {
    this.node = await this.world.start("node", 1, this.flags);
  }

  connect(): Promise<Client> {
    return this.world.connect(this.node);
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }
}

/** A node with a standby, which takes over each time. */
export class SucceededNode implements KilledNode {
  readonly nbd: string;
  private readonly world: ProcessWorld;
  private readonly node: NodeProcess;
  /** The socket of the process that serves (src/standby/active.ts). */
  private readonly socket: string;

  private constructor(world: ProcessWorld, node: NodeProcess, folder: string) {
    this.world = world;
    this.node = node;
    this.nbd = world.path("nbd.sock");
    this.socket = `${folder}/active`;
  }

  /** `folder`: of --keep. */
  static async start(
    world: ProcessWorld,
    flags: readonly string[],
    folder: string,
  ): Promise<SucceededNode> {
    const own = [`--keep=${folder}`, "--standby=on", `--nbd=unix:${world.path("nbd.sock")}`];
    const started = await world.start("node", 1, [...flags, ...own]);
    const node = new SucceededNode(world, started, folder);
    await node.untilStandby();
    return node;
  }

  /** The process that serves. */
  async pid(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = { data: (_: unknown, data: Buffer) => resolve(data.toString()) };
    const connection = await Bun.connect({ unix: this.socket, socket });
    const [, pid] = (await promise).split(/[ \n]/);
    connection.terminate();
    return Number(pid);
  }

  async kill(): Promise<void> {
    const pid = await this.pid();
    process.kill(pid, "SIGKILL");
    await until("it has ended", () => hasEnded(pid));
  }

  async again(): Promise<void> {
    await until("the standby serves", () => isAnswered(this.nbd));
    await this.untilStandby();
  }

  connect(): Promise<Client> {
    return this.world.connect(this.node);
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }

  private async untilStandby(): Promise<void> {
    await until("there is a standby", () => isAnswered(this.socket));
    const client = await this.connect();
    await until("the standby is ready", async () => (await counter(client, "standby_ready")) === 1);
    await client.close();
  }
}
