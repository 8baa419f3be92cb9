/**
 * Bodies of the messages between nodes: entries of PUT, GET and its reply, and FLUSH; GRANT; AUDIT.
 * Byte tables: PROTOCOL.md.
 *
 * Reading and writing allocates nothing and checks nothing. The validator here has checked every
 * bound of a body before its entries are read.
 */

import { HANDLE_BYTES, type Handle } from "../core/handle.ts";
import { CODECS_END, PAGE_BYTES, VERSION_END, ZPAGE_BYTES_MAX } from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import { readVersion, writeVersion } from "../core/version.ts";
import type { Zpage } from "../core/zpage.ts";
import type { Frame } from "./framer.ts";

/** What a FLUSH entry means: the page, its object or its pool, each up to a version. */
export const FLUSH_SCOPE = { PAGE: 0, OBJECT: 1, POOL: 2 } as const;
export type FlushScope = (typeof FLUSH_SCOPE)[keyof typeof FLUSH_SCOPE];

// GRANT: pages u64 | epoch u64
export const GRANT_BYTES = 16;
const GRANT_EPOCH = 8;

export interface Grant {
  /** Pages that may be put on this link, counted from its start. */
  readonly pages: number;
  /** The epoch of the store for the other side. When it changes, all pages in it are gone. */
  readonly epoch: number;
}

export function writeGrant(view: DataView, at: number, { pages, epoch }: Grant): void {
  writeVersion(view, at, pages);
  writeVersion(view, at + GRANT_EPOCH, epoch);
}

export function readGrant(view: DataView, at: number): Grant {
  return { pages: readVersion(view, at), epoch: readVersion(view, at + GRANT_EPOCH) };
}

/** Validator of GRANT. */
export function invalidGrantBody({ view, bodyAt, bodyBytes }: Frame): string | null {
  if (bodyBytes !== GRANT_BYTES) return "body is not 16 bytes long";
  if (view.getUint32(bodyAt) >= VERSION_HI_END) return "pages out of range";
  return view.getUint32(bodyAt + GRANT_EPOCH) < VERSION_HI_END ? null : "epoch out of range";
}

const CODEC_RAW = 0;
const VERSION_HI_END = VERSION_END / 2 ** 32;

// PUT: handle 32 | version u64 | checksum u32 | zpage bytes u16 | codec u8 | kind u8 | zpage
export const PUT_ENTRY_BYTES = 48;
const PUT_VERSION = 32;
const PUT_CHECKSUM = 40;
const PUT_SIZE = 44;
const PUT_CODEC = 46;
const PUT_KIND = 47;

export function writePutEntry(
  view: DataView,
  at: number,
  handle: Handle,
  version: number,
  checksum: number,
  zpageBytes: number,
  codec: number,
  kind: number,
): void {
  handle.write(view, at);
  writeVersion(view, at + PUT_VERSION, version);
  view.setUint32(at + PUT_CHECKSUM, checksum);
  view.setUint16(at + PUT_SIZE, zpageBytes);
  view.setUint8(at + PUT_CODEC, codec);
  view.setUint8(at + PUT_KIND, kind);
}

/** Fills `handle`, and `entry` except where its bytes are. */
export function readPutEntry(view: DataView, at: number, handle: Handle, entry: Zpage): void {
  handle.read(view, at);
  entry.version = readVersion(view, at + PUT_VERSION);
  entry.checksum = view.getUint32(at + PUT_CHECKSUM);
  entry.zpageBytes = view.getUint16(at + PUT_SIZE);
  entry.codec = view.getUint8(at + PUT_CODEC);
}

export function readPutChecksum(view: DataView, at: number): number {
  return view.getUint32(at + PUT_CHECKSUM);
}

export function readPutSize(view: DataView, at: number): number {
  return view.getUint16(at + PUT_SIZE);
}

/** 0 ephemeral, 1 persistent. */
export function readPutKind(view: DataView, at: number): number {
  return view.getUint8(at + PUT_KIND);
}

export function invalidPutBody(frame: Frame): string | null {
  const { view, bodyAt } = frame;
  const end = bodyAt + frame.bodyBytes;
  let at = bodyAt;
  for (let i = 0; i < frame.count; i += 1) {
    if (at + PUT_ENTRY_BYTES > end) return `entry ${i} is cut`;
    const reason = invalidHandle(view, at) ?? invalidVersion(view, at + PUT_VERSION);
    if (reason !== null) return `entry ${i}: ${reason}`;
    const zpageBytes = view.getUint16(at + PUT_SIZE);
    const invalid = invalidZpage(zpageBytes, view.getUint8(at + PUT_CODEC));
    if (invalid !== null) return `entry ${i}: ${invalid}`;
    if (view.getUint8(at + PUT_KIND) > 1) return `entry ${i}: unknown kind`;
    at += PUT_ENTRY_BYTES + zpageBytes;
    if (at > end) return `zpage of entry ${i} is cut`;
  }
  return at === end ? null : "body goes on after its entries";
}

// GET: handle 32 | version u64
export const GET_ENTRY_BYTES = 40;
const GET_VERSION = 32;

export function writeGetEntry(view: DataView, at: number, handle: Handle, version: number): void {
  handle.write(view, at);
  writeVersion(view, at + GET_VERSION, version);
}

export function readGetVersion(view: DataView, at: number): number {
  return readVersion(view, at + GET_VERSION);
}

export function invalidGetBody(frame: Frame): string | null {
  return invalidFixed(frame, GET_ENTRY_BYTES, (view, at) => {
    return invalidHandle(view, at) ?? invalidVersion(view, at + GET_VERSION);
  });
}

// AUDIT: row u32, reserved u32. Its reply: next row u32, moves u32, then entries as of GET.
export const AUDIT_BYTES = 8;
const AUDIT_MOVES = 4;

export function writeAudit(view: DataView, at: number, row: number, moves: number): void {
  view.setUint32(at, row);
  view.setUint32(at + AUDIT_MOVES, moves);
}

export function readAuditRow(view: DataView, at: number): number {
  return view.getUint32(at);
}

/** How many pages of the holder have got another row so far, modulo 2^32. */
export function readAuditMoves(view: DataView, at: number): number {
  return view.getUint32(at + AUDIT_MOVES);
}

export function invalidAuditBody({ view, bodyAt, bodyBytes }: Frame): string | null {
  if (bodyBytes !== AUDIT_BYTES) return `body is not ${AUDIT_BYTES} bytes long`;
  return view.getUint32(bodyAt + AUDIT_MOVES) === 0 ? null : "reserved bytes";
}

/** How many pages the reply lists. */
export function auditCount({ bodyBytes }: Frame): number {
  return (bodyBytes - AUDIT_BYTES) / GET_ENTRY_BYTES;
}

export function invalidAuditReplyBody(frame: Frame): string | null {
  const { view, bodyAt, bodyBytes } = frame;
  const count = auditCount(frame);
  if (count < 0 || !Number.isInteger(count)) return `body of ${bodyBytes} bytes`;
  for (let i = 0; i < count; i += 1) {
    const at = bodyAt + AUDIT_BYTES + i * GET_ENTRY_BYTES;
    const reason = invalidHandle(view, at) ?? invalidVersion(view, at + GET_VERSION);
    if (reason !== null) return `entry ${i}: ${reason}`;
  }
  return null;
}

// GET reply: version u64 | checksum u32 | zpage bytes u16 | codec u8 | status u8 | zpage
export const GET_REPLY_ENTRY_BYTES = 16;
const GOT_CHECKSUM = 8;
const GOT_SIZE = 12;
const GOT_CODEC = 14;
const GOT_STATUS = 15;

export function writeGetReplyEntry(
  view: DataView,
  at: number,
  version: number,
  checksum: number,
  zpageBytes: number,
  codec: number,
  status: number,
): void {
  writeVersion(view, at, version);
  view.setUint32(at + GOT_CHECKSUM, checksum);
  view.setUint16(at + GOT_SIZE, zpageBytes);
  view.setUint8(at + GOT_CODEC, codec);
  view.setUint8(at + GOT_STATUS, status);
}

/** Fills `entry` except where its bytes are. @returns the status. */
export function readGetReplyEntry(view: DataView, at: number, entry: Zpage): number {
  entry.version = readVersion(view, at);
  entry.checksum = view.getUint32(at + GOT_CHECKSUM);
  entry.zpageBytes = view.getUint16(at + GOT_SIZE);
  entry.codec = view.getUint8(at + GOT_CODEC);
  return view.getUint8(at + GOT_STATUS);
}

export function invalidGetReplyBody(frame: Frame): string | null {
  const { view, bodyAt } = frame;
  const end = bodyAt + frame.bodyBytes;
  let at = bodyAt;
  for (let i = 0; i < frame.count; i += 1) {
    if (at + GET_REPLY_ENTRY_BYTES > end) return `entry ${i} is cut`;
    const reason = invalidVersion(view, at);
    if (reason !== null) return `entry ${i}: ${reason}`;
    const zpageBytes = view.getUint16(at + GOT_SIZE);
    const codec = view.getUint8(at + GOT_CODEC);
    const isFound = view.getUint8(at + GOT_STATUS) === STATUS.OK;
    const invalid = isFound ? invalidZpage(zpageBytes, codec) : invalidNoZpage(zpageBytes, codec);
    if (invalid !== null) return `entry ${i}: ${invalid}`;
    at += GET_REPLY_ENTRY_BYTES + zpageBytes;
    if (at > end) return `zpage of entry ${i} is cut`;
  }
  return at === end ? null : "body goes on after its entries";
}

// FLUSH: handle 32 | version u64 | scope u8 | reserved 7
export const FLUSH_ENTRY_BYTES = 48;
const FLUSH_VERSION = 32;
const FLUSH_SCOPE_AT = 40;

export function writeFlushEntry(
  view: DataView,
  at: number,
  handle: Handle,
  version: number,
  scope: FlushScope,
): void {
  handle.write(view, at);
  writeVersion(view, at + FLUSH_VERSION, version);
  view.setUint32(at + FLUSH_SCOPE_AT, scope << 24);
  view.setUint32(at + FLUSH_SCOPE_AT + 4, 0);
}

export function readFlushScope(view: DataView, at: number): number {
  return view.getUint8(at + FLUSH_SCOPE_AT);
}

export function readFlushVersion(view: DataView, at: number): number {
  return readVersion(view, at + FLUSH_VERSION);
}

export function invalidFlushBody(frame: Frame): string | null {
  return invalidFixed(frame, FLUSH_ENTRY_BYTES, (view, at) => {
    const reason = invalidHandle(view, at) ?? invalidVersion(view, at + FLUSH_VERSION);
    if (reason !== null) return reason;
    if (view.getUint8(at + FLUSH_SCOPE_AT) > FLUSH_SCOPE.POOL) return "unknown scope";
    const reserved = view.getUint32(at + FLUSH_SCOPE_AT) & 0xffffff;
    return (reserved | view.getUint32(at + FLUSH_SCOPE_AT + 4)) === 0 ? null : "reserved bytes";
  });
}

/** A body of `count` entries of one size. */
export function invalidFixed(
  frame: Frame,
  entryBytes: number,
  invalidEntry: (view: DataView, at: number) => string | null,
): string | null {
  if (frame.bodyBytes !== frame.count * entryBytes) {
    return `body of ${frame.bodyBytes} bytes for ${frame.count} entries of ${entryBytes}`;
  }
  for (let i = 0; i < frame.count; i += 1) {
    const reason = invalidEntry(frame.view, frame.bodyAt + i * entryBytes);
    if (reason !== null) return `entry ${i}: ${reason}`;
  }
  return null;
}

export function invalidHandle(view: DataView, at: number): string | null {
  return view.getUint16(at + HANDLE_BYTES - 2) === 0 ? null : "reserved bytes of the handle";
}

/**
 * Raw is the page itself. A compressed zpage fits a frame beside its header; otherwise the page is
 * sent raw.
 */
function invalidZpage(zpageBytes: number, codec: number): string | null {
  if (codec >= CODECS_END) return `codec ${codec} is not defined`;
  const isFit =
    codec === CODEC_RAW
      ? zpageBytes === PAGE_BYTES
      : zpageBytes >= 1 && zpageBytes <= ZPAGE_BYTES_MAX;
  return isFit ? null : `zpage of ${zpageBytes} bytes with codec ${codec}`;
}

/** The fields of an entry without a zpage. */
function invalidNoZpage(zpageBytes: number, codec: number): string | null {
  return (zpageBytes | codec) === 0 ? null : "a zpage that was not found has a size or a codec";
}

function invalidVersion(view: DataView, at: number): string | null {
  return view.getUint32(at) < VERSION_HI_END ? null : "version out of range";
}
