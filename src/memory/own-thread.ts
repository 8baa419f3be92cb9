/** What a thread asks of its kernel for itself: a lower priority, and how long it has run. */
import { dlopen, ptr } from "bun:ffi";
import type { Refusal } from "../core/host-process.ts";
import { libcPath } from "./libc-path.ts";
import { POLICY, SYSCALL, setPolicy } from "./scheduling.ts";

/** <sys/resource.h>. On Linux it means one thread, and 0 the calling one (setpriority(2)). */
const PRIO_PROCESS = 0;
/** <time.h> on Linux. */
const CLOCK_THREAD_CPUTIME_ID = 3;

/**
 * How much the nice value grows. A thread then gets a tenth of a core that another one wants, and
 * all of a core that nobody wants.
 *
 * Not the lowest priority, which is 19. A thread has the priority of the one that starts it. So
 * threads of the runtime may get this one, and all others wait for them: its compiler, and those
 * that help to collect garbage. With a compiler at 19, on a machine with twice as many busy
 * programs as cores, the longest pause of the main thread was 0.17 to 0.35 s. It was 0.08 s at 10,
 * and 0.06 s at 0.
 */
const NICE_MORE = 10;
const NICE_MAX = 19;

function openLibc(path: string) {
  return dlopen(path, {
    getpriority: { args: ["i32", "u32"], returns: "i32" },
    setpriority: { args: ["i32", "u32", "i32"], returns: "i32" },
    ...SYSCALL,
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  }).symbols;
}

export class OwnThread {
  private readonly libc: ReturnType<typeof openLibc>;
  /** Longer than it needs to be: short arrays are in the collected heap, and move. */
  private readonly time = new BigInt64Array(512);
  private readonly timeAt = ptr(this.time);

  /** Throws when the C library cannot be opened at `path`. */
  private constructor(path: string) {
    this.libc = openLibc(path);
  }

  /** Null without a C library, or without bun:ffi. */
  static open(): OwnThread | null {
    const path = libcPath();
    if (path === null) return null;
    try {
      return new OwnThread(path);
    } catch {
      return null; // Without bun:ffi.
    }
  }

  /**
   * For good: only a privileged thread may take it back. The thread is SCHED_BATCH from then on.
   * LinuxProcess knows it by that, and leaves it alone.
   */
  lowerPriority(): Refusal {
    if (!setPolicy(this.libc, 0, POLICY.BATCH, 0)) return "the kernel refuses sched_setscheduler";
    const nice = this.libc.getpriority(PRIO_PROCESS, 0) + NICE_MORE;
    const isSet = this.libc.setpriority(PRIO_PROCESS, 0, Math.min(nice, NICE_MAX)) === 0;
    return isSet ? null : "the kernel refuses setpriority";
  }

  /** How long the calling thread has used a core, in milliseconds. */
  cpuMs(): number {
    if (this.libc.clock_gettime(CLOCK_THREAD_CPUTIME_ID, this.timeAt) !== 0) return 0;
    return Number(this.time[0]) * 1000 + Number(this.time[1]) / 1e6;
  }
}
