import { expect, test } from "bun:test";
import type { MemorySeen } from "../core/host-memory.ts";
import { checkMemoryRoom } from "./memory-room.ts";

const GIB = 2 ** 30;
const SEEN: MemorySeen = {
  totalBytes: 8 * GIB,
  availableBytes: 4 * GIB,
  stallPercent: 0,
  cgroup: null,
  unseen: [],
};
const NODE = { role: "node", memoryBytes: GIB, lendBytes: 0, reserve: "auto" } as const;

test("memory that the machine has gives no warning", () => {
  expect(checkMemoryRoom(NODE, SEEN)).toBeNull();
  expect(checkMemoryRoom({ ...NODE, lendBytes: 7 * GIB }, SEEN)).toBeNull();
});

test("unknown memory is not refused", () => {
  expect(checkMemoryRoom({ ...NODE, memoryBytes: 100 * GIB }, null)).toBeNull();
});

test("more memory than the machine or the cgroup has is refused", () => {
  const node = { ...NODE, memoryBytes: 9 * GIB };
  expect(() => checkMemoryRoom(node, SEEN)).toThrow(
    "Cannot use 9216MiB: this machine has 8192MiB of memory, lower --memory",
  );
  const seen = { ...SEEN, cgroup: "/sys/fs/cgroup/a" };
  expect(() => checkMemoryRoom(node, seen)).toThrow(
    'Cannot use 9216MiB: cgroup "/sys/fs/cgroup/a" has 8192MiB of memory, lower --memory',
  );
});

test("more memory than is available now gives a warning", () => {
  expect(checkMemoryRoom({ ...NODE, memoryBytes: 5 * GIB }, SEEN)).toBe(
    "the node may use up to 5120MiB, but this machine has 4096MiB available of 8192MiB: " +
      "lower --memory, or free some",
  );
});

test("a lender lends what there is, and is refused only without a reserve", () => {
  const lender = { role: "node", memoryBytes: 0, lendBytes: 9 * GIB, reserve: "auto" } as const;
  expect(checkMemoryRoom(lender, SEEN)).toBe(
    "the node may use up to 9216MiB, but this machine has 8192MiB of memory: it will lend less than --lend",
  );
  expect(checkMemoryRoom({ ...lender, role: "server" }, SEEN)).toEndWith(
    "it will lend less than --memory",
  );
  expect(() => checkMemoryRoom({ ...lender, reserve: { bytes: 0 } }, SEEN)).toThrow(
    "Cannot use 9216MiB: this machine has 8192MiB of memory",
  );
});
