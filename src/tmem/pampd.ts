/**
 * pampd: the page descriptor, two 32-bit words of a page's record beside the low word of its
 * version.
 *
 *     word A   bits 0-2    tag: none, local, same-filled, remote, lost
 *              bit  3      in transit: a fetch of the remote copy is under way
 *              bits 4-15   zpage bytes less one, of a local or remote page; same-filled: a hash
 *                          of the word
 *              bits 16-18  codec id
 *              bits 19-31  version, bits 32-44
 *     word B   local: its ref      same-filled: the word      remote: its copies
 *              lost: nothing
 *
 * The original packs node, size and an 8-bit checksum in 64 bits (docs/original.md, "Stub"). Here
 * the checksum is with the zpage.
 */

import { assert } from "../core/assert.ts";
import { CODECS_END, PAGE_BYTES, VERSION_END } from "../core/limits.ts";

export const TAG = { NONE: 0, LOCAL: 1, SAME_FILLED: 2, REMOTE: 3, LOST: 4 } as const;

export const TAG_MASK = 0x7;
export const IN_TRANSIT_BIT = 1 << 3;
const SIZE_SHIFT = 4;
const SIZE_MASK = 0xfff;
const CODEC_SHIFT = 16;
const CODEC_MASK = 0x7;
export const VERSION_HI_SHIFT = 19;

assert(PAGE_BYTES - 1 <= SIZE_MASK && CODECS_END <= CODEC_MASK);
assert(VERSION_END / 2 ** 32 === 2 ** (32 - VERSION_HI_SHIFT));

/** Whether a page with that word has a zpage, here or at holders. */
export function hasZpage(a: number): boolean {
  const tag = a & TAG_MASK;
  return tag === TAG.LOCAL || tag === TAG.REMOTE;
}

/** 1 .. 4096. A page without a zpage has no size: the word then says PAGE_BYTES. */
export function sizeOfWord(a: number): number {
  return ((a >>> SIZE_SHIFT) & SIZE_MASK) + 1;
}

/** What stands in place of the size of a same-filled page. 1 .. 4096. */
export function sameFilledCheck(word: number): number {
  return (Math.imul(word ^ (word >>> 15) ^ 0x5bd1e995, 0x9e3779b1) >>> 20) + 1;
}

export function codecOfWord(a: number): number {
  return (a >>> CODEC_SHIFT) & CODEC_MASK;
}

/** Word A with tag, size and codec replaced, in transit cleared, the version's bits kept. */
export function describe(a: number, tag: number, zpageBytes: number, codec: number): number {
  const version = a & (-1 << VERSION_HI_SHIFT);
  const size = (zpageBytes - 1) & SIZE_MASK;
  return version | (codec << CODEC_SHIFT) | (size << SIZE_SHIFT) | tag;
}
