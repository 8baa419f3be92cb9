/**
 * What Linux says of its memory in /proc and in cgroups, as text, to numbers. Whatever does not
 * look as proc(5) and the kernel's documents of cgroup v1 and v2 say is null: a file that is
 * missing, cut off or of another system must not move a page.
 */

/** `/proc/meminfo`. */
export function parseMeminfo(text: string): { totalBytes: number; availableBytes: number } | null {
  const totalBytes = parseKib(text, "MemTotal");
  const availableBytes = parseKib(text, "MemAvailable");
  if (totalBytes === null || availableBytes === null || totalBytes === 0) return null;
  return { totalBytes, availableBytes: Math.min(availableBytes, totalBytes) };
}

/** Bytes of `MemTotal:       24683560 kB`; also of `/proc/self/status`. */
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

/** Which cgroup a process is in; null: there is no such hierarchy. */
export interface Cgroups {
  /** In the hierarchy of version 1 that accounts for memory. */
  readonly memory: string | null;
  /** In the one hierarchy of version 2. */
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
 * Version 1 writes no limit as the largest number of pages that there is: LONG_MAX in bytes,
 * rounded down to a page. No machine has half of it.
 */
const UNLIMITED_BYTES = 2 ** 62;

/** A number of bytes; "max", or what stands for it in version 1, for as many as there are. */
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
  /** A mapping of a file: the program or a library. */
  readonly isFile: boolean;
  /** Private and writable: a page of a file is copied when it is first written. */
  readonly isCopiedOnWrite: boolean;
  /** A mapping of the kernel: `[vvar]`, `[vdso]`, `[vsyscall]`. */
  readonly isSpecial: boolean;
}

/** A file of the C library as it is mapped: glibc's, also before 2.34, or musl's loader. */
const LIBC_FILE = /(\/\S*\/(?:libc\.so\.6|libc-2\.\d+\.so|(?:ld-musl|libc\.musl)-\w+\.so\.1))$/m;

/** Where the C library of a process is, by its `/proc/self/maps`. */
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
  // Addresses above 2^53 are of the kernel.
  if (byteCount <= 0 || !Number.isSafeInteger(start)) return null;
  const isFile = name.startsWith("/");
  const isReadable = readable === "r";
  const isCopiedOnWrite = writable === "w" && sharing === "p";
  return { start, byteCount, isReadable, isFile, isCopiedOnWrite, isSpecial };
}

/**
 * The flags of `/proc/self/task/N/stat`: the ninth word, where the second is a name in brackets.
 */
export function parseTaskFlags(text: string): number | null {
  const end = text.lastIndexOf(") ");
  const word = end < 0 ? undefined : text.slice(end + 2).split(" ")[6];
  return word !== undefined && /^\d{1,10}$/.test(word) ? Number(word) : null;
}
