/**
 * KeptFiles: kept memory in files of a folder on tmpfs, one for each region. The kernel keeps the
 * files when the process ends, and their pages in memory.
 *
 *     FOLDER/lock          held by the process that uses the memory
 *     FOLDER/header ...    the regions by name (kept-memory.ts)
 *
 * What is given back is punched out of the files. The folder belongs to one user, and no other may
 * read it: the files have pages of programs.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { RamsterError } from "../core/errors.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import type { Kept, Region, ReserveOptions } from "../core/memory.ts";
import { parseMounts } from "../core/mounts.ts";
import type { FfiMemory } from "./ffi-memory.ts";
import { lockFile } from "./file-lock.ts";
import type { KeptBytes } from "./kept-memory.ts";

/** TMPFS_MAGIC and RAMFS_MAGIC of <linux/magic.h>. */
const TMPFS = 0x01021994;
const RAMFS = 0x858458f6;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const GROUP_AND_OTHERS = 0o077;
const LOCK = "lock";
/** The unit of st_blocks (stat(2)). */
const BYTES_PER_BLOCK = 512;

export class KeptFiles implements KeptBytes {
  private readonly memory: FfiMemory;
  private readonly folder: string;
  private readonly lockFd: number;

  /** Nothing is changed before `lock`. Throws RamsterError BAD_KEPT_MEMORY with a one-line reason. */
  constructor(memory: FfiMemory, folder: string) {
    this.memory = memory;
    this.folder = folder;
    makeFolder(folder);
    this.lockFd = fs.openSync(join(folder, LOCK), openFlags(), FILE_MODE);
  }

  /**
   * Takes the lock, until this process ends. The kernel gives it free when no thread of a process
   * that had it can write any more.
   *
   * @returns false: another process has it.
   */
  lock(): boolean {
    return lockFile(this.lockFd);
  }

  /** Takes the lock. Throws RamsterError BAD_KEPT_MEMORY when another process has it. */
  lockNow(): void {
    if (this.lock()) return;
    fs.closeSync(this.lockFd);
    throw refused(this.folder, "another node uses it");
  }

  clear(): void {
    for (const name of fs.readdirSync(this.folder)) {
      if (name !== LOCK) fs.unlinkSync(join(this.folder, name));
    }
  }

  open(name: string, byteCount: number, options: ReserveOptions, kept: Kept | null): Region {
    const fd = fs.openSync(join(this.folder, name), openFlags(), FILE_MODE);
    const { size, blocks } = fs.fstatSync(fd);
    if (size !== 0 && size !== byteCount) {
      fs.closeSync(fd);
      throw refused(this.folder, `${name} has ${size} bytes, and not ${byteCount}`);
    }
    if (size === 0) {
      this.checkRoom(byteCount, options);
      fs.ftruncateSync(fd, byteCount);
    }
    return this.memory.map(byteCount, options, {
      fd,
      kept,
      residentBytes: blocks * BYTES_PER_BLOCK,
    });
  }

  /** A process that touches more than tmpfs has gets SIGBUS. What grows may stay small. */
  private checkRoom(byteCount: number, { grows, pinnedBytes }: ReserveOptions): void {
    const needed = grows === true ? pinnedBytes : byteCount;
    const { bavail, bsize, blocks } = fs.statfsSync(this.folder);
    // A tmpfs without a limit says that it has no blocks.
    if (blocks === 0 || bavail * bsize >= needed) return;
    const [room, wanted] = [bavail * bsize, needed].map((it) => {
      return `${Math.floor(it / BYTES_PER_MIB)}MiB`;
    });
    throw refused(this.folder, `its tmpfs has ${room} left, and ${wanted} are needed`);
  }

  /** Whether the kernel may swap out what no process locks: not on ramfs, nor with `noswap`. */
  get mayBeSwapped(): boolean {
    if (fs.statfsSync(this.folder).type === RAMFS) return false;
    const { dev } = fs.statSync(this.folder);
    const device = `${Math.floor(dev / 256)}:${dev % 256}`;
    const mounts = parseMounts(fs.readFileSync("/proc/self/mountinfo", "utf8"));
    return !mounts.some((it) => it.device === device && it.options.includes("noswap"));
  }

  /** Nothing is kept any more: the node ends in good order. */
  remove(): void {
    this.clear();
    fs.unlinkSync(join(this.folder, LOCK));
    fs.closeSync(this.lockFd);
    fs.rmdirSync(this.folder);
  }
}

function openFlags(): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  return O_RDWR | O_CREAT | O_NOFOLLOW;
}

/** Makes the folder, or checks one that is there. */
function makeFolder(folder: string): void {
  let isNew = true;
  try {
    fs.mkdirSync(folder, { mode: FOLDER_MODE });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code !== "EEXIST") throw refused(folder, `it cannot be made: ${code}`, error);
    isNew = false;
  }
  const seen = fs.lstatSync(folder);
  if (!seen.isDirectory()) throw refused(folder, "it is not a folder");
  const isOurs = seen.uid === process.getuid?.() && (seen.mode & GROUP_AND_OTHERS) === 0;
  if (!isOurs) throw refused(folder, "it must belong to this user, with mode 0700");
  if ([TMPFS, RAMFS].includes(fs.statfsSync(folder).type)) return;
  if (isNew) fs.rmdirSync(folder);
  throw refused(folder, "it is not on tmpfs, so pages would be written to a disk");
}

function refused(folder: string, detail: string, cause?: unknown): RamsterError {
  const line = `Cannot keep memory in ${JSON.stringify(folder)}: ${detail}`;
  return new RamsterError("BAD_KEPT_MEMORY", line, { cause });
}
