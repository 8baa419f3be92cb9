/**
 * The speed of the codec `lz4` (src/compress/lz4.ts) around lz4-wasm, in pages a second, both ways.
 * Two references take turns with it over the same pages in the same process:
 *
 *   raw     the module's exports in a bare loop: malloc, copy in, call, free. No copy out, no check
 *   glue    the package's own JavaScript (lz4_wasm_bg.js) over another instance of the same module
 *
 * Targets: at least 0.8 of raw, and at least 2 times glue. No code can reach the second one where
 * raw itself is not twice as fast as glue. So the ratio of raw to glue is printed too. Run it alone
 * with `bun harness/bench/codec.ts`.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { compileLz4, instantiateLz4, Lz4, type Lz4Exports } from "../../src/compress/lz4.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";

/** Pages a second: the median over all rounds. */
export interface CodecRate {
  readonly operation: "compress" | "decompress";
  readonly shim: number;
  readonly raw: number;
  readonly glue: number;
}

export const CODEC_BENCH_TARGETS = { ofRaw: 0.8, ofGlue: 2 } as const;

const ROUNDS = 15;
const SWEEPS_PER_ROUND = 4;
const WARM_UP_ROUNDS = 6;
const SIZE_PREFIX_BYTES = 4;

interface Contender {
  compressAll(): void;
  decompressAll(): void;
}

/** Takes about two seconds. */
export async function codecBench(): Promise<CodecRate[]> {
  const module = await compileLz4();
  const pages = loadPages(REAL_CLASSES).flatMap((each) => pagesOf(each.pages));
  const lz4 = await Lz4.load(openMemory());
  const blocks = pages.map((page) => blockOf(lz4, page));
  const contenders = [
    shimContender(lz4, pages, blocks),
    rawContender(instantiateLz4(module), pages, blocks),
    await glueContender(module, pages, blocks),
  ];
  return (["compress", "decompress"] as const).map((operation) => {
    const run = operation === "compress" ? "compressAll" : "decompressAll";
    const [shim = 0, raw = 0, glue = 0] = rates(
      contenders.map((contender) => () => contender[run]()),
      pages.length,
    );
    return { operation, shim, raw, glue };
  });
}

/** One line for each rate, with both ratios. */
function codecBenchLine({ operation, shim, raw, glue }: CodecRate): string {
  const thousands = (rate: number) => `${(rate / 1000).toFixed(0)}k`;
  const ofRaw = `${(shim / raw).toFixed(2)} of raw ${thousands(raw)}`;
  const ofGlue = `${(shim / glue).toFixed(2)}x glue ${thousands(glue)}`;
  // The most that any code around these exports could reach.
  const ceiling = `raw is ${(raw / glue).toFixed(2)}x glue`;
  return `lz4 ${operation}: shim ${thousands(shim)} pages/s, ${ofRaw}, ${ofGlue} (${ceiling})`;
}

/** Runs all in turn, in each round. So a machine that slows down slows all of them. */
function rates(runs: ReadonlyArray<() => void>, pageCount: number): number[] {
  const times = runs.map((): number[] => []);
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const [at, run] of runs.entries()) {
      const start = Bun.nanoseconds();
      for (let sweep = 0; sweep < SWEEPS_PER_ROUND; sweep += 1) run();
      if (round >= 0) times[at]?.push(Bun.nanoseconds() - start);
    }
  }
  return times.map((each) => (pageCount * SWEEPS_PER_ROUND * 1e9) / median(each));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function pagesOf(bytes: Uint8Array): Uint8Array[] {
  const count = bytes.length / PAGE_BYTES;
  const page = (_: unknown, at: number) => bytes.slice(at * PAGE_BYTES, (at + 1) * PAGE_BYTES);
  return Array.from({ length: count }, page);
}

function blockOf(lz4: Lz4, page: Uint8Array): Uint8Array {
  const block = new Uint8Array(2 * PAGE_BYTES);
  return block.slice(0, lz4.compress(page, 0, block, 0, block.length));
}

type Arrays = readonly Uint8Array[];

function shimContender(lz4: Lz4, pages: Arrays, blocks: Arrays): Contender {
  const target = new Uint8Array(2 * PAGE_BYTES);
  return {
    compressAll() {
      for (const page of pages) lz4.compress(page, 0, target, 0, target.length);
    },
    decompressAll() {
      for (const block of blocks) lz4.decompress(block, 0, block.length, target, 0);
    },
  };
}

function rawContender(wasm: Lz4Exports, pages: Arrays, blocks: Arrays): Contender {
  // The memory grows here, once. So the views stay valid in the loops.
  wasm.__wbindgen_free(wasm.__wbindgen_malloc(16 * PAGE_BYTES), 16 * PAGE_BYTES);
  const bytes = new Uint8Array(wasm.memory.buffer);
  const words = new Int32Array(wasm.memory.buffer);
  const result = wasm.__wbindgen_add_to_stack_pointer(-16);
  const freeOutput = (): void => {
    wasm.__wbindgen_free(words[result >> 2] ?? 0, words[(result >> 2) + 1] ?? 0);
  };
  return {
    compressAll() {
      for (const page of pages) {
        const input = wasm.__wbindgen_malloc(PAGE_BYTES);
        bytes.set(page, input);
        wasm.compress(result, input, PAGE_BYTES);
        freeOutput();
      }
    },
    decompressAll() {
      for (const block of blocks) {
        const inputBytes = SIZE_PREFIX_BYTES + block.length;
        const input = wasm.__wbindgen_malloc(inputBytes);
        words[input >> 2] = PAGE_BYTES;
        bytes.set(block, input + SIZE_PREFIX_BYTES);
        wasm.decompress(result, input, inputBytes);
        freeOutput();
      }
    },
  };
}

interface Glue {
  compress(page: Uint8Array): Uint8Array;
  decompress(block: Uint8Array): Uint8Array;
}

/**
 * The package's glue imports the .wasm file as a module, which a bundler would make. Here the
 * instance takes the place of that import.
 */
async function glueContender(
  module: WebAssembly.Module,
  pages: Arrays,
  blocks: Arrays,
): Promise<Contender> {
  const path = fileURLToPath(import.meta.resolve("lz4-wasm/lz4_wasm_bg.js"));
  const source = (await readFile(path, "utf8"))
    .replace(/^import .*$/m, "")
    .replaceAll("export function", "function");
  const make = new Function("wasm", `${source}\nreturn { compress, decompress };`);
  const glue = make(instantiateLz4(module)) as Glue;
  // Its `compress` puts the size in front of a block, and its `decompress` expects it there.
  const prefixed = blocks.map((block) => {
    const bytes = new Uint8Array(SIZE_PREFIX_BYTES + block.length);
    new DataView(bytes.buffer).setUint32(0, PAGE_BYTES, true);
    bytes.set(block, SIZE_PREFIX_BYTES);
    return bytes;
  });
  return {
    compressAll() {
      for (const page of pages) glue.compress(page);
    },
    decompressAll() {
      for (const block of prefixed) glue.decompress(block);
    },
  };
}

if (import.meta.main) {
  for (const rate of await codecBench()) console.log(codecBenchLine(rate));
}
