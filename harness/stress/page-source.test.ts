import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../src/core/errors.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { PageSource } from "./page-source.ts";

const NAME = { node: 1, pool: 0, key: 5, generation: 9 };

function page(source: PageSource, name: Partial<typeof NAME> = {}): string {
  const bytes = new Uint8Array(PAGE_BYTES);
  source.write(bytes, { ...NAME, ...name });
  return Buffer.from(bytes).toString("latin1");
}

test("the same seed and name give the same page, another seed or name another", () => {
  const source = new PageSource({ kind: "mixed" }, 1);
  expect(page(source)).toBe(page(new PageSource({ kind: "mixed" }, 1)));
  expect(page(source)).not.toBe(page(new PageSource({ kind: "mixed" }, 2)));
  for (const other of [{ node: 2 }, { pool: 1 }, { key: 6 }, { generation: 10 }]) {
    expect(page(source, other)).not.toBe(page(source));
  }
});

test("no two pages of a run are the same", () => {
  for (const kind of ["mixed", "random"] as const) {
    const source = new PageSource({ kind }, 3);
    const seen = new Set<string>();
    for (let key = 0; key < 500; key += 1) {
      for (const generation of [1, 2]) seen.add(page(source, { key, generation }));
    }
    expect(seen.size).toBe(1000);
  }
});

test("a mix has same-filled pages, and far more others", () => {
  const source = new PageSource({ kind: "mixed" }, 4);
  let sameFilled = 0;
  for (let key = 0; key < 1000; key += 1) {
    const text = page(source, { key });
    if (text === text.slice(0, 4).repeat(PAGE_BYTES / 4)) sameFilled += 1;
  }
  expect(sameFilled).toBeGreaterThan(20);
  expect(sameFilled).toBeLessThan(150);
});

test("zero pages are zero, and random pages are stored whole", () => {
  expect(page(new PageSource({ kind: "zero" }, 1))).toBe("\0".repeat(PAGE_BYTES));
  expect(new PageSource({ kind: "zero" }, 1).storeWhole).toBe(false);
  expect(new PageSource({ kind: "random" }, 1).storeWhole).toBe(true);
});

test("pages of a file hold the file's bytes after the stamp", () => {
  const directory = mkdtempSync(join(tmpdir(), "ramster-test-"));
  try {
    const path = join(directory, "data");
    writeFileSync(path, "a".repeat(PAGE_BYTES + 100));
    const text = page(new PageSource({ kind: "file", path }, 1));
    expect(text.slice(16)).toBe("a".repeat(PAGE_BYTES - 16));
    writeFileSync(path, "a".repeat(PAGE_BYTES - 1));
    expect(() => new PageSource({ kind: "file", path }, 1)).toThrow("not one page to read there");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("pages of this process can be read", () => {
  expect(page(new PageSource({ kind: "pid", pid: process.pid }, 1)).length).toBe(PAGE_BYTES);
});

test("a file or process that does not exist is a wrong flag", () => {
  for (const [data, message] of [
    [{ kind: "file", path: "/nowhere/data" }, /^Cannot use --data "[^"]+": no such file; /],
    [{ kind: "file", path: "/" }, /^Cannot use --data "\/": (?!no such file)/],
    [{ kind: "pid", pid: 2 ** 22 - 1 }, /^Cannot use --data "pid:\d+": no such process$/],
  ] as const) {
    expect(() => new PageSource(data, 1)).toThrow(ConfigError);
    expect(() => new PageSource(data, 1)).toThrow(message);
  }
});
