/**
 * The recorded pages of fixtures/pages, for tests, stress and benchmarks. The files are imported,
 * so a compiled binary contains them. `bun run pages` records them again (make.ts).
 */
import { readFileSync } from "node:fs";
import code from "../../fixtures/pages/code.bin" with { type: "file" };
import compiler from "../../fixtures/pages/compiler.bin" with { type: "file" };
import database from "../../fixtures/pages/database.bin" with { type: "file" };
import incompressible from "../../fixtures/pages/incompressible.bin" with { type: "file" };
import javascript from "../../fixtures/pages/javascript.bin" with { type: "file" };
import nearLimit from "../../fixtures/pages/near-limit.bin" with { type: "file" };
import python from "../../fixtures/pages/python.bin" with { type: "file" };
import sameFilled from "../../fixtures/pages/same-filled.bin" with { type: "file" };
import text from "../../fixtures/pages/text.bin" with { type: "file" };
import zero from "../../fixtures/pages/zero.bin" with { type: "file" };

/**
 * The file of each class. The first six are pages of real programs and files, the others edge
 * cases.
 */
const PAGE_FILES = {
  python,
  compiler,
  database,
  javascript,
  text,
  code,
  zero,
  "same-filled": sameFilled,
  "near-limit": nearLimit,
  incompressible,
} as const;

export type PageClassName = keyof typeof PAGE_FILES;

/**
 * The classes without edge cases. Ratios and rates should be measured on these.
 */
export const REAL_CLASSES = [
  "python",
  "compiler",
  "database",
  "javascript",
  "text",
  "code",
] as const satisfies readonly PageClassName[];

export interface PageClass {
  readonly name: PageClassName;
  /** Whole pages in sequence. */
  readonly pages: Uint8Array;
}

/** Reads one class. */
export function loadPageClass(name: PageClassName): PageClass {
  return { name, pages: new Uint8Array(readFileSync(PAGE_FILES[name])) };
}

/** Reads the named classes, or all of them in the order of PAGE_FILES. */
export function loadPages(names?: readonly PageClassName[]): PageClass[] {
  return (names ?? allNames()).map(loadPageClass);
}

function allNames(): PageClassName[] {
  return Object.keys(PAGE_FILES) as PageClassName[];
}
