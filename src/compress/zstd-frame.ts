/**
 * The zpage of zstd: one frame of RFC 8878 without its magic number, and a page always fits one
 * block.
 *
 *      0            1        2                   2, 3 or 4         block header: 24 bits
 *      | descriptor | window | dictionary number | block header |  content        last, type, bytes
 *        0, 1 or 2            0, 1 or 2 bytes      3 bytes
 *
 * A decoder only gets to see frames that were checked against that (`isOneBlock`). So a zpage is
 * refused unread when it is cut off, followed by other bytes, or of several blocks. The size of the
 * content is not in the frame: it is that of a page.
 *
 * Not here: what decodes a frame (native/zstd.ts, bun-zstd.ts).
 */
import { PAGE_BYTES } from "../core/limits.ts";

/** ZSTD_compressBound of zstd.h, for a page. A longer zpage is refused unread. */
export const ZSTD_ZPAGE_BYTES_MAX = PAGE_BYTES + (PAGE_BYTES >> 8) + ((131_072 - PAGE_BYTES) >> 11);

/** Descriptor and window, when there is no dictionary. */
export const ZSTD_HEADER_BYTES = 2;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_TYPE = { REPEATED_BYTE: 1, RESERVED: 3 } as const;

/**
 * The number of the dictionary that a zpage was compressed with; 0: the bytes are no such zpage, or
 * it was compressed without.
 */
export function dictionaryNumberOf(source: Uint8Array, at: number, byteCount: number): number {
  if (byteCount < 4) return 0;
  const descriptor = source[at] ?? 0;
  const low = source[at + 2] ?? 0;
  if (descriptor === 1) return low;
  // libzstd writes a number below 256 in one byte: another spelling is none of ours.
  const number = low | ((source[at + 3] ?? 0) << 8);
  return descriptor === 2 && number > 0xff ? number : 0;
}

/** Whether the bytes are a whole frame of one block, with a dictionary number of that size. */
export function isOneBlock(
  source: Uint8Array,
  at: number,
  byteCount: number,
  numberBytes: number,
): boolean {
  const headerBytes = ZSTD_HEADER_BYTES + numberBytes;
  if (byteCount <= headerBytes + BLOCK_HEADER_BYTES) return false;
  if (byteCount > ZSTD_ZPAGE_BYTES_MAX || source[at] !== numberBytes) return false;
  const block = at + headerBytes;
  const header =
    (source[block] ?? 0) | ((source[block + 1] ?? 0) << 8) | ((source[block + 2] ?? 0) << 16);
  const isLast = (header & 1) === 1;
  const type = (header >> 1) & 3;
  const contentBytes = type === BLOCK_TYPE.REPEATED_BYTE ? 1 : header >> 3;
  if (!isLast || type === BLOCK_TYPE.RESERVED) return false;
  return headerBytes + BLOCK_HEADER_BYTES + contentBytes === byteCount;
}
