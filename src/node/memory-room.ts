/**
 * Checks whether a machine has the memory that a node is configured to use. The kernel promises any
 * amount, and kills the process when the memory is really used.
 */
import { RamsterError } from "../core/errors.ts";
import type { MemorySeen } from "../core/host-memory.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import { isNoReserve } from "../ramster/foreign/lend-limit.ts";
import type { NodeConfig } from "./config.ts";

type Wanted = Pick<NodeConfig, "lendBytes" | "memoryBytes" | "reserve" | "role">;

/**
 * Throws NO_MEMORY when the node would take more memory than the machine has. A lender with a
 * reserve lends no more than the machine can spare, so it is never refused.
 *
 * @returns a warning, or null.
 */
export function checkMemoryRoom(
  { role, memoryBytes, lendBytes, reserve }: Wanted,
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
    throw new RamsterError("NO_MEMORY", `Cannot use ${wanted}: ${has}, lower --memory`);
  }
  if (fixedBytes > availableBytes) {
    const has = `${who} has ${mib(availableBytes)} available of ${mib(totalBytes)}`;
    return `the node may use up to ${wanted}, but ${has}: lower --memory, or free some`;
  }
  if (wantedBytes <= totalBytes) return null;
  const has = `${who} has ${mib(totalBytes)} of memory`;
  const flag = role === "server" ? "--memory" : "--lend";
  return `the node may use up to ${wanted}, but ${has}: it will lend less than ${flag}`;
}

function mib(bytes: number): string {
  return `${Math.floor(bytes / BYTES_PER_MIB)}MiB`;
}
