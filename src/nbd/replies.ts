/**
 * Replies of the transmission phase, written to the output: simple replies, and chunks where the
 * client negotiated structured replies or extended headers.
 *
 *     read    beginRead --> the handler fills the target --> finishRead
 *
 * A reply with data is always one chunk. It is complete before its first byte is sent, so an error
 * can never come too late. Only this file knows how long headers are, and where they go.
 */
import type { Memory } from "../core/memory.ts";
import type { KeptRequest } from "./kept-request.ts";
import type { Output } from "./output.ts";
import {
  BASE_ALLOCATION_ID,
  CHUNK,
  CHUNK_BYTES,
  CHUNK_FLAG_DONE,
  CHUNK_MAGIC,
  CHUNK_OFFSET_BYTES,
  COMMAND,
  COMMAND_FLAG,
  ERRNO,
  type Errno,
  EXTENDED_CHUNK_BYTES,
  EXTENDED_CHUNK_MAGIC,
  FORM,
  type Form,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
} from "./protocol.ts";
import type { Answered, Request } from "./request.ts";

/** Where the data of a read goes: `bytes` from `at` on. */
export interface ReadTarget {
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** Length and flags of each extent, alternating. */
export type Extents = readonly number[];

export class Replies implements ReadTarget {
  form: Form = FORM.SIMPLE;
  /** ReadTarget, after `beginRead`. */
  at = 0;
  private readonly output: Output;
  private readonly memory: Memory;

  constructor(output: Output, memory: Memory) {
    this.output = output;
    this.memory = memory;
  }

  /** A reply without data: success, or an error. */
  empty(request: Answered, error: Errno): void {
    if (!this.needsChunk(request.type)) this.simple(request, error);
    else if (error === ERRNO.OK) this.chunk(CHUNK.NONE, request, 0);
    else this.errorChunk(request, error);
  }

  get bytes(): Uint8Array {
    return this.output.bytes;
  }

  /**
   * Begins the reply to a read. @returns a target with room for `byteCount` bytes, valid until the
   * next reply. Nothing is sent before `finishRead`, so a reply can also be given up.
   */
  beginRead(byteCount: number): ReadTarget {
    const { readHeaderBytes } = this;
    this.output.reserve(readHeaderBytes + byteCount);
    this.at = this.output.tail + readHeaderBytes;
    return this;
  }

  /** Sends what is in the target: the requested bytes behind the first `skippedBytes` of it. */
  finishRead(request: Answered, skippedBytes: number): void {
    const { output, at } = this;
    const from = at + skippedBytes;
    if (from > at) output.bytes.copyWithin(at, from, from + request.byteCount);
    this.writeReadHeader(output.view, output.tail, request);
    output.commit(this.readHeaderBytes + request.byteCount);
  }

  /** Sends the data of a kept read. @returns whether from its buffer: `onSent` follows. */
  keptRead(kept: KeptRequest): boolean {
    if (kept.isShort) {
      const { bytes, at } = this.beginRead(kept.byteCount);
      this.memory.copy(bytes, at, kept.bytes, kept.at, kept.byteCount);
      this.finishRead(kept, 0);
      return false;
    }
    kept.at -= this.readHeaderBytes;
    this.writeReadHeader(new DataView(kept.bytes.buffer), kept.at, kept);
    this.output.addSeparate(kept);
    return true;
  }

  /** Answers a read of nothing but zeros. @returns false where the client takes no holes. */
  hole(request: Request): boolean {
    if (!this.isStructured || request.has(COMMAND_FLAG.DF)) return false;
    const at = this.chunk(CHUNK.OFFSET_HOLE, request, CHUNK_OFFSET_BYTES + 4);
    writeOffset(this.output.view, at, request);
    this.output.view.setUint32(at + CHUNK_OFFSET_BYTES, request.byteCount);
    return true;
  }

  blockStatus(request: Answered, extents: Extents): void {
    if (this.form === FORM.EXTENDED) return this.blockStatusExt(request, extents);
    let at = this.chunk(CHUNK.BLOCK_STATUS, request, 4 + 4 * extents.length);
    this.output.view.setUint32(at, BASE_ALLOCATION_ID);
    for (const word of extents) {
      at += 4;
      this.output.view.setUint32(at, word);
    }
  }

  private blockStatusExt(request: Answered, extents: Extents): void {
    let at = this.chunk(CHUNK.BLOCK_STATUS_EXT, request, 8 + 8 * extents.length);
    const { view } = this.output;
    view.setUint32(at, BASE_ALLOCATION_ID);
    view.setUint32(at + 4, extents.length / 2);
    for (const value of extents) {
      at += 8;
      view.setUint32(at, Math.floor(value / 0x1_0000_0000));
      view.setUint32(at + 4, value >>> 0);
    }
  }

  private get isStructured(): boolean {
    return this.form >= FORM.STRUCTURED;
  }

  /** Bytes in front of the data of a read. */
  private get readHeaderBytes(): number {
    return this.isStructured ? this.chunkBytes + CHUNK_OFFSET_BYTES : SIMPLE_REPLY_BYTES;
  }

  private writeReadHeader(view: DataView, at: number, request: Answered): void {
    if (!this.isStructured) {
      writeSimple(view, at, request, ERRNO.OK);
      return;
    }
    this.writeChunk(view, at, CHUNK.OFFSET_DATA, request, CHUNK_OFFSET_BYTES + request.byteCount);
    writeOffset(view, at + this.chunkBytes, request);
  }

  /** Commands whose replies carry data are answered in chunks, and so are their errors. */
  private needsChunk(type: number): boolean {
    if (this.form === FORM.EXTENDED) return true;
    return this.isStructured && (type === COMMAND.READ || type === COMMAND.BLOCK_STATUS);
  }

  private simple(request: Answered, error: Errno): void {
    const { output } = this;
    output.reserve(SIMPLE_REPLY_BYTES);
    writeSimple(output.view, output.tail, request, error);
    output.commit(SIMPLE_REPLY_BYTES);
  }

  private errorChunk(request: Answered, error: Errno): void {
    const at = this.chunk(CHUNK.ERROR, request, 6);
    this.output.view.setUint32(at, error);
    this.output.view.setUint16(at + 4, 0);
  }

  /** The one chunk of a reply. @returns where its payload goes. */
  private chunk(type: number, request: Answered, payloadBytes: number): number {
    const { output } = this;
    const { chunkBytes } = this;
    output.reserve(chunkBytes + payloadBytes);
    const { tail } = output;
    this.writeChunk(output.view, tail, type, request, payloadBytes);
    output.commit(chunkBytes + payloadBytes);
    return tail + chunkBytes;
  }

  private get chunkBytes(): number {
    return this.form === FORM.EXTENDED ? EXTENDED_CHUNK_BYTES : CHUNK_BYTES;
  }

  private writeChunk(
    view: DataView,
    at: number,
    type: number,
    request: Answered,
    payloadBytes: number,
  ): void {
    const isExtended = this.form === FORM.EXTENDED;
    view.setUint32(at, isExtended ? EXTENDED_CHUNK_MAGIC : CHUNK_MAGIC);
    view.setUint16(at + 4, CHUNK_FLAG_DONE);
    view.setUint16(at + 6, type);
    view.setInt32(at + 8, request.cookieHi);
    view.setInt32(at + 12, request.cookieLo);
    if (isExtended) {
      writeOffset(view, at + 16, request);
      view.setUint32(at + 24, 0);
    }
    view.setUint32(at + this.chunkBytes - 4, payloadBytes);
  }
}

function writeSimple(view: DataView, at: number, request: Answered, error: Errno): void {
  view.setUint32(at, SIMPLE_REPLY_MAGIC);
  view.setUint32(at + 4, error);
  view.setInt32(at + 8, request.cookieHi);
  view.setInt32(at + 12, request.cookieLo);
}

function writeOffset(view: DataView, at: number, request: Answered): void {
  view.setUint32(at, request.offsetHi);
  view.setUint32(at + 4, request.offsetLo);
}
