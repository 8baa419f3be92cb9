/**
 * Where the C library is that this process runs on.
 *
 * bun:ffi opens by its whole path what is to be opened. A bare name that the loader does not find
 * is looked for in the working directory next, which anybody may have filled.
 */
import { readFileSync } from "node:fs";
import { parseLibcPath } from "./proc-text.ts";

/** Null without /proc, or without a C library that is a file of its own. */
export function libcPath(): string | null {
  try {
    return parseLibcPath(readFileSync("/proc/self/maps", "latin1"));
  } catch {
    return null;
  }
}
