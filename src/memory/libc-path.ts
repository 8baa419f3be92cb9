/**
 * Finds the path of the C library of this process.
 *
 * bun:ffi must open libraries by their whole path. It searches for a bare name that the loader does
 * not find in the working directory, where anyone may have put a file.
 */
import { readFileSync } from "node:fs";
import { parseLibcPath } from "./proc-text.ts";

/** Null without /proc, or when the C library is not a file of its own. */
export function libcPath(): string | null {
  try {
    return parseLibcPath(readFileSync("/proc/self/maps", "latin1"));
  } catch {
    return null;
  }
}
