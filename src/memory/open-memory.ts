/** Which Memory this process runs on. */
import type { Memory } from "../core/memory.ts";
import { FfiMemory, type Holding } from "./ffi-memory.ts";
import { HeapMemory } from "./heap-memory.ts";
import { libcPath } from "./libc-path.ts";

/**
 * Memory from the operating system where bun:ffi and a C library are at hand, else ArrayBuffers.
 * `holding`: for a node under a kernel's swap. Small regions are held whole, and none is held that
 * would not fit.
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
