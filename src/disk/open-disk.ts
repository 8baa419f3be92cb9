/**
 * Opens the spill file: a new file at the path of --spill, or in the directory of that path. Its
 * name is removed as soon as it is open. So the space is freed with the process, however that ends.
 * Two nodes never share a file, and existing files are not touched.
 *
 * Space is allocated as it is written, since most of it is seldom used. A page leaves memory only
 * once it is written, so a full disk loses nothing. The spill checks regularly how much space it
 * can have (Disk.readRoom).
 */
import * as fs from "node:fs";
import { join } from "node:path";
import type { Disk } from "../core/disk.ts";
import { ConfigError } from "../core/errors.ts";
import { SPILL_BYTES_MIN } from "../core/limits.ts";
import { BunDisk, fileSizeMax } from "./bun-disk.ts";
import { MediumFinder } from "./medium.ts";

/** The file has pages of programs, so others must not read it while it has a name. */
const MODE = 0o600;
/** Names that are tried in a directory: a process that died before unlinking leaves one. */
const NAMES_MAX = 100;

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EEXIST: "the file exists already: name a new file, or a directory",
  EISDIR: "it is a directory",
  ENOENT: "the directory does not exist",
  ENOSPC: "no space left on the device",
  ENOTDIR: "part of the path is not a directory",
  EROFS: "the file system is read-only",
};

export interface DiskUse {
  /** Whether the kernel swaps to this node. */
  readonly inSwapMode: boolean;
  readonly warn: (line: string) => void;
}

/** Throws ConfigError DISK_UNUSABLE with a one-line reason. */
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
      throw refused(path, `files may have at most ${lengthMax} bytes: raise ulimit -f`);
    throw refused(path, `in swap mode it must be on a disk, but it is on ${unfit}`);
  }
  if (unfit !== null) use.warn(`The spill file should be on a disk, but it is on ${unfit}`);
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
