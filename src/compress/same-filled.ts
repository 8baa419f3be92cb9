/**
 * Same-filled pages: a page of one repeated 32-bit word is stored as that word, in its record. The
 * page of zeros is by far the most common. The last version of the original knew only that one
 * (docs/original.md, "zcache").
 *
 * A word is read least significant byte first on every machine, since it may be sent.
 */

import { Buffer } from "node:buffer";
import { PAGE_BYTES } from "../core/limits.ts";

const WORD_BYTES = 4;

/** The result of `sameFilledWord` for all other pages: not a signed 32-bit integer. */
export const NOT_SAME_FILLED = 0x1_0000_0000;

/**
 * The signed 32-bit word that fills the page at `source[offset]`, or NOT_SAME_FILLED. The offset
 * needs no alignment. Most pages are told apart by a few bytes, the others by one memcmp.
 */
export function sameFilledWord(source: Uint8Array, offset: number): number {
  // Three places far apart: a page with the same bytes there is nearly always same-filled.
  const last = offset + PAGE_BYTES - WORD_BYTES;
  if (
    source[offset] !== source[offset + WORD_BYTES] ||
    source[offset + 1] !== source[last + 1] ||
    source[offset + 2] !== source[offset + PAGE_BYTES / 2 + 2]
  ) {
    return NOT_SAME_FILLED;
  }
  // A page has a period of one word exactly when it equals itself moved by one word. Both ranges
  // are given as offsets, so that no view is made.
  const shifted = offset + WORD_BYTES;
  const end = offset + PAGE_BYTES;
  const order = Buffer.prototype.compare.call(source, source, offset, last, shifted, end);
  if (order !== 0) return NOT_SAME_FILLED;
  return wordAt(source, offset);
}

/** Fills the page at `target[targetOffset]` with `word`: the reverse of `sameFilledWord`. */
export function fillPage(word: number, target: Uint8Array, targetOffset: number): void {
  const end = targetOffset + PAGE_BYTES;
  const byte = word & 0xff;
  if (word === Math.imul(byte, 0x01010101)) {
    target.fill(byte, targetOffset, end);
    return;
  }
  target[targetOffset] = byte;
  target[targetOffset + 1] = word >>> 8;
  target[targetOffset + 2] = word >>> 16;
  target[targetOffset + 3] = word >>> 24;
  for (let done = WORD_BYTES; done < PAGE_BYTES; done *= 2) {
    target.copyWithin(targetOffset + done, targetOffset, targetOffset + done);
  }
}

function wordAt(source: Uint8Array, offset: number): number {
  const b0 = source[offset] ?? 0;
  const b1 = source[offset + 1] ?? 0;
  const b2 = source[offset + 2] ?? 0;
  const b3 = source[offset + 3] ?? 0;
  return b0 | (b1 << 8) | (b2 << 16) | (b3 << 24);
}
