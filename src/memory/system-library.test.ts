import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { findLibrary, libraryDirectories } from "./system-library.ts";

const NAME = "libx.so.1";
const isRoot = process.getuid?.() === 0;
const why = isRoot ? "" : " (skipped: only root makes files of root)";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ramster-library-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(name = NAME, mode = 0o644): string {
  const path = join(directory, name);
  writeFileSync(path, "");
  chmodSync(path, mode);
  return path;
}

function reason(): string {
  const found = findLibrary(NAME, [directory]);
  return "path" in found ? "found" : found.reason;
}

test("all directories are absolute, and none is that of the process", () => {
  for (const path of libraryDirectories()) {
    expect(isAbsolute(path)).toBe(true);
    expect(path).not.toBe(process.cwd());
  }
});

test("a missing library is missing, and so is one behind a broken link", () => {
  const missing = { isMissing: true, reason: `there is no ${NAME} in ${directory}` };
  expect(findLibrary(NAME, [directory])).toEqual(missing);
  symlinkSync("nowhere", join(directory, NAME));
  expect(findLibrary(NAME, [directory])).toEqual(missing);
  expect(findLibrary(NAME, [])).toMatchObject({ isMissing: true });
});

describe.skipIf(!isRoot)(`a library of root${why}`, () => {
  test("is found, by the path that no link can change", () => {
    const path = write("libx.so.1.2.3");
    symlinkSync("libx.so.1.2.3", join(directory, NAME));
    expect(findLibrary(NAME, ["/nowhere", directory])).toEqual({ path });
  });

  test("is refused if others own it or may write to it", () => {
    const path = write(NAME, 0o664);
    const others = "belongs to, or can be written by, others than root";
    expect(reason()).toBe(`${path} ${others}`);
    chmodSync(path, 0o646);
    expect(reason()).toBe(`${path} ${others}`);
    chmodSync(path, 0o644);
    chownSync(path, 65_534, 0);
    expect(reason()).toBe(`${path} ${others}`);
    chownSync(path, 0, 0);
    expect(reason()).toBe("found");
  });

  test("is refused if others could replace it, in any directory above it", () => {
    const inner = join(directory, "inner");
    mkdirSync(inner);
    renameSync(write(), join(inner, NAME));
    const outer = directory;
    directory = inner;
    expect(reason()).toBe("found");
    chmodSync(outer, 0o777);
    expect(reason()).toStartWith(`${outer} belongs to`);
    chmodSync(outer, 0o1777);
    expect(reason()).toBe("found");
    chownSync(outer, 65_534, 0);
    expect(reason()).toStartWith(`${outer} belongs to`);
    directory = outer;
  });

  test("is refused if it is no regular file", () => {
    mkdirSync(join(directory, NAME));
    expect(reason()).toBe(`${join(directory, NAME)} is not a regular file`);
  });
});
