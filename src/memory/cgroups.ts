/**
 * The cgroups of this process that account for memory, and where their files are.
 *
 *     /proc/self/cgroup      4:memory:/a/b          which group, in each hierarchy
 *                            0::/a/b
 *     /proc/self/mountinfo   root /a, at /mnt       what of a hierarchy is mounted, and where
 *
 *     -> /mnt/b, /mnt        its own first, then those above, as far as they are mounted
 *
 * The memory controller is in one hierarchy: in that of version 1 which names it, else in that of
 * version 2. On a hybrid system, where both are mounted, version 2 tells of waits all the same.
 */
import { below, type Mount } from "../core/mounts.ts";
import type { Cgroups } from "./proc-text.ts";

/** Cgroups within each other that are looked at: far more than anybody nests. */
const DEPTH_MAX = 32;

export interface CgroupFolders {
  readonly version: 1 | 2;
  /** As /proc/self/cgroup has it. */
  readonly path: string;
  /** Its own first. Empty: it is not in what is mounted. */
  readonly folders: readonly string[];
}

/** Where limits are; null: no hierarchy accounts for memory. */
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

/** Where waits are told. */
export function unifiedCgroup(path: string, mounts: readonly Mount[]): CgroupFolders {
  const v2 = mounts.filter(({ type }) => type === "cgroup2");
  return { version: 2, path, folders: foldersOf(path, v2) };
}

function foldersOf(path: string, mounts: readonly Mount[]): string[] {
  let best: { point: string; rest: string } | null = null;
  for (const { root, point } of mounts) {
    const rest = below(root, path);
    // A group outside of the namespace that it is seen from is "/../x".
    if (rest === null || rest.split("/").includes("..")) continue;
    // The mount that shows most of the groups above; of equal ones the last is on top.
    if (best === null || rest.length >= best.rest.length) best = { point, rest };
  }
  if (best === null) return [];
  const point = best.point === "/" ? "" : best.point;
  const names = best.rest.split("/").slice(1);
  return Array.from({ length: Math.min(names.length + 1, DEPTH_MAX) }, (_, up) => {
    return [point, ...names.slice(0, names.length - up)].join("/");
  });
}
