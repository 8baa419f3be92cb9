/** Puts and gets of local pages without the codec, for few and for many pages. */
import { FRAME_BYTES } from "../../src/core/limits.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { type Bench, type Figure, median } from "./bench.ts";
import { nsPerCall, nsPerCallInOrder, PagePath } from "./page-path.ts";

const ZPAGE_BYTES = 1900; // Two fit a frame. Pages of programs compress to this size on average.
const CALLS = 500_000;
const ROUNDS = 5;

/** The cost of the bytes alone: a copy out of a random frame, among as many frames. */
function copyNs(pages: number): number {
  const region = openMemory().reserve(Math.ceil(pages / 2) * FRAME_BYTES);
  const frame = new Uint8Array(FRAME_BYTES).fill(1);
  const frames = region.byteCount / FRAME_BYTES;
  for (let i = 0; i < frames; i += 1) region.write(i * FRAME_BYTES, frame, 0, FRAME_BYTES);
  const copy = (number: number): void => {
    region.read(number * FRAME_BYTES, frame, 0, ZPAGE_BYTES);
  };
  const ns = median(Array.from({ length: ROUNDS }, () => nsPerCall(CALLS, frames, copy)));
  region.close();
  return ns;
}

/** The same operations on a Map of copies, which is what a program would use without a store. */
function mapNs(pages: number): { put: number; get: number } {
  const map = new Map<string, Uint8Array>();
  const page = new Uint8Array(ZPAGE_BYTES).fill(3);
  const put = (number: number): void => void map.set(`1/${number}`, page.slice());
  for (let number = 0; number < pages; number += 1) put(number);
  const get = (number: number): void => page.set(map.get(`1/${number}`) ?? page);
  return { put: nsPerCall(CALLS, pages, put), get: nsPerCall(CALLS, pages, get) };
}

interface Cost {
  put: number;
  get: number;
  putInOrder: number;
  getInOrder: number;
}

function measure(pages: number): Cost {
  const path = new PagePath({
    frameCountMax: Math.ceil(pages / 2) + 1000,
    pageCountMax: pages + 1000,
    codec: ZPAGE_BYTES,
  });
  const put = (number: number): void => path.put(number);
  const get = (number: number): void => path.get(number);
  for (let number = 0; number < pages; number += 1) put(number);
  nsPerCall(CALLS, pages, put);
  nsPerCall(CALLS, pages, get);
  const puts: number[] = [];
  const gets: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    puts.push(nsPerCall(CALLS, pages, put));
    gets.push(nsPerCall(CALLS, pages, get));
  }
  const sweep = (work: (number: number) => void): number => {
    return median(Array.from({ length: 3 }, () => nsPerCallInOrder(pages, work)));
  };
  const putInOrder = sweep(put);
  const getInOrder = sweep(get);
  path.zcache.close();
  return { put: median(puts), get: median(gets), putInOrder, getInOrder };
}

export const pagesBench: Bench = {
  name: "pages",
  about:
    "Index, checksum, zbud, frames and all copies of 1900-byte zpages. A put replaces a page. " +
    "The codec only copies.",
  async run({ quick }): Promise<Figure[]> {
    const many = quick ? 1_000_000 : 4_000_000;
    const small = measure(10_000);
    const middle = measure(1_000_000);
    const large = measure(many);
    const copy = { small: copyNs(10_000), large: copyNs(many) };
    const map = mapNs(1_000_000);
    const at = (pages: number): string => `${pages / 1_000_000}M`;
    const figures: Figure[] = [];
    for (const operation of ["put", "get"] as const) {
      const middleUs = middle[operation] / 1000;
      figures.push({
        name: `${operation} at 1M pages`,
        value: middleUs,
        unit: "us",
        reference: { name: "a Map of copies", value: map[operation] / 1000, unit: "us" },
        ratio: middle[operation] / map[operation],
        target: "at most 1 us",
        pass: middleUs <= 1,
      });
      const inOrder = operation === "put" ? "putInOrder" : "getInOrder";
      figures.push({
        name: `${operation} at 1M pages, in order`,
        value: middle[inOrder] / 1000,
        unit: "us",
        reference: { name: "at 0.01M", value: small[inOrder] / 1000, unit: "us" },
        ratio: middle[inOrder] / small[inOrder],
      });
      const ratio = large[operation] / small[operation];
      figures.push({
        name: `${operation} at ${at(many)} pages`,
        value: large[operation] / 1000,
        unit: "us",
        reference: { name: "at 0.01M", value: small[operation] / 1000, unit: "us" },
        ratio,
        target: "at most 1.5",
        pass: ratio <= 1.5,
      });
    }
    figures.push({
      name: `bare copy of a zpage, ${at(many)} pages`,
      value: copy.large / 1000,
      unit: "us",
      reference: { name: "at 0.01M", value: copy.small / 1000, unit: "us" },
      ratio: copy.large / copy.small,
    });
    return figures;
  },
};
