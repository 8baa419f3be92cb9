/**
 * Packets: the messages of one datagram, wrapped as memberlist wraps them (net.go,
 * rawSendMsgPacket):
 *
 *     label ( encrypted ( checksum ( compound ( message, message ... ) ) ) )
 *
 * each but the messages only where it is wanted. Compressed messages are read and not written.
 * Everything that a packet declares is bounded, and checked before memory is taken for it.
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
/** In front of the parts of a compound, and of each of them. */
const COMPOUND_BYTES = 2;
export const COMPOUND_PART_BYTES = 2;

/** What a datagram with several messages has beside them and COMPOUND_PART_BYTES for each. */
export function packetOverhead(options: GossipOptions): number {
  const encryption = options.keyring === null ? 0 : ENCRYPTION_BYTES;
  return labelHeader(options.label).byteLength + encryption + CHECKSUM_BYTES + COMPOUND_BYTES;
}

/**
 * One datagram. `messages` come from encodeMessage: at least one, at most COMPOUND_PARTS_MAX.
 * `checksum`: every receiver speaks protocol 5.
 */
export function encodePacket(
  messages: readonly Uint8Array[],
  options: GossipOptions & { readonly checksum: boolean },
): Uint8Array {
  const [first] = messages;
  let bytes = first !== undefined && messages.length === 1 ? first : compound(messages);
  if (options.checksum) bytes = withChecksum(bytes);
  const { keyring, label } = options;
  const header = labelHeader(label);
  if (keyring !== null) bytes = keyring.encrypt(bytes, labelBytes(label));
  if (header.byteLength === 0) return bytes;
  const packet = new Uint8Array(header.byteLength + bytes.byteLength);
  packet.set(header);
  packet.set(bytes, header.byteLength);
  return packet;
}

/**
 * Calls `visit` for each message in the packet, once all of it is known to be right. Throws
 * WireError BAD_FRAME with the reason otherwise.
 */
export function decodePacket(
  packet: Uint8Array,
  options: GossipOptions,
  visit: (message: PacketMessage) => void,
): void {
  const { keyring, label } = options;
  const start = labelEnd(packet, label);
  if (start < 0) throw malformed("it is cut short");
  let bytes = packet.subarray(start);
  if (keyring !== null) bytes = keyring.decrypt(bytes, labelBytes(label));
  if (bytes[0] === GOSSIP.HAS_CRC) bytes = withoutChecksum(bytes);
  const messages: PacketMessage[] = [];
  unwrap(bytes, 0, messages);
  for (const message of messages) visit(message);
}

function unwrap(bytes: Uint8Array, depth: number, into: PacketMessage[]): void {
  const id = bytes[0];
  if (id === undefined) throw malformed("it is empty");
  if (depth > GOSSIP_NESTING_MAX) throw malformed(`over ${GOSSIP_NESTING_MAX} levels`);
  const body = bytes.subarray(1);
  if (id === GOSSIP.COMPOUND) {
    for (const part of parts(body)) unwrap(part, depth + 1, into);
  } else if (id === GOSSIP.COMPRESS) {
    unwrap(decompress(body, PACKET_BYTES_MAX), depth + 1, into);
  } else {
    if (into.length === PACKET_MESSAGES_MAX) {
      throw malformed(`over ${PACKET_MESSAGES_MAX} messages`);
    }
    into.push(decodeMessage(id, body));
  }
}

/** Count, u8; the length of each, u16; the parts. */
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
  const told = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  const rest = bytes.subarray(CHECKSUM_BYTES);
  if (crc32(rest) !== told) throw malformed("its checksum is wrong");
  return rest;
}

function malformed(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read gossip: ${reason}`);
}
