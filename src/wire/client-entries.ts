/** Entries of the batches between a program and its node: whole pages. Byte tables: PROTOCOL.md. */
import { HANDLE_BYTES } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import type { Frame } from "./framer.ts";
import { invalidFixed, invalidHandle } from "./peer-entries.ts";

// PAGE_PUT: handle 32 | page
export const PAGE_PUT_ENTRY_BYTES = HANDLE_BYTES + PAGE_BYTES;

export function invalidPagePutBody(frame: Frame): string | null {
  return invalidFixed(frame, PAGE_PUT_ENTRY_BYTES, invalidHandle);
}

// PAGE_GET: handle 32 | get_and_free i8 | reserved 7
export const PAGE_GET_ENTRY_BYTES = 40;
const GET_AND_FREE = 32;

export function writeGetAndFree(view: DataView, at: number, getAndFree: number): void {
  view.setUint32(at + GET_AND_FREE, 0);
  view.setUint32(at + GET_AND_FREE + 4, 0);
  view.setInt8(at + GET_AND_FREE, getAndFree);
}

/** -1: never remove; 0: remove if the pool is ephemeral; 1: always remove. */
export function readGetAndFree(view: DataView, at: number): number {
  return view.getInt8(at + GET_AND_FREE);
}

export function invalidPageGetBody(frame: Frame): string | null {
  return invalidFixed(frame, PAGE_GET_ENTRY_BYTES, (view, at) => {
    const reason = invalidHandle(view, at);
    if (reason !== null) return reason;
    const getAndFree = readGetAndFree(view, at);
    if (getAndFree < -1 || getAndFree > 1) return `get_and_free of ${getAndFree}`;
    const reserved = view.getUint32(at + GET_AND_FREE) & 0xffffff;
    return (reserved | view.getUint32(at + GET_AND_FREE + 4)) === 0 ? null : "reserved bytes";
  });
}

/** Statuses, then the pages of the entries with status OK. */
export function invalidPageGetReplyBody(frame: Frame): string | null {
  const { view, bodyAt, bodyBytes, count } = frame;
  if (bodyBytes < count) return "statuses are cut";
  let pageCount = 0;
  for (let i = 0; i < count; i += 1) if (view.getUint8(bodyAt + i) === STATUS.OK) pageCount += 1;
  const expected = count + pageCount * PAGE_BYTES;
  return bodyBytes === expected ? null : `body of ${bodyBytes} bytes for ${pageCount} pages`;
}

/** The token that opens a pool, beside its number: 128 random bits. */
export const POOL_TOKEN_BYTES = 16;
// OPEN_POOL: pool u16 | reserved u16 | token 16
export const OPEN_POOL_TOKEN_OFFSET = 4;
export const OPEN_POOL_BYTES = OPEN_POOL_TOKEN_OFFSET + POOL_TOKEN_BYTES;

/** PAGE_FLUSH and OBJECT_FLUSH: handles. */
export function invalidHandlesBody(frame: Frame): string | null {
  return invalidFixed(frame, HANDLE_BYTES, invalidHandle);
}

/** KNOB_SET: name bytes u16 | name | value. */
export function invalidKnobSetBody(frame: Frame): string | null {
  if (frame.bodyBytes < 2) return "name is cut";
  const nameBytes = frame.view.getUint16(frame.bodyAt);
  return 2 + nameBytes <= frame.bodyBytes ? null : "name is cut";
}
