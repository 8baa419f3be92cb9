/**
 * Makes fixtures/pages: `bun run pages`. It needs Linux with gcc, python3, sqlite3 and node.
 *
 * Pages of live processes are a sample of their memory. No page appears twice, none is same-filled,
 * and private.ts finds nothing private in any of them. The other classes are the same every time.
 */

import { Buffer } from "node:buffer";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Lz4 } from "../../src/compress/lz4.ts";
import { fillPage, NOT_SAME_FILLED, sameFilledWord } from "../../src/compress/same-filled.ts";
import {
  PAGE_BYTES,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  ZPAGE_BYTES_MAX,
} from "../../src/core/limits.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { PrivateFilter } from "./private.ts";
import { type Recorded, recordProcess } from "./process-memory.ts";
import { compilerInput, databaseInput, JAVASCRIPT_PROGRAM, PYTHON_PROGRAM } from "./programs.ts";

const OUT = join(import.meta.dir, "../../fixtures/pages");
const SOURCES = join(import.meta.dir, "../../src");
/** Free texts that every Debian system has. */
const TEXTS = "/usr/share/common-licenses";
const MIB = 1024 * 1024;
const SEED = 1;

/**
 * Compressed sizes at which zcache begins to refuse (docs/original.md, "accept or refuse"), and one
 * more.
 */
const NEAR_LIMIT_BYTES = [
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  ZPAGE_BYTES_MAX,
  ZPAGE_BYTES_MAX + 1,
] as const;
const NEAR_LIMIT_PAGES_EACH = 8;

interface Made {
  readonly file: string;
  readonly pages: number;
  readonly source: string;
}

async function main(): Promise<void> {
  const made = [
    await sample("python", 128, "Python heap: 20,000 records, an index, floats, strings", python()),
    await sample("compiler", 128, "cc1 -O2 in the middle of a file of 1,500 functions", compiler()),
    await sample("database", 128, "SQLite in memory: two tables, 45,000 rows, two indexes", {
      name: "sqlite3",
      command: ["/usr/bin/sqlite3", ":memory:"],
      input: databaseInput(),
      inputEnds: false,
      readyText: "ready\n",
      bytesMin: 0,
    }),
    await sample("javascript", 96, "V8 heap: 20,000 objects, a map, parsed JSON, floats", {
      name: "node",
      command: ["/usr/bin/node", "-e", JAVASCRIPT_PROGRAM],
      input: "",
      inputEnds: false,
      readyText: "ready\n",
      bytesMin: 0,
    }),
    save("text", wholePages(textFiles(), 48), "free licence texts, English"),
    save("code", wholePages(codeFiles(), 48), "the source code of this project"),
    save("zero", [new Uint8Array(PAGE_BYTES)], "zeros"),
    save("same-filled", sameFilled(), "one 32-bit word 1,024 times"),
    save("near-limit", await nearLimit(), `lz4 makes ${NEAR_LIMIT_BYTES.join(", ")} bytes of them`),
    save("incompressible", incompressible(32), "random bytes"),
  ];
  writeFileSync(join(OUT, "manifest.json"), `${JSON.stringify(made, null, 2)}\n`);
}

function python(): Recorded {
  const command = ["/usr/bin/python3", "-I", "-S", "-c", PYTHON_PROGRAM];
  const ready = { readyText: "ready\n", bytesMin: 0 };
  return { name: "python3", command, input: "", inputEnds: false, ...ready };
}

/**
 * cc1 alone, because the process that is started is the one that is read. It is read in the middle
 * of its work.
 */
function compiler(): Recorded {
  const cc1 = Bun.spawnSync(["gcc", "-print-prog-name=cc1"]).stdout.toString().trim();
  const command = [cc1, "-quiet", "-w", "-O2", "-", "-o", "/dev/null"];
  const input = compilerInput(new SeededRandom(SEED));
  return { name: "cc1", command, input, inputEnds: true, readyText: null, bytesMin: 96 * MIB };
}

/** Records `count` pages of the process, spread evenly over all that qualify. */
async function sample(
  name: string,
  count: number,
  source: string,
  recorded: Recorded,
): Promise<Made> {
  const filter = new PrivateFilter();
  const seen = new Set<bigint>();
  const kept: Uint8Array[] = [];
  let left = 0;
  await recordProcess(recorded, (page) => {
    if (sameFilledWord(page, 0) !== NOT_SAME_FILLED) return;
    const hash = Bun.hash.wyhash(page);
    if (seen.has(hash)) return;
    seen.add(hash);
    if (filter.isPrivate(page)) left += 1;
    else kept.push(page.slice());
  });
  if (kept.length < count) throw new Error(`Cannot sample "${name}": only ${kept.length} pages`);
  console.log(`${name}: ${kept.length} pages qualify, ${left} left out as private`);
  const step = kept.length / count;
  const chosen = Array.from({ length: count }, (_, at) => kept[Math.floor(at * step)]);
  return save(
    name,
    chosen.filter((page) => page !== undefined),
    source,
  );
}

function save(name: string, pages: readonly Uint8Array[], source: string): Made {
  const file = `${name}.bin`;
  writeFileSync(join(OUT, file), Buffer.concat(pages));
  return { file, pages: pages.length, source };
}

function textFiles(): string {
  // Links are left out. They point at other files of the same folder.
  const files = readdirSync(TEXTS, { withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map((entry) => entry.name).sort();
  return names.map((name) => readFileSync(join(TEXTS, name), "utf8")).join("\n");
}

function codeFiles(): string {
  const names = readdirSync(SOURCES, { recursive: true, encoding: "utf8" });
  const sources = names.filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return sources
    .sort()
    .map((name) => readFileSync(join(SOURCES, name), "utf8"))
    .join("\n");
}

/** Up to `count` pages of the text, without those in which private.ts finds anything. */
function wholePages(text: string, count: number): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const filter = new PrivateFilter();
  const pages: Uint8Array[] = [];
  for (let at = 0; at + PAGE_BYTES <= bytes.length && pages.length < count; at += PAGE_BYTES) {
    const page = bytes.slice(at, at + PAGE_BYTES);
    if (!filter.isPrivate(page)) pages.push(page);
  }
  return pages;
}

function sameFilled(): Uint8Array[] {
  const random = new SeededRandom(SEED);
  const words = [1, -1, 0x01010101, 0x7fffffff, -0x80000000, 0x20202020, 0x0000ff00, 0xff];
  while (words.length < 16) words.push(random.u32() | 0);
  return words.map((word) => {
    const page = new Uint8Array(PAGE_BYTES);
    fillPage(word, page, 0);
    return page;
  });
}

function incompressible(count: number): Uint8Array[] {
  const random = new SeededRandom(SEED);
  return Array.from({ length: count }, () => randomPage(random));
}

function randomPage(random: SeededRandom): Uint8Array {
  return Uint8Array.from({ length: PAGE_BYTES }, () => below(random, 256));
}

/**
 * Pages of random bytes, followed by one repeated byte. One more random byte makes the zpage larger
 * by one or two.
 */
async function nearLimit(): Promise<Uint8Array[]> {
  const codec = await Lz4.load(openMemory());
  const random = new SeededRandom(SEED);
  const zpage = new Uint8Array(2 * PAGE_BYTES);
  const pages: Uint8Array[] = [];
  for (const bytes of NEAR_LIMIT_BYTES) {
    let foundCount = 0;
    while (foundCount < NEAR_LIMIT_PAGES_EACH) {
      const noise = randomPage(random);
      const filler = below(random, 256);
      for (let length = bytes - 64; length < bytes; length += 1) {
        const page = noise.slice().fill(filler, length);
        if (codec.compress(page, 0, zpage, 0, zpage.length) !== bytes) continue;
        pages.push(page);
        foundCount += 1;
        break;
      }
    }
  }
  return pages;
}

await main();
