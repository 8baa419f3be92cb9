/**
 * HostMemory of a Linux machine: the memory of the machine, or the limit of a cgroup of this
 * process or above it. The lowest counts.
 *
 *     machine     /proc/meminfo; without it the free memory of sysinfo(2)
 *     cgroup v1   memory.limit_in_bytes, memory.memsw.limit_in_bytes; hierarchical_memory_limit for
 *                 groups that are not mounted
 *     cgroup v2   memory.max, above which processes are killed; memory.high, above which they are
 *                 slowed down
 *
 * Inactive file pages of a cgroup count as available, since the kernel reclaims them. Swap
 * (memory.swap.max) is not memory, and does not count. The limit on memory and swap together
 * (memsw) counts.
 *
 * A read takes some 200 us: a few small files of the kernel, which are never on a disk.
 */
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import type { HostMemory, MemorySeen, ProcessUse, Unseen } from "../core/host-memory.ts";
import { type Mount, parseMounts } from "../core/mounts.ts";
import { type CgroupFolders, memoryCgroup, unifiedCgroup } from "./cgroups.ts";
import {
  parseCgroupBytes,
  parseCgroups,
  parseMeminfo,
  parsePressure,
  parseStat,
} from "./proc-text.ts";
import { processUse } from "./process-use.ts";

/** The inode of the initial cgroup namespace, in which "/" is the root of all groups. */
const FIRST_NAMESPACE = "cgroup:[4026531835]";
const UNLIMITED = Number.POSITIVE_INFINITY;

interface Available {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly cgroup: string | null;
}

/** The folders to read. */
interface Places {
  readonly limits: CgroupFolders | null;
  readonly waits: CgroupFolders | null;
  /** Its limit cannot be read. */
  readonly isHidden: boolean;
}

/** The figures of sysinfo(2), which needs no file. */
export interface FreeMemory {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export class LinuxMemory implements HostMemory {
  private readonly root: string;
  private readonly freeMemory: () => FreeMemory;
  /** The text that `places` belong to. Mounts may be many, so they are read when it changes. */
  private cgroupText: string | null = null;
  private places: Places = { limits: null, waits: null, isHidden: true };

  /** `root`: prefix of /proc and of each mount, for tests. */
  constructor(root = "", freeMemory = thisMachine) {
    this.root = root;
    this.freeMemory = freeMemory;
  }

  process(): Partial<ProcessUse> {
    return processUse(this.root);
  }

  read(): MemorySeen | null {
    const unseen: Unseen[] = [];
    const { limits, waits, isHidden } = this.findPlaces();
    if (isHidden) unseen.push("limit");
    let tightest = this.machine(unseen);
    for (const [up, folder] of (limits?.folders ?? []).entries()) {
      const seen = limits?.version === 1 ? this.v1At(folder, up) : this.v2At(folder);
      if (seen === null) continue;
      if (tightest === null || seen.availableBytes < tightest.availableBytes) tightest = seen;
    }
    const stallPercent = this.stallPercent(waits?.folders ?? []);
    if (stallPercent === null) unseen.push("waits");
    return tightest === null ? null : { ...tightest, stallPercent: stallPercent ?? 0, unseen };
  }

  private machine(unseen: Unseen[]): Available | null {
    const memory = this.readFile("/proc/meminfo", parseMeminfo);
    if (memory !== null) return { ...memory, cgroup: null };
    unseen.push("available");
    const { totalBytes, freeBytes } = this.freeMemory();
    if (totalBytes <= 0) return null;
    return { totalBytes, availableBytes: Math.min(freeBytes, totalBytes), cgroup: null };
  }

  /** The highest pressure of the machine and its groups. Null: it is unknown. */
  private stallPercent(folders: readonly string[]): number | null {
    const files = folders.map((folder) => `${folder}/memory.pressure`);
    const all = ["/proc/pressure/memory", ...files].flatMap((file) => {
      return this.readFile(file, parsePressure) ?? [];
    });
    return all.length === 0 ? null : Math.max(...all);
  }

  /** `up`: how many levels the group is above that of this process. */
  private v1At(folder: string, up: number): Available | null {
    const read = (name: string) => this.readFile(`${folder}/memory.${name}`, parseCgroupBytes);
    const readStat = () => this.readFile(`${folder}/memory.stat`, (text) => text) ?? "";
    // The hierarchical limits are the same in each group.
    let stat = up === 0 ? readStat() : null;
    const ofAbove = (name: string) => parseStat(stat ?? "", `hierarchical_${name}_limit`);
    const limitBytes = least(read("limit_in_bytes"), ofAbove("memory"));
    const bothBytes = least(read("memsw.limit_in_bytes"), ofAbove("memsw"));
    if (limitBytes === UNLIMITED && bothBytes === UNLIMITED) return null;
    // Before Linux 5.11 a group could be set not to account for the groups in it.
    if (up > 0 && read("use_hierarchy") === 0) return null;
    stat ??= readStat();
    const idleBytes = parseStat(stat, "total_inactive_file") ?? 0;
    const memory = within(folder, limitBytes, read("usage_in_bytes"), idleBytes);
    const both = within(folder, bothBytes, read("memsw.usage_in_bytes"), idleBytes);
    if (memory === null || both === null) return memory ?? both;
    return both.availableBytes < memory.availableBytes ? both : memory;
  }

  private v2At(folder: string): Available | null {
    const read = (name: string) => this.readFile(`${folder}/memory.${name}`, parseCgroupBytes);
    const limitBytes = least(read("max"), read("high"));
    if (limitBytes === UNLIMITED) return null;
    const idle = this.readFile(`${folder}/memory.stat`, (text) => parseStat(text, "inactive_file"));
    return within(folder, limitBytes, read("current"), idle ?? 0);
  }

  private findPlaces(): Places {
    const text = this.readFile("/proc/self/cgroup", (it) => it);
    const isKnown = text !== null && text === this.cgroupText;
    if (isKnown && !this.places.isHidden) return this.places;
    this.cgroupText = text;
    const mounts = this.readFile("/proc/self/mountinfo", (it) => it);
    if (text !== null) this.places = this.placesOf(text, parseMounts(mounts ?? ""));
    // A kernel without cgroups has no such file; without /proc there is none either.
    else this.places = { limits: null, waits: null, isHidden: mounts === null };
    return this.places;
  }

  private placesOf(text: string, mounts: readonly Mount[]): Places {
    const cgroups = parseCgroups(text);
    const limits = memoryCgroup(cgroups, mounts);
    const waits = cgroups.unified === null ? null : unifiedCgroup(cgroups.unified, mounts);
    const [own] = limits?.folders ?? [];
    const isThere = own !== undefined && existsSync(this.root + own);
    // The root of all groups has no limit, so it need not be visible.
    const isHidden = limits !== null && !isThere && !(limits.path === "/" && this.isFirst);
    return { limits, waits, isHidden };
  }

  private get isFirst(): boolean {
    try {
      return readlinkSync(`${this.root}/proc/self/ns/cgroup`) === FIRST_NAMESPACE;
    } catch {
      return false; // Cgroup namespaces or /proc are missing.
    }
  }

  private readFile<T>(path: string, parse: (text: string) => T | null): T | null {
    try {
      return parse(readFileSync(this.root + path, "utf8"));
    } catch {
      return null; // The file is missing, or may not be read.
    }
  }
}

/** The lower of two limits. Null: no limit. */
function least(a: number | null, b: number | null): number {
  return Math.min(a ?? UNLIMITED, b ?? UNLIMITED);
}

function within(
  cgroup: string,
  limitBytes: number,
  usedBytes: number | null,
  idleBytes: number,
): Available | null {
  if (limitBytes === UNLIMITED || usedBytes === null) return null;
  const busyBytes = Math.max(0, usedBytes - idleBytes);
  const availableBytes = Math.max(0, limitBytes - busyBytes);
  return { totalBytes: limitBytes, availableBytes, cgroup };
}

function thisMachine(): FreeMemory {
  return { totalBytes: totalmem(), freeBytes: freemem() };
}
