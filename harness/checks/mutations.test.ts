/** harness/sim/defects.ts replaces source text: each text that it replaces appears exactly once. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DEFECTS, editedText } from "../sim/defects.ts";

const ROOT = join(import.meta.dir, "../..");

test.each(DEFECTS.map((defect) => [defect.name, defect] as const))("%s", (_, defect) => {
  for (const file of new Set(defect.edits.map((edit) => edit.file))) {
    const text = readFileSync(join(ROOT, file), "utf8");
    expect(editedText(defect, file, text)).not.toBe(text);
  }
  const { caughtBy } = defect;
  if (caughtBy === undefined) return;
  expect(existsSync(join(ROOT, caughtBy.file))).toBe(true);
  expect(readFileSync(join(ROOT, caughtBy.file), "utf8")).toContain(caughtBy.test);
});
