/**
 * Whether a machine has the memory that a node is told to use. The kernel promises any amount, and
 * ends the process when the pages come.
 */
import { RamsterError } from "../core/errors.ts";
import type { MemorySeen } from "../core/host-memory.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import { isNoReserve } from "../ramster/foreign/lend-limit.ts";
import type { NodeConfig } from "./config.ts";

type Wanted = Pick<NodeConfig, "memoryBytes" | "lendBytes" | "reserve">;

/**
 * Throws NO_MEMORY where it would take more than there is at all. A lender that keeps a reserve
 * lends what there is, and is never refused.
 *
 * @returns a warning, or null.
 */
export function checkMemoryRoom(
  { memoryBytes, lendBytes, reserve }: Wanted,
  seen: MemorySeen | null,
): string | null {
  if (seen === null) return null;
  const { totalBytes, availableBytes, cgroup } = seen;
  const fixedBytes = memoryBytes + (isNoReserve(reserve) ? lendBytes : 0);
  const wantedBytes = memoryBytes + lendBytes;
  const wanted = mib(wantedBytes);
  const who = cgroup === null ? "this machine" : `cgroup "${cgroup}"`;
  if (fixedBytes > totalBytes) {
    const has = `${who} has ${mib(totalBytes)} of memory`;
    throw new RamsterError("NO_MEMORY", `Cannot use ${wanted}: ${has}, take less --memory`);
  }
  if (fixedBytes > availableBytes) {
    const has = `${who} has ${mib(availableBytes)} available of ${mib(totalBytes)}`;
    return `the node may come to use ${wanted}, but ${has}: take less --memory, or free some`;
  }
  if (wantedBytes <= totalBytes) return null;
  const has = `${who} has ${mib(totalBytes)} of memory`;
  return `the node may lend no more than there is: ${wanted} is given, ${has}`;
}

function mib(bytes: number): string {
  return `${Math.floor(bytes / BYTES_PER_MIB)}MiB`;
}
