/**
 * Kept memory against memory that ends with the process: a put and a get of a local page, in turns.
 * And how long a successor takes from its start until it has all pages.
 *
 * A page that is put again has other bytes, as a page that has changed. The same bytes again would
 * fit into the place of the old zpage. Kept memory cannot use that, since it has both until the put
 * ends.
 *
 * The folder is that of RAMSTER_KEEP, or a new one in /dev/shm, which has no huge pages as a rule.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Lz4 } from "../../src/compress/lz4.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import type { KeptMemory } from "../../src/memory/kept-memory.ts";
import { openKeptMemory, openMemory } from "../../src/memory/open-memory.ts";
import { type Bench, type Figure, median } from "./bench.ts";
import { PagePath } from "./page-path.ts";

const PAGES = 20_000;
const CONTENTS = 1000;
const ROUNDS = 24;
const RESTORED = 1_000_000;
const RESTORED_QUICK = 100_000;
/** Of a zpage of a codec that only copies. */
const ZPAGE_BYTES = 900;
const FILL = "--fill-kept";

/** Pages of which a part is random. */
function contents(): Uint8Array {
  const random = new SeededRandom(3);
  const bytes = new Uint8Array(CONTENTS * PAGE_BYTES);
  for (let page = 0; page < CONTENTS; page += 1) {
    const noise = 200 + below(random, 2000);
    for (let i = 0; i < noise; i += 1) bytes[page * PAGE_BYTES + i] = random.u32();
  }
  return bytes;
}

class Side {
  readonly putUs: number[] = [];
  readonly putSameUs: number[] = [];
  readonly getUs: number[] = [];
  private readonly path: PagePath;
  private readonly random = new SeededRandom(4);

  constructor(path: PagePath) {
    this.path = path;
  }

  round(pages: Uint8Array): void {
    const { path, random } = this;
    const numbers = Int32Array.from({ length: PAGES }, () => below(random, PAGES));
    const drawn = Int32Array.from({ length: PAGES }, () => below(random, CONTENTS) * PAGE_BYTES);
    // The last content of each number.
    const last = new Map([...numbers].map((number, i) => [number, drawn[i] ?? 0]));
    const again = numbers.map((number) => last.get(number) ?? 0);
    this.putUs.push(
      timed(() => {
        for (let i = 0; i < PAGES; i += 1) path.putPage(numbers[i] ?? 0, pages, drawn[i] ?? 0);
      }),
    );
    this.getUs.push(
      timed(() => {
        for (const number of numbers) path.getPage(number);
      }),
    );
    this.putSameUs.push(
      timed(() => {
        for (let i = 0; i < PAGES; i += 1) path.putPage(numbers[i] ?? 0, pages, again[i] ?? 0);
      }),
    );
  }
}

/** The time of one page, in microseconds. */
function timed(work: () => void): number {
  const started = Bun.nanoseconds();
  work();
  return (Bun.nanoseconds() - started) / PAGES / 1000;
}

function pathIn(folder: string, options: { pages: number; codec: Lz4 | number }): PagePath {
  const { memory } = openKeptMemory(openMemory(), folder, { isStandby: false });
  const path = pathOn(memory, options);
  memory.start();
  return path;
}

function pathOn(
  memory: KeptMemory | ReturnType<typeof openMemory>,
  { pages, codec }: { pages: number; codec: Lz4 | number },
): PagePath {
  const counts = { frameCountMax: pages, pageCountMax: pages + 1000 };
  return new PagePath({ ...counts, codec, placement: "blocks", memory });
}

async function costs(folder: string): Promise<Figure[]> {
  const pages = contents();
  const codec = await Lz4.load(openMemory());
  const plain = new Side(pathOn(openMemory(), { pages: PAGES, codec }));
  const kept = new Side(pathIn(join(folder, "costs"), { pages: PAGES, codec }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of [plain, kept]) side.round(pages);
  }
  const rows = [
    { name: "put of changed pages", times: "putUs", hasTarget: true },
    { name: "put of the same pages", times: "putSameUs", hasTarget: false },
    { name: "get", times: "getUs", hasTarget: true },
  ] as const;
  return rows.map(({ name, times, hasTarget }) => {
    const [value = 0, reference = 0] = [kept, plain].map((it) => median(it[times].slice(4)));
    const ratio = value / reference;
    const figure = { name, value, unit: "us", ratio };
    const against = { reference: { name: "not kept", value: reference, unit: "us" } };
    const goal = { target: "at most 1.05 with huge pages", pass: ratio <= 1.05 };
    return { ...figure, ...against, ...(hasTarget ? goal : {}) };
  });
}

/** In a process of its own, which is killed. */
async function fill(folder: string, pages: number): Promise<void> {
  const cmd = [process.execPath, import.meta.path, FILL, folder, String(pages)];
  await Bun.spawn({ cmd, stdout: "inherit", stderr: "inherit" }).exited;
}

async function restored(folder: string, pages: number): Promise<Figure> {
  const own = join(folder, "restored");
  await fill(own, pages);
  const started = Bun.nanoseconds();
  const path = pathIn(own, { pages, codec: ZPAGE_BYTES });
  const isRestored = path.zcache.restore(() => false);
  const ms = (Bun.nanoseconds() - started) / 1e6;
  if (!isRestored || path.zcache.tmem.pageCount !== pages) throw new Error("pages are missing");
  const target = `at most ${pages / 1000} ms`;
  return {
    name: `restore of ${pages} pages`,
    value: ms,
    unit: "ms",
    target,
    pass: ms <= pages / 1000,
  };
}

export const keptBench: Bench = {
  name: "kept",
  about: "Memory that outlives its process: what it costs, and how soon a successor has all pages.",
  async run({ quick }): Promise<Figure[]> {
    const folder = mkdtempSync(join(process.env.RAMSTER_KEEP ?? "/dev/shm", "ramster-bench-"));
    try {
      const restore = await restored(folder, quick ? RESTORED_QUICK : RESTORED);
      return [...(await costs(folder)), restore];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

if (import.meta.main && process.argv[2] === FILL) {
  const [, , , folder = "", count = "0"] = process.argv;
  const path = pathIn(folder, { pages: Number(count), codec: ZPAGE_BYTES });
  for (let number = 0; number < Number(count); number += 1) path.put(number);
  process.kill(process.pid, "SIGKILL");
}
