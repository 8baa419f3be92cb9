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
 * A push/pull is a header, the members that it counts, and the user state. The length of a message
 * in clear is not sent, so it is read value by value.
 */
import { freeBuffer } from "../core/buffers.ts";
import { WireError } from "../core/errors.ts";
import {
  GOSSIP_INFLATED_BYTES_MAX,
  GOSSIP_STREAM_BYTES_MAX,
  GOSSIP_WHOLE_BYTES_MAX,
  PUSH_PULL_DECLARED_MAX,
  PUSH_PULL_MEMBERS_MAX,
  USER_STATE_BYTES_MAX,
  USER_STATE_DECLARED_BYTES_MAX,
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
import { ENCRYPTION_BYTES, NOT_ENCRYPTED } from "./keyring.ts";
import { labelBytes, labelEnd, labelHeader } from "./label.ts";
import { GOSSIP, MEMBER_STATE, type PushPullMember, type StreamMessage } from "./messages.ts";
import { decodeMsgpack, encodeMsgpack, Fields, msgpackEnd } from "./msgpack.ts";
import type { GossipOptions, Unread } from "./packet.ts";

const ENCRYPTED_HEADER_BYTES = 5;
/** Decoded bytes are dropped in pieces of this size: each time the rest is copied. */
const DROPPED_BYTES = 64 * 1024;

/** The side that writes: the one that dialled, or the one that answers. */
export type StreamSide = "dialled" | "answered";

/** The bytes of one message on a stream. */
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

/** Takes the chunks of a stream, and returns its one message once it is whole. */
export class StreamDecoder {
  private readonly options: GossipOptions;
  private bytes = new Uint8Array(0);
  private byteCount = 0;
  /** Where the message begins in `bytes`; -1 while the label is not all there. */
  private start: number;
  private parser: Parser | null = null;
  private plain: Uint8Array | null = null;

  /** `side`: the side that wrote the stream. */
  constructor(options: GossipOptions, side: StreamSide) {
    this.options = options;
    this.start = side === "dialled" ? -1 : 0;
  }

  /** Bytes kept until the message is whole. */
  get bufferedBytes(): number {
    return this.bytes.byteLength;
  }

  /** Members that were skipped: they could not be read, or were too many. */
  get unread(): Unread {
    return this.parser?.unread ?? { count: 0, reason: "" };
  }

  /** Frees the buffers of the message. Callers copy first what they keep of it. */
  free(): void {
    freeBuffer(this.bytes);
    if (this.plain !== null) freeBuffer(this.plain);
  }

  /** @returns the message, or null while it is incomplete. Throws WireError BAD_FRAME. */
  push(chunk: Uint8Array): StreamMessage | null {
    const { parser } = this;
    if (parser?.isSkipping === true) return parser.skip(chunk.byteLength);
    this.append(chunk);
    const have = this.bytes.subarray(0, this.byteCount);
    if (this.start < 0) this.start = labelEnd(have, this.options.label);
    if (this.start < 0 || this.start === have.byteLength) return null;
    if (this.options.keyring === null) return this.parseClear(have.subarray(this.start));
    const plain = this.decrypted(have.subarray(this.start));
    if (plain === null) return null;
    this.plain = plain;
    const message = this.parse(plain);
    if (message === null) throw malformed("it is cut short");
    return message;
  }

  private append(chunk: Uint8Array): void {
    const byteCount = this.byteCount + chunk.byteLength;
    if (byteCount > GOSSIP_STREAM_BYTES_MAX) {
      throw malformed(`a stream has over ${GOSSIP_STREAM_BYTES_MAX} bytes`);
    }
    if (byteCount > this.bytes.byteLength) {
      const grown = new Uint8Array(Math.min(GOSSIP_STREAM_BYTES_MAX, 2 * byteCount));
      grown.set(this.bytes.subarray(0, this.byteCount));
      freeBuffer(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(chunk, this.byteCount);
    this.byteCount = byteCount;
  }

  /** Null while bytes are missing. */
  private decrypted(bytes: Uint8Array): Uint8Array | null {
    const { keyring, label } = this.options;
    if (bytes[0] !== GOSSIP.ENCRYPT || keyring === null) throw malformed(NOT_ENCRYPTED);
    if (bytes.byteLength < ENCRYPTED_HEADER_BYTES) return null;
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    if (length > GOSSIP_WHOLE_BYTES_MAX) throw malformed(`a stream declares ${length} bytes`);
    const end = ENCRYPTED_HEADER_BYTES + length;
    if (bytes.byteLength < end) return null;
    const extra = joined([bytes.subarray(0, ENCRYPTED_HEADER_BYTES), labelBytes(label)]);
    return keyring.decrypt(bytes.subarray(ENCRYPTED_HEADER_BYTES, end), extra);
  }

  /** Drops what was decoded: nothing says how long the whole message is. */
  private parseClear(plain: Uint8Array): StreamMessage | null {
    const message = this.parse(plain);
    const { parser } = this;
    if (message !== null || parser === null) return message;
    if (parser.at < DROPPED_BYTES && !parser.isSkipping) return null;
    this.bytes = this.bytes.slice(this.start + parser.at, this.byteCount);
    this.byteCount = this.bytes.byteLength;
    this.start = 0;
    parser.at = 0;
    return null;
  }

  private parse(plain: Uint8Array): StreamMessage | null {
    if (this.parser !== null) return this.parser.parse(plain);
    const id = plain[0];
    if (id === undefined) throw malformed("it is empty");
    if (id === GOSSIP.ENCRYPT) throw malformed("it is encrypted, but this node has no --key");
    if (id !== GOSSIP.COMPRESS) {
      this.parser = new Parser(id);
      return this.parser.parse(plain);
    }
    const end = msgpackEnd(plain, 1, GOSSIP_WHOLE_BYTES_MAX);
    if (end < 0) return null;
    const inside = decompress(plain.subarray(1, end), GOSSIP_INFLATED_BYTES_MAX);
    if (inside[0] === GOSSIP.COMPRESS) throw malformed("it is compressed twice");
    this.parser = new Parser(inside[0] ?? 0);
    const message = this.parser.parse(inside);
    if (message === null) throw malformed("it is cut short");
    return message;
  }
}

/** Parses one message in clear. It keeps its position, so that no byte is parsed twice. */
class Parser {
  /** The first unread byte in the argument of parse(). */
  at = 1;
  private readonly id: number;
  private header: Fields | null = null;
  private readonly members: PushPullMember[] = [];
  /** Members parsed so far, kept or not. */
  private parsedCount = 0;
  private thereCount = 0;
  private unreadCount = 0;
  private firstReason = "";
  private skipped: { readonly message: StreamMessage; bytesLeft: number } | null = null;

  constructor(id: number) {
    this.id = id;
  }

  get unread(): Unread {
    return { count: this.unreadCount, reason: this.firstReason };
  }

  /** Whether the missing bytes are of no use: then skip() takes them, not parse(). */
  get isSkipping(): boolean {
    return this.skipped !== null;
  }

  skip(byteCount: number): StreamMessage | null {
    if (this.skipped === null) return null;
    this.skipped.bytesLeft -= byteCount;
    return this.skipped.bytesLeft <= 0 ? this.skipped.message : null;
  }

  /** `plain`: all bytes so far, from `at` on. Null while bytes are missing. */
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
        throw malformed(`message id ${this.id} is unexpected on a stream`);
    }
  }

  private pushPull(plain: Uint8Array): StreamMessage | null {
    const header = this.readHeader(plain);
    if (header === null) return null;
    const memberCount = header.count("Nodes", PUSH_PULL_DECLARED_MAX);
    const userBytes = header.count("UserStateLen", USER_STATE_DECLARED_BYTES_MAX);
    while (this.parsedCount < memberCount) {
      const end = msgpackEnd(plain, this.at);
      if (end < 0) return null;
      // A copy: `plain` moves when more bytes come.
      this.takeMember(plain.slice(this.at, end));
      this.parsedCount += 1;
      this.at = end;
    }
    const { members } = this;
    const join = header.flag("Join");
    return this.lastBytes(plain, userBytes, (userState) => {
      return { kind: "push-pull", members, userState, join };
    });
  }

  /** A member that cannot be read is skipped: the others are still good. */
  private takeMember(bytes: Uint8Array): void {
    try {
      const member = decodeMember(bytes);
      const isThere = member.state === MEMBER_STATE.ALIVE || member.state === MEMBER_STATE.SUSPECT;
      const count = isThere ? this.thereCount : this.members.length - this.thereCount;
      if (count === PUSH_PULL_MEMBERS_MAX)
        throw malformed(`it has over ${PUSH_PULL_MEMBERS_MAX} members`);
      if (isThere) this.thereCount += 1;
      // Copies: a view would keep the whole chunk.
      this.members.push({ ...member, addr: member.addr.slice(), meta: member.meta.slice() });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.unreadCount += 1;
      if (this.firstReason === "") this.firstReason = error.message;
    }
  }

  private user(plain: Uint8Array): StreamMessage | null {
    const header = this.readHeader(plain);
    if (header === null) return null;
    const byteCount = header.count("UserMsgLen", USER_STATE_DECLARED_BYTES_MAX);
    return this.lastBytes(plain, byteCount, (bytes) => ({ kind: "user", bytes }));
  }

  /** The end of a message. Over USER_STATE_BYTES_MAX it is skipped, and counts as empty. */
  private lastBytes(
    plain: Uint8Array,
    byteCount: number,
    messageWith: (bytes: Uint8Array) => StreamMessage,
  ): StreamMessage | null {
    const have = plain.byteLength - this.at;
    const isRead = byteCount <= USER_STATE_BYTES_MAX;
    if (have >= byteCount) {
      return messageWith(plain.subarray(this.at, isRead ? this.at + byteCount : this.at));
    }
    if (isRead) return null;
    const message = messageWith(new Uint8Array(0));
    this.skipped = { message, bytesLeft: byteCount - have };
    this.at = plain.byteLength;
    return null;
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
