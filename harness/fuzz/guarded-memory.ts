/**
 * Memory between pages that cannot be touched. A library that reads or writes a byte outside ends
 * the process with SIGSEGV, at the instruction that did it.
 *
 *     | no access | array | no access |
 */
import { dlopen, type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { libcPath } from "../../src/memory/libc-path.ts";

// <sys/mman.h>
const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** An array of whole pages. It is never unmapped, so that it may be used until the process ends. */
function guardedPages(count: number): Uint8Array {
  const { symbols: libc } = dlopen(libcPath() ?? "", {
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
    mprotect: { args: ["ptr", "u64", "i32"], returns: "i32" },
  });
  const byteCount = (count + 2) * PAGE_BYTES;
  const start = libc.mmap(null, byteCount, PROT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  const array = (Number(start) + PAGE_BYTES) as Pointer;
  if (libc.mprotect(array, count * PAGE_BYTES, PROT_READ_WRITE) !== 0) {
    throw new Error("Cannot map memory for the fuzzer");
  }
  return new Uint8Array(toArrayBuffer(array, 0, count * PAGE_BYTES));
}

/** Where a native codec decompresses to. */
interface Output {
  output: Uint8Array;
  outputAt: Pointer;
}

/** Guards the output of a native codec, and gives an array to put its zpages at the end of. */
export function guardCodec(codec: object): { guarded: Uint8Array } {
  const inside = codec as { contexts?: Output } & Output;
  const output = inside.contexts ?? inside;
  if (output.outputAt === undefined) throw new Error("The codec has no output of its own");
  output.output = guardedPages(1);
  output.outputAt = ptr(output.output);
  return { guarded: guardedPages(2) };
}
