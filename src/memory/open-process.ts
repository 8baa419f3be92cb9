/** The HostProcess of this machine. */
import type { HostProcess } from "../core/host-process.ts";
import { LinuxProcess } from "./linux-process.ts";
import { LIBC_PATHS } from "./open-memory.ts";

/** Null where bun:ffi or a C library is missing. */
export function openProcess(): HostProcess | null {
  for (const path of LIBC_PATHS) {
    try {
      return new LinuxProcess(path);
    } catch {
      // Not this C library: the next one.
    }
  }
  return null;
}
