/**
 * PageSample: some pages of a file, of a process, or of the largest processes of this machine. They
 * are read and nothing is written. Each page has the same chance (Vitter, "Random Sampling with a
 * Reservoir", 1985, algorithm R).
 */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { quoted } from "../../core/errors.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import { oneLine } from "../../core/printable.ts";
import { below, type Random, SeededRandom } from "../../core/random.ts";
import { parseKib } from "../../memory/proc-text.ts";
import { ProcessPages } from "../../memory/process-pages.ts";
import { badValue, refuse } from "../units.ts";

/** What is sampled. */
export type Subject =
  | { readonly kind: "pid"; readonly pid: number }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "machine" };

export interface PageSample {
  /** What was sampled, for a person. */
  readonly of: string;
  /** The bytes that the sample stands for. */
  readonly bytes: number;
  /** Whole pages in sequence. */
  readonly pages: Uint8Array;
}

/** Pages of a sample: the ratio is then within a few percent. */
export const SAMPLE_PAGES = 2000;
/** Processes that `machine` reads, the largest first. */
const PROCESSES_MAX = 8;
const SEED = 1;

/**
 * Throws ConfigError BAD_CONFIG on one line when there is nothing that it can read. `platform` is
 * that of node:os.
 */
export function takeSample(subject: Subject, platform: string): PageSample {
  if (subject.kind === "file") return fileSample(subject.path);
  const flag = subject.kind === "pid" ? "pid" : "sample";
  if (platform !== "linux") {
    throw refuse(`Cannot use --${flag} on ${platform}: it reads /proc of Linux, try --file`);
  }
  return subject.kind === "pid" ? processSample(subject.pid) : machineSample();
}

function fileSample(path: string): PageSample {
  const given = { flag: "file", text: path };
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw badValue(given, reasonOf(error, "no such file"));
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw badValue(given, "it is not a regular file");
    if (stat.size === 0) throw badValue(given, "the file is empty");
    const count = Math.floor(stat.size / PAGE_BYTES);
    if (count === 0) throw badValue(given, `it is shorter than a page, ${PAGE_BYTES} bytes`);
    const reservoir = new Reservoir(SAMPLE_PAGES);
    for (let page = 0; page < count; page += 1) reservoir.see(page * PAGE_BYTES);
    const pages = reservoir.read((at, page) => readSync(file, page, 0, PAGE_BYTES, at) > 0);
    return { of: `file ${quoted(path)}`, bytes: count * PAGE_BYTES, pages };
  } finally {
    closeSync(file);
  }
}

function processSample(pid: number): PageSample {
  const given = { flag: "pid", text: String(pid) };
  const of = `process ${pid} ${quoted(commandOf(pid))}`;
  let taken: ReturnType<typeof pagesOf>;
  try {
    taken = pagesOf(pid, SAMPLE_PAGES);
  } catch (error) {
    throw badValue(given, reasonOf(error, "no such process"));
  }
  if (taken.pages.length === 0) throw badValue(given, "no memory of its own is resident");
  return { of, ...taken };
}

/** Pages of the largest processes that may be read, each with a share that fits its size. */
function machineSample(): PageSample {
  const all = processes();
  const parts: Uint8Array[] = [];
  const largest = all.slice(0, PROCESSES_MAX);
  const sum = largest.reduce((bytes, it) => bytes + it.bytes, 0);
  let readCount = 0;
  for (const { pid, bytes } of largest) {
    const share = Math.ceil((SAMPLE_PAGES * bytes) / Math.max(1, sum));
    try {
      parts.push(pagesOf(pid, share).pages);
      readCount += 1;
    } catch {
      // It is gone, or may not be read.
    }
  }
  const pages = Buffer.concat(parts);
  if (pages.length === 0) {
    throw refuse("Cannot use --sample: no process may be read, run as root");
  }
  const bytes = all.reduce((total, it) => total + it.bytes, 0);
  return { of: `the largest ${readCount} of ${all.length} processes`, bytes, pages };
}

/** Processes with memory of their own, the largest first, but this one. */
function processes(): Array<{ pid: number; bytes: number }> {
  const found: Array<{ pid: number; bytes: number }> = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const bytes = parseKib(textOf(`/proc/${pid}/status`), "RssAnon") ?? 0;
    if (bytes > 0) found.push({ pid, bytes });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

/** Throws the error of the operating system. */
function pagesOf(pid: number, pagesMax: number): { bytes: number; pages: Uint8Array } {
  const memory = new ProcessPages(pid);
  try {
    const reservoir = new Reservoir(pagesMax);
    memory.eachResident((address) => reservoir.see(address));
    const pages = reservoir.read((address, page) => memory.read(address, page));
    return { bytes: reservoir.seen * PAGE_BYTES, pages };
  } finally {
    memory.close();
  }
}

class Reservoir {
  seen = 0;
  private readonly places: number[] = [];
  private readonly max: number;
  private readonly random: Random = new SeededRandom(SEED);

  constructor(max: number) {
    this.max = max;
  }

  see(place: number): void {
    this.seen += 1;
    if (this.places.length < this.max) {
      this.places.push(place);
      return;
    }
    const at = below(this.random, this.seen);
    if (at < this.max) this.places[at] = place;
  }

  /** The pages at the places, in order. Those that `read` cannot read are left out. */
  read(read: (place: number, page: Uint8Array) => boolean): Uint8Array {
    const pages = new Uint8Array(this.places.length * PAGE_BYTES);
    const page = new Uint8Array(PAGE_BYTES);
    let end = 0;
    for (const place of this.places.sort((a, b) => a - b)) {
      if (!read(place, page)) continue;
      pages.set(page, end);
      end += PAGE_BYTES;
    }
    return pages.subarray(0, end);
  }
}

function commandOf(pid: number): string {
  return oneLine(textOf(`/proc/${pid}/comm`).trimEnd());
}

/** Empty when it cannot be read: the process has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function reasonOf(error: unknown, missing: string): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT" || code === "ESRCH") return missing;
  if (code === "EACCES" || code === "EPERM") {
    return process.geteuid?.() === 0
      ? "not permitted"
      : "not permitted, run as its owner or as root";
  }
  return error instanceof Error ? error.message : String(error);
}
