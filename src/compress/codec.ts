/**
 * Codec: turns one page into a zpage, and a zpage back into one page.
 *
 * A zpage comes back from other nodes, so `decompress` trusts nothing. Whatever the bytes are, it
 * writes a whole page or nothing, reports which, and works for the next page. Well-formed bytes of
 * the wrong page are found by their checksum (checksum.ts).
 *
 * Not here: when to compress, and what to refuse (zcache).
 */

import { CODECS_END } from "../core/limits.ts";

/**
 * Codec ids. They are in every frame and on the wire: ids are added, never reused, below
 * CODECS_END.
 */
export const CODEC = {
  /** The 4096 bytes themselves. */
  RAW: 0,
  /** One LZ4 block, without the size in front of it (the LZ4 block format description, lz4.org). */
  LZ4: 1,
  /** One magicless Zstandard frame of one block (RFC 8878), without a dictionary. */
  ZSTD: 2,
  /**
   * The same with a dictionary, whose number is in the frame's header. This id and the next ones,
   * DICTIONARY_SLOTS in all, say which dictionary of the page's pool it is (src/cold).
   */
  ZSTD_DICTIONARY: 3,
} as const;

/** How many dictionaries the pages of a pool may use at the same time. */
export const DICTIONARY_SLOTS = CODECS_END - CODEC.ZSTD_DICTIONARY;

const NAMES: readonly string[] = Object.keys(CODEC).map((name) => name.toLowerCase());

/** `"lz4"` for CODEC.LZ4: the spelling in reports and errors. */
export function codecName(id: number): string {
  const name = NAMES[Math.min(id, CODEC.ZSTD_DICTIONARY)];
  return id < CODECS_END && name !== undefined ? name : `codec_${id}`;
}

/** What every codec does. No codec is re-entrant. None allocates, but for bun-zstd.ts. */
export interface Codec {
  readonly id: number;
  readonly name: string;
  /** The library of the system that does the work: "liblz4 1.9.4". Null: this program does. */
  readonly library: string | null;

  /**
   * Compresses the page at `source[sourceOffset]` into `target[targetOffset]`. The same page always
   * gives the same bytes.
   *
   * @returns the bytes written, or 0 when the zpage is longer than `targetBytesMax`. Then nothing
   * was written.
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
   *
   * @returns false when the bytes are not the encoding of exactly one page. Then nothing was
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
