/** Ten million operations on a full store must not grow the JavaScript heap. */
import { heapStats } from "bun:jsc";
import type { Bench, Figure } from "./bench.ts";
import { PagePath } from "./page-path.ts";

const PAGES = 100_000;

export const steadyBench: Bench = {
  name: "steady",
  about:
    "Random puts, gets and flushes on a full store: the capacity of the heap before and after.",
  async run({ quick }): Promise<Figure[]> {
    const operations = quick ? 1_000_000 : 10_000_000;
    const path = new PagePath({ frameCountMax: PAGES, pageCountMax: PAGES, codec: 1900 });
    for (let number = 0; number < PAGES; number += 1) path.put(number);
    const some = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        const number = (i * 7919) % PAGES;
        if (i % 3 === 0) path.put(number);
        else if (i % 3 === 1) path.flush(number);
        else path.get((number + 15838) % PAGES === number ? number : putAnew(path, number));
      }
    };
    some(300_000);
    Bun.gc(true);
    const before = heapStats();
    const started = Bun.nanoseconds();
    some(operations);
    const seconds = (Bun.nanoseconds() - started) / 1e9;
    const uncollected = heapStats().heapCapacity - before.heapCapacity;
    Bun.gc(true);
    const grown = heapStats().heapSize - before.heapSize;
    const mib = (bytes: number): number => Math.max(0, bytes) / 1024 / 1024;
    const holds = (value: number) => ({ target: "below 1 MiB", pass: value < 1 });
    return [
      { name: "operations", value: operations / seconds / 1e6, unit: "M/s" },
      {
        name: "heap capacity, not collected",
        value: mib(uncollected),
        unit: "MiB more",
        ...holds(mib(uncollected)),
      },
      { name: "heap, collected", value: mib(grown), unit: "MiB more", ...holds(mib(grown)) },
    ];
  },
};

/** Puts the page, because a get needs it and a flush may have removed it. */
function putAnew(path: PagePath, number: number): number {
  path.put(number);
  return number;
}
