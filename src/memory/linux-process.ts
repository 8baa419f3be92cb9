/**
 * HostProcess on Linux: mlockall, prctl and execve through bun:ffi, and what /proc/self says.
 *
 * Locking is two steps. The JavaScript engine reserves some 6 GiB of address space and uses a few
 * MiB of it; a plain mlockall(MCL_CURRENT) makes all of that resident. So the mappings that are no
 * reservation are locked one by one, which also touches them (mlock(2)), and then everything else
 * with MCL_ONFAULT, from the first touch on.
 *
 *     | program, libraries, stack, malloc | heap, JIT, frames: reserved address space |
 *     | mlock: resident now               | MCL_ONFAULT: what is touched, and stays   |
 *
 * mlock also writes to what may be written. A private page of a file would be copied by that, and
 * the program has 9 MiB of them, its code in JavaScript, that nobody writes. So these are locked
 * with MLOCK_ONFAULT and then read: the page cache has them once for all processes.
 *
 * Once it is locked nothing goes back: the kernel refuses madvise(MADV_DONTNEED) on locked memory,
 * so the heap stays as large as it ever was (ffi-memory.ts knows another way for its regions).
 *
 * MCL_FUTURE is not asked for. The engine clears the fresh memory of a WebAssembly instance with
 * that same madvise, and ends the process when it is refused. What is mapped later is little: the
 * heap grows inside of what is reserved.
 */
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { HostProcess, Refusal, Residence } from "../core/host-process.ts";
import { parseKib, parseMapping, parseTaskFlags } from "./proc-text.ts";

/** <sys/mman.h>: MCL_CURRENT and MCL_ONFAULT (Linux 4.4). */
const MCL_CURRENT_ON_FAULT = 1 | 4;
/** <sys/mman.h>: MLOCK_ONFAULT of mlock2 (Linux 4.4). */
const MLOCK_ON_FAULT = 1;
/** The smallest page of any machine. */
const OS_PAGE_BYTES = 4096;
/** <linux/prctl.h>, Linux 5.6. */
const PR_SET_IO_FLUSHER = 57;
/** PF_MEMALLOC_NOIO in the flags of a task (proc_pid_stat(5)): what PR_SET_IO_FLUSHER sets. */
const PF_MEMALLOC_NOIO = 0x0008_0000;

/**
 * Memory without a file that is as large is a reservation, of which little is used: heaps, tables,
 * stacks of the engine's threads. The program's variables are 1.8 MiB.
 */
const RESERVATION_BYTES_MIN = 2 * 1024 * 1024;

/** <errno.h>: what these calls refuse with. */
const ERRNO: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  22: "EINVAL",
  38: "ENOSYS",
};

function openLibc(path: string) {
  return dlopen(path, {
    mlock: { args: ["u64", "u64"], returns: "i32" },
    mlock2: { args: ["u64", "u64", "i32"], returns: "i32" },
    mlockall: { args: ["i32"], returns: "i32" },
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
}

export class LinuxProcess implements HostProcess {
  private readonly libc: ReturnType<typeof openLibc>;

  /** Throws where the C library cannot be opened at `path`: see open-process.ts. */
  constructor(path: string) {
    this.libc = openLibc(path);
  }

  lockMemory(): Refusal {
    const maps = readText("/proc/self/maps");
    if (maps === null) return "/proc/self/maps cannot be read";
    for (const line of maps.split("\n")) {
      const mapping = parseMapping(line);
      if (mapping === null || !mapping.isReadable) continue;
      const { start, byteCount } = mapping;
      if (!mapping.isFile && byteCount >= RESERVATION_BYTES_MIN) continue;
      if (mapping.isFile && mapping.isCopiedOnWrite) {
        if (this.libc.mlock2(start, byteCount, MLOCK_ON_FAULT) !== 0) return this.refusal("mlock2");
        for (let at = 0; at < byteCount; at += OS_PAGE_BYTES) read.u8(start as Pointer, at);
        continue;
      }
      if (this.libc.mlock(start, byteCount) === 0) continue;
      // Some of the kernel's own mappings, such as [vvar], cannot be touched.
      if (!mapping.isSpecial) return this.refusal("mlock");
    }
    if (this.libc.mlockall(MCL_CURRENT_ON_FAULT) === 0) return null;
    return this.refusal("mlockall");
  }

  residence(): Residence | null {
    const status = readText("/proc/self/status");
    const residentBytes = status === null ? null : parseKib(status, "VmRSS");
    const lockedBytes = status === null ? null : parseKib(status, "VmLck");
    if (residentBytes === null || lockedBytes === null) return null;
    return { residentBytes, lockedBytes };
  }

  becomeIoFlusher(): Refusal {
    if (this.libc.prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) === 0) return null;
    return `prctl(PR_SET_IO_FLUSHER): ${this.errno()}`;
  }

  ioFlushers(): { threads: number; flushers: number } | null {
    const flags = threadsOf("/proc/self/task").map((task) => {
      const text = readText(`/proc/self/task/${task}/stat`);
      return text === null ? null : parseTaskFlags(text);
    });
    const known = flags.filter((it) => it !== null);
    if (known.length === 0) return null;
    const flushers = known.filter((it) => (it & PF_MEMALLOC_NOIO) !== 0).length;
    return { threads: known.length, flushers };
  }

  startAgain(): Refusal {
    const args = readWords("/proc/self/cmdline");
    const environment = readWords("/proc/self/environ");
    if (args === null || environment === null) return "/proc/self/cmdline cannot be read";
    const path = Buffer.from("/proc/self/exe\0");
    this.libc.execve(ptr(path), ptr(pointersTo(args)), ptr(pointersTo(environment)));
    return `execve: ${this.errno()}`;
  }

  setOomScore(score: number): Refusal {
    try {
      writeFileSync("/proc/self/oom_score_adj", String(score));
      return null;
    } catch (error) {
      return `writing /proc/self/oom_score_adj: ${codeOf(error)}`;
    }
  }

  oomScore(): number | null {
    const text = readText("/proc/self/oom_score_adj");
    return text === null ? null : Number(text);
  }

  private refusal(call: string): string {
    return `${call}: ${this.errno()}${limitText()}`;
  }

  private errno(): string {
    const number = read.i32(this.libc.__errno_location() as Pointer, 0);
    return ERRNO[number] ?? `errno ${number}`;
  }
}

/** An array of pointers to words that end in zero, and a null behind them, as execve wants it. */
function pointersTo(words: readonly Buffer[]): BigUint64Array {
  return BigUint64Array.from([...words.map((word) => BigInt(ptr(word))), 0n]);
}

/** The words of a file in which each ends in a zero. */
function readWords(path: string): Buffer[] | null {
  const text = readText(path);
  if (text === null) return null;
  // A word is copied to memory of its own that does not move: short ones would lie in the heap.
  return text
    .split("\0")
    .slice(0, -1)
    .map((word) => Buffer.from(`${word}\0`));
}

/** What the kernel allows a process without CAP_IPC_LOCK. */
function limitText(): string {
  const line = readText("/proc/self/limits")?.match(/^Max locked memory +(\w+)/m);
  return line?.[1] === undefined ? "" : `, RLIMIT_MEMLOCK is ${line[1]}`;
}

function threadsOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Without /proc nothing is known.
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null; // It is not there, or a thread that has ended meanwhile.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
