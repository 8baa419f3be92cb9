/**
 * ProcessWorld: real processes of the compiled program, for tests. A directory of its own for
 * sockets and files; at its end every process that was started is gone, and the directory too.
 *
 *     await using world = new ProcessWorld();
 *     const node = await world.start(["node", "--number=1", ...]);
 *
 * Ports are 0 and states are waited for, so tests may run on a loaded machine, side by side.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../../src/client/client.ts";
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
  /** Also TMPDIR of what `spawn` starts. */
  readonly directory = mkdtempSync(join(tmpdir(), "ramster-test-"));
  private readonly program: readonly string[];
  private readonly children: Bun.Subprocess[] = [];
  private readonly clients: Client[] = [];
  private readonly atEnd: Array<() => void> = [];

  /** `program`: how it is run, if not as PROGRAM. */
  constructor(program: readonly string[] = PROGRAM) {
    this.program = program;
  }

  /** Has something done once all processes are gone. */
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

  /** `under`: a command that replaces itself by the one that follows: `prlimit --nofile=9`. */
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
    // Where it gossips the cluster gives it its number, unless the test does.
    const own = gossips ? [] : ["--gossip=none", `--number=${number}`];
    // What is lent is not to depend on what else runs on this machine, unless the test is of that.
    if (!flags.some((flag) => flag.startsWith("--reserve="))) own.push("--reserve=0");
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
    return this.spawnCommand([...this.program, ...argv]);
  }

  /** Starts any command likewise. */
  spawnCommand(command: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    const child = Bun.spawn([...command], {
      env: { PATH: process.env.PATH ?? "", TMPDIR: this.directory },
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

/** Ids of the processes that `pid` has started and that are there still. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid);
}

function parentOf(pid: number): number {
  try {
    // After the name in brackets, which may hold anything: state, parent.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [, parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(parent);
  } catch {
    return 0; // It has ended meanwhile.
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

/** Waits for a state. Rejects when it does not come. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const limit = performance.now() + UNTIL_MS;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`It never happened: ${what}`);
    await Bun.sleep(POLL_MS);
  }
}

/** Waits for a line of its log, or for several with anything between them. */
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
 * Puts pages 0 .. count - 1, again those that found no room in time, as long as more are stored:
 * how quickly room comes depends on what else runs on this machine. @returns how many were stored.
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

/** How many of pages 0 .. count - 1 are there with the right bytes. */
export async function countRight(pool: Pool, count: number, owner = 0): Promise<number> {
  const pages = await pool.getMany(keys(count));
  return pages.filter((page, i) => isPage(page, i, owner)).length;
}

export function isPage(page: Uint8Array | string | null, number: number, owner = 0): boolean {
  return page instanceof Uint8Array && Buffer.compare(page, pageOf(number, owner)) === 0;
}

/** Sends bytes to `HOST:PORT`. @returns what came back until the other side closed. */
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
