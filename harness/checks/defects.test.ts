/** src/DEFECTS.md names files and tests: they are there, and none of the 42 rows is missing. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const text = readFileSync(join(ROOT, "src/DEFECTS.md"), "utf8");
const rows = text.split("\n").filter((line) => /^\| \d+ \|/.test(line));
/** A path in src or harness, and the quoted titles that follow it. */
const CITED = /`((?:src|harness)\/[^`]+)`((?:,? "[^"]+")*)/g;

test("there are rows 1 to 42, in order, and each has an outcome", () => {
  const numbers = rows.map((row) => Number(row.split("|")[1]));
  expect(numbers).toEqual(Array.from({ length: 42 }, (_, i) => i + 1));
  for (const row of rows) {
    expect(row.split(" | ").length).toBe(3);
    expect(row).toMatch(/ \| \*(gone|partly|left)\*: /);
    if (/ \| \*(partly|left)\*: /.test(row)) expect(row).toMatch(/Left: |\*left\*: /);
  }
});

test("every file that is named is there, and has the tests that are quoted", () => {
  let titles = 0;
  for (const [, path = "", quoted = ""] of text.matchAll(CITED)) {
    if (!existsSync(join(ROOT, path))) throw new Error(`"${path}" is not there`);
    for (const [, title = ""] of quoted.matchAll(/"([^"]+)"/g)) {
      const isThere = readFileSync(join(ROOT, path), "utf8").includes(title);
      if (!isThere) throw new Error(`"${path}" has no test "${title}"`);
      titles += 1;
    }
  }
  // All quoted titles were checked.
  expect(titles).toBe(rows.join().match(/"[^"]+"/g)?.length ?? 0);
  for (const row of rows) expect(row).toMatch(/`(src|harness)\/|`--spill`/);
});
