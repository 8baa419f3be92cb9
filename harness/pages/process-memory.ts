/**
 * Reads the heap and the anonymous mappings of a process that it starts, through /proc (proc(5)).
 *
 * It leaves out all that is mapped from a file, and the stack. The arguments and the environment
 * lie at the top of the stack. The process is stopped while it is read.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { PAGE_BYTES } from "../../src/core/limits.ts";

export interface Recorded {
  /** The name of the program in errors. */
  readonly name: string;
  readonly command: readonly string[];
  readonly input: string;
  /** Its standard input ends after `input`. Null: it stays open, so that the program waits. */
  readonly inputEnds: boolean;
  /** It is read when it prints this line. Null: as soon as it has `bytesMin` of memory. */
  readonly readyLine: string | null;
  readonly bytesMin: number;
}

const WAIT_MS_MAX = 120_000;
const POLL_MS = 5;

/**
 * Runs the program until it is ready, and gives every page of its own memory to `visit`. Then it
 * kills the program.
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
    stderr: "inherit",
  });
  try {
    child.stdin.write(recorded.input);
    if (recorded.inputEnds) await child.stdin.end();
    else await child.stdin.flush();
    if (recorded.readyLine !== null) await lineFrom(child.stdout, recorded);
    await residentFrom(child.pid, recorded);
    process.kill(child.pid, "SIGSTOP");
    readPages(child.pid, visit);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function lineFrom(output: ReadableStream<Uint8Array>, recorded: Recorded): Promise<void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(`${recorded.readyLine}\n`)) return;
  }
  throw new Error(`Cannot record "${recorded.name}": the program ended before it was ready`);
}

async function residentFrom(pid: number, recorded: Recorded): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (residentBytes(pid) < recorded.bytesMin) {
    if (performance.now() > deadline) {
      throw new Error(`Cannot record "${recorded.name}": the program uses too little memory`);
    }
    await Bun.sleep(POLL_MS);
  }
}

function residentBytes(pid: number): number {
  // proc(5), statm: the second number counts resident pages.
  const pages = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1];
  return Number(pages) * PAGE_BYTES;
}

function readPages(pid: number, visit: (page: Uint8Array) => void): void {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const [start, end] of ownRanges(pid)) {
      for (let at = start; at < end; at += PAGE_BYTES) {
        const page = new Uint8Array(PAGE_BYTES);
        if (readOrNothing(memory, page, at) === PAGE_BYTES) visit(page);
      }
    }
  } finally {
    closeSync(memory);
  }
}

/** Some mappings cannot be read, such as guard pages. That is no failure. */
function readOrNothing(file: number, page: Uint8Array, at: number): number {
  try {
    return readSync(file, page, 0, PAGE_BYTES, at);
  } catch {
    return 0;
  }
}

/**
 * Readable and writable mappings without a file. A line is
 * `start-end rw-p offset device inode name`.
 */
function ownRanges(pid: number): Array<[number, number]> {
  const ranges: Array<[number, number]> = [];
  for (const line of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
    const fields = line.split(/\s+/);
    const [range = "", access = "", , , inode = "", name = ""] = fields;
    if (!access.startsWith("rw") || inode !== "0") continue;
    if (name !== "" && name !== "[heap]" && !name.startsWith("[anon:")) continue;
    const [start = 0, end = 0] = range.split("-").map((hex) => Number.parseInt(hex, 16));
    // Most of a large reservation was never touched. To read all of it would take minutes.
    if (end - start <= 1024 * 1024 * 1024) ranges.push([start, end]);
  }
  return ranges;
}
