/**
 * A disk, given from outside: one file that is read and written at positions. A node has a real one
 * (src/disk). The simulator's is slow, full or broken as a test wants.
 *
 * Errors are passed to the sink and not thrown: a disk that fails does not stop a node.
 */

/** Why an operation failed. */
export interface DiskError {
  /** There is no space left: on the disk, in a quota, or in a file of the greatest length. */
  readonly isFull: boolean;
  /** A few words for a person. */
  readonly reason: string;
}

/** How much space the file has and can get, in bytes. */
export interface DiskRoom {
  /** Space that the file has in the file system. */
  readonly allocatedBytes: number;
  /** Space that the file system would add to that. It may ignore a quota. */
  readonly availableBytes: number;
  /** The greatest length of the file. */
  readonly lengthMax: number;
}

export interface DiskSink {
  /** An operation has ended. `error`: null when it was done. */
  onDisk(token: number, error: DiskError | null): void;
}

/**
 * Any number of operations may be under way, in any order. Each calls its sink once, never
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
  /** Gives the space beyond `byteCount` back to the file system. */
  truncate(byteCount: number, sink: DiskSink, token: number): void;
  /** Calls back once, never before the call returns. Null: the room is not known. */
  readRoom(onRoom: (room: DiskRoom | null) => void): void;
  /** Ends what is under way, without calling its sinks. */
  close(): void;
}
