/**
 * Packets: the messages of one datagram, in memberlist's wrapping (net.go, rawSendMsgPacket):
 *
 *     label ( encrypted ( checksum ( compound ( message, message ... ) ) ) )
 *
 * Label and encryption are optional. A compound holds several messages. memberlist writes the
 * checksum to members that understand protocol 5, as all of ours do. Compressed messages are read,
 * never written. Every declared length is bounded, and is checked before memory is taken.
 */
import { crc32 } from "node:zlib";
import { WireError } from "../core/errors.ts";
import {
  COMPOUND_PARTS_MAX,
  GOSSIP_NESTING_MAX,
  PACKET_BYTES_MAX,
  PACKET_MESSAGES_MAX,
} from "../core/limits.ts";
import { decodeMessage } from "./body.ts";
import { decompress } from "./compressed.ts";
import { ENCRYPTION_BYTES, type Keyring } from "./keyring.ts";
import { labelBytes, labelEnd, labelHeader } from "./label.ts";
import { GOSSIP, type PacketMessage } from "./messages.ts";

export interface GossipOptions {
  /** Null: in clear. */
  readonly keyring: Keyring | null;
  /** "" for none. */
  readonly label: string;
}

const CHECKSUM_BYTES = 5;
/** The head of a compound, and of each part. */
const COMPOUND_BYTES = 2;
export const COMPOUND_PART_BYTES = 2;

/** Bytes of a datagram of several messages, without these and COMPOUND_PART_BYTES for each. */
export function packetOverhead(options: GossipOptions): number {
  const encryption = options.keyring === null ? 0 : ENCRYPTION_BYTES;
  return labelHeader(options.label).byteLength + encryption + CHECKSUM_BYTES + COMPOUND_BYTES;
}

/** The bytes of one datagram. `messages`, 1 to COMPOUND_PARTS_MAX, are made by encodeMessage. */
export function encodePacket(messages: readonly Uint8Array[], options: GossipOptions): Uint8Array {
  const [first] = messages;
  let bytes = first !== undefined && messages.length === 1 ? first : compound(messages);
  bytes = withChecksum(bytes);
  const { keyring, label } = options;
  const header = labelHeader(label);
  if (keyring !== null) bytes = keyring.encrypt(bytes, labelBytes(label));
  if (header.byteLength === 0) return bytes;
  const packet = new Uint8Array(header.byteLength + bytes.byteLength);
  packet.set(header);
  packet.set(bytes, header.byteLength);
  return packet;
}

/** Parts that were skipped because they could not be read. */
export interface Unread {
  readonly count: number;
  /** Why the first part could not be read. "" when every part was read. */
  readonly reason: string;
}

/**
 * Calls `visit` for each message in the packet. A message that cannot be read is skipped: it may be
 * of a later version. Throws WireError BAD_FRAME when no message can be read. Then `visit` was not
 * called.
 */
export function decodePacket(
  packet: Uint8Array,
  options: GossipOptions,
  visit: (message: PacketMessage) => void,
): Unread {
  const { keyring, label } = options;
  const start = labelEnd(packet, label);
  if (start < 0) throw malformed("it is cut short");
  let bytes = packet.subarray(start);
  if (keyring !== null) bytes = keyring.decrypt(bytes, labelBytes(label));
  if (bytes[0] === GOSSIP.HAS_CRC) bytes = withoutChecksum(bytes);
  const unwrapper = new Unwrapper();
  unwrapper.take(bytes, 0);
  const { messages, firstError } = unwrapper;
  if (firstError !== null && messages.length === 0) throw firstError;
  for (const message of messages) visit(message);
  return { count: unwrapper.unreadCount, reason: firstError?.message ?? "" };
}

/** Unwraps the messages of one packet. The cost is bounded, whatever is in it. */
class Unwrapper {
  readonly messages: PacketMessage[] = [];
  unreadCount = 0;
  firstError: WireError | null = null;
  private takenCount = 0;
  /** How many more bytes the packet may decompress to. */
  private bytesLeft = PACKET_BYTES_MAX;

  take(bytes: Uint8Array, depth: number): void {
    try {
      this.unwrap(bytes, depth);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.unreadCount += 1;
      this.firstError ??= error;
    }
  }

  private unwrap(bytes: Uint8Array, depth: number): void {
    const id = bytes[0];
    if (id === undefined) throw malformed("it is empty");
    if (depth > GOSSIP_NESTING_MAX) throw malformed(`it has over ${GOSSIP_NESTING_MAX} levels`);
    this.takenCount += 1;
    if (this.takenCount > PACKET_MESSAGES_MAX) {
      throw malformed(`it has over ${PACKET_MESSAGES_MAX} messages`);
    }
    const body = bytes.subarray(1);
    if (id === GOSSIP.COMPOUND) {
      for (const part of parts(body)) this.take(part, depth + 1);
    } else if (id === GOSSIP.COMPRESS) {
      const inside = decompress(body, this.bytesLeft);
      this.bytesLeft -= inside.byteLength;
      this.take(inside, depth + 1);
    } else {
      this.messages.push(decodeMessage(id, body));
    }
  }
}

/** The parts of a compound: count, u8; the length of each, u16; the bytes of each. */
function parts(body: Uint8Array): Uint8Array[] {
  const count = body[0] ?? 0;
  let at = 1 + COMPOUND_PART_BYTES * count;
  if (at > body.byteLength) throw malformed("a compound is cut short");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const result: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    const length = view.getUint16(1 + COMPOUND_PART_BYTES * i);
    if (at + length > body.byteLength) throw malformed("a compound is cut short");
    result.push(body.subarray(at, at + length));
    at += length;
  }
  return result;
}

function compound(messages: readonly Uint8Array[]): Uint8Array {
  if (messages.length === 0 || messages.length > COMPOUND_PARTS_MAX) {
    throw malformed(`a packet of ${messages.length} messages`);
  }
  const headBytes = COMPOUND_BYTES + COMPOUND_PART_BYTES * messages.length;
  const byteCount = messages.reduce((sum, message) => sum + message.byteLength, headBytes);
  const bytes = new Uint8Array(byteCount);
  const view = new DataView(bytes.buffer);
  bytes[0] = GOSSIP.COMPOUND;
  bytes[1] = messages.length;
  let at = headBytes;
  for (const [i, message] of messages.entries()) {
    view.setUint16(COMPOUND_BYTES + COMPOUND_PART_BYTES * i, message.byteLength);
    bytes.set(message, at);
    at += message.byteLength;
  }
  return bytes;
}

function withChecksum(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(CHECKSUM_BYTES + bytes.byteLength);
  result[0] = GOSSIP.HAS_CRC;
  new DataView(result.buffer).setUint32(1, crc32(bytes));
  result.set(bytes, CHECKSUM_BYTES);
  return result;
}

function withoutChecksum(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength < CHECKSUM_BYTES) throw malformed("it is cut short");
  const expected = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  const rest = bytes.subarray(CHECKSUM_BYTES);
  if (crc32(rest) !== expected) throw malformed("its checksum is wrong");
  return rest;
}

function malformed(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read gossip: ${reason}`);
}
