/**
 * Streams: one message each way on a TCP connection (memberlist's net.go, readStream and
 * rawSendMsgStream).
 *
 *     dialled:   label | message                             in clear
 *                label | 10 | length, u32 | encrypted ( message )
 *     answered:  the same without the label header
 *     message:   id | body, or  9 | compressed ( message )
 *
 * Encryption authenticates the five bytes before it and then the text of the label, in both
 * directions.
 *
 * A push/pull is a header, as many members as it tells, and the user state, one after the other.
 * Nothing tells how long a message in clear is, so it is read value by value.
 */
import { WireError } from "../core/errors.ts";
import {
  GOSSIP_STREAM_BYTES_MAX,
  PUSH_PULL_MEMBERS_MAX,
  USER_STATE_BYTES_MAX,
} from "../core/limits.ts";
import {
  decodeError,
  decodeMember,
  decodeMessage,
  encodeError,
  encodeMember,
  encodeMessage,
} from "./body.ts";
import { decompress } from "./compressed.ts";
import { ENCRYPTION_BYTES } from "./keyring.ts";
import { labelBytes, labelEnd, labelHeader } from "./label.ts";
import { GOSSIP, type PushPullMember, type StreamMessage } from "./messages.ts";
import { decodeMsgpack, encodeMsgpack, Fields, msgpackEnd } from "./msgpack.ts";
import type { GossipOptions } from "./packet.ts";

const ENCRYPTED_HEADER_BYTES = 5;

/** Who writes: the side that dialled, or the one that answers. */
export type StreamSide = "dialled" | "answered";

/** All bytes of one message on a stream. */
export function encodeStream(
  message: StreamMessage,
  options: GossipOptions,
  side: StreamSide,
): Uint8Array {
  const label = labelHeader(side === "dialled" ? options.label : "");
  const plain = encodePlain(message);
  if (options.keyring === null) return joined([label, plain]);
  const head = new Uint8Array(ENCRYPTED_HEADER_BYTES);
  head[0] = GOSSIP.ENCRYPT;
  new DataView(head.buffer).setUint32(1, ENCRYPTION_BYTES + plain.byteLength);
  const extra = joined([head, labelBytes(options.label)]);
  return joined([label, head, options.keyring.encrypt(plain, extra)]);
}

function encodePlain(message: StreamMessage): Uint8Array {
  switch (message.kind) {
    case "push-pull": {
      const { members, userState, join } = message;
      const header = { Nodes: members.length, UserStateLen: userState.byteLength, Join: join };
      const id = Uint8Array.of(GOSSIP.PUSH_PULL);
      return joined([id, encodeMsgpack(header), ...members.map(encodeMember), userState]);
    }
    case "user": {
      const header = encodeMsgpack({ UserMsgLen: message.bytes.byteLength });
      return joined([Uint8Array.of(GOSSIP.USER), header, message.bytes]);
    }
    case "error":
      return encodeError(message.error);
    default:
      return encodeMessage(message);
  }
}

/** Takes a stream as it comes, and gives its one message once that is whole. */
export class StreamDecoder {
  private readonly options: GossipOptions;
  private readonly side: StreamSide;
  private bytes = new Uint8Array(0);
  private byteCount = 0;
  private parser: Parser | null = null;

  /** `side`: who writes what this one reads. */
  constructor(options: GossipOptions, side: StreamSide) {
    this.options = options;
    this.side = side;
  }

  /** @returns the message, or null while some of it is missing. Throws WireError BAD_FRAME. */
  push(chunk: Uint8Array): StreamMessage | null {
    this.append(chunk);
    const have = this.bytes.subarray(0, this.byteCount);
    const start = this.side === "dialled" ? labelEnd(have, this.options.label) : 0;
    if (start < 0 || start === have.byteLength) return null;
    if (this.options.keyring === null) return this.parse(have.subarray(start));
    const plain = this.decrypted(have.subarray(start));
    if (plain === null) return null;
    const message = this.parse(plain);
    if (message === null) throw malformed("it is cut short");
    return message;
  }

  private append(chunk: Uint8Array): void {
    const byteCount = this.byteCount + chunk.byteLength;
    if (byteCount > GOSSIP_STREAM_BYTES_MAX) {
      throw malformed(`over ${GOSSIP_STREAM_BYTES_MAX} bytes on a stream`);
    }
    if (byteCount > this.bytes.byteLength) {
      const grown = new Uint8Array(Math.min(GOSSIP_STREAM_BYTES_MAX, 2 * byteCount));
      grown.set(this.bytes.subarray(0, this.byteCount));
      this.bytes = grown;
    }
    this.bytes.set(chunk, this.byteCount);
    this.byteCount = byteCount;
  }

  /** Null while some is missing. */
  private decrypted(bytes: Uint8Array): Uint8Array | null {
    const { keyring, label } = this.options;
    if (bytes[0] !== GOSSIP.ENCRYPT || keyring === null) throw malformed("it is not encrypted");
    if (bytes.byteLength < ENCRYPTED_HEADER_BYTES) return null;
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    if (length > GOSSIP_STREAM_BYTES_MAX) throw malformed(`${length} bytes on a stream`);
    const end = ENCRYPTED_HEADER_BYTES + length;
    if (bytes.byteLength < end) return null;
    const extra = joined([bytes.subarray(0, ENCRYPTED_HEADER_BYTES), labelBytes(label)]);
    return keyring.decrypt(bytes.subarray(ENCRYPTED_HEADER_BYTES, end), extra);
  }

  private parse(plain: Uint8Array): StreamMessage | null {
    const id = plain[0];
    if (id === undefined) throw malformed("it is empty");
    if (id === GOSSIP.COMPRESS) {
      const end = msgpackEnd(plain, 1);
      if (end < 0) return null;
      const inside = decompress(plain.subarray(1, end), GOSSIP_STREAM_BYTES_MAX);
      if (inside[0] === GOSSIP.COMPRESS) throw malformed("compressed twice");
      const message = new Parser(inside[0] ?? 0).parse(inside);
      if (message === null) throw malformed("it is cut short");
      return message;
    }
    if (id === GOSSIP.ENCRYPT) throw malformed("it is encrypted, and there is no key");
    this.parser ??= new Parser(id);
    return this.parser.parse(plain);
  }
}

/** One message in clear. Keeps where it was, so that no byte is looked at for every chunk anew. */
class Parser {
  private readonly id: number;
  private at = 1;
  private header: Fields | null = null;
  private readonly members: PushPullMember[] = [];

  constructor(id: number) {
    this.id = id;
  }

  /** `plain`: all bytes so far. Null while some are missing. */
  parse(plain: Uint8Array): StreamMessage | null {
    switch (this.id) {
      case GOSSIP.PUSH_PULL:
        return this.pushPull(plain);
      case GOSSIP.USER:
        return this.user(plain);
      case GOSSIP.PING:
      case GOSSIP.ACK:
      case GOSSIP.ERR: {
        const end = msgpackEnd(plain, 1);
        if (end < 0) return null;
        const body = plain.subarray(1, end);
        if (this.id === GOSSIP.ERR) return { kind: "error", error: decodeError(body) };
        return decodeMessage(this.id, body) as StreamMessage;
      }
      default:
        throw malformed(`message ${this.id} on a stream`);
    }
  }

  private pushPull(plain: Uint8Array): StreamMessage | null {
    const header = this.readHeader(plain);
    if (header === null) return null;
    const memberCount = header.count("Nodes", PUSH_PULL_MEMBERS_MAX);
    const userBytes = header.count("UserStateLen", USER_STATE_BYTES_MAX);
    while (this.members.length < memberCount) {
      const end = msgpackEnd(plain, this.at);
      if (end < 0) return null;
      this.members.push(decodeMember(plain.subarray(this.at, end)));
      this.at = end;
    }
    if (plain.byteLength < this.at + userBytes) return null;
    const userState = plain.subarray(this.at, this.at + userBytes);
    return { kind: "push-pull", members: this.members, userState, join: header.flag("Join") };
  }

  private user(plain: Uint8Array): StreamMessage | null {
    const header = this.readHeader(plain);
    if (header === null) return null;
    const end = this.at + header.count("UserMsgLen", USER_STATE_BYTES_MAX);
    if (plain.byteLength < end) return null;
    return { kind: "user", bytes: plain.subarray(this.at, end) };
  }

  private readHeader(plain: Uint8Array): Fields | null {
    if (this.header !== null) return this.header;
    const end = msgpackEnd(plain, this.at);
    if (end < 0) return null;
    this.header = new Fields(decodeMsgpack(plain.subarray(this.at, end)));
    this.at = end;
    return this.header;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function malformed(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read gossip: ${reason}`);
}
