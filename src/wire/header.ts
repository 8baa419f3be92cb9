/**
 * The fixed header in front of every message, HEADER_BYTES long, big-endian:
 *
 *      0   magic, u16, "RM"             2   protocol version, u8        3   message type, u8
 *      4   body bytes, u32, after the header
 *      8   request number, u32, 0 = no reply is expected
 *     12   flags, u8, bit 0: a reply   13   transport status, u8   14   handler status, u8
 *     15   reserved, 0
 *     16   count, u32, entries in the body
 *
 * Both statuses are 0 in requests. What a type may carry is in messages.ts. This file knows only
 * the frame.
 */

import { assert } from "../core/assert.ts";
import { BATCH_COUNT_MAX, BODY_BYTES_MAX, HEADER_BYTES, PROTOCOL_VERSION } from "../core/limits.ts";
import { TRANSPORT_STATUS_WIRE_MAX } from "./status.ts";

const HEADER_MAGIC = 0x524d;
/** RFC 8446, 5.1: TLS begins with a record of type handshake, version 3.x. */
const TLS_HANDSHAKE = 0x1603;

/** Offsets of the fields. */
export const HEADER = {
  MAGIC: 0,
  VERSION: 2,
  TYPE: 3,
  BODY_BYTES: 4,
  REQUEST: 8,
  FLAGS: 12,
  TRANSPORT_STATUS: 13,
  HANDLER_STATUS: 14,
  RESERVED: 15,
  COUNT: 16,
} as const;

assert(HEADER.COUNT + 4 === HEADER_BYTES);

/** Flag: the message is the reply to the request with its number. */
export const FLAG_REPLY = 1;

/** Writes a header at `view[offset]`. Positional, since it is written for every message. */
export function writeHeader(
  view: DataView,
  offset: number,
  type: number,
  bodyBytes: number,
  request: number,
  flags: number,
  transportStatus: number,
  handlerStatus: number,
  count: number,
): void {
  view.setUint16(offset, HEADER_MAGIC);
  view.setUint8(offset + HEADER.VERSION, PROTOCOL_VERSION);
  view.setUint8(offset + HEADER.TYPE, type);
  view.setUint32(offset + HEADER.BODY_BYTES, bodyBytes);
  view.setUint32(offset + HEADER.REQUEST, request);
  view.setUint8(offset + HEADER.FLAGS, flags);
  view.setUint8(offset + HEADER.TRANSPORT_STATUS, transportStatus);
  view.setUint8(offset + HEADER.HANDLER_STATUS, handlerStatus);
  view.setUint8(offset + HEADER.RESERVED, 0);
  view.setUint32(offset + HEADER.COUNT, count);
}

/**
 * Why the header at `view[offset]` is invalid, or null. The stream of an invalid header is closed.
 */
export function invalidHeader(view: DataView, offset: number): string | null {
  const magic = view.getUint16(offset);
  if (magic === TLS_HANDSHAKE) return "peer sent TLS, but this node has no --key";
  if (magic !== HEADER_MAGIC) return `magic is 0x${magic.toString(16)}, not 0x524d`;
  const version = view.getUint8(offset + HEADER.VERSION);
  if (version !== PROTOCOL_VERSION) {
    return `protocol version is ${version}, not ${PROTOCOL_VERSION}`;
  }
  const bodyBytes = view.getUint32(offset + HEADER.BODY_BYTES);
  if (bodyBytes > BODY_BYTES_MAX) return `body of ${bodyBytes} bytes is over ${BODY_BYTES_MAX}`;
  const flags = view.getUint8(offset + HEADER.FLAGS);
  if ((flags & ~FLAG_REPLY) !== 0) return `flags are 0x${flags.toString(16)}`;
  if (view.getUint8(offset + HEADER.RESERVED) !== 0) return "reserved byte is not 0";
  const count = view.getUint32(offset + HEADER.COUNT);
  if (count > BATCH_COUNT_MAX) return `count of ${count} is over ${BATCH_COUNT_MAX}`;
  const transportStatus = view.getUint8(offset + HEADER.TRANSPORT_STATUS);
  const handlerStatus = view.getUint8(offset + HEADER.HANDLER_STATUS);
  if ((flags & FLAG_REPLY) === 0) {
    return (transportStatus | handlerStatus) === 0 ? null : "a request carries a status";
  }
  if (view.getUint32(offset + HEADER.REQUEST) === 0) return "a reply to no request";
  if (transportStatus > TRANSPORT_STATUS_WIRE_MAX) {
    return `transport status ${transportStatus} does not travel`;
  }
  return null;
}
