/**
 * A sample of each corpus (corpora.ts), for tests: SAMPLE_PAGES of each in fixtures/pages/corpora,
 * compressed. They are read by path and not imported, so the compiled program does not have them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CorpusName } from "./corpora.ts";

export const SAMPLE_FOLDER = join(import.meta.dir, "../../fixtures/pages/corpora");
export const SAMPLE_PAGES = 300;

/** Whole pages in sequence. */
export function loadCorpusSample(name: CorpusName): Uint8Array {
  return Bun.zstdDecompressSync(readFileSync(join(SAMPLE_FOLDER, `${name}.zst`)));
}
