/** Memory on mmap and on ArrayBuffers: both behave alike. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AssertionError } from "../core/assert.ts";
import { RamsterError } from "../core/errors.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { HeapMemory } from "./heap-memory.ts";
import { Holding } from "./holding.ts";
import { openMemory } from "./open-memory.ts";
import { parseKib } from "./proc-text.ts";

const MIB = 1024 * 1024;

const MEMORIES: ReadonlyArray<readonly [string, Memory]> = [
  ["of the operating system", openMemory()],
  ["on ArrayBuffers", new HeapMemory()],
];

/** The bytes that RLIMIT_DATA limits. */
function dataBytes(): number {
  return parseKib(readFileSync("/proc/self/status", "utf8"), "VmData") ?? Number.NaN;
}

describe.each(MEMORIES)("Memory %s", (_name, memory) => {
  test("a region reads back what was written, across its pieces, and zeros elsewhere", () => {
    const region = memory.reserve(64 * MIB);
    const bytes = new Uint8Array(10_000).map((_, i) => i % 251);
    const read = new Uint8Array(10_100);
    for (const offset of [0, 16 * MIB - 5000, 64 * MIB - 10_000]) {
      region.write(offset, bytes, 0, bytes.length);
      region.read(offset, read, 100, bytes.length);
      expect(read.subarray(100)).toEqual(bytes);
    }
    region.read(40 * MIB, read, 0, 100);
    expect(read.subarray(0, 100)).toEqual(new Uint8Array(100));
    region.close();
  });

  test("move() copies across pieces, and refuses ranges that overlap", () => {
    const region = memory.reserve(64 * MIB);
    const bytes = new Uint8Array(5000).map((_, i) => i % 251);
    region.write(100, bytes, 0, bytes.length);
    region.move(100, 16 * MIB - 2500, bytes.length);
    const read = new Uint8Array(bytes.length);
    region.read(16 * MIB - 2500, read, 0, read.length);
    expect(read).toEqual(bytes);
    expect(() => region.move(0, 4999, 5000)).toThrow(AssertionError);
    expect(() => region.move(0, 64 * MIB - 4999, 5000)).toThrow(AssertionError);
    region.close();
  });

  test("release() clears its range and nothing else", () => {
    const region = memory.reserve(4 * FRAME_BYTES);
    region.write(0, new Uint8Array(4 * FRAME_BYTES).fill(1), 0, 4 * FRAME_BYTES);
    region.release(FRAME_BYTES, 2 * FRAME_BYTES);
    const read = new Uint8Array(4 * FRAME_BYTES);
    region.read(0, read, 0, read.length);
    const expected = new Uint8Array(4 * FRAME_BYTES).fill(1);
    expected.fill(0, FRAME_BYTES, 3 * FRAME_BYTES);
    expect(read).toEqual(expected);
    region.close();
  });

  test("words() of a released region are zeros", () => {
    const region = memory.reserve(2 * FRAME_BYTES);
    const words = region.words();
    words.fill(-1);
    region.release(0, FRAME_BYTES);
    expect([words[0], words[FRAME_BYTES / 4 - 1], words[FRAME_BYTES / 4]]).toEqual([0, 0, -1]);
    region.close();
  });

  test("pinned memory reads as zeros from the start, and after release()", () => {
    const region = memory.reserve(8 * FRAME_BYTES, { pinnedBytes: 4 * FRAME_BYTES });
    const all = new Uint8Array(8 * FRAME_BYTES);
    region.read(0, all, 0, all.length);
    expect(all).toEqual(new Uint8Array(8 * FRAME_BYTES));
    region.write(0, all.fill(1), 0, all.length);
    region.release(3 * FRAME_BYTES, 2 * FRAME_BYTES);
    region.read(0, all, 0, all.length);
    const expected = new Uint8Array(8 * FRAME_BYTES).fill(1);
    expect(all).toEqual(expected.fill(0, 3 * FRAME_BYTES, 5 * FRAME_BYTES));
    region.close();
  });

  test("a region that grows keeps its bytes, and reads as zeros where it has grown", () => {
    const region = memory.reserve(64 * MIB, { pinnedBytes: 0, grows: true });
    const words = region.words();
    expect(region.grow(FRAME_BYTES)).toBe(true);
    words.fill(7, 0, FRAME_BYTES / 4);
    expect(region.grow(64 * MIB)).toBe(true);
    expect(region.grow(FRAME_BYTES)).toBe(true); // It is already that large.
    expect([words[FRAME_BYTES / 4 - 1], words[FRAME_BYTES / 4], words.at(-1)]).toEqual([7, 0, 0]);
    region.release(0, FRAME_BYTES);
    expect(words[0]).toBe(0);
    region.close();
  });

  test("a copy out of range is refused before it begins", () => {
    const region = memory.reserve(FRAME_BYTES);
    const bytes = new Uint8Array(100);
    expect(() => region.read(FRAME_BYTES - 50, bytes, 0, 51)).toThrow(AssertionError);
    expect(() => region.write(0, bytes, 60, 41)).toThrow(AssertionError);
    expect(() => memory.copy(bytes, 0, bytes, 90, 11)).toThrow(AssertionError);
    expect(() => memory.copy(bytes, -1, bytes, 0, 1)).toThrow(AssertionError);
    region.close();
  });

  test("copy() moves between arrays at any offset, and into views of a larger buffer", () => {
    const whole = new Uint8Array(64);
    const target = whole.subarray(16, 32);
    memory.copy(target, 2, new Uint8Array([1, 2, 3, 4]), 1, 3);
    expect([...whole.subarray(16, 24)]).toEqual([0, 0, 2, 3, 4, 0, 0, 0]);
    memory.copy(target, 0, whole, 0, 0);
  });
});

test("memory that the operating system cannot reserve is a NO_MEMORY error", () => {
  expect(() => openMemory().reserve(2 ** 52)).toThrow(RamsterError);
});

test("bytes that a region has not grown to count for no limit, and cannot be used", () => {
  const memory = openMemory();
  const before = dataBytes();
  const region = memory.reserve(2048 * MIB, { pinnedBytes: 0, grows: true });
  expect(dataBytes() - before).toBeLessThan(256 * MIB);
  expect(() => region.read(0, new Uint8Array(1), 0, 1)).toThrow(AssertionError);
  expect(region.grow(1024 * MIB)).toBe(true);
  expect(dataBytes() - before).toBeGreaterThan(768 * MIB);
  region.close();
});

test("in swap mode all but 64 MiB of the available memory can be pinned", () => {
  const memory = openMemory(new Holding(() => 80 * MIB));
  expect(() => memory.reserve(64 * MIB, { pinnedBytes: 17 * MIB })).toThrow(
    "Cannot pin another 17MiB of memory for swap mode: 16MiB are available: use less --memory, ",
  );
  memory.reserve(64 * MIB, { pinnedBytes: 16 * MIB }).close();
});

/** The memory of a process of its own: in this one, other tests take and free memory meanwhile. */
const RESIDENT_MIB = `
  import { openMemory } from ${JSON.stringify(join(import.meta.dir, "open-memory.ts"))};
  const mib = () => process.memoryUsage.rss() / ${MIB};
  const region = openMemory().reserve(${256 * MIB});
  const before = mib();
  const page = new Uint8Array(${FRAME_BYTES}).fill(7);
  for (let at = 0; at < region.byteCount; at += page.length) region.write(at, page, 0, page.length);
  const touched = mib() - before;
  region.release(0, region.byteCount);
  console.log(JSON.stringify({ touched, released: mib() - before }));`;

test("resident memory falls when a touched region is released", async () => {
  const child = Bun.spawn([process.execPath, "-e", RESIDENT_MIB], { stdout: "pipe" });
  const { touched, released } = JSON.parse(await child.stdout.text());
  expect(touched).toBeGreaterThan(200);
  expect(released).toBeLessThan(60);
  expect(await child.exited).toBe(0);
});
