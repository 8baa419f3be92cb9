/**
 * README.md and docs/swap.md as a new user follows them: their commands run in the order in which
 * they stand, against the compiled program, in a directory of their own.
 *
 * What is changed in them: machines become 127.0.0.1, each of their ports a free one, and /run a
 * directory. A command that takes root is run by a user who is not root, to the point where it says
 * so. What runs in a clone, or with a program that is missing, is not run.
 *
 * Not here: that flags and links in all documents are there: checks/documents.test.ts.
 */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { BunRandom, BunTransport } from "../../src/net/bun.ts";
import { type Block, commandsOf, ramsterCalls, readDocument } from "../checks/documents.ts";
import { freePort } from "../stress/free-port.ts";
import { ended, PROGRAM, ProcessWorld } from "./process-world.ts";
import { areToolsRequired, TOOL_PATH, which } from "./tools.ts";

/** Some seconds, unless much else runs: each terminal is a process that starts and joins. */
const TEST_MS = 120_000;
const EXIT_NOT_STARTED = 3;
/** `10.0.0.1:7777`, and as QEMU has it. */
const ADDRESS = /\b(\d+\.\d+\.\d+\.\d+)(:|,port=)(\d+)\b/g;
/** The gossip port of a node that is not given one. */
const GOSSIP_PORT = 7946;

class Reader implements AsyncDisposable {
  private readonly world = new ProcessWorld();
  private readonly running: Bun.Subprocess<"ignore", "pipe", "pipe">[] = [];
  /** By the address in the document. */
  private readonly ports = new Map<string, number>();
  private readonly taken = new Set<number>();
  private stdout = "";

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
    if (block.how === "clone" || (tool !== undefined && this.isMissing(tool))) return;
    if (block.how === "root") return this.runWithoutRoot(block);
    if (block.how === "keeps running") return this.keepRunning(block);
    const { stdout, stderr, code } = await ended(await this.spawn(commandsOf(block)));
    if (code !== 0) throw new Error(`${block.at} ended with ${code}: ${stderr}${stdout}`);
    this.stdout = stdout;
  }

  /** Ctrl-C in each terminal, the last one first. */
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
    const child = await this.spawn([`exec ${withGossip(command)}`]);
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

  /** A command of this program says that it takes root; others are not run. */
  private async runWithoutRoot(block: Block): Promise<void> {
    const isRoot = process.getuid?.() === 0;
    if (isRoot && !canDropRoot()) return;
    const run = isRoot ? "exec unshare --user" : "exec";
    for (const command of commandsOf(block)) {
      if (ramsterCalls(command).length === 0) continue;
      const { stderr, code } = await ended(await this.spawn([`${run} ${command}`]));
      expect(`${block.at}: ${stderr}`).toContain("this takes root");
      expect(code).toBe(EXIT_NOT_STARTED);
    }
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

  /** On this machine, and in the directory. */
  private async local(text: string): Promise<string> {
    for (const [, host, , port] of text.matchAll(ADDRESS)) {
      const address = `${host}:${port}`;
      if (this.ports.has(address)) continue;
      const free = await freePort(new BunTransport(), new BunRandom(), this.taken);
      this.ports.set(address, free.port);
    }
    return text
      .replaceAll(ADDRESS, (_, host, between, port) => {
        return `127.0.0.1${between}${this.ports.get(`${host}:${port}`)}`;
      })
      .replaceAll("/run/", `${this.world.directory}/run/`);
  }

  private compare({ at, lines }: Block): void {
    for (const line of lines) {
      if (kindOf(line).test(this.stdout)) continue;
      throw new Error(`${at}: "${line}" is not what is printed:\n${this.stdout}`);
    }
  }
}

/** In a user namespace of its own, root is nobody. Some machines forbid that. */
function canDropRoot(): boolean {
  return which("unshare") !== null && Bun.spawnSync(["unshare", "--user", "true"]).success;
}

/** Where it gossips if it is not told: at the address of --listen. */
function withGossip(command: string): string {
  const [, host] = /--listen (\S+):\d+/.exec(command) ?? [];
  return command.includes("--gossip ") ? command : `${command} --gossip ${host}:${GOSSIP_PORT}`;
}

/** Lines with the same words; 0 is 0, and any other number any other number. */
function kindOf(line: string): RegExp {
  const pattern = line
    .trim()
    .replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")
    .replaceAll(/\s+/g, " +")
    .replaceAll(/\d+/g, (digits) => (Number(digits) === 0 ? "0" : "[1-9]\\d*"));
  return new RegExp(`^ *${pattern}$`, "m");
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
  ["docs/swap.md", 3],
])(
  "the commands of %s work as they stand",
  async (path, terminals) => {
    await using reader = await follow(path);
    expect(await reader.interrupt()).toEqual(new Array(terminals).fill(0));
  },
  TEST_MS,
);
