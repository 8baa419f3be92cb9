/**
 * ProcessWorld: real processes of the compiled program, for tests. It has a directory for sockets
 * and files. At its end all processes that it started are gone, and so is the directory.
 *
 *     await using world = new ProcessWorld();
 *     const node = await world.start("node", 1, ["--memory=1MiB"]);
 *
 * Ports are 0 and tests wait for states, so they may run side by side on a loaded machine. No test
 * gossips on the default port, which another program may have.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../../src/client/client.ts";
import { connect } from "../../src/client/on-bun.ts";
import type { Pool } from "../../src/client/pool.ts";
import type { Oid } from "../../src/core/handle.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { parseAddress } from "../../src/net/address.ts";
import type { CounterName } from "../../src/wire/stats.ts";
import { fillTestPage } from "../sim/cluster.ts";
import { compiledProgram } from "./compiled.ts";
import { NodeProcess } from "./node-process.ts";

export const PROGRAM = [compiledProgram()];
export const OID: Oid = [1n, 2n, 3n];

const UNTIL_MS = 15_000;
const POLL_MS = 5;

export interface Ended {
  stdout: string;
  stderr: string;
  code: number;
}

export class ProcessWorld implements AsyncDisposable {
  /** Processes that are started get it as TMPDIR. */
  readonly directory = mkdtempSync(join(tmpdir(), "ramster-test-"));
  private readonly program: readonly string[];
  private readonly children: Bun.Subprocess[] = [];
  private readonly clients: Client[] = [];
  private readonly atEnd: Array<() => void> = [];

  /** `program`: the command that runs the program, if not PROGRAM. */
  constructor(program: readonly string[] = PROGRAM) {
    this.program = program;
  }

  /** Registers what to do once all processes are gone. */
  onEnd(callback: () => void): void {
    this.atEnd.push(callback);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Starts a node or server on free ports, and waits until it is ready. */
  async start(
    command: "node" | "server",
    number: number,
    flags: readonly string[] = [],
    under: readonly string[] = [],
  ) {
    const node = this.startUnready(command, number, flags, under);
    await node.ready();
    return node;
  }

  /** `under`: a command prefix that replaces itself by the program: `prlimit --nofile=9`. */
  startUnready(
    command: "node" | "server",
    number: number,
    flags: readonly string[],
    under: readonly string[] = [],
  ): NodeProcess {
    const given = flags.some((flag) => flag.startsWith("--client=") || flag === "--no-client");
    const client = given ? [] : [`--client=unix:${this.path(`${number}.sock`)}`];
    const listen = flags.some((flag) => flag.startsWith("--listen=")) ? [] : ["127.0.0.1:0"];
    const gossips = flags.some((flag) => /^--gossip=/.test(flag));
    const named = flags.some((flag) => flag.startsWith("--name="));
    // The cluster assigns a number to a node that gossips, unless the test does.
    const own = gossips ? [] : ["--gossip=none", `--number=${number}`];
    // Other programs on this machine must not change how much is lent, unless a test wants that.
    if (!flags.some((flag) => flag.startsWith("--reserve="))) own.push("--reserve=0");
    // A library is checked in a process of its own, which takes as long as the start of a node.
    const hasCodec = command === "server" || flags.some((flag) => flag.startsWith("--codec="));
    if (!hasCodec) own.push("--codec=wasm");
    const hasCold = command === "server" || flags.some((flag) => flag.startsWith("--cold-codec="));
    if (!hasCold) own.push("--cold-codec=none");
    const argv = [
      ...[...under, ...this.program, command, ...(named ? [] : [`--name=n${number}`]), ...own],
      ...[...listen.map((address) => `--listen=${address}`), ...client, ...flags],
    ];
    const node = new NodeProcess(number, argv, { verbose: false });
    this.children.push(node.child);
    return node;
  }

  async connect(node: NodeProcess, timeoutMs = 30_000, key?: string): Promise<Client> {
    const client = await connect(node.client, { timeoutMs, key });
    this.clients.push(client);
    return client;
  }

  /** Starts the program with its output in pipes. */
  spawn(argv: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    return this.spawnCommand(this.command(argv));
  }

  /** The words that run the program. */
  command(argv: readonly string[]): string[] {
    return [...this.program, ...argv];
  }

  /** Starts any command with its output in pipes. */
  spawnCommand(command: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    const child = Bun.spawn([...command], {
      env: {
        PATH: process.env.PATH ?? "",
        TMPDIR: this.directory,
        RUNTIME_DIRECTORY: this.directory, // Where nodes have their sockets.
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.children.push(child);
    return child;
  }

  /** Runs the program to its end. */
  run(argv: readonly string[]): Promise<Ended> {
    return ended(this.spawn(argv));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const orphans = this.children.flatMap((child) => childrenOf(child.pid));
    for (const child of this.children) child.kill("SIGKILL");
    for (const pid of orphans) endQuietly(pid);
    await Promise.all(this.children.map((child) => child.exited));
    await Promise.all(this.clients.map((client) => client.close()));
    for (const callback of this.atEnd) callback();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function ended(child: Bun.Subprocess<"ignore", "pipe", "pipe">): Promise<Ended> {
  const { stdout, stderr, exited } = child;
  const [out, err, code] = await Promise.all([stdout.text(), stderr.text(), exited]);
  return { stdout: out, stderr: err, code };
}

/** Ids of the child processes of `pid` that still run. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid);
}

function parentOf(pid: number): number {
  try {
    // The name in brackets may hold anything. State and parent follow it.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [, parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(parent);
  } catch {
    return 0; // It has ended by now.
  }
}

export function isRunning(pid: number): boolean {
  return parentOf(pid) !== 0;
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Waits for a state. Rejects when the state does not come in time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  longestMs = UNTIL_MS,
): Promise<void> {
  const limit = performance.now() + longestMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`It never happened: ${what}`);
    await Bun.sleep(POLL_MS);
  }
}

/** Waits for a line in the node's log, or for several with anything between them. */
export function logged(node: NodeProcess, pattern: RegExp): Promise<void> {
  return until(`${pattern} in the log`, () => pattern.test(node.stderr.join("\n")));
}

export async function counter(client: Client, name: CounterName): Promise<number> {
  return (await client.stats()).counters[name] ?? 0;
}

export function pageOf(number: number, owner = 0): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  fillTestPage(page, owner, 0, number, 1);
  return page;
}

export function keys(count: number, from = 0) {
  return Array.from({ length: count }, (_, i) => ({ oid: OID, index: from + i }));
}

/**
 * Puts pages 0 .. count - 1, and puts refused ones again as long as more are stored each time: how
 * soon there is room depends on what else runs on this machine. @returns how many were stored.
 */
export async function fill(pool: Pool, count: number, owner = 0): Promise<number> {
  let refused = keys(count);
  for (;;) {
    const before = refused;
    const puts = before.map((key) => ({ ...key, page: pageOf(key.index, owner) }));
    const results = await pool.putMany(puts);
    refused = before.filter((_, i) => results[i]?.stored !== true);
    if (refused.length === 0 || refused.length === before.length) return count - refused.length;
  }
}

/** Counts the pages of 0 .. count - 1 that have the right bytes. */
export async function countRight(pool: Pool, count: number, owner = 0): Promise<number> {
  const pages = await pool.getMany(keys(count));
  return pages.filter((page, i) => isPage(page, i, owner)).length;
}

export function isPage(page: Uint8Array | string | null, number: number, owner = 0): boolean {
  return page instanceof Uint8Array && Buffer.compare(page, pageOf(number, owner)) === 0;
}

/** Sends bytes to `HOST:PORT`. @returns what was received until the other side closed. */
export async function answerTo(address: string, bytes: Uint8Array): Promise<string> {
  const to = parseAddress(address);
  if (to.kind !== "tcp") throw new Error(`"${address}" is no port`);
  let answer = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: to.host,
    port: to.port,
    socket: {
      data: (_socket, chunk) => {
        answer += chunk.toString("latin1");
      },
      close: () => resolve(),
      error: () => resolve(),
    },
  });
  socket.write(bytes);
  socket.flush();
  await promise;
  return answer;
}
