/**
 * Opens the file that --spill names: a new one, there or in the directory that it is, and without a
 * name as soon as it is open. So its space goes with the process, however that ends, two nodes can
 * never have the same, and nothing that was there before is touched.
 *
 * Its space is taken as it is written, not beforehand: a spill is the last resort, most of it is
 * seldom used, and a page leaves memory only when it is written, so a disk that turns out to be
 * full costs nothing. How much it can have the spill asks again and again (Disk.readRoom).
 */
import * as fs from "node:fs";
import { join } from "node:path";
import type { Disk } from "../core/disk.ts";
import { ConfigError } from "../core/errors.ts";
import { SPILL_BYTES_MIN } from "../core/limits.ts";
import { BunDisk, fileSizeMax } from "./bun-disk.ts";
import { MediumFinder } from "./medium.ts";

/** Pages of programs are in it: nobody else's business while it has a name. */
const MODE = 0o600;
/** Names that are tried in a directory: one that died between opening and unlinking left one. */
const NAMES_MAX = 100;

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EEXIST: "the file is there already, name one that is not, or a directory",
  EISDIR: "it is a directory",
  ENOENT: "there is no such directory",
  ENOSPC: "no space left on the device",
  ENOTDIR: "part of the path is no directory",
  EROFS: "the file system is read-only",
};

export interface DiskUse {
  /** Pages of the kernel's own swap come there. */
  readonly inSwapMode: boolean;
  readonly warn: (line: string) => void;
}

/** Throws ConfigError DISK_UNUSABLE with one line that says why. */
export function openDisk(
  path: string,
  use: DiskUse,
  finder: Pick<MediumFinder, "unfit"> = new MediumFinder(),
): Disk {
  let fd: number;
  try {
    fd = openNameless(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw refused(path, REASONS[code] ?? (code === "" ? String(error) : code), error);
  }
  const lengthMax = fileSizeMax();
  const unfit = finder.unfit(fd);
  const isTooShort = lengthMax < SPILL_BYTES_MIN;
  if (isTooShort || (unfit !== null && use.inSwapMode)) {
    fs.closeSync(fd);
    if (isTooShort)
      throw refused(path, `no file may be larger than ${lengthMax} bytes (ulimit -f)`);
    throw refused(path, `in swap mode it must be on a disk, and is on ${unfit}`);
  }
  if (unfit !== null) use.warn(`The spill file should be on a disk, and is on ${unfit}`);
  return new BunDisk(fd);
}

function refused(path: string, detail: string, cause?: unknown): ConfigError {
  const line = `Cannot use --spill ${JSON.stringify(path)}: ${detail}`;
  return new ConfigError("DISK_UNUSABLE", line, { cause });
}

function openNameless(path: string): number {
  const isDirectory = fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isDirectory) return openAndUnlink(path);
  for (let i = 0; ; i += 1) {
    try {
      return openAndUnlink(join(path, `.ramster-spill-${process.pid}-${i}`));
    } catch (error) {
      const isTaken = error instanceof Error && "code" in error && error.code === "EEXIST";
      if (!isTaken || i >= NAMES_MAX) throw error;
    }
  }
}

function openAndUnlink(path: string): number {
  const fd = fs.openSync(path, "wx+", MODE);
  try {
    fs.unlinkSync(path);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  return fd;
}
