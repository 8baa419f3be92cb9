/**
 * HostProcess on Linux: system calls through bun:ffi, and files of /proc/self.
 *
 * Locking takes two steps. The JavaScript engine reserves some 6 GiB of address space and uses a
 * few MiB of it. A plain mlockall(MCL_CURRENT) would make all of it resident. So mlock(2) locks and
 * touches the mappings that are not reservations, one by one. Then mlockall with MCL_ONFAULT locks
 * every other page from its first touch on.
 *
 *     | program, libraries, stack, malloc | heap, JIT, frames, kept memory: reserved  |
 *     | mlock: resident now               | MCL_ONFAULT: resident once touched        |
 *
 * mlock also writes to pages that may be written. It would copy private pages of a file. The
 * program has 9 MiB of them that nothing writes: its JavaScript. So these are locked with
 * MLOCK_ONFAULT and then read. All processes share them in the page cache.
 *
 * Locked memory is not returned: the kernel refuses madvise(MADV_DONTNEED) on it, so the heap never
 * shrinks. ffi-memory.ts has another way for its regions.
 *
 * MCL_FUTURE is not used. The engine clears the new memory of a WebAssembly instance with the same
 * madvise, and ends the process when that is refused. Little is mapped later: the heap grows inside
 * its reservation. So the second step is done again now and then.
 */
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { assert } from "../core/assert.ts";
import type { HostProcess, Refusal, Residence, Variables } from "../core/host-process.ts";
import { parseKib, parseMapping, parseTaskFlags, parseTaskPolicy } from "./proc-text.ts";
import { POLICY, REAL_TIME_PRIORITY, SYSCALL, setPolicy } from "./scheduling.ts";

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
 * An anonymous mapping of this size is a reservation, and little of it is used: heaps, tables,
 * stacks of the engine's threads. The program's variables take 1.8 MiB.
 */
const RESERVATION_BYTES_MIN = 2 * 1024 * 1024;

/** How often to look for threads that were started meanwhile. */
const PRIORITY_PASSES = 3;

/** The error of a call for a thread that has ended. */
const ENDED = "ESRCH";
/** <errno.h>: the errors of these calls. */
const ERRNO: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: ENDED,
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
    ...SYSCALL,
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
}

export class LinuxProcess implements HostProcess {
  private readonly libc: ReturnType<typeof openLibc>;

  /** Throws when the C library cannot be opened at `path`: see open-process.ts. */
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
      if (mapping.isShared) continue;
      if (mapping.isFile && mapping.isCopiedOnWrite) {
        if (this.libc.mlock2(start, byteCount, MLOCK_ON_FAULT) !== 0) return this.refusal("mlock2");
        this.touch(start as Pointer, byteCount);
        continue;
      }
      if (this.libc.mlock(start, byteCount) === 0) continue;
      // Some mappings of the kernel, such as [vvar], cannot be touched.
      if (!mapping.isSpecial) return this.refusal("mlock");
    }
    return this.lockNewMemory();
  }

  lockNewMemory(): Refusal {
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

  takePriority(): Refusal {
    // A thread that is not real-time yet may start another one meanwhile.
    for (let pass = 0; pass < PRIORITY_PASSES; pass += 1) {
      for (const { thread, isRealTime } of usualThreads()) {
        if (isRealTime) continue;
        if (setPolicy(this.libc, thread, POLICY.ROUND_ROBIN, REAL_TIME_PRIORITY)) continue;
        const error = this.errno();
        if (error !== ENDED) return `sched_setscheduler: ${error}`;
      }
    }
    return null;
  }

  priorities(): { threads: number; realTime: number } | null {
    const seen = usualThreads();
    if (seen.length === 0) return null;
    return { threads: seen.length, realTime: seen.filter((it) => it.isRealTime).length };
  }

  startAgain(variables: Variables): Refusal {
    const args = readWords("/proc/self/cmdline");
    const environment = readWords("/proc/self/environ");
    if (args === null || environment === null) return "/proc/self/cmdline cannot be read";
    const others = environment.filter((word) => !(nameOf(word) in variables));
    const added = Object.entries(variables).map(([name, value]) => wordOf(`${name}=${value}`));
    const words = [...others, ...added];
    const path = wordOf("/proc/self/exe");
    this.libc.execve(ptr(path), ptr(pointersTo(args)), ptr(pointersTo(words)));
    return `execve: ${this.errno()}`;
  }

  hasVariables(variables: Variables): boolean {
    return Object.entries(variables).every(([name, value]) => process.env[name] === value);
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

  /** Reads a byte of each page. The sum is used, so that no compiler can leave the reads out. */
  private touch(start: Pointer, byteCount: number): void {
    let sum = 0;
    for (let at = 0; at < byteCount; at += OS_PAGE_BYTES) sum += read.u8(start, at);
    assert(sum >= 0);
  }

  private refusal(call: string): string {
    return `${call}: ${this.errno()}${limitText()}`;
  }

  private errno(): string {
    const number = read.i32(this.libc.__errno_location() as Pointer, 0);
    return ERRNO[number] ?? `errno ${number}`;
  }
}

/** The threads that have not lowered their priority (own-thread.ts). */
function usualThreads() {
  const { FIFO, ROUND_ROBIN, BATCH } = POLICY;
  return threadsOf("/proc/self/task").flatMap((name) => {
    const text = readText(`/proc/self/task/${name}/stat`);
    const policy = text === null ? null : parseTaskPolicy(text);
    if (policy === null || policy === BATCH) return [];
    return [{ thread: Number(name), isRealTime: policy === FIFO || policy === ROUND_ROBIN }];
  });
}

/** The arguments of execve: pointers to words that end in zero, then a null pointer. */
function pointersTo(words: readonly Buffer[]): BigUint64Array {
  return BigUint64Array.from([...words.map((word) => BigInt(ptr(word))), 0n]);
}

/** The name of a variable, of a word that has its value too. */
function nameOf(word: Buffer): string {
  return word.toString("latin1").split("=", 1)[0] ?? "";
}

/** The words of a file, each of which ends in a zero. */
function readWords(path: string): Buffer[] | null {
  const text = readText(path);
  if (text === null) return null;
  return text.split("\0").slice(0, -1).map(wordOf);
}

/**
 * One byte a character, then a zero. In memory that does not move: short arrays are in the
 * collected heap.
 */
function wordOf(text: string): Buffer {
  return Buffer.from(`${text}\0`, "latin1");
}

/** The limit of a process without CAP_IPC_LOCK. */
function limitText(): string {
  const line = readText("/proc/self/limits")?.match(/^Max locked memory +(\w+)/m);
  return line?.[1] === undefined ? "" : `, RLIMIT_MEMLOCK is ${line[1]}`;
}

function threadsOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Without /proc.
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null; // The file is missing, or its thread has ended meanwhile.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
