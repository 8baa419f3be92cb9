/**
 * Cold pages: how long the thread that serves needs to decompress one, against the lz4 of hot pages
 * over the same real pages in turns, and how many pages a second the Worker compresses again.
 *
 * The dictionary is trained from the same pages. That makes zpages shorter than in a pool, and
 * their decompression a little faster.
 */
import { fileURLToPath } from "node:url";
import { BATCH_ZPAGES, SAMPLE_ZPAGES } from "../../src/cold/recompressor.ts";
import { workerStarter } from "../../src/cold/start-worker.ts";
import { WorkerRecompressor } from "../../src/cold/worker-recompressor.ts";
import type { ZpageBatch } from "../../src/cold/zpage-batch.ts";
import { BunZstd } from "../../src/compress/bun-zstd.ts";
import type { Codec } from "../../src/compress/codec.ts";
import { Lz4 } from "../../src/compress/lz4.ts";
import { LZ4_LIBRARY, NativeLz4 } from "../../src/compress/native/lz4.ts";
import { Zstd, ZstdWithDictionaries } from "../../src/compress/native/zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "../../src/compress/native/zstd-library.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { findLibrary } from "../../src/memory/system-library.ts";
import { BunClock } from "../../src/net/bun.ts";
import { recompressed, trained } from "../contract/recompressor.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import { type Figure, median } from "./bench.ts";

const ROUNDS = 40;
const WARM_UP_ROUNDS = 10;
const BATCHES = 1000;
const WARM_UP_BATCHES = 300;
const DICTIONARY = 1;

const WORKER = fileURLToPath(new URL("../../src/cold/worker.ts", import.meta.url));
/** Whole pages of real programs. */
const PAGES = new Uint8Array(Buffer.concat(loadPages(REAL_CLASSES).map(({ pages }) => pages)));
const PAGE_COUNT = PAGES.byteLength / PAGE_BYTES;

export async function recompressionFigures(): Promise<Figure[]> {
  const [lz4Path, zstdPath] = [pathOf(LZ4_LIBRARY), pathOf(ZSTD_LIBRARY)];
  const hot = lz4Path === null ? await Lz4.load(openMemory()) : new NativeLz4(lz4Path);
  const log = new Log((_level, _area, line) => console.error(line));
  const env = { clock: new BunClock(), log, start: workerStarter(WORKER) };
  const library = zstdPath === null ? null : new ZstdLibrary(zstdPath);
  const codec = library === null ? null : new ZstdWithDictionaries(library);
  const options = { library: "zstd", lz4Path, zstdPath, decompressor: codec };
  const recompressor = new WorkerRecompressor(env, options);
  const cold: [string, Codec][] = [["zstd of Bun", new BunZstd()]];
  if (library !== null && codec !== null) {
    recompressor.add(DICTIONARY, await dictionaryOf(recompressor, hot));
    codec.select(DICTIONARY);
    cold.unshift(["zstd with a dictionary", codec], ["zstd", new Zstd(library)]);
  }
  const figures = [...decompressFigures(hot, cold), await workerFigure(recompressor, hot)];
  recompressor.close();
  return figures;
}

function pathOf(name: string): string | null {
  const found = findLibrary(name);
  return "path" in found ? found.path : null;
}

function zpageOf(codec: Codec, i: number): Uint8Array {
  const zpage = new Uint8Array(2 * PAGE_BYTES);
  return zpage.slice(0, codec.compress(PAGES, i * PAGE_BYTES, zpage, 0, zpage.length));
}

function fill(batch: ZpageBatch, zpages: readonly Uint8Array[], from: number, codec: Codec): void {
  batch.count = 0;
  for (let i = 0; i < batch.capacity; i += 1) {
    const zpage = zpages[(from + i) % zpages.length];
    if (zpage !== undefined) batch.add(zpage, codec.id);
  }
}

/** As a store has them. */
function hotZpages(hot: Codec): Uint8Array[] {
  return Array.from({ length: PAGE_COUNT }, (_, i) => zpageOf(hot, i)).filter(
    ({ length }) => length <= PAGE_BYTES,
  );
}

async function dictionaryOf(recompressor: WorkerRecompressor, hot: Codec): Promise<Uint8Array> {
  const samples = recompressor.newSamples();
  fill(samples, hotZpages(hot), 0, hot);
  const dictionary = await trained(recompressor, samples);
  if (dictionary === null) throw new Error(`no dictionary came of ${SAMPLE_ZPAGES} samples`);
  return dictionary;
}

/** Microseconds a page: the fastest of the rounds, which take turns. */
function decompressFigures(hot: Codec, cold: readonly [string, Codec][]): Figure[] {
  const target = new Uint8Array(PAGE_BYTES);
  const contenders = [hot, ...cold.map(([, codec]) => codec)].map((codec) => {
    const zpages = Array.from({ length: PAGE_COUNT }, (_, i) => zpageOf(codec, i));
    const run = (): void => {
      for (const zpage of zpages) codec.decompress(zpage, 0, zpage.length, target, 0);
    };
    return { run, bestUs: Number.POSITIVE_INFINITY };
  });
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const contender of contenders) {
      const started = Bun.nanoseconds();
      contender.run();
      const us = (Bun.nanoseconds() - started) / 1000 / PAGE_COUNT;
      if (round >= 0) contender.bestUs = Math.min(contender.bestUs, us);
    }
  }
  const hotUs = contenders[0]?.bestUs ?? Number.NaN;
  return cold.map(([name], i) => {
    const us = contenders[i + 1]?.bestUs ?? Number.NaN;
    return {
      name: `decompress, ${name}`,
      value: us,
      unit: "us",
      reference: { name: hot.library ?? "lz4-wasm", value: hotUs, unit: "us" },
      ratio: us / hotUs,
    };
  });
}

/** Pages a second from the first zpage that is put into a batch to its output, one by one. */
async function workerFigure(recompressor: WorkerRecompressor, hot: Codec): Promise<Figure> {
  const zpages = hotZpages(hot);
  const dictionary = recompressor.hasDictionaries ? DICTIONARY : 0;
  const [rates, busyRates]: [number[], number[]] = [[], []];
  for (let i = -WARM_UP_BATCHES; i < BATCHES; i += 1) {
    const started = Bun.nanoseconds();
    fill(recompressor.batch, zpages, (i + WARM_UP_BATCHES) * BATCH_ZPAGES, hot);
    recompressor.batch.dictionaries.fill(dictionary);
    const [isDone, busyMs] = await recompressed(recompressor);
    if (!isDone) throw new Error("the Worker has failed");
    if (i < 0) continue;
    rates.push(BATCH_ZPAGES / ((Bun.nanoseconds() - started) / 1e6));
    busyRates.push(BATCH_ZPAGES / busyMs);
  }
  return {
    name: `the Worker, batches of ${BATCH_ZPAGES}`,
    value: median(rates),
    unit: "k pages/s",
    reference: { name: "a core of it", value: median(busyRates), unit: "k pages/s" },
  };
}

if (import.meta.main) {
  for (const { name, value, unit, reference } of await recompressionFigures()) {
    const against = `${reference?.name} ${reference?.value.toFixed(2)} ${reference?.unit}`;
    console.log(`${name}: ${value.toFixed(2)} ${unit}, ${against}`);
  }
  process.exit(0);
}
