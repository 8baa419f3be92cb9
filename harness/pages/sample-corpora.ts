/**
 * `bun harness/pages/sample-corpora.ts [FOLDER]`: makes fixtures/pages/corpora from the corpora in
 * the folder. No page appears twice, and private.ts finds nothing private in any of them.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { CORPORA, CORPORA_FOLDER, corpusSource, loadCorpora } from "./corpora.ts";
import { SAMPLE_FOLDER, SAMPLE_PAGES } from "./corpus-sample.ts";
import { PrivateFilter } from "./private.ts";

/** The strongest of zstd that needs no large window to decompress. */
const ZSTD_LEVEL = 19;

const corpora = await loadCorpora(process.argv[2] ?? CORPORA_FOLDER, (line) => console.log(line));
if (corpora.length < CORPORA.length) throw new Error("Cannot sample: a corpus is missing");
mkdirSync(SAMPLE_FOLDER, { recursive: true });
const made = corpora.map(({ name, pages }) => {
  const bytes = Bun.zstdCompressSync(sampleOf(pages), { level: ZSTD_LEVEL });
  const file = `${name}.zst`;
  writeFileSync(join(SAMPLE_FOLDER, file), bytes);
  console.log(`${file}: ${bytes.length} bytes`);
  return { file, pages: SAMPLE_PAGES, source: corpusSource(name) };
});
writeFileSync(join(SAMPLE_FOLDER, "manifest.json"), `${JSON.stringify(made, null, 2)}\n`);

/** Pages that are spread evenly over those that qualify. */
function sampleOf(pages: Uint8Array): Uint8Array {
  const filter = new PrivateFilter();
  const seen = new Set<bigint>();
  const kept: number[] = [];
  for (let at = 0; at < pages.length; at += PAGE_BYTES) {
    const page = pages.subarray(at, at + PAGE_BYTES);
    const hash = Bun.hash.wyhash(page);
    if (seen.has(hash) || filter.isPrivate(page)) continue;
    seen.add(hash);
    kept.push(at);
  }
  if (kept.length < SAMPLE_PAGES) throw new Error(`Cannot sample: only ${kept.length} pages`);
  const step = kept.length / SAMPLE_PAGES;
  const chosen = Array.from({ length: SAMPLE_PAGES }, (_, i) => kept[Math.floor(i * step)] ?? 0);
  return Buffer.concat(chosen.map((at) => pages.subarray(at, at + PAGE_BYTES)));
}
