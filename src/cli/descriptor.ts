/**
 * Descriptor: standard output or standard error. A write never waits for its reader.
 *
 *     a pipe, a terminal, a device   opened once more through /proc/self/fd, with O_NONBLOCK
 *     a socket, as journald gives    send(2) with MSG_DONTWAIT
 *     a file, and all else           write(2) on a thread of the runtime, one at a time
 *
 * O_NONBLOCK on the inherited descriptor would apply to every process that shares it, such as the
 * shell in that terminal. A file that is opened once more would have a position of its own. A write
 * to a file may also wait: for a disk, or for memory that this node itself has to free.
 */
import * as fs from "node:fs";
import { OUTPUT_CHUNK_BYTES } from "../core/limits.ts";
import { openSocketSend } from "../memory/socket-send.ts";
import type { OutputSink } from "./output.ts";

export function openDescriptor(fd: number): OutputSink {
  const stat = statOf(fd);
  if (stat === null) return plain(() => -1);
  if (stat.isSocket()) {
    const send = openSocketSend();
    if (send !== null) return plain((bytes) => send(fd, bytes));
  } else if (!stat.isFile()) {
    const own = openAgain(fd);
    if (own !== null) return own;
  }
  return new ThreadSink(fd, stat.isFile());
}

/**
 * Whether what is written there goes to the journal of systemd. `stream` is the value of
 * JOURNAL_STREAM: device and inode of the journal's socket (systemd.exec(5)). A service that
 * redirects its output has the variable as well.
 */
export function isForJournal(fd: number, stream: string | undefined): boolean {
  const stat = statOf(fd);
  return stat !== null && stream === `${stat.dev}:${stat.ino}`;
}

/** A file takes whole chunks. */
const FILE_BYTES = 64 * 1024;

function plain(write: (bytes: Uint8Array) => number): OutputSink {
  return { chunkBytesMax: OUTPUT_CHUNK_BYTES, isBusy: false, write, writeLast: write };
}

/** Writes on a thread, so that a write may wait. The next one waits in the queue. */
class ThreadSink implements OutputSink {
  readonly chunkBytesMax = FILE_BYTES;
  isBusy = false;
  private readonly fd: number;
  private readonly isFile: boolean;
  private hasFailed = false;

  constructor(fd: number, isFile: boolean) {
    this.fd = fd;
    this.isFile = isFile;
  }

  write(bytes: Uint8Array): number {
    if (this.isBusy) return 0;
    if (this.hasFailed) {
      this.hasFailed = false; // There may be room on the disk by now.
      return -1;
    }
    this.isBusy = true;
    this.writeRest(bytes, 0);
    return bytes.byteLength;
  }

  private writeRest(bytes: Uint8Array, at: number): void {
    fs.write(this.fd, bytes, at, bytes.byteLength - at, null, (error, count) => {
      this.hasFailed = error !== null;
      const next = at + (error === null ? count : bytes.byteLength);
      if (next < bytes.byteLength && count > 0) this.writeRest(bytes, next);
      else this.isBusy = false;
    });
  }

  /** A file is written at once. Anything else could block for ever, so a thread writes to it. */
  writeLast(bytes: Uint8Array): number {
    this.isBusy = !this.isFile;
    if (this.isFile) return writeNow(() => this.fd, bytes);
    this.writeRest(bytes, 0);
    return bytes.byteLength;
  }
}

/**
 * @returns null when it may not be opened, such as a pipe of another user. A pipe without a reader
 * is opened once it has one.
 */
function openAgain(fd: number): OutputSink | null {
  let own: number | null = null;
  const open = (): number => {
    own ??= fs.openSync(`/proc/self/fd/${fd}`, OPEN_FLAGS);
    return own;
  };
  try {
    open();
  } catch (error) {
    if (codeOf(error) !== "ENXIO") return null;
  }
  return plain((bytes) => writeNow(open, bytes));
}

const OPEN_FLAGS = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;

function writeNow(fd: () => number, bytes: Uint8Array): number {
  try {
    return fs.writeSync(fd(), bytes);
  } catch (error) {
    const code = codeOf(error);
    return code === "EAGAIN" || code === "EINTR" ? 0 : -1;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function statOf(fd: number): fs.Stats | null {
  try {
    return fs.fstatSync(fd);
  } catch {
    return null; // The descriptor is closed.
  }
}
