/**
 * A client of NBD made of bare bytes, for tests: the second writer and reader of the protocol,
 * with nothing of src/nbd in it. It sends what it is told to, right or wrong, and keeps what comes.
 */
import type { Stream, StreamEvents } from "../../src/net/transport.ts";

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const CACHE = 5;
export const WRITE_ZEROES = 6;
export const BLOCK_STATUS = 7;

/** Integers of so many bytes, and bytes or text as they are. */
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

export interface BareRequest {
  type: number;
  flags?: number;
  cookie: bigint;
  offset: number | bigint;
  length: number;
  data?: Uint8Array;
}

export function request(it: BareRequest): Uint8Array<ArrayBuffer> {
  const { type, flags = 0, cookie, offset, length, data = new Uint8Array(0) } = it;
  return bytesOf(
    [4, 0x25609513],
    [2, flags],
    [2, type],
    [8, cookie],
    [8, offset],
    [4, length],
    data,
  );
}

export interface BareReply {
  error: number;
  /** Of a read. */
  data: Uint8Array;
  /** Length and flags of each extent. */
  extents: Array<[number, number]>;
}

/** Both sides of the handshake for the first export; what follows are requests. */
export function greetingOf(options: { isStructured: boolean; name?: string }): Uint8Array[] {
  const { isStructured, name = "" } = options;
  const length: Piece = [4, name.length];
  const meta: readonly Piece[] = [length, name, [4, 1], [4, 15], "base:allocation"];
  const agreed = isStructured ? [option(8), option(10, ...meta)] : [];
  return [bytesOf([4, 3]), ...agreed, option(7, length, name, [2, 0])];
}

export class BareClient implements StreamEvents {
  stream: Stream | null = null;
  isClosed = false;
  /** Nothing is taken off the stream while it is set. */
  isDeaf = false;
  /** What came and was not understood yet. */
  received = new Uint8Array(0);
  private unsent = new Uint8Array(0);
  private readonly replies = new Map<bigint, (reply: BareReply) => void>();
  private readonly lengths = new Map<bigint, { type: number; length: number; offset: number }>();
  private lastCookie = 0n;
  private isTransmitting = false;
  private isStructured = false;
  private onReady: () => void = () => {};

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.flush();
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.received = bytesOf(this.received, chunk);
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
    this.unsent = bytesOf(this.unsent, bytes);
    this.flush();
  }

  /** Agrees on structured replies and base:allocation, or on neither, and goes on to requests. */
  async negotiate(options: { isStructured: boolean; name?: string }): Promise<void> {
    for (const bytes of greetingOf(options)) this.send(bytes);
    this.isStructured = options.isStructured;
    // GO is told by NBD_INFO_EXPORT, NBD_INFO_BLOCK_SIZE and the last ACK.
    while (!this.isClosed && !hasAck(this.received, 7)) {
      await new Promise<void>((resolve) => {
        this.onReady = resolve;
      });
    }
    this.isTransmitting = true;
    this.received = new Uint8Array(0);
  }

  /** Resolves with its reply; error -1: the stream is gone. */
  ask(it: Omit<BareRequest, "cookie">): Promise<BareReply> {
    this.lastCookie += 1n;
    // With all bits of the upper word in use, too.
    const cookie = (this.lastCookie << 32n) | (0xffff_ffffn - this.lastCookie);
    const { type, length } = it;
    this.lengths.set(cookie, { type, length, offset: Number(it.offset) });
    return new Promise((resolve) => {
      if (this.isClosed) return resolve({ error: -1, data: new Uint8Array(0), extents: [] });
      this.replies.set(cookie, resolve);
      this.send(request({ ...it, cookie }));
    });
  }

  get waitingCount(): number {
    return this.replies.size;
  }

  private readReplies(): void {
    let at = 0;
    for (;;) {
      const used = this.readReply(at);
      if (used === 0) break;
      at += used;
    }
    this.received = this.received.slice(at);
  }

  /** @returns its length, or 0 when it is not all here. Throws when it is no reply. */
  private readReply(at: number): number {
    const left = this.received.length - at;
    const view = new DataView(this.received.buffer, at);
    if (left < 16) return 0;
    const magic = view.getUint32(0);
    if (magic === 0x67446698) {
      const error = view.getUint32(4);
      const cookie = view.getBigUint64(8);
      const { type, length } = this.asked(cookie);
      if (this.isStructured && (type === READ || type === BLOCK_STATUS)) {
        throw new Error("a simple reply to a request that takes chunks");
      }
      const dataBytes = type === READ && error === 0 ? length : 0;
      if (left < 16 + dataBytes) return 0;
      const data = this.received.slice(at + 16, at + 16 + dataBytes);
      this.answer(cookie, { error, data, extents: [] });
      return 16 + dataBytes;
    }
    if (magic !== 0x668e33ef || !this.isStructured)
      throw new Error(`no reply: ${magic.toString(16)}`);
    if (left < 20 || left < 20 + view.getUint32(16)) return 0;
    if (view.getUint16(4) !== 1) throw new Error("a chunk that is not the last one");
    this.readChunk(at, view);
    return 20 + view.getUint32(16);
  }

  private readChunk(at: number, view: DataView): void {
    const cookie = view.getBigUint64(8);
    const payloadBytes = view.getUint32(16);
    const { length, offset } = this.asked(cookie);
    const nothing = { error: 0, data: new Uint8Array(0), extents: [] };
    switch (view.getUint16(6)) {
      case 0:
        return this.answer(cookie, nothing);
      case 1: {
        const isRight = Number(view.getBigUint64(20)) === offset && payloadBytes === length + 8;
        if (!isRight) throw new Error("a chunk of another range");
        const data = this.received.slice(at + 28, at + 20 + payloadBytes);
        return this.answer(cookie, { ...nothing, data });
      }
      case 2: {
        const isRight = Number(view.getBigUint64(20)) === offset && view.getUint32(28) === length;
        if (!isRight || payloadBytes !== 12) throw new Error("a hole of another range");
        return this.answer(cookie, { ...nothing, data: new Uint8Array(length) });
      }
      case 5: {
        const extents: Array<[number, number]> = [];
        for (let i = 24; i < 20 + payloadBytes; i += 8) {
          extents.push([view.getUint32(i), view.getUint32(i + 4)]);
        }
        return this.answer(cookie, { ...nothing, extents });
      }
      case 0x8001:
        return this.answer(cookie, { ...nothing, error: view.getUint32(20) });
      default:
        throw new Error(`a chunk of type ${view.getUint16(6)}`);
    }
  }

  private asked(cookie: bigint): { type: number; length: number; offset: number } {
    const asked = this.lengths.get(cookie);
    if (asked === undefined || !this.replies.has(cookie)) {
      throw new Error(`a reply to nothing, or the second one: ${cookie}`);
    }
    return asked;
  }

  private answer(cookie: bigint, reply: BareReply): void {
    this.replies.get(cookie)?.(reply);
    this.replies.delete(cookie);
  }

  private flush(): void {
    if (this.stream === null) return;
    const taken = this.stream.write(this.unsent, 0, this.unsent.length);
    this.unsent = this.unsent.slice(taken);
  }
}

/** Whether the option was acknowledged. */
export function hasAck(received: Uint8Array, option: number): boolean {
  const ack = bytesOf([8, 0x3e889045565a9n], [4, option], [4, 1], [4, 0]);
  return Buffer.from(received).includes(ack);
}
