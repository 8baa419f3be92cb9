/**
 * Parses the files of Linux about memory, in /proc and in cgroups. Text that does not match
 * proc(5), or the kernel's documents of cgroup v1 and v2, is null. So a file that is missing, cut
 * off or of another system cannot move a page.
 */

/** `/proc/meminfo`. */
export function parseMeminfo(text: string): { totalBytes: number; availableBytes: number } | null {
  const totalBytes = parseKib(text, "MemTotal");
  const availableBytes = parseKib(text, "MemAvailable");
  if (totalBytes === null || availableBytes === null || totalBytes === 0) return null;
  return { totalBytes, availableBytes: Math.min(availableBytes, totalBytes) };
}

/** The bytes in a line such as `MemTotal:       24683560 kB`, also of `/proc/self/status`. */
export function parseKib(text: string, name: string): number | null {
  const [, digits] = new RegExp(`^${name}:[ \\t]+(\\d{1,12}) kB$`, "m").exec(text) ?? [];
  return digits === undefined ? null : Number(digits) * 1024;
}

/** `some avg10=` of `/proc/pressure/memory` or a cgroup's `memory.pressure`: 0 .. 100. */
export function parsePressure(text: string): number | null {
  const [, digits] = /^some avg10=(\d{1,3}(?:\.\d{1,4})?) /m.exec(text) ?? [];
  const percent = digits === undefined ? Number.NaN : Number(digits);
  return percent <= 100 ? percent : null;
}

/** The cgroups of a process. Null: the hierarchy is missing. */
export interface Cgroups {
  /** In the version 1 hierarchy of the memory controller. */
  readonly memory: string | null;
  /** In the version 2 hierarchy. */
  readonly unified: string | null;
}

/** `/proc/self/cgroup`: `4:memory:/a/b`, `0::/a/b`. */
export function parseCgroups(text: string): Cgroups {
  let memory: string | null = null;
  let unified: string | null = null;
  for (const line of text.split("\n")) {
    const [, id, controllers = "", path = ""] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    const tidy = path.replace(/ \(deleted\)$/, "").replace(/(.)\/+$/, "$1");
    if (id === "0" && controllers === "") unified = tidy;
    else if (controllers.split(",").includes("memory")) memory = tidy;
  }
  return { memory, unified };
}

/**
 * Version 1 shows "no limit" as the largest number of bytes: LONG_MAX, rounded down to a page. No
 * machine has half of that.
 */
const UNLIMITED_BYTES = 2 ** 62;

/** A number of bytes. "max", or its value in version 1, is infinite. */
export function parseCgroupBytes(text: string): number | null {
  const word = text.trim();
  if (word === "max") return Number.POSITIVE_INFINITY;
  if (!/^\d{1,19}$/.test(word)) return null;
  return Number(word) >= UNLIMITED_BYTES ? Number.POSITIVE_INFINITY : Number(word);
}

/** A line of `memory.stat`: `inactive_file 4096`. */
export function parseStat(text: string, name: string): number | null {
  const [, word] = new RegExp(`^${name} (\\d{1,19})$`, "m").exec(text) ?? [];
  return word === undefined ? null : parseCgroupBytes(word);
}

/** A line of `/proc/self/maps` (proc_pid_maps(5)). */
export interface Mapping {
  readonly start: number;
  readonly byteCount: number;
  readonly isReadable: boolean;
  /** Whether a file is mapped: the program or a library. */
  readonly isFile: boolean;
  /** Whether it is private and writable: the first write to a page of a file copies the page. */
  readonly isCopiedOnWrite: boolean;
  /** Whether it is shared memory: what it has is not only of this process. */
  readonly isShared: boolean;
  /** Whether it is a mapping of the kernel: `[vvar]`, `[vdso]`, `[vsyscall]`. */
  readonly isSpecial: boolean;
}

/** The mapped file of the C library: glibc's, also before 2.34, or musl's loader. */
const LIBC_FILE = /(\/\S*\/(?:libc\.so\.6|libc-2\.\d+\.so|(?:ld-musl|libc\.musl)-\w+\.so\.1))$/m;

/** The path of the C library in `/proc/self/maps`. */
export function parseLibcPath(maps: string): string | null {
  return LIBC_FILE.exec(maps)?.[1] ?? null;
}

/** `7f01-7f05 r-xp 00000000 fe:00 1234    /usr/lib/x.so` */
export function parseMapping(line: string): Mapping | null {
  const found = /^([\da-f]{1,16})-([\da-f]{1,16}) ([r-])([w-])[x-]([ps]) \S+ \S+ \d+ *(.*)$/.exec(
    line,
  );
  if (found === null) return null;
  const [, from = "", to = "", readable, writable, sharing, name = ""] = found;
  const start = Number.parseInt(from, 16);
  const byteCount = Number.parseInt(to, 16) - start;
  const isSpecial = /^\[v\w+\]$/.test(name);
  // Addresses above 2^53 belong to the kernel.
  if (byteCount <= 0 || !Number.isSafeInteger(start)) return null;
  const isFile = name.startsWith("/");
  const isReadable = readable === "r";
  const isShared = writable === "w" && sharing === "s";
  const isCopiedOnWrite = writable === "w" && sharing === "p";
  return { start, byteCount, isReadable, isFile, isCopiedOnWrite, isShared, isSpecial };
}

/**
 * The times in `/proc/self/stat`, in ticks: words 14 and 15, the time that the process ran, and
 * word 22, when it began. The second word is a name in brackets.
 */
export function parseProcessTimes(text: string): { cpuTicks: number; startTicks: number } | null {
  const end = text.lastIndexOf(") ");
  if (end < 0) return null;
  const words = text.slice(end + 2).split(" ");
  const [user, system, start] = [words[11], words[12], words[19]].map(Number);
  const cpuTicks = (user ?? Number.NaN) + (system ?? Number.NaN);
  const startTicks = start ?? Number.NaN;
  if (!Number.isSafeInteger(cpuTicks) || !Number.isSafeInteger(startTicks)) return null;
  return { cpuTicks, startTicks };
}

/** The state of a process in `/proc/N/stat`: "R", "S", "Z" ... */
export function parseProcessState(text: string): string | null {
  return /^\) ([A-Za-z])( |$)/.exec(text.slice(text.lastIndexOf(")")))?.[1] ?? null;
}

/** The flags of a thread in `/proc/self/task/N/stat`. */
export function parseTaskFlags(text: string): number | null {
  return taskNumber(text, 9);
}

/** Its scheduling policy there. */
export function parseTaskPolicy(text: string): number | null {
  return taskNumber(text, 41);
}

/** A field by its number in proc_pid_stat(5). The second one is a name in brackets. */
function taskNumber(text: string, field: number): number | null {
  const end = text.lastIndexOf(") ");
  const fromThird = end < 0 ? [] : text.slice(end + 2).split(" ");
  const word = fromThird[field - 3];
  return word !== undefined && /^\d{1,10}$/.test(word) ? Number(word) : null;
}
