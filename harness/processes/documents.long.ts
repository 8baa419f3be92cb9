/**
 * Follows README.md and docs/swap.md as a new user does. Their commands run in the order of the
 * text, against the compiled program, in a temporary directory.
 *
 * Changes to the commands: hosts become 127.0.0.1, each of their ports becomes a free port, /run
 * becomes a directory, and --swap=strict becomes --swap, since not every user may lock memory.
 * Commands that take root run as another user, up to the error that says so. A client of bare bytes
 * then takes the place of the kernel, which writes one page, the header of the swap. Commands that
 * run in a clone or need another node are skipped, as are those of programs that are not installed.
 *
 * Not here: whether flags and links of all documents exist (checks/documents.test.ts).
 */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { BunRandom, BunTransport } from "../../src/net/bun.ts";
import {
  type Block,
  commandsOf,
  outputLike,
  ramsterCalls,
  readDocument,
} from "../checks/documents.ts";
import { BareClient, WRITE } from "../nbd/bare-client.ts";
import { freePort } from "../stress/free-port.ts";
import { ended, PROGRAM, ProcessWorld } from "./process-world.ts";
import { areToolsRequired, TOOL_PATH, which } from "./tools.ts";

/** Takes seconds on an idle machine: each terminal is a process that starts and joins. */
const TEST_MS = 120_000;
const EXIT_NOT_STARTED = 3;
/** Matches `10.0.0.1:7777`, and the form that QEMU takes. */
const ADDRESS = /\b(\d+\.\d+\.\d+\.\d+)(:|,port=)(\d+)\b/g;
/** The default gossip port. */
const GOSSIP_PORT = 7946;

/** What other tests follow (harness/packages), or nobody. */
const NOT_HERE = ["clone", "needs a node", "lender", "lender, keeps running", "owner"];

/** The ports of all readers, since they run at the same time. */
const TAKEN = new Set<number>();

class Reader implements AsyncDisposable {
  private readonly world = new ProcessWorld();
  private readonly running: Bun.Subprocess<"ignore", "pipe", "pipe">[] = [];
  /** Free ports by the address in the document. */
  private readonly ports = new Map<string, number>();
  private stdout = "";
  /** The client of the export while swap is on. */
  private kernel: BareClient | null = null;

  constructor() {
    const { world } = this;
    for (const folder of ["dist", "bin", "run"]) mkdirSync(world.path(folder));
    const words = PROGRAM.map((word) => `'${word}'`).join(" ");
    for (const path of ["dist/ramster", "bin/ramster"]) {
      writeFileSync(world.path(path), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
    }
  }

  async follow(block: Block): Promise<void> {
    if (block.language === "text" && block.how === "output") return this.compare(block);
    if (block.language !== "sh") return;
    const [, tool] = /^needs (\S+)$/.exec(block.how) ?? [];
    if (NOT_HERE.includes(block.how)) return;
    if (tool !== undefined && this.isMissing(tool)) return;
    if (block.how === "root") return this.runWithoutRoot(block);
    if (block.how === "keeps running") return this.keepRunning(block);
    const { stdout, stderr, code } = await ended(await this.spawn(commandsOf(block)));
    if (code !== 0) throw new Error(`${block.at} ended with ${code}: ${stderr}${stdout}`);
    this.stdout = stdout;
  }

  /** Sends Ctrl-C to each terminal, the last one first. */
  async interrupt(): Promise<number[]> {
    const codes: number[] = [];
    for (const child of this.running.splice(0).toReversed()) {
      child.kill("SIGINT");
      codes.push(await child.exited);
    }
    return codes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }

  private isMissing(tool: string): boolean {
    return which(tool) === null && !areToolsRequired;
  }

  private async keepRunning(block: Block): Promise<void> {
    const [command = "", ...more] = commandsOf(block);
    expect(more).toEqual([]);
    const child = await this.spawn([`exec ${withDefaults(command)}`]);
    this.running.push(child);
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`${block.at} did not start: ${await child.stderr.text()}`);
      text += decoder.decode(value, { stream: true });
    }
    expect(text).toStartWith("ready ");
  }

  /** Commands of this program report that they take root; other commands are not run. */
  private async runWithoutRoot(block: Block): Promise<void> {
    const isRoot = process.getuid?.() === 0;
    if (isRoot && !canDropRoot()) return;
    const run = isRoot ? "exec unshare --user" : "exec";
    for (const command of commandsOf(block)) {
      if (ramsterCalls(command).length === 0) continue;
      const { stderr, code } = await ended(await this.spawn([`${run} ${command}`]));
      expect(`${block.at}: ${stderr}`).toContain("this needs root");
      expect(code).toBe(EXIT_NOT_STARTED);
      await this.swap(command);
    }
  }

  /** What the kernel does at the node after `ramster swap on` and `off`. */
  private async swap(command: string): Promise<void> {
    const [, action] = /ramster swap (on|off) /.exec(command) ?? [];
    const [, path = "", name = ""] = /--nbd unix:(\S+) --export (\S+)/.exec(command) ?? [];
    if (action === "off") {
      this.kernel?.stream?.end();
      this.kernel = null;
    }
    if (action !== "on") return;
    const kernel = new BareClient();
    this.kernel = kernel;
    new BunTransport().connect({ kind: "unix", path: await this.local(path) }, kernel);
    await kernel.negotiate({ form: "simple", name });
    const header = { type: WRITE, offset: 0, length: PAGE_BYTES };
    const data = new Uint8Array(PAGE_BYTES).fill(1);
    expect((await kernel.ask({ ...header, data })).error).toBe(0);
  }

  private async spawn(commands: readonly string[]) {
    const directory = this.world.directory;
    const local = await this.local(commands.join("\n"));
    const script = [
      `set -e; cd '${directory}'; umask 022`,
      `HOME='${directory}'; PATH='${directory}/bin:${TOOL_PATH}'; export HOME PATH`,
      local,
    ];
    return this.world.spawnCommand(["sh", "-c", script.join("\n")]);
  }

  /** Replaces hosts, ports and /run by those of this machine and test. */
  private async local(text: string): Promise<string> {
    for (const [, host, , port] of text.matchAll(ADDRESS)) {
      const address = `${host}:${port}`;
      if (this.ports.has(address)) continue;
      const free = await freePort(new BunTransport(), new BunRandom(), TAKEN);
      this.ports.set(address, free.port);
    }
    return text
      .replaceAll(ADDRESS, (_, host, between, port) => {
        return `127.0.0.1${between}${this.ports.get(`${host}:${port}`)}`;
      })
      .replaceAll("--swap=strict", "--swap")
      .replaceAll("/run/", `${this.world.directory}/run/`);
  }

  private compare({ at, lines }: Block): void {
    for (const line of lines) {
      if (outputLike(line).test(this.stdout)) continue;
      throw new Error(`${at}: "${line}" is not what is printed:\n${this.stdout}`);
    }
  }
}

/** Inside a user namespace root is nobody. Some machines forbid user namespaces. */
function canDropRoot(): boolean {
  return which("unshare") !== null && Bun.spawnSync(["unshare", "--user", "true"]).success;
}

/**
 * Writes out defaults that follow from the host of --listen: the address of --gossip, and the zone,
 * since here all hosts are one.
 */
function withDefaults(command: string): string {
  const [, host] = /--listen (\S+):\d+/.exec(command) ?? [];
  const gossip = command.includes("--gossip ") ? "" : ` --gossip ${host}:${GOSSIP_PORT}`;
  return `${command}${gossip}${command.includes("--zone ") ? "" : ` --zone of-${host}`}`;
}

async function follow(path: string): Promise<Reader> {
  const reader = new Reader();
  try {
    for (const block of readDocument(path).blocks) await reader.follow(block);
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
  return reader;
}

test.concurrent.each([
  ["README.md", 2],
  ["docs/swap.md", 4],
])(
  "the commands of %s work as they stand",
  async (path, terminals) => {
    await using reader = await follow(path);
    expect(await reader.interrupt()).toEqual(new Array(terminals).fill(0));
  },
  TEST_MS,
);
