/**
 * HostMemory of a Linux machine: /proc/meminfo and /proc/pressure/memory; and, where the process
 * is in a cgroup (v2) that has a limit, or one above it has, that limit: the tighter of the two is
 * what it can have.
 *
 * Read when asked, a few small files of the kernel that are never on a disk: some 50 us.
 */
import { readFileSync } from "node:fs";
import type { HostMemory, MemorySeen } from "../core/host-memory.ts";
import {
  parseCgroupBytes,
  parseCgroupPath,
  parseInactiveFile,
  parseMeminfo,
  parsePressure,
} from "./proc-text.ts";

/** Cgroups within each other that are looked at: far more than anybody nests. */
const DEPTH_MAX = 16;

export class LinuxMemory implements HostMemory {
  private readonly root: string;

  /** `root`: in front of /proc and /sys, for tests. */
  constructor(root = "") {
    this.root = root;
  }

  look(): MemorySeen | null {
    const machine = this.machine();
    const cgroup = this.cgroup();
    if (machine === null || cgroup === null) return machine ?? cgroup;
    const tighter = cgroup.availableBytes < machine.availableBytes ? cgroup : machine;
    return { ...tighter, stallPercent: Math.max(machine.stallPercent, cgroup.stallPercent) };
  }

  private machine(): MemorySeen | null {
    const memory = this.read("/proc/meminfo", parseMeminfo);
    if (memory === null) return null;
    // A kernel without PSI, or with it switched off, has no such file.
    return { ...memory, stallPercent: this.read("/proc/pressure/memory", parsePressure) ?? 0 };
  }

  /** The tightest of its own and those above it; null without a limit. */
  private cgroup(): MemorySeen | null {
    const path = this.read("/proc/self/cgroup", parseCgroupPath);
    if (path === null) return null;
    let tightest: MemorySeen | null = null;
    const names = path.split("/").slice(0, DEPTH_MAX);
    for (let depth = names.length; depth > 0; depth -= 1) {
      const seen = this.cgroupAt(`/sys/fs/cgroup${names.slice(0, depth).join("/")}`);
      if (seen === null) continue;
      if (tightest === null || seen.availableBytes < tightest.availableBytes) tightest = seen;
    }
    return tightest;
  }

  /** Above memory.high it would be slowed down, above memory.max ended. */
  private cgroupAt(folder: string): MemorySeen | null {
    const max = this.read(`${folder}/memory.max`, parseCgroupBytes) ?? Number.POSITIVE_INFINITY;
    const high = this.read(`${folder}/memory.high`, parseCgroupBytes) ?? Number.POSITIVE_INFINITY;
    const totalBytes = Math.min(max, high);
    const usedBytes = this.read(`${folder}/memory.current`, parseCgroupBytes);
    if (!Number.isFinite(totalBytes) || totalBytes === 0 || usedBytes === null) return null;
    const inactiveBytes = this.read(`${folder}/memory.stat`, parseInactiveFile) ?? 0;
    const heldBytes = Math.max(0, usedBytes - inactiveBytes);
    const availableBytes = Math.max(0, totalBytes - heldBytes);
    const stallPercent = this.read(`${folder}/memory.pressure`, parsePressure) ?? 0;
    return { totalBytes, availableBytes, stallPercent };
  }

  private read<T>(path: string, parse: (text: string) => T | null): T | null {
    try {
      return parse(readFileSync(this.root + path, "utf8"));
    } catch {
      return null; // It is not there, or not for us to read.
    }
  }
}
