/** Processes of this machine, as /proc shows them. */
import { readdirSync, readFileSync } from "node:fs";
import { parseKib, parseProcessState } from "./proc-text.ts";

/**
 * Whether a process has closed all that it had open. Its first thread may end before the others: it
 * is a zombie then, and only the last one closes all.
 */
export function hasEnded(pid: number): boolean {
  try {
    const isZombie = parseProcessState(readFileSync(`/proc/${pid}/stat`, "latin1")) === "Z";
    return isZombie && readdirSync(`/proc/${pid}/task`).length === 1;
  } catch {
    return true; // It is no more.
  }
}

/** The resident memory that this process alone has (proc_pid_smaps(5)). */
export function ownBytes(): number {
  const text = readFileSync("/proc/self/smaps_rollup", "latin1");
  return (parseKib(text, "Private_Clean") ?? 0) + (parseKib(text, "Private_Dirty") ?? 0);
}
