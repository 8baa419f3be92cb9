import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskContract } from "../../harness/contract/disk.ts";
import { openDisk } from "./open-disk.ts";

const directory = mkdtempSync(join(tmpdir(), "ramster-disk-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

diskContract("BunDisk", () => {
  return {
    disk: openDisk(directory),
    until: async (condition) => {
      for (let turns = 0; !condition(); turns += 1) {
        if (turns > 20_000) throw new Error("it never holds");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
});

test("openDisk() leaves no name behind, of a file or in a directory, and two never share one", () => {
  const empty = join(directory, "empty");
  mkdirSync(empty);
  const disks = [openDisk(empty), openDisk(empty), openDisk(join(empty, "a")), openDisk(empty)];
  expect(readdirSync(empty)).toEqual([]);
  for (const disk of disks) disk.close();
});

test("openDisk() says in one line why not, and leaves what is there alone", () => {
  const file = join(directory, "file");
  writeFileSync(file, "mine");
  const missing = join(directory, "no", "such");
  expect(() => openDisk(file)).toThrow(
    `Cannot use --spill "${file}": the file is there already, name one that is not, or a directory`,
  );
  expect(() => openDisk(missing)).toThrow("there is no such directory");
  expect(() => openDisk(join(file, "below"))).toThrow("part of the path is no directory");
  expect(readdirSync(directory)).toContain("file");
});
