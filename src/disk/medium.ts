/**
 * Finds out whether an open file is on a medium that must not store pages.
 *
 *     tmpfs, zram        memory: moving pages there saves nothing, and in swap mode the kernel
 *                        swaps it out to this very node
 *     /dev/nbd0          perhaps the swap of this node, or of a node that swaps here
 *
 * In an overlay the upper file system counts. For a device on other devices, those below count.
 *
 *     fdinfo -> mount -> device -> /sys/class/block/NAME/slaves, loop/backing_file -> ...
 */
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { below, type Mount, parseMounts } from "../core/mounts.ts";

const MEMORY_TYPES: ReadonlySet<string> = new Set([
  "tmpfs",
  "ramfs",
  "devtmpfs",
  "hugetlbfs",
  "rootfs",
]);
/** Layers and devices on each other that are followed: more than anybody stacks. */
const DEPTH_MAX = 8;

export class MediumFinder {
  private readonly root: string;
  private readonly mounts: readonly Mount[];

  /** `root`: in front of /proc, /sys and /dev, for tests. */
  constructor(root = "") {
    this.root = root;
    this.mounts = parseMounts(this.read("/proc/self/mountinfo"));
  }

  /** Why the file is not on a disk, to be read after "it is on"; null: it is, or nobody knows. */
  unfit(fd: number): string | null {
    const [, id] = /^mnt_id:\s*(\d+)$/m.exec(this.read(`/proc/self/fdinfo/${fd}`)) ?? [];
    return this.ofMount(
      this.mounts.find((mount) => mount.id === Number(id)),
      DEPTH_MAX,
    );
  }

  private ofMount(mount: Mount | undefined, depth: number): string | null {
    if (mount === undefined || depth === 0) return null;
    const { type, source, device, options } = mount;
    if (MEMORY_TYPES.has(type)) return `${type}, which is memory`;
    const upper = options.find((option) => option.startsWith("upperdir="));
    if (upper !== undefined) return this.ofPath(upper.slice("upperdir=".length), depth - 1);
    // Some file systems, such as btrfs, have a number of their own, which no device has.
    const isDevice = source.startsWith("/dev/");
    const found = this.resolve(`/sys/dev/block/${device}`);
    const link = found ?? (isDevice ? this.resolve(source) : null);
    return link === null ? null : this.ofDevice(basename(link), depth - 1);
  }

  private ofPath(path: string, depth: number): string | null {
    let best: Mount | undefined;
    for (const mount of this.mounts) {
      const isInside = below(mount.point, path) !== null;
      if (isInside && mount.point.length >= (best?.point.length ?? 0)) best = mount;
    }
    return this.ofMount(best, depth);
  }

  private ofDevice(name: string, depth: number): string | null {
    if (depth <= 0) return null;
    if (/^(zram|ram)\d/.test(name)) return `/dev/${name}, which is memory`;
    if (/^nbd\d/.test(name)) return `/dev/${name}, a network block device, which may be swap`;
    const folder = `/sys/class/block/${name}`;
    const file = this.read(`${folder}/loop/backing_file`).trim();
    if (file !== "") return this.ofPath(file, depth - 1);
    const whole = this.read(`${folder}/partition`) === "" ? null : this.resolve(folder);
    if (whole !== null) return this.ofDevice(basename(dirname(whole)), depth - 1);
    for (const slave of this.list(`${folder}/slaves`)) {
      const found = this.ofDevice(slave, depth - 1);
      if (found !== null) return found;
    }
    return null;
  }

  private read(path: string): string {
    try {
      return readFileSync(this.root + path, "utf8");
    } catch {
      return "";
    }
  }

  private list(path: string): string[] {
    try {
      return readdirSync(this.root + path);
    } catch {
      return [];
    }
  }

  private resolve(path: string): string | null {
    try {
      return realpathSync(this.root + path);
    } catch {
      return null;
    }
  }
}
