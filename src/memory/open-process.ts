/** Opens the HostProcess of this machine. */
import type { HostProcess } from "../core/host-process.ts";
import { libcPath } from "./libc-path.ts";
import { LinuxProcess } from "./linux-process.ts";

/** Null where bun:ffi or a C library is missing. */
export function openProcess(): HostProcess | null {
  const path = libcPath();
  if (path === null) return null;
  try {
    return new LinuxProcess(path);
  } catch {
    return null; // Without bun:ffi.
  }
}
