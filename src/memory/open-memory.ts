/** Which Memory this process runs on. */
import type { Memory } from "../core/memory.ts";
import { FfiMemory, type Holding } from "./ffi-memory.ts";
import { HeapMemory } from "./heap-memory.ts";
import { libcPath } from "./libc-path.ts";

/**
 * Memory from the operating system where bun:ffi and a C library are at hand, else ArrayBuffers.
 * `holding` is for a node under a kernel's swap: small regions are pinned whole, and pinning more
 * than is available is an error.
 */
export function openMemory(holding: Holding | null = null): Memory {
  const path = libcPath();
  if (path === null) return new HeapMemory();
  try {
    return new FfiMemory(path, holding);
  } catch {
    return new HeapMemory(); // Without bun:ffi.
  }
}
