/**
 * Reads the own memory of a process that it starts (src/memory/process-pages.ts). The process is
 * stopped while it is read, and killed afterwards.
 */
import { readdirSync, readFileSync } from "node:fs";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { ProcessPages } from "../../src/memory/process-pages.ts";

export interface Recorded {
  /** The name of the program in errors. */
  readonly name: string;
  readonly command: readonly string[];
  readonly input: string;
  /** Standard input ends after `input`. Else it stays open, so that the program waits. */
  readonly inputEnds: boolean;
  /** It is read when it prints this. Null: as soon as it has `bytesMin` of memory. */
  readonly readyText: string | null;
  readonly bytesMin: number;
  /** What fills its memory, once it is started. */
  readonly fill?: () => Promise<void>;
  /** The process that is read is the largest descendant with this word in its command line. */
  readonly descendant?: string;
  /** Memory that it shares with other processes is read too. */
  readonly shared?: boolean;
}

const WAIT_MS_MAX = 300_000;
const POLL_MS = 5;

/**
 * Runs the program until it is ready, and gives every page of its own memory to `visit`, which may
 * not keep it. Then it kills the program.
 */
export async function recordProcess(
  recorded: Recorded,
  visit: (page: Uint8Array) => void,
): Promise<void> {
  const child = Bun.spawn([...recorded.command], {
    cwd: "/",
    // The program gets nothing of the environment of this process.
    env: { PATH: "/usr/bin:/bin" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: recorded.descendant === undefined ? "inherit" : "ignore",
  });
  try {
    child.stdin.write(recorded.input);
    if (recorded.inputEnds) await child.stdin.end();
    else await child.stdin.flush();
    if (recorded.readyText !== null) await textFrom(child.stdout, recorded, recorded.readyText);
    await recorded.fill?.();
    const pid = await residentFrom(child.pid, recorded);
    process.kill(pid, "SIGSTOP");
    readPages(pid, recorded.shared ?? false, visit);
  } finally {
    for (const pid of descendantsOf(child.pid)) killOne(pid);
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function textFrom(
  output: ReadableStream<Uint8Array>,
  { name }: Recorded,
  ready: string,
): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of output) {
    text = text.slice(-ready.length) + decoder.decode(chunk, { stream: true });
    if (text.includes(ready)) return;
  }
  throw new Error(`Cannot record "${name}": the program ended before it was ready`);
}

/** Waits for the memory. @returns the process that has it. */
async function residentFrom(child: number, recorded: Recorded): Promise<number> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const pid = processOf(child, recorded);
    if (residentBytes(pid) >= recorded.bytesMin) return pid;
    if (performance.now() > deadline || !isRunning(child)) {
      throw new Error(`Cannot record "${recorded.name}": the program uses too little memory`);
    }
    await Bun.sleep(POLL_MS);
  }
}

function processOf(child: number, { descendant }: Recorded): number {
  if (descendant === undefined) return child;
  const all = descendantsOf(child).filter((pid) => read(pid, "cmdline").includes(descendant));
  return all.sort((a, b) => residentBytes(b) - residentBytes(a))[0] ?? child;
}

/** All processes below `parent`, whatever their depth. */
function descendantsOf(parent: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const parents = new Map(pids.map((pid) => [Number(pid), parentOf(Number(pid))]));
  const isBelow = (pid: number): boolean => {
    const above = parents.get(pid) ?? 0;
    return above === parent || (above > 1 && isBelow(above));
  };
  return [...parents.keys()].filter(isBelow);
}

/** proc_pid_stat(5): the fourth word, after a name in brackets. 0: it is gone. */
function parentOf(pid: number): number {
  const [, parent = "0"] = /\) \S (\d+) /.exec(read(pid, "stat")) ?? [];
  return Number(parent);
}

function residentBytes(pid: number): number {
  // proc_pid_statm(5): the second number counts resident pages.
  return Number(read(pid, "statm").split(" ")[1] ?? 0) * PAGE_BYTES;
}

/** A process that has ended and is not waited for yet is a zombie. */
function isRunning(pid: number): boolean {
  return /\) [^ZX] /.test(read(pid, "stat"));
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // It has ended.
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

function readPages(pid: number, shared: boolean, visit: (page: Uint8Array) => void): void {
  const pages = new ProcessPages(pid, { shared });
  const page = new Uint8Array(PAGE_BYTES);
  pages.eachResident((address) => {
    if (pages.read(address, page)) visit(page);
  });
  pages.close();
}
