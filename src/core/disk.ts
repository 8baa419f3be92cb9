/**
 * A disk, given from outside: one file that is read and written at positions. Production has a real
 * one (src/disk), the simulator one that is slow, full or broken when a test wants it to be.
 *
 * What goes wrong is told, not thrown: a disk that fails is no reason to stop.
 */

/** Why not. */
export interface DiskError {
  /** There is no space for it: on the disk, in a quota, or in a file as long as it may be. */
  readonly isFull: boolean;
  /** In a few words, for a person. */
  readonly reason: string;
}

/** How much the file can have, in bytes. */
export interface DiskRoom {
  /** What the file has of the file system. */
  readonly allocatedBytes: number;
  /** What the file system would give it beyond that. A quota need not show in it. */
  readonly availableBytes: number;
  /** The file may be no longer. */
  readonly lengthMax: number;
}

export interface DiskSink {
  /** It is done. `error`: why not, or null. */
  onDisk(token: number, error: DiskError | null): void;
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
  /** Tells once, never before the call returns, what room there is; null: nobody knows. */
  look(onRoom: (room: DiskRoom | null) => void): void;
  /** What is under way ends, and nobody is told of it. */
  close(): void;
}
