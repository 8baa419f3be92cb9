/**
 * BunDisk: a Disk on an open file, through the thread pool behind node:fs: reads and writes never
 * hold up the event loop. What the kernel does in parts is put together here.
 *
 * Operations are objects that are used over and over, each with a callback of its own, so that a
 * page on its way costs no closure.
 *
 * Not here: which file that is (open-disk.ts).
 */
import * as fs from "node:fs";
import type { Disk, DiskSink } from "../core/disk.ts";

/** What a person is told in place of the operating system's code. */
const REASONS: Readonly<Record<string, string>> = {
  EDQUOT: "the quota is used up",
  EFBIG: "the file would be too large",
  EIO: "input/output error",
  ENOSPC: "no space left on the device",
};

/** One read or write, until all of it is done. */
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
  /** Operations that are not in use. */
  private readonly idle: Operation[] = [];
  /** Under way, truncations included: while there are any the file stays open. */
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
      if (!this.isClosed) sink.onDisk(token, error === null ? null : reasonOf(error));
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    // A number that is closed while a thread works on it may be another file's by then.
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
    if (error !== null) return this.finish(operation, reasonOf(error));
    if (count === 0) return this.finish(operation, "the file ends before");
    operation.position += count;
    operation.at += count;
    operation.left -= count;
    if (operation.left > 0 && !this.isClosed) this.step(operation);
    else this.finish(operation, null);
  }

  private finish(operation: Operation, error: string | null): void {
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

/** Of an error of node:fs. */
export function reasonOf(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  return REASONS[code] ?? (code === "" ? error.message : code);
}
