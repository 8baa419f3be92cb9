/**
 * Memory outside the JavaScript heap, given from outside: frames and tables live there.
 *
 * A region is address space that is reserved at once and becomes resident as it is touched;
 * `release` gives resident memory back to the operating system and leaves zeros. Callers pass
 * offsets, not views: a `subarray` costs more than the copy it is made for.
 */
export interface Memory {
  /** Reserves `byteCount` bytes of zeros. Throws RamsterError NO_MEMORY. */
  reserve(byteCount: number): Region;
  /** Copies between two arrays; like `target.set(source.subarray(...))` without the view. */
  copy(
    target: Uint8Array,
    targetOffset: number,
    source: Uint8Array,
    sourceOffset: number,
    byteCount: number,
  ): void;
}

export interface Region {
  readonly byteCount: number;
  /** Copies from the region at `offset` into `target`. */
  read(offset: number, target: Uint8Array, targetOffset: number, byteCount: number): void;
  /** Copies from `source` into the region at `offset`. */
  write(offset: number, source: Uint8Array, sourceOffset: number, byteCount: number): void;
  /**
   * The whole region as 32-bit words, for tables. The region must be at most REGION_WORDS_BYTES_MAX
   * long.
   */
  words(): Int32Array;
  /**
   * Gives the range back to the operating system: it reads as zeros afterwards. Both ends on
   * FRAME_BYTES.
   */
  release(offset: number, byteCount: number): void;
  /** Gives everything back. The region and its words must not be used afterwards. */
  close(): void;
}
