/** Which Memory this process runs on. */
import type { Memory } from "../core/memory.ts";
import { FfiMemory, type Holding } from "./ffi-memory.ts";
import { HeapMemory } from "./heap-memory.ts";

/** glibc, then musl on the two machine types that Bun is built for. */
export const LIBC_PATHS = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/**
 * Memory from the operating system where bun:ffi and a C library are at hand, else ArrayBuffers.
 * `holding`: for a node under a kernel's swap. Small regions are held whole, and none is held that
 * would not fit.
 */
export function openMemory(holding: Holding | null = null): Memory {
  for (const path of LIBC_PATHS) {
    try {
      return new FfiMemory(path, holding);
    } catch {
      // Not this C library: the next one, and in the end the fallback that needs none.
    }
  }
  return new HeapMemory();
}
