/**
 * Opens the file that --spill names: a new one, there or in the directory that it is, and without a
 * name as soon as it is open. So its space goes with the process, however that ends, two nodes can
 * never have the same, and nothing that was there before is touched.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import type { Disk } from "../core/disk.ts";
import { ConfigError } from "../core/errors.ts";
import { BunDisk } from "./bun-disk.ts";

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

/** Throws ConfigError DISK_UNUSABLE with one line that says why. */
export function openDisk(path: string): Disk {
  try {
    return new BunDisk(openNameless(path));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const detail = REASONS[code] ?? (code === "" ? String(error) : code);
    throw new ConfigError(
      "DISK_UNUSABLE",
      `Cannot use --spill ${JSON.stringify(path)}: ${detail}`,
      { cause: error },
    );
  }
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
