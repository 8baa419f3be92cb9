/** The files of openDisk(): they have no name, and are as long as Linux allows. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskContract } from "../../harness/contract/disk.ts";
import { parseFileSizeMax } from "./bun-disk.ts";
import { openDisk } from "./open-disk.ts";

const directory = mkdtempSync(join(tmpdir(), "ramster-disk-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const USE = { inSwapMode: false, warn: () => {} };

diskContract("BunDisk", () => {
  return {
    disk: openDisk(directory, USE),
    until: async (condition) => {
      for (let turns = 0; !condition(); turns += 1) {
        if (turns > 20_000) throw new Error("it never holds");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
});

test("openDisk() leaves no name behind, and two calls never share a file", () => {
  const empty = join(directory, "empty");
  mkdirSync(empty);
  const disks = [empty, empty, join(empty, "a"), empty].map((it) => openDisk(it, USE));
  expect(readdirSync(empty)).toEqual([]);
  for (const disk of disks) disk.close();
});

test("openDisk() refuses with a one-line reason, and does not touch existing files", () => {
  const file = join(directory, "file");
  writeFileSync(file, "mine");
  const missing = join(directory, "no", "such");
  expect(() => openDisk(file, USE)).toThrow(
    `Cannot use --spill "${file}": the file exists already: name a new file, or a directory`,
  );
  expect(() => openDisk(missing, USE)).toThrow("the directory does not exist");
  expect(() => openDisk(join(file, "below"), USE)).toThrow("part of the path is not a directory");
  expect(readdirSync(directory)).toContain("file");
});

test("the longest file size is read from /proc", () => {
  const limits = (soft: string): string => {
    return `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             ${soft.padEnd(20)} unlimited            bytes     
Max data size             5                    unlimited            bytes     
`;
  };
  expect(parseFileSizeMax(limits("4194304"))).toBe(4194304);
  for (const text of [limits("unlimited"), "", limits("x"), limits("-1"), "Max file size"]) {
    expect(parseFileSizeMax(text)).toBe(Number.POSITIVE_INFINITY);
  }
});
