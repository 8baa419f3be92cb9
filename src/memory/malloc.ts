/**
 * The memory of the system's libraries. The C library keeps large blocks that were freed, for the
 * next time: 7 MiB for good after the training of a dictionary.
 *
 * Not here: the memory of the runtime, which has an allocator of its own.
 */
import { dlopen } from "bun:ffi";
import { libcPath } from "./libc-path.ts";

/** <malloc.h> of glibc. */
const M_MMAP_THRESHOLD = -3;
const BLOCK_BYTES_MAX = 128 * 1024;

/** From now on blocks above 128 KiB go back to the operating system when they are freed. */
export function giveBackLargeBlocks(): void {
  const path = libcPath();
  if (path === null) return;
  try {
    const { symbols } = dlopen(path, { mallopt: { args: ["i32", "i32"], returns: "i32" } });
    symbols.mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES_MAX);
  } catch {
    // musl has no such function, and gives them back anyhow.
  }
}
