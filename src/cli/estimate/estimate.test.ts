import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPageClass } from "../../../harness/pages/load.ts";
import { BunZstd } from "../../compress/bun-zstd.ts";
import { Lz4 } from "../../compress/lz4.ts";
import { BYTES_PER_MIB, PAGE_BYTES, PID_MAX } from "../../core/limits.ts";
import { openMemory } from "../../memory/open-memory.ts";
import { estimateText } from "./estimate.ts";
import { type Gain, gainOf, suggest } from "./gain.ts";
import { SAMPLE_PAGES, takeSample } from "./page-sample.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "ramster-test-"));
afterAll(() => rmSync(FOLDER, { recursive: true }));

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(FOLDER, name);
  writeFileSync(path, bytes);
  return path;
}

function randomPages(count: number): Uint8Array {
  const pages = new Uint8Array(count * PAGE_BYTES);
  for (let at = 0; at < pages.length; at += PAGE_BYTES) {
    crypto.getRandomValues(pages.subarray(at, at + PAGE_BYTES));
  }
  return pages;
}

async function gain(pages: Uint8Array): Promise<Gain> {
  const memory = openMemory();
  return gainOf(pages, { hot: await Lz4.load(memory), cold: new BunZstd() }, memory);
}

/** The error's text, or what was taken by mistake. */
function refusal(work: () => unknown): string {
  try {
    return `took ${JSON.stringify(work())}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe("gainOf()", () => {
  test("finds more pages a frame with blocks than with zbud, below the ratio of the codec", async () => {
    const { density, codecRatio, effectiveRatio, coldEffectiveRatio, pages } = await gain(
      loadPageClass("javascript").pages,
    );
    expect(pages).toBe(96);
    expect(density.zbud).toBeLessThanOrEqual(2);
    expect(density.blocks ?? 0).toBeGreaterThan((density.zbud ?? 9) * 1.1);
    expect(density.blocks ?? 9).toBeLessThan(codecRatio);
    expect(effectiveRatio).toBeLessThan(density.blocks ?? 0);
    expect(coldEffectiveRatio / effectiveRatio).toBeWithin(1.1, 2);
  });

  test("stores random pages whole, at little more than their size", async () => {
    const gained = await gain(randomPages(64));
    const { whole, zpageBytes, density, effectiveRatio, coldEffectiveRatio } = gained;
    expect(whole).toBe(64);
    expect(zpageBytes).toBe(0);
    expect(density).toEqual({ blocks: 1, zbud: 1 });
    expect(effectiveRatio).toBeWithin(0.98, 1);
    expect(coldEffectiveRatio).toBe(effectiveRatio);
  });

  test("stores pages whole that zstd makes only a little shorter", async () => {
    const random = randomPages(16);
    for (const top of [208, 212, 216, 220, 224, 228]) {
      const { whole, effectiveRatio, coldEffectiveRatio } = await gain(
        random.map((it) => it % top),
      );
      expect(whole).toBe(16);
      expect(coldEffectiveRatio).toBeGreaterThanOrEqual(effectiveRatio);
    }
  });

  test("takes no frame for pages of zeros", async () => {
    const { sameFilled, density, effectiveRatio } = await gain(new Uint8Array(8 * PAGE_BYTES));
    expect(sameFilled).toBe(8);
    expect(density).toEqual({ blocks: null, zbud: null });
    expect(effectiveRatio).toBeGreaterThan(50);
  });
});

describe("suggest()", () => {
  const GAIN = { effectiveRatio: 3 } as Gain;
  const machine = { totalBytes: 2 ** 34, availableBytes: 2 ** 33, highMarkPercent: 90 };

  test("suggests memory for all of it, and lends the rest but the reserve", () => {
    const { memoryBytes, lendBytes, elsewhereBytes } = suggest(2 ** 31, GAIN, machine);
    expect(memoryBytes).toBe(768 * BYTES_PER_MIB);
    expect(lendBytes).toBe((7168 - 768) * BYTES_PER_MIB);
    expect(elsewhereBytes).toBe(0);
  });

  test("says what others must hold on a machine that has too little", () => {
    const few = suggest(2 ** 36, GAIN, machine);
    expect(few.memoryBytes).toBe(7168 * BYTES_PER_MIB);
    expect(few.lendBytes).toBe(0);
    expect(few.elsewhereBytes).toBeGreaterThan(2 ** 35);
    const none = suggest(2 ** 31, GAIN, { ...machine, availableBytes: 0 });
    expect(none).toMatchObject({ memoryBytes: 16 * BYTES_PER_MIB, lendBytes: 0 });
  });
});

describe("takeSample()", () => {
  test("takes all pages of a small file, and a bounded sample of a large one", () => {
    const bytes = randomPages(3);
    const small = takeSample({ kind: "file", path: fileOf("small", bytes) }, "linux");
    expect(small.bytes).toBe(3 * PAGE_BYTES);
    expect(Buffer.compare(small.pages, bytes)).toBe(0);
    const path = fileOf("large", new Uint8Array(2 * SAMPLE_PAGES * PAGE_BYTES + 1));
    const large = takeSample({ kind: "file", path }, "darwin");
    expect(large.bytes).toBe(2 * SAMPLE_PAGES * PAGE_BYTES);
    expect(large.pages.length).toBe(SAMPLE_PAGES * PAGE_BYTES);
  });

  test("refuses files without a page in one line that says why", () => {
    const file = (path: string): string =>
      refusal(() => takeSample({ kind: "file", path }, "linux"));
    const empty = fileOf("empty", new Uint8Array());
    expect(file(empty)).toBe(`Cannot use --file "${empty}": the file is empty`);
    expect(file(fileOf("short", new Uint8Array(9)))).toEndWith("shorter than a page, 4096 bytes");
    expect(file(FOLDER)).toEndWith(": it is not a regular file");
    expect(file(join(FOLDER, "missing"))).toEndWith(": no such file");
  });

  test("takes pages of a live process, and only reads them", async () => {
    const script = "globalThis.keep = Array.from({ length: 1e5 }, (_, i) => ({ i, s: 'x' + i }));";
    const child = Bun.spawn(
      [process.execPath, "-e", `${script} console.log(1); await Bun.stdin.text()`],
      {
        stdin: "pipe",
        stdout: "pipe",
      },
    );
    await child.stdout.getReader().read();
    const { of, bytes, pages } = takeSample({ kind: "pid", pid: child.pid }, "linux");
    expect(of).toStartWith(`process ${child.pid} "`);
    expect(bytes).toBeGreaterThan(4 * BYTES_PER_MIB);
    expect(pages.length).toBeWithin(PAGE_BYTES, SAMPLE_PAGES * PAGE_BYTES + 1);
    expect((await gain(pages)).effectiveRatio).toBeGreaterThan(1);
    await child.stdin.end();
    expect(await child.exited).toBe(0);
  });

  test("takes pages of the largest processes", () => {
    const { of, bytes, pages } = takeSample({ kind: "machine" }, "linux");
    expect(of).toMatch(/^the largest \d of \d+ processes$/);
    expect(bytes).toBeGreaterThanOrEqual(pages.length / 2);
    expect(pages.length).toBeGreaterThan(0);
  });

  test("refuses a process that is not there, or that it may not read", () => {
    const pid = (id: number): string => {
      return refusal(() => takeSample({ kind: "pid", pid: id }, "linux"));
    };
    expect(pid(PID_MAX)).toBe(`Cannot use --pid "${PID_MAX}": no such process`);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    const denied = pid(1);
    if (isRoot) process.seteuid?.(0);
    expect(denied).toBe('Cannot use --pid "1": not permitted, run as its owner or as root');
  });

  test("refuses processes where there is no Linux", () => {
    const on = (subject: Parameters<typeof takeSample>[0]): string => {
      return refusal(() => takeSample(subject, "darwin"));
    };
    expect(on({ kind: "pid", pid: 1 })).toStartWith("Cannot use --pid on darwin: ");
    expect(on({ kind: "machine" })).toStartWith("Cannot use --sample on darwin: ");
  });
});

test("ramster estimate says in lines or JSON what a machine would gain", async () => {
  const path = fileOf("pages", loadPageClass("python").pages);
  const run = async (...flags: string[]): Promise<string> => {
    const main = join(import.meta.dir, "../../main.ts");
    const command = [process.execPath, main, "estimate", "--file", path, ...flags];
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const text = await child.stdout.text();
    expect(await child.exited).toBe(0);
    return text;
  };
  const parsed = JSON.parse(await run("--json"));
  expect(parsed).toMatchObject({ bytes: 128 * PAGE_BYTES, pages: 128, sameFilled: 0 });
  expect(parsed.effectiveRatio).toBeGreaterThan(1);
  expect(parsed.suggestion.memoryBytes).toBe(16 * BYTES_PER_MIB);
  const lines = (await run()).split("\n");
  expect(lines[0]).toStartWith(`sample: 128 of 128 pages (512KiB) of file "`);
  expect(lines.find((line) => line.startsWith("gain: "))).toMatch(/takes \d+MiB$/);
  expect(lines.at(-2)).toStartWith("suggested for all of them: --memory 16MiB --lend ");
});

test("says what other nodes must hold", async () => {
  const sample = { of: "it", bytes: PAGE_BYTES, pages: randomPages(1) };
  const suggestion = {
    storedBytes: 2 ** 30,
    memoryBytes: 2 ** 28,
    lendBytes: 0,
    elsewhereBytes: 2 ** 29,
  };
  const text = estimateText(sample, await gain(sample.pages), suggestion, false);
  expect(text.split("\n").slice(-2)).toEqual([
    "suggested for the cold third, 1GiB: --memory 256MiB --lend 0",
    "other nodes must hold 512MiB of these pages",
  ]);
});
