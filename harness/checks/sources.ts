/** The source files of this project, and samples of such files, for the tests of the rules. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding, SourceFile } from "./source.ts";

export const ROOT = join(import.meta.dir, "../..");

/** All of src, harness and packaging. */
export function readSources(): SourceFile[] {
  return [...new Bun.Glob("{src,harness,packaging}/**/*.ts").scanSync(ROOT)]
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** One line each, as a compiler would write it. */
export function describeFindings(findings: readonly Finding[]): string[] {
  return findings.map(({ path, line, message }) => `${path}:${line}: ${message}`);
}

/** `path|text`. */
export function sample(text: string): SourceFile {
  const bar = text.indexOf("|");
  return { path: text.slice(0, bar), text: text.slice(bar + 1) };
}
