/**
 * Seals zpages of real pages, and whole pages. The reference is the compression of the same pages,
 * which every page goes through before it leaves a node. Both take turns.
 */
import { Lz4 } from "../../src/compress/lz4.ts";
import { assert } from "../../src/core/assert.ts";
import { Handle } from "../../src/core/handle.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { SEAL_TAG_WORDS } from "../../src/core/seal.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { newSealKey, PageSeal } from "../../src/security/page-seal.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import { type Bench, type Figure, median } from "./bench.ts";

const ROUNDS = 9;
const SWEEPS = 8;

const NOTHING = { bytes: new Uint8Array(), at: 0, zpageBytes: 0, codec: 1, version: 0 };

/** Zpages in one array, as in a message, with the pages that they were made from. */
class Sample {
  readonly count: number;
  private readonly pages: Uint8Array;
  private readonly zpages: Uint8Array<ArrayBuffer>;
  private readonly zpage = { ...NOTHING };
  private readonly sizes: number[] = [];
  private readonly tags: Int32Array[] = [];
  private readonly target = new Uint8Array(PAGE_BYTES);
  private readonly handle = new Handle();
  private readonly seal = new PageSeal(newSealKey(new SeededRandom(1)));
  private readonly lz4: Lz4;

  /** `whole`: as if no page could be compressed. */
  constructor(lz4: Lz4, pages: Uint8Array, { whole }: { whole: boolean }) {
    this.lz4 = lz4;
    this.pages = pages;
    this.count = pages.length / PAGE_BYTES;
    this.zpages = new Uint8Array(pages.length);
    this.zpage.bytes = this.zpages;
    for (let i = 0; i < this.count; i += 1) {
      const at = i * PAGE_BYTES;
      const size = whole ? 0 : lz4.compress(pages, at, this.zpages, at, PAGE_BYTES);
      if (size === 0) this.zpages.set(pages.subarray(at, at + PAGE_BYTES), at);
      this.sizes.push(size === 0 ? PAGE_BYTES : size);
      this.tags.push(new Int32Array(SEAL_TAG_WORDS));
    }
    this.sealAll(); // Later rounds seal what is sealed already, which costs the same.
  }

  sealAll(): void {
    for (let i = 0; i < this.count; i += 1) this.seal.seal(this.handle, this.at(i), this.tag(i));
  }

  openAll(): void {
    for (let i = 0; i < this.count; i += 1) {
      assert(this.seal.open(this.handle, this.at(i), this.tag(i), this.target));
    }
  }

  compressAll(): void {
    for (let i = 0; i < this.count; i += 1) {
      this.lz4.compress(this.pages, i * PAGE_BYTES, this.target, 0, PAGE_BYTES);
    }
  }

  private at(i: number): typeof this.zpage {
    this.zpage.at = i * PAGE_BYTES;
    this.zpage.zpageBytes = this.sizes[i] ?? 0;
    this.zpage.version = i + 1;
    return this.zpage;
  }

  private tag(i: number): Int32Array {
    const tag = this.tags[i];
    assert(tag !== undefined);
    return tag;
  }
}

function figuresOf(what: string, sample: Sample, quick: boolean): Figure[] {
  const work = {
    seal: () => sample.sealAll(),
    open: () => sample.openAll(),
    compress: () => sample.compressAll(),
  };
  const names = ["seal", "open", "compress"] as const;
  const rates = { seal: [] as number[], open: [] as number[], compress: [] as number[] };
  for (let round = -2; round < (quick ? 3 : ROUNDS); round += 1) {
    for (const name of names) {
      const start = Bun.nanoseconds();
      for (let sweep = 0; sweep < SWEEPS; sweep += 1) work[name]();
      const seconds = (Bun.nanoseconds() - start) / 1e9;
      if (round >= 0) rates[name].push((sample.count * SWEEPS) / seconds / 1000);
    }
  }
  const unit = "k pages/s";
  const reference = { name: "lz4 compress", value: median(rates.compress), unit };
  return (["seal", "open"] as const).map((name) => ({
    name: `${name}, ${what}`,
    value: median(rates[name]),
    unit,
    reference,
    ratio: median(rates[name].map((rate, i) => rate / (rates.compress[i] ?? 1))),
  }));
}

export const sealBench: Bench = {
  name: "seal",
  about: "AES-256-GCM for each page, as with --seal, beside the compression of the same pages.",
  async run({ quick }): Promise<Figure[]> {
    const lz4 = await Lz4.load(openMemory());
    const real = Buffer.concat(loadPages(REAL_CLASSES).map(({ pages }) => pages));
    return [
      ...figuresOf("real zpages", new Sample(lz4, real, { whole: false }), quick),
      ...figuresOf("whole pages", new Sample(lz4, real, { whole: true }), quick),
    ];
  },
};
