/**
 * The resident memory that a page takes beside its zpage: by the index, and by the placement. And
 * how fast the index is, against an index of records alone.
 */
import { FRAME_BYTES } from "../../src/core/limits.ts";
import type { Memory } from "../../src/core/memory.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { Table } from "../../src/core/table.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import type { PlacementName } from "../../src/placement/placement.ts";
import { PageIndex } from "../../src/tmem/page-index.ts";
import { WORDS_PER_OBJECT, WORDS_PER_PAGE } from "../../src/tmem/rows.ts";
import type { Bench, Figure } from "./bench.ts";
import { HashedIndex } from "./hashed-index.ts";
import { indexOf, objectOf, PagePath } from "./page-path.ts";

const PAGES = 1_000_000;
const PAGES_QUICK = 100_000;
/** Inside frames: header and slot of a zpage in a block, and the header in a frame of zbud. */
const BYTES_IN_BLOCKS = 12;
const BYTES_IN_ZBUD = 24;
const ROOM = 16;
const DENSE_MAX = 32;
const SPARSE_MAX = 60;

/** The numbers of the pages in the order in which they are put. */
interface Pattern {
  readonly name: string;
  readonly bytesMax: number;
  readonly numbers: (count: number) => Int32Array;
}

const PATTERNS: readonly Pattern[] = [
  { name: "dense", bytesMax: DENSE_MAX, numbers: (count) => inOrder(count, (i) => i) },
  { name: "in clusters of 512", bytesMax: DENSE_MAX, numbers: clusters },
  { name: "half at random", bytesMax: SPARSE_MAX, numbers: (count) => atRandom(count, 2) },
  { name: "a tenth at random", bytesMax: SPARSE_MAX, numbers: (count) => atRandom(count, 10) },
  { name: "every 32nd", bytesMax: SPARSE_MAX, numbers: (count) => inOrder(count, (i) => i * 32) },
  {
    name: "four of 32",
    bytesMax: SPARSE_MAX,
    numbers: (count) => inOrder(count, (i) => (i >> 2) * 32 + (i & 3)),
  },
];

function inOrder(count: number, numberAt: (i: number) => number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => numberAt(i));
}

/** Clusters at random, each with a gap as large behind it. */
function clusters(count: number): Int32Array {
  const starts = shuffled(inOrder(Math.ceil(count / 512), (i) => i * 1024));
  return inOrder(count, (i) => (starts[i >> 9] ?? 0) + (i & 511));
}

/** One of so many, in any order. */
function atRandom(count: number, oneOf: number): Int32Array {
  const random = new SeededRandom(1);
  const numbers = new Set<number>();
  while (numbers.size < count) numbers.add(random.u32() % (count * oneOf));
  return shuffled(Int32Array.from(numbers));
}

function shuffled(numbers: Int32Array): Int32Array {
  const random = new SeededRandom(2);
  for (let i = numbers.length - 1; i > 0; i -= 1) {
    const j = random.u32() % (i + 1);
    const kept = numbers[i] ?? 0;
    numbers[i] = numbers[j] ?? 0;
    numbers[j] = kept;
  }
  return numbers;
}

interface Index {
  add(object: number, index: number): number;
  find(object: number, index: number): number;
  set(page: number, word: number, value: number): void;
  close(): void;
}

interface IndexResult {
  readonly bytes: number;
  readonly putNs: number;
  readonly findNs: number;
}

function pageIndex(memory: Memory, pageCountMax: number): Index {
  const objects = new Table(memory, { rowCountMax: 512, wordsPerRow: WORDS_PER_OBJECT });
  for (let object = 1; object <= 256; object += 1) {
    const row = objects.take();
    for (let word = 0; word < WORDS_PER_OBJECT; word += 1) objects.set(row, word, 0);
  }
  const ops = { free: () => {}, mayRenumber: () => true, renumbered: () => {} };
  return new PageIndex(memory, objects, ops, { pageCountMax });
}

function measureIndex(make: (count: number) => Index, numbers: Int32Array): IndexResult {
  const probes = shuffled(numbers.slice());
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const index = make(ROOM * numbers.length); // A node has room for far more pages.
  const started = processorNs();
  for (let i = 0; i < numbers.length; i += 1) {
    const number = numbers[i] ?? 0;
    const object = objectOf(number) + 1;
    const known = index.find(object, indexOf(number)); // As a put does.
    const page = known || index.add(object, indexOf(number));
    for (let word = 0; word < WORDS_PER_PAGE; word += 1) index.set(page, word, i);
  }
  const putNs = (processorNs() - started) / numbers.length;
  const bytes = (process.memoryUsage.rss() - before) / numbers.length;
  const startedFinds = processorNs();
  let found = 0;
  for (let i = 0; i < probes.length; i += 1) {
    const number = probes[i] ?? 0;
    if (index.find(objectOf(number) + 1, indexOf(number)) !== 0) found += 1;
  }
  const findNs = (processorNs() - startedFinds) / numbers.length;
  if (found !== numbers.length) throw new Error("a page of the index is gone");
  index.close();
  return { bytes, putNs, findNs };
}

/** The best of three rounds for each, in turn, since others run on the machine too. */
function measureBoth(numbers: Int32Array): { leaves: IndexResult; records: IndexResult } {
  const leaves: IndexResult[] = [];
  const records: IndexResult[] = [];
  for (let round = 0; round < 3; round += 1) {
    leaves.push(measureIndex((max) => pageIndex(openMemory(), max), numbers));
    records.push(measureIndex((max) => new HashedIndex(openMemory(), max), numbers));
  }
  return { leaves: bestOf(leaves), records: bestOf(records) };
}

function bestOf(runs: readonly IndexResult[]): IndexResult {
  const least = (of: (run: IndexResult) => number): number => Math.min(...runs.map(of));
  return {
    bytes: least((run) => run.bytes),
    putNs: least((run) => run.putNs),
    findNs: least((run) => run.findNs),
  };
}

/** Time of this process on a processor. */
function processorNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** All that is resident beside the zpages, for each page. */
function bytesInAll(placement: PlacementName, zpageBytes: number, numbers: Int32Array): number {
  const count = numbers.length;
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const pageCountMax = ROOM * count;
  const path = new PagePath({ placement, frameCountMax: count, pageCountMax, codec: zpageBytes });
  for (let i = 0; i < count; i += 1) path.put(numbers[i] ?? 0);
  Bun.gc(true);
  const { framesUsed, framesWarm } = path.zcache.frames;
  const frameBytes = (framesUsed + framesWarm) * FRAME_BYTES;
  const beside = process.memoryUsage.rss() - before - frameBytes;
  path.zcache.tmem.flushSome(path.pool, Number.POSITIVE_INFINITY);
  path.zcache.close();
  return beside / count + (placement === "zbud" ? BYTES_IN_ZBUD : BYTES_IN_BLOCKS);
}

export const metadataBench: Bench = {
  name: "metadata",
  about:
    "Resident bytes a page at a million pages: the index alone, and all with rows, slots and\n" +
    "headers of the placement. Times of the index, against an index of records alone.",
  async run({ quick }): Promise<Figure[]> {
    const count = quick ? PAGES_QUICK : PAGES;
    const figures: Figure[] = [];
    const bytes = (name: string, value: number, bytesMax: number): void => {
      const target = `at most ${bytesMax}`;
      figures.push({ name, value, unit: "bytes", target, pass: value <= bytesMax });
    };
    measureBoth(atRandom(count / 10, 2)); // The code itself must not count.
    for (const { name, numbers } of PATTERNS) {
      const order = numbers(count);
      const { leaves, records } = measureBoth(order);
      const compare = (what: string, unit: string, of: (it: IndexResult) => number): void => {
        const [value, before] = [of(leaves), of(records)];
        const reference = { name: "records", value: before, unit };
        figures.push({ name: `${name}: ${what}`, value, unit, reference, ratio: value / before });
      };
      compare("index", "bytes", (it) => it.bytes);
      compare("put", "ns", (it) => it.putNs);
      compare("find", "ns", (it) => it.findNs);
    }
    // Nor here: the compiler goes on for the first 100,000 puts.
    bytesInAll(
      "blocks",
      1000,
      inOrder(PAGES_QUICK, (i) => i),
    );
    for (const { name, bytesMax, numbers } of PATTERNS) {
      const order = numbers(count);
      const rounds = [0, 1, 2].map(() => bytesInAll("blocks", 1000, order));
      bytes(`${name}: all, blocks`, Math.min(...rounds), bytesMax);
    }
    const dense = inOrder(count, (i) => i);
    bytes("dense: all, zbud, two a frame", bytesInAll("zbud", 1900, dense), 64);
    return figures;
  },
};
