/**
 * Finds the files of the cgroups that account for the memory of this process.
 *
 *     /proc/self/cgroup      4:memory:/a/b          the group, in each hierarchy
 *                            0::/a/b
 *     /proc/self/mountinfo   root /a, at /mnt       the mounted part of a hierarchy, and where
 *
 *     -> /mnt/b, /mnt        the own group first, then those above, as far as they are mounted
 *
 * The memory controller is in one hierarchy: that of version 1 which names it, else that of version
 * 2. On a hybrid system, where both are mounted, version 2 still reports memory pressure.
 */
import { below, type Mount } from "../core/mounts.ts";
import type { Cgroups } from "./proc-text.ts";

/** Nested cgroups that are read: far more than any system nests. */
const DEPTH_MAX = 32;

export interface CgroupFolders {
  readonly version: 1 | 2;
  /** The path in /proc/self/cgroup. */
  readonly path: string;
  /** The folders of the group and those above. Empty: they are not mounted. */
  readonly folders: readonly string[];
}

/** The folders with limits. Null: no hierarchy accounts for memory. */
export function memoryCgroup(
  { memory, unified }: Cgroups,
  mounts: readonly Mount[],
): CgroupFolders | null {
  if (memory !== null) {
    const v1 = mounts.filter(
      ({ type, options }) => type === "cgroup" && options.includes("memory"),
    );
    return { version: 1, path: memory, folders: foldersOf(memory, v1) };
  }
  return unified === null ? null : unifiedCgroup(unified, mounts);
}

/** The folders with memory pressure. */
export function unifiedCgroup(path: string, mounts: readonly Mount[]): CgroupFolders {
  const v2 = mounts.filter(({ type }) => type === "cgroup2");
  return { version: 2, path, folders: foldersOf(path, v2) };
}

function foldersOf(path: string, mounts: readonly Mount[]): string[] {
  let best: { point: string; rest: string } | null = null;
  for (const { root, point } of mounts) {
    const rest = below(root, path);
    // A group outside of the cgroup namespace of this process is "/../x".
    if (rest === null || rest.split("/").includes("..")) continue;
    // The mount that shows most of the groups above. The last of several equal mounts is on top.
    if (best === null || rest.length >= best.rest.length) best = { point, rest };
  }
  if (best === null) return [];
  const point = best.point === "/" ? "" : best.point;
  const names = best.rest.split("/").slice(1);
  return Array.from({ length: Math.min(names.length + 1, DEPTH_MAX) }, (_, up) => {
    return [point, ...names.slice(0, names.length - up)].join("/");
  });
}
