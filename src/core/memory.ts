/**
 * Memory outside the JavaScript heap, given from outside: frames and tables live there.
 *
 * A region is address space that is reserved at once and becomes resident as it is touched;
 * `release` gives resident memory back to the operating system and leaves zeros. Callers pass
 * offsets, not views: a `subarray` costs more than the copy it is made for.
 *
 *     | pinned: resident from the start to close() | resident as it is touched, until release() |
 *
 * A region may also grow: only its beginning may be used, up to the last `grow`. The rest is only
 * addresses, which no limit of a process or a machine counts.
 *
 * A node under a kernel's swap pins what its pages need (src/node/swap-mode.ts). Otherwise storing
 * a page could wait for memory that only storing it would free.
 *
 * Memory may be *kept*: then regions with a name outlive the process, and its successor opens them
 * again under these names (src/memory/kept-memory.ts).
 */
import type { Journal } from "./journal.ts";

export interface Memory {
  /** For operations on regions that are kept. Null: all memory ends with the process. */
  readonly journal: Journal | null;
  /**
   * Reserves `byteCount` bytes of zeros and pins the first `pinnedBytes`. Throws RamsterError
   * NO_MEMORY.
   */
  reserve(byteCount: number, options?: ReserveOptions): Region;
  /** Copies between two arrays; like `target.set(source.subarray(...))` without the view. */
  copy(
    target: Uint8Array,
    targetOffset: number,
    source: Uint8Array,
    sourceOffset: number,
    byteCount: number,
  ): void;
}

export interface ReserveOptions {
  /** From the start of the region; a multiple of FRAME_BYTES. */
  readonly pinnedBytes: number;
  /** Only pinned bytes may be used before `grow`. */
  readonly grows?: boolean;
  /** If memory is kept, the region is kept under this name. No name: it ends with the process. */
  readonly name?: string | undefined;
}

/** How a kept region takes part in the journal. */
export interface Kept {
  readonly journal: Journal;
  /** The number of the region there. */
  readonly number: number;
}

export interface Region {
  readonly byteCount: number;
  /** Null: the region ends with the process. */
  readonly kept: Kept | null;
  /**
   * Makes the first `byteCount` bytes usable. @returns false when there is no memory for that; then
   * nothing has changed.
   */
  grow(byteCount: number): boolean;
  /** Copies from the region at `offset` into `target`. */
  read(offset: number, target: Uint8Array, targetOffset: number, byteCount: number): void;
  /** Copies from `source` into the region at `offset`. */
  write(offset: number, source: Uint8Array, sourceOffset: number, byteCount: number): void;
  /** Copies inside the region. The two ranges do not overlap. */
  move(from: number, to: number, byteCount: number): void;
  /**
   * The whole region as 32-bit words, for tables. The region must be at most REGION_WORDS_BYTES_MAX
   * long.
   */
  words(): Int32Array;
  /**
   * Gives the range back to the operating system, except pinned bytes. It reads as zeros
   * afterwards. Both ends on FRAME_BYTES.
   */
  release(offset: number, byteCount: number): void;
  /**
   * Gives everything back, or leaves a kept region to a successor. The region and its words must
   * not be used afterwards.
   */
  close(): void;
}
