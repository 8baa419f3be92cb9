/** SerfAgent: a real agent of HashiCorp's Serf (Debian's package `serf`) on loopback, for tests. */
import type { TcpAddress } from "../../src/net/address.ts";

export interface SerfMember {
  readonly name: string;
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

interface SerfOptions {
  /** Base64, for an encrypted cluster. */
  readonly key?: string;
  readonly tags?: readonly string[];
  /** A member, by its address. */
  readonly join?: string;
}

const TRIES = 3;

export class SerfAgent {
  readonly address: TcpAddress;
  private readonly child: Bun.Subprocess;
  private readonly rpc: string;

  private constructor(child: Bun.Subprocess, address: TcpAddress, rpc: string) {
    this.child = child;
    this.address = address;
    this.rpc = rpc;
  }

  /** Whether this machine has the program `serf`. */
  static get isInstalled(): boolean {
    return Bun.which("serf") !== null;
  }

  /** Starts an agent and waits until it answers. */
  static async start(name: string, options: SerfOptions = {}): Promise<SerfAgent> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const agent = await SerfAgent.tryStart(name, options);
      if (agent !== null) return agent;
    }
    throw new Error(`serf agent ended ${TRIES} times`);
  }

  /** Null: it has ended. Another program may have taken one of its ports meanwhile. */
  private static async tryStart(name: string, options: SerfOptions): Promise<SerfAgent | null> {
    const port = await freePort();
    const rpc = `127.0.0.1:${await freePort()}`;
    const flags = [`-node=${name}`, `-bind=127.0.0.1:${port}`, `-rpc-addr=${rpc}`];
    if (options.key !== undefined) flags.push(`-encrypt=${options.key}`);
    if (options.join !== undefined) flags.push(`-join=${options.join}`);
    for (const tag of options.tags ?? []) flags.push("-tag", tag);
    const output = { stdout: "ignore", stderr: "ignore", stdin: "ignore" } as const;
    const child = Bun.spawn(["serf", "agent", ...flags], output);
    const agent = new SerfAgent(child, { kind: "tcp", host: "127.0.0.1", port }, rpc);
    while ((await agent.members()).length === 0) {
      if (child.exitCode !== null) return null;
      await Bun.sleep(50);
    }
    return agent;
  }

  /** The list of `serf members`. Empty while the agent does not answer. */
  async members(): Promise<SerfMember[]> {
    const list = ["serf", "members", "-format=json", `-rpc-addr=${this.rpc}`];
    const child = Bun.spawn(list, { stdout: "pipe", stderr: "ignore" });
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) return [];
    const { members } = JSON.parse(text) as { members: SerfMember[] };
    return members;
  }

  /** Runs `serf COMMAND` on this agent. */
  async run(command: string, ...flags: readonly string[]): Promise<{ code: number; text: string }> {
    const list = ["serf", command, `-rpc-addr=${this.rpc}`, ...flags];
    const child = Bun.spawn(list, { stdout: "pipe", stderr: "pipe" });
    const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, text: text + errors };
  }

  /** All that the agent receives from now on, as `serf monitor` prints it. */
  monitor(): { text: string } & Disposable {
    const list = ["serf", "monitor", `-rpc-addr=${this.rpc}`];
    const child = Bun.spawn(list, { stdout: "pipe", stderr: "ignore" });
    const heard = { text: "", [Symbol.dispose]: () => child.kill("SIGKILL") };
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) heard.text += decoder.decode(chunk, { stream: true });
    };
    void read();
    return heard;
  }

  /** Stops the process. Its ports stay open. */
  pause(): void {
    this.child.kill("SIGSTOP");
  }

  async statusOf(name: string): Promise<string | undefined> {
    return (await this.members()).find((member) => member.name === name)?.status;
  }

  /** Leaves the cluster, and announces it. */
  async leave(): Promise<void> {
    const command = ["serf", "leave", `-rpc-addr=${this.rpc}`];
    await Bun.spawn(command, { stdout: "ignore", stderr: "ignore" }).exited;
    await this.child.exited;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}

/** A port that was free a moment ago. serf does not accept port 0. */
async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = server;
  server.stop(true);
  return port;
}
