/**
 * An NBD client for tests. It has its own code for the protocol, without src/nbd. It sends any
 * bytes, valid or not, and keeps what it receives.
 */
import type { Stream, StreamEvents } from "../../src/net/transport.ts";
import { ByteQueue } from "../sim/byte-queue.ts";

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const CACHE = 5;
export const WRITE_ZEROES = 6;
export const BLOCK_STATUS = 7;

/** An integer of a given width, or plain bytes or text. */
export type Piece = readonly [bytes: 1 | 2 | 4 | 8, value: number | bigint] | Uint8Array | string;

export function bytesOf(...pieces: readonly Piece[]): Uint8Array<ArrayBuffer> {
  const parts = pieces.map((piece) => {
    if (typeof piece === "string") return new TextEncoder().encode(piece);
    if (piece instanceof Uint8Array) return piece;
    const [width, value] = piece as readonly [1 | 2 | 4 | 8, number | bigint];
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(value));
    return new Uint8Array(view.buffer, 8 - width);
  });
  return new Uint8Array(Buffer.concat(parts));
}

export function option(number: number, ...data: readonly Piece[]): Uint8Array<ArrayBuffer> {
  const body = bytesOf(...data);
  return bytesOf("IHAVEOPT", [4, number], [4, body.length], body);
}

/** The negotiated headers. */
export type BareForm = "simple" | "structured" | "extended";

/** Flag of an extended request with data. */
const PAYLOAD_LEN = 32;

export interface BareRequest {
  type: number;
  flags?: number;
  cookie: bigint;
  offset: number | bigint;
  length: number | bigint;
  data?: Uint8Array;
}

export function request(it: BareRequest, form: BareForm = "simple"): Uint8Array<ArrayBuffer> {
  const { type, flags = 0, cookie, offset, length, data } = it;
  const isExtended = form === "extended";
  return bytesOf(
    [4, isExtended ? 0x21e41c71 : 0x25609513],
    [2, flags | (isExtended && data !== undefined ? PAYLOAD_LEN : 0)],
    [2, type],
    [8, cookie],
    [8, offset],
    [isExtended ? 8 : 4, length],
    data ?? "",
  );
}

export interface BareReply {
  error: number;
  /** The data of a read. */
  data: Uint8Array;
  /** Length and flags of each extent. */
  extents: Array<[number, number]>;
}

/** The option by which a client chooses an export. Requests follow it. */
export function greetingOf(options: { form: BareForm; name?: string }): Uint8Array[] {
  const { form, name = "" } = options;
  const length: Piece = [4, name.length];
  const meta: readonly Piece[] = [length, name, [4, 1], [4, 15], "base:allocation"];
  const headers = form === "simple" ? [] : [option(form === "structured" ? 8 : 11)];
  if (form !== "simple") headers.push(option(10, ...meta));
  return [bytesOf([4, 3]), ...headers, option(7, length, name, [2, 0])];
}

export class BareClient implements StreamEvents {
  stream: Stream | null = null;
  isClosed = false;
  /** While it is set, nothing is read from the stream. */
  isDeaf = false;
  private readonly arrived = new ByteQueue();
  private readonly unsent = new ByteQueue();
  private readonly replies = new Map<bigint, (reply: BareReply) => void>();
  private readonly lengths = new Map<bigint, { type: number; length: number; offset: number }>();
  private lastCookie = 0n;
  private isTransmitting = false;
  private form: BareForm = "simple";
  private onReady: () => void = () => {};

  /** Received bytes that are not parsed yet. Valid until more arrive. */
  get received(): Uint8Array<ArrayBuffer> {
    return this.arrived.bytes;
  }

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.flush();
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.arrived.push(chunk);
    if (this.isTransmitting) this.readReplies();
    else this.onReady();
  }

  onDrain(): void {
    this.flush();
  }

  onClose(): void {
    this.isClosed = true;
    this.onReady();
    const closed = { error: -1, data: new Uint8Array(0), extents: [] };
    for (const reply of this.replies.values()) reply(closed);
    this.replies.clear();
  }

  send(bytes: Uint8Array): void {
    this.unsent.push(bytes);
    this.flush();
  }

  /** Does the handshake. Negotiates base:allocation too, if the form of replies allows it. */
  async negotiate(options: { form: BareForm; name?: string }): Promise<void> {
    for (const bytes of greetingOf(options)) this.send(bytes);
    this.form = options.form;
    // GO is answered with NBD_INFO_EXPORT, NBD_INFO_BLOCK_SIZE and an ACK.
    while (!this.isClosed && !hasAck(this.received, 7)) {
      await new Promise<void>((resolve) => {
        this.onReady = resolve;
      });
    }
    this.isTransmitting = true;
    this.arrived.drop(this.received.length);
  }

  /** Resolves with the reply. Error -1: the stream is closed. */
  ask(it: Omit<BareRequest, "cookie">): Promise<BareReply> {
    this.lastCookie += 1n;
    // The upper word of the cookie is in use too.
    const cookie = (this.lastCookie << 32n) | (0xffff_ffffn - this.lastCookie);
    const [length, offset] = [Number(it.length), Number(it.offset)];
    this.lengths.set(cookie, { type: it.type, length, offset });
    return new Promise((resolve) => {
      if (this.isClosed) return resolve({ error: -1, data: new Uint8Array(0), extents: [] });
      this.replies.set(cookie, resolve);
      this.send(request({ ...it, cookie }, this.form));
    });
  }

  get waitingCount(): number {
    return this.replies.size;
  }

  private readReplies(): void {
    for (;;) {
      const used = this.readReply();
      if (used === 0) break;
      this.arrived.drop(used);
    }
  }

  /** @returns the length of the reply, or 0 when it is incomplete. Throws when it is no reply. */
  private readReply(): number {
    const { received } = this;
    const view = viewOf(received);
    if (received.length < 16) return 0;
    const magic = view.getUint32(0);
    if (magic === 0x67446698 && this.form !== "extended") {
      const error = view.getUint32(4);
      const cookie = view.getBigUint64(8);
      const { type, length } = this.requestOf(cookie);
      if (this.form === "structured" && (type === READ || type === BLOCK_STATUS)) {
        throw new Error("a simple reply to a request that needs chunks");
      }
      const dataBytes = type === READ && error === 0 ? length : 0;
      if (received.length < 16 + dataBytes) return 0;
      const data = received.slice(16, 16 + dataBytes);
      this.answer(cookie, { error, data, extents: [] });
      return 16 + dataBytes;
    }
    const isExtended = this.form === "extended";
    if (magic !== (isExtended ? 0x6e8a278c : 0x668e33ef) || this.form === "simple") {
      throw new Error(`no reply: ${magic.toString(16)}`);
    }
    const headerBytes = isExtended ? 32 : 20;
    if (received.length < headerBytes) return 0;
    const payloadBytes = isExtended ? Number(view.getBigUint64(24)) : view.getUint32(16);
    if (received.length < headerBytes + payloadBytes) return 0;
    if (view.getUint16(4) !== 1) throw new Error("a chunk that is not the last one");
    if (
      isExtended &&
      Number(view.getBigUint64(16)) !== this.requestOf(view.getBigUint64(8)).offset
    ) {
      throw new Error("a reply with another offset than its request");
    }
    this.readChunk(view, received.subarray(headerBytes, headerBytes + payloadBytes));
    return headerBytes + payloadBytes;
  }

  private readChunk(view: DataView, body: Uint8Array<ArrayBuffer>): void {
    const cookie = view.getBigUint64(8);
    const { length, offset } = this.requestOf(cookie);
    const nothing = { error: 0, data: new Uint8Array(0), extents: [] };
    const payload = viewOf(body);
    switch (view.getUint16(6)) {
      case 0:
        return this.answer(cookie, nothing);
      case 1: {
        const isRight = Number(payload.getBigUint64(0)) === offset && body.length === length + 8;
        if (!isRight) throw new Error("a chunk of another range");
        return this.answer(cookie, { ...nothing, data: body.slice(8) });
      }
      case 2: {
        const isRight =
          Number(payload.getBigUint64(0)) === offset && payload.getUint32(8) === length;
        if (!isRight || body.length !== 12) throw new Error("a hole of another range");
        return this.answer(cookie, { ...nothing, data: new Uint8Array(length) });
      }
      case 5: {
        const extents: Array<[number, number]> = [];
        for (let i = 4; i < body.length; i += 8) {
          extents.push([payload.getUint32(i), payload.getUint32(i + 4)]);
        }
        return this.answer(cookie, { ...nothing, extents });
      }
      case 6: {
        const extents: Array<[number, number]> = [];
        for (let i = 8; i < body.length; i += 16) {
          extents.push([Number(payload.getBigUint64(i)), Number(payload.getBigUint64(i + 8))]);
        }
        if (extents.length !== payload.getUint32(4))
          throw new Error("the count of extents is wrong");
        return this.answer(cookie, { ...nothing, extents });
      }
      case 0x8001:
        return this.answer(cookie, { ...nothing, error: payload.getUint32(0) });
      default:
        throw new Error(`a chunk of type ${view.getUint16(6)}`);
    }
  }

  private requestOf(cookie: bigint): { type: number; length: number; offset: number } {
    const request = this.lengths.get(cookie);
    if (request === undefined || !this.replies.has(cookie)) {
      throw new Error(`an unexpected or second reply: cookie ${cookie}`);
    }
    return request;
  }

  private answer(cookie: bigint, reply: BareReply): void {
    this.replies.get(cookie)?.(reply);
    this.replies.delete(cookie);
  }

  private flush(): void {
    if (this.stream === null) return;
    const { bytes } = this.unsent;
    this.unsent.drop(this.stream.write(bytes, 0, bytes.length));
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether the option was acknowledged. */
function hasAck(received: Uint8Array, option: number): boolean {
  const ack = bytesOf([8, 0x3e889045565a9n], [4, option], [4, 1], [4, 0]);
  return Buffer.from(received).includes(ack);
}
