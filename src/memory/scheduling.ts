/** Scheduling policies of threads (sched(7)), and the call that sets one. */
import { ptr } from "bun:ffi";

/** <sched.h> */
export const POLICY = { OTHER: 0, FIFO: 1, ROUND_ROBIN: 2, BATCH: 3 } as const;
/** The lowest priority of a real-time thread. Others have 0. */
export const REAL_TIME_PRIORITY = 1;

/** <asm/unistd.h> of each architecture. musl's sched_setscheduler() only returns ENOSYS. */
const SYS_SCHED_SETSCHEDULER = process.arch === "arm64" ? 119 : 144;

/** Declares syscall(2) with the arguments of sched_setscheduler. */
export const SYSCALL = {
  syscall: { args: ["i64", "i32", "i32", "ptr"], returns: "i64" },
} as const;

type Syscall = (
  number: number,
  thread: number,
  policy: number,
  at: ReturnType<typeof ptr>,
) => unknown;

/** `thread`: its number, or 0 for the calling one. @returns false when the kernel refuses. */
export function setPolicy(
  libc: { readonly syscall: Syscall },
  thread: number,
  policy: number,
  priority: number,
): boolean {
  // Longer than it needs to be: short arrays are in the collected heap, and move.
  const parameters = new Int32Array(1024);
  parameters[0] = priority;
  return Number(libc.syscall(SYS_SCHED_SETSCHEDULER, thread, policy, ptr(parameters))) === 0;
}
