/** Chooses the Memory of this process. */
import { RamsterError } from "../core/errors.ts";
import type { Memory } from "../core/memory.ts";
import { FfiMemory } from "./ffi-memory.ts";
import { HeapMemory } from "./heap-memory.ts";
import type { Holding } from "./holding.ts";
import { KeptFiles } from "./kept-files.ts";
import { KeptMemory } from "./kept-memory.ts";
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

/**
 * Memory that is kept in files of the folder, for the successor of this process. A standby opens
 * it while another process uses it (KeptMemory). Throws RamsterError BAD_KEPT_MEMORY.
 */
export function openKeptMemory(
  memory: Memory,
  folder: string,
  { isStandby }: { isStandby: boolean },
): { memory: KeptMemory; files: KeptFiles } {
  if (!(memory instanceof FfiMemory)) {
    const why = "Cannot keep memory: this program cannot use the C library of this system";
    throw new RamsterError("BAD_KEPT_MEMORY", why);
  }
  const files = new KeptFiles(memory, folder);
  if (!isStandby) files.lockNow();
  return { memory: new KeptMemory(memory, files, { isStandby }), files };
}
