/** Pages on which a library is tried before it gets the first page of a program. */
import { readFileSync } from "node:fs";
import compiler from "../../../fixtures/pages/compiler.bin" with { type: "file" };
import database from "../../../fixtures/pages/database.bin" with { type: "file" };
import incompressible from "../../../fixtures/pages/incompressible.bin" with { type: "file" };
import nearLimit from "../../../fixtures/pages/near-limit.bin" with { type: "file" };
import python from "../../../fixtures/pages/python.bin" with { type: "file" };
import zero from "../../../fixtures/pages/zero.bin" with { type: "file" };
import { PAGE_BYTES } from "../../core/limits.ts";

/** Pages of each file. */
const PAGES_EACH = 4;

/** Whole pages in sequence: of real programs, and edge cases. */
export function samplePages(): Uint8Array {
  const files = [python, compiler, database, nearLimit, incompressible, zero];
  return Buffer.concat(
    files.map((path) => readFileSync(path).subarray(0, PAGES_EACH * PAGE_BYTES)),
  );
}

/** 128 pages of one program: enough to train a dictionary. */
export function programPages(): Uint8Array {
  return readFileSync(python);
}
