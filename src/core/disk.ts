/**
 * A disk, given from outside: one file that is read and written at positions. Production has a real
 * one (src/disk), the simulator one that is slow, full or broken when a test wants it to be.
 *
 * What goes wrong is told, not thrown: a disk that fails is no reason to stop.
 */

export interface DiskSink {
  /** It is done. `error`: why not, in a few words, or null. */
  onDisk(token: number, error: string | null): void;
}

/**
 * Any number of operations may be under way, in any order. Each is told to its sink once, never
 * before the call returns. The array belongs to the disk until then.
 */
export interface Disk {
  /** Reads into `target[at]`. Bytes beyond the end of the file are an error. */
  read(
    position: number,
    target: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void;
  /** Writes `source[at]`. After an error any part of it may be written. */
  write(
    position: number,
    source: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void;
  /** What is beyond `byteCount` is given back to the file system. */
  truncate(byteCount: number, sink: DiskSink, token: number): void;
  /** What is under way ends, and nobody is told of it. */
  close(): void;
}
