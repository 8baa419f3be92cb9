/** What this process uses, from the files of Linux in /proc (proc(5)). */
import { readdirSync, readFileSync } from "node:fs";
import type { ProcessUse } from "../core/host-memory.ts";
import { descriptorLimit } from "./descriptors.ts";
import { parseKib, parseProcessTimes } from "./proc-text.ts";

/** Files of /proc count in this, whatever the kernel's own clock is (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** `root`: prefix of /proc, for tests. What Linux does not show is missing. */
export function processUse(root: string): Partial<ProcessUse> {
  const status = readText(`${root}/proc/self/status`) ?? "";
  const times = parseProcessTimes(readText(`${root}/proc/self/stat`) ?? "");
  const [, bootText] = /^btime (\d{1,12})$/m.exec(readText(`${root}/proc/stat`) ?? "") ?? [];
  const limit = descriptorLimit();
  const use: Record<keyof ProcessUse, number | null> = {
    residentBytes: parseKib(status, "VmRSS"),
    virtualBytes: parseKib(status, "VmSize"),
    cpuSeconds: times === null ? null : times.cpuTicks / TICKS_PER_SECOND,
    startSeconds:
      times === null || bootText === undefined
        ? null
        : Number(bootText) + times.startTicks / TICKS_PER_SECOND,
    openDescriptors: entryCount(`${root}/proc/self/fd`),
    descriptorsMax: Number.isFinite(limit) ? limit : null,
  };
  return Object.fromEntries(Object.entries(use).filter(([, value]) => value !== null));
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null; // The file is missing, or may not be read.
  }
}

/** Without the descriptor that reads the folder. */
function entryCount(path: string): number | null {
  try {
    return readdirSync(path).length - 1;
  } catch {
    return null; // The folder is missing, or may not be read.
  }
}
