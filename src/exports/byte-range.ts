/** The pages of a request: those that its bytes touch, and those that they cover whole. */
import { PAGE_BYTES } from "../core/limits.ts";

/** At least one byte, from `offset` on. */
export interface ByteRange {
  readonly offset: number;
  readonly byteCount: number;
}

export function firstPage({ offset }: ByteRange): number {
  return Math.floor(offset / PAGE_BYTES);
}

export function lastPage({ offset, byteCount }: ByteRange): number {
  return Math.floor((offset + byteCount - 1) / PAGE_BYTES);
}

/** Pages from here up to `wholePagesEnd` are covered whole; there are none if that is not more. */
export function firstWholePage({ offset }: ByteRange): number {
  return Math.ceil(offset / PAGE_BYTES);
}

export function wholePagesEnd({ offset, byteCount }: ByteRange): number {
  return Math.floor((offset + byteCount) / PAGE_BYTES);
}
