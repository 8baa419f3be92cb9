import { expect, test } from "bun:test";
import { AllocationMap } from "./allocation-map.ts";

test("blocks that were never marked are skipped", () => {
  const map = new AllocationMap(10_000);
  expect(map.nextAllocated(0, 10_000)).toBe(10_000);
  map.mark(5000);
  expect(map.nextAllocated(0, 10_000)).toBe(4096);
  expect(map.nextAllocated(4096, 10_000)).toBe(4096);
  expect(map.nextAllocated(5119, 10_000)).toBe(5119);
  expect(map.nextAllocated(5120, 10_000)).toBe(10_000);
  expect(map.nextAllocated(0, 3000)).toBe(3000);
  expect(map.nextAllocated(0, 4096)).toBe(4096);
  expect(map.nextAllocated(4000, 4500)).toBe(4096);
  map.mark(9999);
  expect(map.nextAllocated(5120, 10_000)).toBe(9216);
});

test("a block is cleared only as a whole, the last one up to the last page", () => {
  const map = new AllocationMap(10_000);
  for (const page of [0, 1024, 2048, 9999]) map.mark(page);
  map.clear(1, 3071);
  expect(map.nextAllocated(0, 10_000)).toBe(0);
  expect(map.nextAllocated(1024, 10_000)).toBe(2048);
  map.clear(3000, 3001);
  expect(map.nextAllocated(2048, 10_000)).toBe(2048);
  map.clear(2048, 9999);
  expect(map.nextAllocated(2048, 10_000)).toBe(9216);
  map.clear(9216, 10_000);
  expect(map.nextAllocated(2048, 10_000)).toBe(10_000);
  expect(map.nextAllocated(0, 10_000)).toBe(0);
});

test("the largest export", () => {
  const map = new AllocationMap(2 ** 32);
  map.mark(2 ** 32 - 1);
  expect(map.nextAllocated(0, 2 ** 32)).toBe(2 ** 32 - 1024);
});
