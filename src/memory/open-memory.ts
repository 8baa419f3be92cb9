/** Chooses the Memory of this process. */
import type { Memory } from "../core/memory.ts";
import { FfiMemory } from "./ffi-memory.ts";
import { HeapMemory } from "./heap-memory.ts";
import type { Holding } from "./holding.ts";
import { libcPath } from "./libc-path.ts";

/**
 * Memory from the operating system, or ArrayBuffers where bun:ffi or a C library is missing.
 * `holding` is for a node that a kernel swaps to: small regions are pinned whole, and pinning more
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
