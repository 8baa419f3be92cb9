/**
 * Finds libraries of the system for bun:ffi, and refuses those that somebody else could have made.
 *
 * A library runs with all rights of this process. So only directories of the system are searched,
 * never LD_LIBRARY_PATH and never the working directory, where bun:ffi would look for a bare name.
 * The file behind all links must belong to root, and so must each directory above it. Nobody else
 * may write to them.
 */
import { lstatSync, realpathSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { libcPath } from "./libc-path.ts";

/** Where distributions of Linux keep libraries, besides the directory of the C library. */
const DIRECTORIES: Readonly<Partial<Record<NodeJS.Architecture, readonly string[]>>> = {
  x64: ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64"],
  arm64: ["/usr/lib/aarch64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib64", "/lib64"],
};
const DIRECTORIES_OF_ALL = ["/usr/lib", "/lib"];

const ROOT_UID = 0;
/** Write permission of the group and of others, and the sticky bit of /tmp (stat(2)). */
const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;

/** The path of a library that may be opened, or why there is none: missing, or not to be trusted. */
export type Found =
  | { readonly path: string }
  | { readonly isMissing: boolean; readonly reason: string };

/** The directories of libraries on this machine, first the one of the C library. */
export function libraryDirectories(): string[] {
  const libc = libcPath();
  const own = libc === null ? [] : [dirname(libc)];
  return [...new Set([...own, ...(DIRECTORIES[process.arch] ?? []), ...DIRECTORIES_OF_ALL])];
}

/** Finds `liblz4.so.1`. The first directory that has a file of this name decides. */
export function findLibrary(
  name: string,
  directories: readonly string[] = libraryDirectories(),
): Found {
  for (const directory of directories) {
    const path = realPath(join(directory, name));
    if (path === null) continue;
    const fault = faultOf(path);
    return fault === null ? { path } : { isMissing: false, reason: fault };
  }
  return { isMissing: true, reason: `there is no ${name} in ${directories.join(", ")}` };
}

/** Null: there is no such file. */
function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null; // Also a link without a target.
  }
}

/** Why the file cannot be trusted, or null. `path` is absolute and has no links. */
function faultOf(path: string): string | null {
  try {
    const file = lstatSync(path);
    if (!file.isFile()) return `${path} is not a regular file`;
    if (isForeign(file)) return `${path} belongs to, or can be written by, others than root`;
    for (let directory = dirname(path); ; directory = dirname(directory)) {
      const stats = lstatSync(directory);
      // In a sticky directory nobody else can replace a file of root.
      const isSticky = stats.uid === ROOT_UID && (stats.mode & STICKY) !== 0;
      if (isForeign(stats) && !isSticky) {
        return `${directory} belongs to, or can be written by, others than root`;
      }
      if (directory === dirname(directory)) return null;
    }
  } catch (error) {
    return `${path} cannot be examined: ${error instanceof Error ? error.message : error}`;
  }
}

function isForeign(stats: Stats): boolean {
  return stats.uid !== ROOT_UID || (stats.mode & OTHERS_MAY_WRITE) !== 0;
}
