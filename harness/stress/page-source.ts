/**
 * PageSource: the contents of the pages of a stress run. A page is determined by (node, pool, key,
 * generation): they select a base page and are stamped in front of its bytes. So no two pages are
 * the same, and a stale page is recognised.
 *
 * Kinds: `mixed`, real pages of the fixtures with some same-filled and some incompressible ones;
 * `random`, incompressible; `zero`, zeros without a stamp; a file; the memory of a process, from
 * /proc/PID/mem.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { describeError } from "../../src/cli/exit.ts";
import { ConfigError } from "../../src/core/errors.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import { STRESS_DATA_KINDS, type StressData } from "./options.ts";

/** Bound of base pages that are made or read. */
const BASE_PAGES_MAX = 4096;
const STAMP_WORDS = 4;
/** In `mixed` one page in 16 is same-filled, and one in 32 does not compress. */
const SAME_FILLED_ONE_IN = 16;
const INCOMPRESSIBLE_ONE_IN = 32;

export interface PageName {
  node: number;
  pool: number;
  key: number;
  generation: number;
}

export class PageSource {
  /** Incompressible pages are stored whole: else a run on random data would store none. */
  readonly storeWhole: boolean;
  private readonly seed: number;
  private readonly kind: StressData["kind"];
  private readonly base: Uint8Array;
  private readonly noise: Uint8Array;

  constructor(data: StressData, seed: number) {
    this.seed = seed;
    this.kind = data.kind;
    this.storeWhole = data.kind === "random";
    this.noise = noise(64, seed);
    this.base = baseOf(data, this.noise);
  }

  /** Writes the page into `target`. */
  write(target: Uint8Array, name: PageName): void {
    const { node, pool, key, generation } = name;
    let hash = Math.imul(key + 1, 0x9e3779b1) ^ Math.imul(generation, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ (node << 8) ^ pool ^ this.seed, 0xc2b2ae35);
    hash = (hash ^ (hash >>> 13)) >>> 0;
    if (this.kind === "zero") {
      target.fill(0);
      return;
    }
    const view = new DataView(target.buffer, target.byteOffset, PAGE_BYTES);
    if (this.kind === "mixed" && hash % SAME_FILLED_ONE_IN === 0) {
      for (let at = 0; at < PAGE_BYTES; at += 4) view.setUint32(at, hash);
      return;
    }
    const isNoise = this.kind === "mixed" && hash % INCOMPRESSIBLE_ONE_IN === 1;
    const pages = isNoise ? this.noise : this.base;
    const at = ((hash >>> 5) % (pages.byteLength / PAGE_BYTES)) * PAGE_BYTES;
    target.set(pages.subarray(at, at + PAGE_BYTES));
    const stamp = [this.seed ^ (node << 16) ^ pool, key, generation, hash];
    for (let word = 0; word < STAMP_WORDS; word += 1) view.setUint32(word * 4, stamp[word] ?? 0);
  }
}

function baseOf(data: StressData, noisePages: Uint8Array): Uint8Array {
  switch (data.kind) {
    case "mixed":
      return Buffer.concat(loadPages(REAL_CLASSES).map((pageClass) => pageClass.pages));
    case "random":
      return noisePages;
    case "zero":
      return new Uint8Array(PAGE_BYTES);
    case "file":
      return wholePages(readFile(data.path), data.path);
    case "pid":
      return wholePages(readProcess(data.pid), `process ${data.pid}`);
  }
}

function noise(pageCount: number, seed: number): Uint8Array {
  const random = new SeededRandom(seed);
  const words = new Uint32Array((pageCount * PAGE_BYTES) / 4).map(() => random.u32());
  return new Uint8Array(words.buffer);
}

function wholePages(bytes: Uint8Array, what: string): Uint8Array {
  const pageCount = Math.min(Math.floor(bytes.byteLength / PAGE_BYTES), BASE_PAGES_MAX);
  if (pageCount === 0) {
    throw new ConfigError("BAD_CONFIG", `Cannot use --data "${what}": not one page to read there`);
  }
  return bytes.subarray(0, pageCount * PAGE_BYTES);
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const kinds = STRESS_DATA_KINDS.join(", ");
    const detail = isMissing(error)
      ? `no such file; what is no file is one of ${kinds}`
      : describeError(error);
    throw new ConfigError("BAD_CONFIG", `Cannot use --data "${path}": ${detail}`);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Writable private memory of a process, such as its heap, as far as it can be read. */
function readProcess(pid: number): Uint8Array {
  let maps: string;
  let memory: number;
  try {
    maps = readFileSync(`/proc/${pid}/maps`, "utf8");
    memory = openSync(`/proc/${pid}/mem`, "r");
  } catch (error) {
    const detail = isMissing(error) ? "no such process" : describeError(error);
    throw new ConfigError("BAD_CONFIG", `Cannot use --data "pid:${pid}": ${detail}`);
  }
  const pages: Buffer[] = [];
  for (const line of maps.split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw.p [0-9a-f]+ 00:00 0\s*(.*)$/.exec(line);
    if (match === null || match[3] === "[stack]") continue;
    const end = Number.parseInt(match[2] ?? "", 16);
    for (let at = Number.parseInt(match[1] ?? "", 16); at < end; at += PAGE_BYTES) {
      if (pages.length === BASE_PAGES_MAX) break;
      const page = Buffer.alloc(PAGE_BYTES);
      try {
        if (readSync(memory, page, 0, PAGE_BYTES, at) === PAGE_BYTES) pages.push(page);
      } catch {
        break; // A range that was never touched cannot be read: go on with the next.
      }
    }
  }
  closeSync(memory);
  return Buffer.concat(pages);
}
