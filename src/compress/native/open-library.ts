/** Opens a library of the system with bun:ffi, and copies bytes by address. */
import { dlopen, type FFIFunction } from "bun:ffi";
import { RamsterError } from "../../core/errors.ts";
import { libcPath } from "../../memory/libc-path.ts";

/** The functions of the C library that move bytes by address. */
function openLibc() {
  const path = libcPath();
  if (path === null) throw noLibrary("there is no C library of its own");
  return dlopen(path, {
    memcpy: { args: ["ptr", "ptr", "u64"], returns: "void" },
    memset: { args: ["ptr", "i32", "u64"], returns: "void" },
  }).symbols;
}

export type Libc = ReturnType<typeof openLibc>;

/**
 * The functions of the library at `path`, which is absolute, and those of the C library. Throws
 * NOT_SUPPORTED when the file is no library, cannot be read, or lacks a function.
 */
export function openLibrary<Functions extends Record<string, FFIFunction>>(
  path: string,
  functions: Functions,
) {
  try {
    return { library: dlopen(path, functions).symbols, libc: openLibc() };
  } catch (error) {
    if (error instanceof RamsterError) throw error;
    throw noLibrary(`${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** A native codec cannot be used. */
export function noLibrary(reason: string): RamsterError {
  return new RamsterError("NOT_SUPPORTED", reason);
}
