/** Descriptors: the open files and sockets of the process, and their limit on Linux. */
import { dlopen } from "bun:ffi";
import { readFileSync } from "node:fs";
import { DESCRIPTORS_DEFAULT } from "../core/admission-limits.ts";
import { libcPath } from "./libc-path.ts";

/** <fcntl.h>: child processes do not inherit the copy. */
const F_DUPFD_CLOEXEC = 1030;

/** How many the process may have. The runtime has raised the soft limit to the hard one. */
export function descriptorLimit(): number {
  try {
    const text = readFileSync("/proc/self/limits", "latin1");
    const found = /^Max open files +(\d+|unlimited)/m.exec(text)?.[1];
    if (found === "unlimited") return Number.POSITIVE_INFINITY;
    return found === undefined ? DESCRIPTORS_DEFAULT : Number(found);
  } catch {
    return DESCRIPTORS_DEFAULT; // Without /proc.
  }
}

/** Duplicates a descriptor. @returns the new one, or less than 0 when the limit is reached. */
export type Duplicate = (fd: number) => number;

/** fcntl(2) through bun:ffi. Null where bun:ffi or a C library is missing. */
export function openDuplicate(): Duplicate | null {
  const path = libcPath();
  if (path === null) return null;
  try {
    const { fcntl } = dlopen(path, {
      fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    }).symbols;
    return (fd) => fcntl(fd, F_DUPFD_CLOEXEC, 0);
  } catch {
    return null; // Without bun:ffi.
  }
}
