/**
 * Replies of the transmission phase, written to the output: simple ones, and chunks where these
 * were agreed upon and are called for.
 *
 * A reply with data is one chunk: it is complete before its first byte leaves, so that an error can
 * never come too late.
 */
import type { Output } from "./output.ts";
import {
  BASE_ALLOCATION_ID,
  CHUNK,
  CHUNK_BYTES,
  CHUNK_FLAG_DONE,
  CHUNK_MAGIC,
  CHUNK_OFFSET_BYTES,
  COMMAND,
  ERRNO,
  type Errno,
  EXTENDED_CHUNK_BYTES,
  EXTENDED_CHUNK_MAGIC,
  FORM,
  type Form,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
} from "./protocol.ts";

/** Which request is answered. */
export interface Answered {
  readonly type: number;
  readonly cookieHi: number;
  readonly cookieLo: number;
  readonly offsetHi: number;
  readonly offsetLo: number;
  readonly byteCount: number;
}

/** In front of the data of a read, at most. */
export const READ_HEADER_BYTES_MAX = EXTENDED_CHUNK_BYTES + CHUNK_OFFSET_BYTES;

/** Length and flags of each extent, by turns. */
export type Extents = readonly number[];

export class Replies {
  form: Form = FORM.SIMPLE;
  private readonly output: Output;

  constructor(output: Output) {
    this.output = output;
  }

  get isStructured(): boolean {
    return this.form >= FORM.STRUCTURED;
  }

  /** A reply without data: it is done, or why not. */
  empty(request: Answered, error: Errno): void {
    if (!this.needsChunk(request.type)) this.simple(request, error);
    else if (error === ERRNO.OK) this.chunk(CHUNK.NONE, request, 0);
    else this.errorChunk(request, error);
  }

  /** What stands in front of the data of a read. */
  get readHeaderBytes(): number {
    return this.isStructured ? this.chunkBytes + CHUNK_OFFSET_BYTES : SIMPLE_REPLY_BYTES;
  }

  /** Writes that: `view` at `at`. The data follows it. */
  writeReadHeader(view: DataView, at: number, request: Answered): void {
    if (!this.isStructured) {
      writeSimple(view, at, request, ERRNO.OK);
      return;
    }
    this.writeChunk(view, at, CHUNK.OFFSET_DATA, request, CHUNK_OFFSET_BYTES + request.byteCount);
    writeOffset(view, at + this.chunkBytes, request);
  }

  /** To a read, where chunks are agreed upon: all of it is zeros. */
  hole(request: Answered): void {
    const at = this.chunk(CHUNK.OFFSET_HOLE, request, CHUNK_OFFSET_BYTES + 4);
    writeOffset(this.output.view, at, request);
    this.output.view.setUint32(at + CHUNK_OFFSET_BYTES, request.byteCount);
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

  /** Two commands have replies with data, and have to be answered in chunks, errors included. */
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
