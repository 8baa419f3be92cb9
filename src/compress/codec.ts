/**
 * Codec: turns one page into a zpage, and a zpage back into one page.
 *
 * A zpage comes back from other nodes, so `decompress` trusts nothing: whatever the bytes are, it
 * writes inside its page or not at all, says so, and works for the next page. It cannot tell that
 * well-formed bytes are the wrong ones; that is what checksum.ts is for.
 *
 * Not here: when to compress, and what to refuse (zcache).
 */

/**
 * Codec ids. They are in every frame and on the wire: only ever added, never reused, at most 31.
 */
export const CODEC = {
  /** The 4096 bytes themselves. */
  RAW: 0,
  /** One LZ4 block, without the size in front of it (the LZ4 block format description, lz4.org). */
  LZ4: 1,
} as const;

const NAMES: readonly string[] = Object.keys(CODEC).map((name) => name.toLowerCase());

/** `"lz4"` for CODEC.LZ4: the spelling in reports and errors. */
export function codecName(id: number): string {
  return NAMES[id] ?? `codec_${id}`;
}

/** What every codec does. One codec is one instance a process: none of them is re-entrant. */
export interface Codec {
  readonly id: number;
  readonly name: string;

  /**
   * Compresses the page at `source[sourceOffset]` into `target[targetOffset]`. The same page always
   * gives the same bytes. Allocates nothing.
   *
   * @returns bytes written, or 0 when they would be more than `targetBytesMax`: then nothing was
   * written.
   */
  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number;

  /**
   * Decompresses the zpage at `source[sourceOffset]` into the page at `target[targetOffset]`.
   * Allocates nothing.
   *
   * @returns true, or false when the bytes are no encoding of exactly one page: then nothing was
   * written.
   */
  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean;
}
