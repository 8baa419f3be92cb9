/**
 * The folder of `--keep auto`:
 *
 *     /run/ramster-keep/NAME/node     on a tmpfs of its own, which root mounts: with huge pages,
 *                                     and without a limit of its own
 *     /dev/shm/ramster-keep-UID-NAME  where that cannot be: another user, a mount namespace that
 *                                     ends with the process (systemd, containers), no right
 *
 * A successor in the same place finds the same folder. It takes the first one that is there.
 */
import { dlopen } from "bun:ffi";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { libcPath } from "./libc-path.ts";

const MOUNTS = "/run/ramster-keep";
const SHARED = "/dev/shm";
const FOLDER_MODE = 0o700;
/** MS_NOSUID | MS_NODEV | MS_NOEXEC of <linux/mount.h>. */
const MOUNT_FLAGS = 2 | 4 | 8;
/** Mappings of this process may be left. */
const MNT_DETACH = 2;

export interface KeepFolder {
  readonly path: string;
  /** Removes what is around the folder, once it is gone itself. */
  remove(): void;
}

/**
 * `inSwapMode`: the pages must never go to swap, also while no process locks them. A successor that
 * has to read one would wait for itself. Its file system is tmpfs with `noswap` from Linux 6.4 on,
 * and before that ramfs, which has no huge pages.
 */
export function keepFolder(name: string, { inSwapMode }: { inSwapMode: boolean }): KeepFolder {
  const file = encodeURIComponent(name);
  const shared = join(SHARED, `ramster-keep-${process.getuid?.() ?? 0}-${file}`);
  const own = join(MOUNTS, file);
  const asShared = { path: shared, remove: () => {} };
  if (fs.existsSync(shared)) return asShared;
  const isMounted = isMountPoint(own) || (canMount() && mountOwn(own, inSwapMode));
  if (!isMounted) return asShared;
  return { path: join(own, "node"), remove: () => unmount(own) };
}

/** Whether a mount of this process outlives it. */
function canMount(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    return fs.readlinkSync("/proc/self/ns/mnt") === fs.readlinkSync("/proc/1/ns/mnt");
  } catch {
    return false;
  }
}

function isMountPoint(path: string): boolean {
  try {
    return fs.lstatSync(path).dev !== fs.lstatSync(dirname(path)).dev;
  } catch {
    return false;
  }
}

/** Kernels refuse options that they do not know: huge pages may be missing, and `noswap` is new. */
function mountOwn(path: string, inSwapMode: boolean): boolean {
  const mounts = openMounts();
  if (mounts === null) return false;
  const own = "size=0,mode=0700";
  const usual = [`tmpfs ${own},huge=advise`, `tmpfs ${own}`];
  const resident = [`tmpfs ${own},huge=advise,noswap`, `tmpfs ${own},noswap`, "ramfs mode=0700"];
  try {
    fs.mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  } catch {
    return false;
  }
  return (inSwapMode ? resident : usual).some((it) => {
    const [type = "", options = ""] = it.split(" ");
    return mounts.mount(path, type, options);
  });
}

function unmount(path: string): void {
  if (openMounts()?.unmount(path) !== true) return;
  fs.rmdirSync(path);
  // Other nodes of this machine may have folders here.
  if (fs.readdirSync(MOUNTS).length === 0) fs.rmdirSync(MOUNTS);
}

/** mount(2) and umount2(2). Null: there is no C library. */
function openMounts() {
  const path = libcPath();
  if (path === null) return null;
  const libc = dlopen(path, {
    mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
    umount2: { args: ["ptr", "i32"], returns: "i32" },
  }).symbols;
  const text = (it: string): Buffer => Buffer.from(`${it}\0`);
  return {
    mount: (target: string, type: string, options: string): boolean =>
      libc.mount(text("ramster"), text(target), text(type), MOUNT_FLAGS, text(options)) === 0,
    unmount: (target: string): boolean => libc.umount2(text(target), MNT_DETACH) === 0,
  };
}
