/**
 * BunDisk: a Disk on an open file. It uses the thread pool of node:fs, so that reads and writes
 * never block the event loop. Reads and writes that the kernel does in part are continued.
 *
 * Operation objects are reused, each with its own callback, so that a page costs no closure.
 *
 * Not here: opening the file (open-disk.ts).
 */
import * as fs from "node:fs";
import type { Disk, DiskError, DiskRoom, DiskSink } from "../core/disk.ts";

/** Messages for the error codes of the operating system. */
const REASONS: Readonly<Record<string, string>> = {
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file has its largest size",
  EIO: "input/output error",
  ENOSPC: "no space left on the device",
  EROFS: "the file system is read-only",
};

/** The codes for a lack of space. */
const FULL: ReadonlySet<string> = new Set(["EDQUOT", "EFBIG", "ENOSPC"]);

/** The unit of st_blocks on every file system (stat(2)). */
const STAT_BLOCK_BYTES = 512;

const ENDS_BEFORE: DiskError = { isFull: false, reason: "the file is too short" };

/** One read or write, until it is complete. */
class Operation {
  isWrite = false;
  position = 0;
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  left = 0;
  sink: DiskSink | null = null;
  token = 0;
  readonly onStep: (error: Error | null, count: number) => void;

  constructor(onStep: (operation: Operation, error: Error | null, count: number) => void) {
    this.onStep = (error, count) => onStep(this, error, count);
  }
}

export class BunDisk implements Disk {
  private readonly fd: number;
  /** Unused operations. */
  private readonly idle: Operation[] = [];
  /** Unfinished operations, truncations included. The file stays open while there are any. */
  private busy = 0;
  private isClosed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(
    position: number,
    target: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void {
    this.start(false, position, target, at, byteCount, sink, token);
  }

  write(
    position: number,
    source: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void {
    this.start(true, position, source, at, byteCount, sink, token);
  }

  truncate(byteCount: number, sink: DiskSink, token: number): void {
    this.busy += 1;
    fs.ftruncate(this.fd, byteCount, (error) => {
      this.ended();
      if (!this.isClosed) sink.onDisk(token, error === null ? null : diskErrorOf(error));
    });
  }

  readRoom(onRoom: (room: DiskRoom | null) => void): void {
    this.busy += 1;
    const done = (room: DiskRoom | null): void => {
      this.ended();
      if (!this.isClosed) onRoom(room);
    };
    fs.fstat(this.fd, (error, stats) => {
      if (error !== null || this.isClosed) return done(null);
      // The file has no name, so it is found by its descriptor.
      fs.statfs(`/proc/self/fd/${this.fd}`, (noSystem, system) => {
        done(noSystem === null ? roomOf(stats.blocks, system) : null);
      });
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    // A descriptor must not be closed while a thread uses it: the number may become another file's.
    if (this.busy === 0) fs.closeSync(this.fd);
  }

  private start(
    isWrite: boolean,
    position: number,
    bytes: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void {
    const operation = this.idle.pop() ?? new Operation((...step) => this.onStep(...step));
    operation.isWrite = isWrite;
    operation.position = position;
    operation.bytes = bytes;
    operation.at = at;
    operation.left = byteCount;
    operation.sink = sink;
    operation.token = token;
    this.busy += 1;
    this.step(operation);
  }

  private step({ isWrite, bytes, at, left, position, onStep }: Operation): void {
    if (isWrite) fs.write(this.fd, bytes, at, left, position, onStep);
    else fs.read(this.fd, bytes, at, left, position, onStep);
  }

  private onStep(operation: Operation, error: Error | null, count: number): void {
    if (error !== null) return this.finish(operation, diskErrorOf(error));
    if (count === 0) return this.finish(operation, ENDS_BEFORE);
    operation.position += count;
    operation.at += count;
    operation.left -= count;
    if (operation.left > 0 && !this.isClosed) this.step(operation);
    else this.finish(operation, null);
  }

  private finish(operation: Operation, error: DiskError | null): void {
    const { sink, token } = operation;
    operation.sink = null;
    this.idle.push(operation);
    this.ended();
    if (!this.isClosed) sink?.onDisk(token, error);
  }

  private ended(): void {
    this.busy -= 1;
    if (this.isClosed && this.busy === 0) fs.closeSync(this.fd);
  }
}

/** The DiskError of an error of node:fs. */
function diskErrorOf(error: Error): DiskError {
  const code = "code" in error ? String(error.code) : "";
  return { isFull: FULL.has(code), reason: REASONS[code] ?? (code === "" ? error.message : code) };
}

/** Null when the file system reports no size, as some in user space do. */
function roomOf(blocks: number, { bavail, blocks: all, frsize }: fs.StatsFs): DiskRoom | null {
  if (all === 0) return null;
  const availableBytes = Math.max(0, bavail * frsize);
  const lengthMax = fileSizeMax();
  return { allocatedBytes: blocks * STAT_BLOCK_BYTES, availableBytes, lengthMax };
}

/** RLIMIT_FSIZE, which may change while the program runs (prlimit(1)). */
export function fileSizeMax(): number {
  return parseFileSizeMax(readText("/proc/self/limits"));
}

/** The limit in `/proc/self/limits`, in bytes. Infinite when none is shown. */
export function parseFileSizeMax(text: string): number {
  const [, soft] = /^Max file size +(\d{1,20}) /m.exec(text) ?? [];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Reads a small file of the kernel, which is never on a disk. "" when it is missing. */
function readText(path: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
