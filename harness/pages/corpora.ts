/**
 * The corpora: memory of live programs, up to CORPUS_PAGES pages each, without zero and same-filled
 * ones. `bun run bench density` measures on them.
 *
 *     python     syntax trees, sqlite3, numpy        postgres   shared buffers
 *     node       the type checker of TypeScript      gcc        cc1plus -O2
 *     redis      JSON, hashes, gzip                  chromium   a renderer
 *
 * They are harvested once and kept in a folder outside the tree, a file of whole pages each. A
 * program that is not installed is skipped. harvest.ts is the command.
 */
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NOT_SAME_FILLED, sameFilledWord } from "../../src/compress/same-filled.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import {
  BROWSER_PAGE,
  cppInput,
  PYTHON_CORPUS,
  postgresInput,
  TSC_CORPUS,
  words,
} from "./corpus-programs.ts";
import { type Recorded, recordProcess } from "./process-memory.ts";

export const CORPORA = ["python", "node", "redis", "postgres", "gcc", "chromium"] as const;
export type CorpusName = (typeof CORPORA)[number];

/** Where corpora are kept if no other folder is given. */
export const CORPORA_FOLDER = join(tmpdir(), "ramster-corpora");

const CORPUS_PAGES = 40_000;
const MIB = 1024 * 1024;
const SEED = 1;
/** The last release that is a program of JavaScript. */
const TYPESCRIPT = "typescript@5.9.3";
const ROOT = join(import.meta.dir, "../..");
/** postgres refuses to run as root. */
const NOBODY = 65_534;

interface Program {
  /** What the corpus consists of. */
  readonly source: string;
  /** How to install what is missing. */
  readonly install: string;
  /**
   * The program with its input. `folder` is empty, and its own. Null: it is not installed.
   */
  prepare(folder: string): Promise<Recorded | null> | Recorded | null;
}

const PROGRAMS: Readonly<Record<CorpusName, Program>> = {
  python: {
    source: "python3: syntax trees of its library, sqlite3, numpy if it is there",
    install: "apt-get install python3 python3-numpy",
    prepare: () =>
      recorded("/usr/bin/python3", ["-I", "-c", PYTHON_CORPUS], { readyText: "ready\n" }),
  },
  node: {
    source: "node: the type checker of TypeScript 5 on this project",
    install: "apt-get install nodejs",
    async prepare(folder) {
      if (!existsSync("/usr/bin/node")) return null;
      writeFileSync(join(folder, "package.json"), "{}");
      await run([process.execPath, "add", "--cwd", folder, TYPESCRIPT]);
      const module = join(folder, "node_modules/typescript/lib/typescript.js");
      const args = ["-e", TSC_CORPUS, module, ROOT];
      return recorded("/usr/bin/node", args, { readyText: "ready\n" });
    },
  },
  redis: {
    source: "redis-server: JSON texts, hashes, gzip",
    install: "apt-get install redis-server",
    prepare(folder) {
      const socket = join(folder, "redis.sock");
      const args = ["--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no"];
      return recorded("/usr/bin/redis-server", args, {
        readyText: "ready to accept connections",
        fill: () => fillRedis(socket),
      });
    },
  },
  postgres: {
    source: "postgres: shared buffers with tables and indexes",
    install: "apt-get install postgresql",
    async prepare(folder) {
      const versions = [...new Bun.Glob("*/bin/postgres").scanSync("/usr/lib/postgresql")];
      const [version] = versions.sort().reverse();
      if (version === undefined) return null;
      const program = join("/usr/lib/postgresql", version);
      const data = join(folder, "data");
      const as = asNobody(folder);
      const initdb = join(program, "../initdb");
      await run([...as, initdb, "-D", data, "-U", "corpus", "--no-locale", "-E", "UTF8"]);
      const settings = ["shared_buffers=512MB", "fsync=off", "autovacuum=off"];
      const flags = settings.flatMap((setting) => ["-c", setting]);
      const [first = program, ...rest] = [...as, program, "--single", "-D", data, ...flags];
      const input = postgresInput();
      const ready = { readyText: '"ready"', input, shared: true };
      return recorded(first, [...rest, "postgres"], ready);
    },
  },
  gcc: {
    source: "cc1plus -O2 in the middle of a file of 400 types",
    install: "apt-get install g++",
    prepare() {
      if (!existsSync("/usr/bin/gcc")) return null;
      const program = gccSays("-print-prog-name=cc1plus");
      const machine = ["-imultiarch", gccSays("-print-multiarch"), "-D_GNU_SOURCE"];
      const args = ["-quiet", "-w", "-O2", "-std=c++17", ...machine, "-", "-o", "/dev/null"];
      const input = cppInput(new SeededRandom(SEED));
      return recorded(program, args, { input, inputEnds: true, bytesMin: 260 * MIB });
    },
  },
  chromium: {
    source: "chromium: the renderer of a page with 25,000 rows",
    install: "apt-get install chromium",
    prepare(folder) {
      const page = join(folder, "page.html");
      writeFileSync(page, BROWSER_PAGE);
      const flags = ["headless=new", "disable-gpu", "disable-dev-shm-usage", "no-first-run"];
      if (process.getuid?.() === 0) flags.push("no-sandbox");
      const profile = [`user-data-dir=${join(folder, "profile")}`, "remote-debugging-port=0"];
      const args = [...flags, ...profile].map((flag) => `--${flag}`);
      const renderer = { descendant: "--type=renderer", bytesMin: 360 * MIB };
      return recorded("/usr/bin/chromium", [...args, `file://${page}`], renderer);
    },
  },
};

export function corpusSource(name: CorpusName): string {
  return PROGRAMS[name].source;
}

/**
 * The pages of each corpus in the folder, which is filled first with those that are missing there.
 * `report` hears what is skipped.
 */
export async function loadCorpora(
  folder: string,
  report: (line: string) => void,
): Promise<Array<{ name: CorpusName; pages: Uint8Array }>> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const corpora: Array<{ name: CorpusName; pages: Uint8Array }> = [];
  for (const name of CORPORA) {
    const file = join(folder, `${name}.bin`);
    if (!existsSync(file) && !(await harvest(name, file, report))) continue;
    corpora.push({ name, pages: new Uint8Array(readFileSync(file)) });
  }
  return corpora;
}

/** @returns false when the program is not installed, or cannot be read. */
async function harvest(
  name: CorpusName,
  file: string,
  report: (line: string) => void,
): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), `ramster-${name}-`));
  try {
    const program = await PROGRAMS[name].prepare(folder);
    if (program === null) {
      report(`${name}: skipped, not installed: ${PROGRAMS[name].install}`);
      return false;
    }
    const pages = await samplePages(program);
    writeFileSync(`${file}.part`, Buffer.concat(pages), { mode: 0o600 });
    renameSync(`${file}.part`, file);
    report(`${name}: ${pages.length} pages of ${PROGRAMS[name].source}`);
    return true;
  } catch (error) {
    report(`${name}: skipped: ${error instanceof Error ? error.message : error}`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Up to CORPUS_PAGES of its pages, in order: each has the same chance (Vitter, algorithm R). */
async function samplePages(program: Recorded): Promise<Uint8Array[]> {
  const random = new SeededRandom(SEED);
  const kept: Array<{ at: number; page: Uint8Array }> = [];
  let seen = 0;
  await recordProcess(program, (page) => {
    if (sameFilledWord(page, 0) !== NOT_SAME_FILLED) return;
    seen += 1;
    if (kept.length < CORPUS_PAGES) kept.push({ at: seen, page: page.slice() });
    else {
      const place = below(random, seen);
      if (place < CORPUS_PAGES) kept[place] = { at: seen, page: page.slice() };
    }
  });
  return kept.sort((a, b) => a.at - b.at).map(({ page }) => page);
}

/** Null when there is no such program. */
function recorded(
  program: string,
  args: readonly string[],
  more: Partial<Recorded>,
): Recorded | null {
  if (!existsSync(program) || !statSync(program).isFile()) return null;
  const command = [program, ...args];
  const defaults = { input: "", inputEnds: false, readyText: null, bytesMin: 0 };
  return { name: program, command, ...defaults, ...more };
}

/** What to put in front of a command so that it does not run as root. It owns the folder then. */
function asNobody(folder: string): string[] {
  if (process.getuid?.() !== 0) return [];
  chownSync(folder, NOBODY, NOBODY);
  const id = String(NOBODY);
  return ["/usr/bin/setpriv", `--reuid=${id}`, `--regid=${id}`, "--clear-groups"];
}

function gccSays(flag: string): string {
  return Bun.spawnSync(["/usr/bin/gcc", flag]).stdout.toString().trim();
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const text = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed: ${text.trim()}`);
}

async function fillRedis(socket: string): Promise<void> {
  const random = new SeededRandom(SEED);
  const redis = new Bun.RedisClient(`redis+unix://${socket}`);
  const send = async (count: number, command: (number: number) => [string, string[]]) => {
    for (let number = 0; number < count; ) {
      const end = Math.min(count, number + 256);
      const replies: Promise<unknown>[] = [];
      for (; number < end; number += 1) replies.push(redis.send(...command(number)));
      await Promise.all(replies);
    }
  };
  await send(130_000, (number) => ["SET", [`doc:${number}`, document(number, random)]]);
  await send(130_000, (number) => {
    const fields = Array.from({ length: 10 }, (_, i) => [`field${i}`, words(random, 2)]);
    return ["HSET", [`user:${number}`, ...fields.flat()]];
  });
  await send(9_000, (number) => {
    const text = Array.from({ length: 12 }, (_, i) => document(number + i, random)).join("\n");
    const packed = Buffer.from(Bun.gzipSync(text));
    return ["SET", [`gz:${number}`, packed as unknown as string]];
  });
  redis.close();
}

function document(number: number, random: SeededRandom): string {
  return JSON.stringify({
    id: number,
    name: words(random, 2),
    tags: Array.from({ length: 1 + below(random, 4) }, () => words(random, 1)),
    price: below(random, 100_000) / 100,
    stock: below(random, 50),
    text: words(random, 10 + below(random, 60)),
    active: below(random, 3) > 0,
  });
}
