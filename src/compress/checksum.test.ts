import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { openMemory } from "../memory/open-memory.ts";
import {
  CHECKSUM_PREFIX_BYTES,
  CHECKSUM_ZPAGE_OFFSET,
  Checksummer,
  ownerSeed,
} from "./checksum.ts";

const bytes = crypto.getRandomValues(new Uint8Array(3 * PAGE_BYTES));

test("Checksummer starts from zero with the published check value of CRC-32", () => {
  const sums = new Checksummer(openMemory());
  sums.scratch.set(new TextEncoder().encode("123456789"));
  expect(sums.prefix(9, 0)).toBe(0xcbf4_3926);
});

test("Checksummer.prefix() and zpage() continue a sum as zlib does, for every length", () => {
  const sums = new Checksummer(openMemory());
  sums.scratch.set(bytes.subarray(0, CHECKSUM_ZPAGE_OFFSET + PAGE_BYTES));
  const seed = 0x9abc_def0;
  for (let length = 0; length <= CHECKSUM_ZPAGE_OFFSET; length += 1) {
    expect(sums.prefix(length, seed)).toBe(crc32(bytes.subarray(0, length), seed));
  }
  for (let length = 0; length <= PAGE_BYTES; length += 1) {
    const zpage = bytes.subarray(CHECKSUM_ZPAGE_OFFSET, CHECKSUM_ZPAGE_OFFSET + length);
    expect(sums.zpage(length, seed)).toBe(crc32(zpage, seed));
  }
});

test("Checksummer.update() sums bytes of another array", () => {
  const sums = new Checksummer(openMemory());
  for (const [offset, length] of [
    [0, 1],
    [5000, 77],
    [123, PAGE_BYTES],
    [9, 0],
  ] as const) {
    const expected = crc32(bytes.subarray(offset, offset + length), 42);
    expect(sums.update(42, bytes, offset, length)).toBe(expected);
  }
});

test("a page's checksum is the CRC-32 of handle, version and zpage in one", () => {
  const sums = new Checksummer(openMemory());
  const view = new DataView(sums.scratch.buffer);
  new Handle().set(7, [1n, 2n, 3n], 31).write(view, 0);
  view.setBigUint64(HANDLE_BYTES, 12_345n);
  sums.scratch.set(bytes.subarray(0, 1000), CHECKSUM_ZPAGE_OFFSET);
  const seed = ownerSeed(0x0102_0304_0506_0708n);
  expect(seed).toBe(crc32(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])));
  const sum = sums.zpage(1000, sums.prefix(CHECKSUM_PREFIX_BYTES, seed));
  const prefix = sums.scratch.subarray(0, CHECKSUM_PREFIX_BYTES);
  expect(sum).toBe(crc32(Buffer.concat([prefix, bytes.subarray(0, 1000)]), seed));
});

test("Checksummer refuses lengths outside its scratch array", () => {
  const sums = new Checksummer(openMemory());
  expect(() => sums.prefix(CHECKSUM_ZPAGE_OFFSET + 1, 0)).toThrow("Cannot sum");
  expect(() => sums.zpage(PAGE_BYTES + 1, 0)).toThrow("Cannot sum");
  expect(() => sums.zpage(-1, 0)).toThrow("Cannot sum");
});

test("Checksummer allocates nothing for a page", () => {
  const sums = new Checksummer(openMemory());
  let sum = 0;
  const run = (): void => {
    for (let round = 0; round < 100_000; round += 1) {
      sum = sums.zpage(round % PAGE_BYTES, sums.prefix(CHECKSUM_PREFIX_BYTES, sum));
    }
  };
  run();
  Bun.gc(true);
  const before = heapStats().heapCapacity;
  run();
  // Before a collection only the capacity shows garbage: a view for each page would take 6 MB.
  expect(heapStats().heapCapacity - before).toBeLessThan(1024 * 1024);
});
