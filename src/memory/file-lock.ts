/** Locks of files (flock(2)), which end with the process that has them. */
import { dlopen } from "bun:ffi";
import { libcPath } from "./libc-path.ts";

const LOCK_EXCLUSIVE_NOW = 0x2 | 0x4;

/** @returns whether this process has the lock of the file from now on. False: another one has it. */
export function lockFile(fd: number): boolean {
  const path = libcPath();
  if (path === null) return false;
  const libc = dlopen(path, { flock: { args: ["i32", "i32"], returns: "i32" } }).symbols;
  return libc.flock(fd, LOCK_EXCLUSIVE_NOW) === 0;
}
