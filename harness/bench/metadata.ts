/** The resident memory that a page takes in addition to its bytes, all included. */
import { FRAME_BYTES } from "../../src/core/limits.ts";
import type { Bench, Figure } from "./bench.ts";
import { PagePath } from "./page-path.ts";

const PAGES = 1_000_000;

function bytesPerPage(zpageBytes: number): number {
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const path = new PagePath({
    frameCountMax: PAGES,
    pageCountMax: PAGES + 1000,
    codec: zpageBytes,
  });
  for (let number = 0; number < PAGES; number += 1) path.put(number);
  Bun.gc(true);
  const frames = path.zcache.frames.framesUsed;
  const resident = process.memoryUsage.rss() - before - frames * FRAME_BYTES;
  path.zcache.tmem.flushSome(path.pool, Number.POSITIVE_INFINITY);
  path.zcache.close();
  return resident / PAGES;
}

export const metadataBench: Bench = {
  name: "metadata",
  about: "Resident memory after a million puts, without the frames in use: index, lists and heap.",
  async run(): Promise<Figure[]> {
    bytesPerPage(1900); // The memory of the code itself must not count.
    const two = bytesPerPage(1900);
    const one = bytesPerPage(3000);
    const figure = (name: string, value: number): Figure => {
      return { name, value, unit: "bytes", target: "at most 64", pass: value <= 64 };
    };
    return [
      figure("metadata a page, two a frame", two),
      figure("metadata a page, one a frame", one),
    ];
  },
};
