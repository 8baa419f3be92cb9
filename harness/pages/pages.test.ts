/** The recorded pages are those of the manifest, and contain nothing private. */
import { expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import corporaManifest from "../../fixtures/pages/corpora/manifest.json";
import manifest from "../../fixtures/pages/manifest.json";
import { Lz4 } from "../../src/compress/lz4.ts";
import { NOT_SAME_FILLED, sameFilledWord } from "../../src/compress/same-filled.ts";
import {
  PAGE_BYTES,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  ZPAGE_BYTES_MAX,
} from "../../src/core/limits.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { CORPORA } from "./corpora.ts";
import { loadCorpusSample, SAMPLE_FOLDER, SAMPLE_PAGES } from "./corpus-sample.ts";
import { loadPageClass, loadPages, type PageClassName, REAL_CLASSES } from "./load.ts";
import { PRIVATE_PATTERN } from "./private.ts";

const FOLDER = join(import.meta.dir, "../../fixtures/pages");

function pagesOf(name: PageClassName): Uint8Array[] {
  return cut(loadPageClass(name).pages);
}

function cut(pages: Uint8Array): Uint8Array[] {
  const count = pages.length / PAGE_BYTES;
  return Array.from({ length: count }, (_, at) =>
    pages.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES),
  );
}

async function zpageSizes(name: PageClassName): Promise<number[]> {
  const codec = await Lz4.load(openMemory());
  const zpage = new Uint8Array(2 * PAGE_BYTES);
  return pagesOf(name).map((page) => codec.compress(page, 0, zpage, 0, zpage.length));
}

test("fixtures/pages has the pages that its manifest lists, and at most 4 MiB", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".bin"));
  expect(files.sort()).toEqual(manifest.map(({ file }) => file).sort());
  for (const { file, pages } of manifest) {
    expect(statSync(join(FOLDER, file)).size).toBe(pages * PAGE_BYTES);
  }
  const all = loadPages();
  expect(all.map(({ name }) => `${name}.bin`).sort()).toEqual(files.sort());
  const bytes = all.reduce((sum, { pages }) => sum + pages.length, 0);
  expect(bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
});

test("fixtures/pages/corpora has a sample of each corpus, and takes at most 3 MiB", () => {
  const files = readdirSync(SAMPLE_FOLDER).filter((name) => name !== "manifest.json");
  expect(files.sort()).toEqual(CORPORA.map((name) => `${name}.zst`).sort());
  expect(corporaManifest.map(({ file }) => file).sort()).toEqual(files);
  const bytes = files.reduce((sum, file) => sum + statSync(join(SAMPLE_FOLDER, file)).size, 0);
  expect(bytes).toBeLessThanOrEqual(3 * 1024 * 1024);
  for (const name of CORPORA) {
    const pages = cut(loadCorpusSample(name));
    expect(pages.length).toBe(SAMPLE_PAGES);
    expect(new Set(pages.map((page) => Bun.hash.wyhash(page))).size).toBe(SAMPLE_PAGES);
    for (const page of pages) expect(sameFilledWord(page, 0)).toBe(NOT_SAME_FILLED);
  }
});

test("no recorded page contains a path, a setting, a key or an address", () => {
  const recorded = [
    ...REAL_CLASSES.map(pagesOf),
    ...CORPORA.map((it) => cut(loadCorpusSample(it))),
  ];
  for (const page of recorded.flat()) {
    const text = Buffer.from(page).toString("latin1");
    expect(text.match(PRIVATE_PATTERN)).toBeNull();
    expect(text.replaceAll("\0", "").match(PRIVATE_PATTERN)).toBeNull();
  }
});

test("the near-limit pages compress to exactly the sizes where zcache begins to refuse", async () => {
  const sizes = await zpageSizes("near-limit");
  const limits = [PERS_ZPAGE_BYTES_MAX_DEFAULT, ZPAGE_BYTES_MAX, ZPAGE_BYTES_MAX + 1];
  expect(limits).toEqual([3584, 4000, 4001]);
  expect([...new Set(sizes)]).toEqual(limits);
});

test("the other edge cases are zero, repeat one word, or do not compress", async () => {
  expect(pagesOf("zero").map((page) => sameFilledWord(page, 0))).toEqual([0]);
  const words = pagesOf("same-filled").map((page) => sameFilledWord(page, 0));
  expect(words.includes(NOT_SAME_FILLED) || words.includes(0)).toBe(false);
  expect(Math.min(...(await zpageSizes("incompressible")))).toBeGreaterThan(PAGE_BYTES);
});

test("the pages of programs are all different, not same-filled, and most of them compress", async () => {
  const seen = new Set<bigint>();
  let count = 0;
  let small = 0;
  for (const name of REAL_CLASSES) {
    for (const page of pagesOf(name)) {
      expect(sameFilledWord(page, 0)).toBe(NOT_SAME_FILLED);
      seen.add(Bun.hash.wyhash(page));
    }
    const sizes = await zpageSizes(name);
    count += sizes.length;
    small += sizes.filter((size) => size <= PERS_ZPAGE_BYTES_MAX_DEFAULT).length;
  }
  expect(seen.size).toBe(count);
  expect(small / count).toBeGreaterThan(0.7);
});
