/**
 * What Linux says of its memory in /proc and in cgroup v2, as text, to numbers. Whatever does not
 * look as proc(5) and the kernel's cgroup-v2 document say is null: a file that is missing, cut off
 * or of another system must not move a page.
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

/** Where the process is in the one hierarchy of cgroup v2: `/a/b` of `0::/a/b`. */
export function parseCgroupPath(text: string): string | null {
  const [, path] = /^0::(\/.*)$/m.exec(text) ?? [];
  // A cgroup outside of the namespace that it is seen from is shown as "/../x".
  if (path === undefined || path.split("/").includes("..")) return null;
  return path.replace(/ \(deleted\)$/, "").replace(/\/+$/, "");
}

/** A number of bytes, or "max" for as many as there are. */
export function parseCgroupBytes(text: string): number | null {
  const word = text.trim();
  if (word === "max") return Number.POSITIVE_INFINITY;
  return /^\d{1,19}$/.test(word) ? Number(word) : null;
}

/** Of `memory.stat`: file pages that nobody has touched lately, which go when memory is wanted. */
export function parseInactiveFile(text: string): number | null {
  const [, digits] = /^inactive_file (\d{1,19})$/m.exec(text) ?? [];
  return digits === undefined ? null : Number(digits);
}

/** A line of `/proc/self/maps` (proc_pid_maps(5)). */
export interface Mapping {
  readonly start: number;
  readonly byteCount: number;
  readonly isReadable: boolean;
  /** Of a file: the program and its libraries. */
  readonly isFile: boolean;
  /** Of the kernel, not of the program: `[vvar]`, `[vdso]`, `[vsyscall]`. */
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
  const found = /^([\da-f]{1,16})-([\da-f]{1,16}) ([r-])[w-][x-][ps] \S+ \S+ \d+ *(.*)$/.exec(line);
  if (found === null) return null;
  const [, from = "", to = "", readable, name = ""] = found;
  const start = Number.parseInt(from, 16);
  const byteCount = Number.parseInt(to, 16) - start;
  const isSpecial = /^\[v\w+\]$/.test(name);
  // Addresses above 2^53 are of the kernel.
  if (byteCount <= 0 || !Number.isSafeInteger(start)) return null;
  const isFile = name.startsWith("/");
  return { start, byteCount, isReadable: readable === "r", isFile, isSpecial };
}

/** The flags of `/proc/self/task/N/stat`: the ninth word, where the second is a name in brackets. */
export function parseTaskFlags(text: string): number | null {
  const end = text.lastIndexOf(") ");
  const word = end < 0 ? undefined : text.slice(end + 2).split(" ")[6];
  return word !== undefined && /^\d{1,10}$/.test(word) ? Number(word) : null;
}
