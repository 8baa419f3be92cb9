/**
 * Framer: makes whole frames of a stream, however its bytes are split into chunks.
 *
 *     chunk:   | rest of a frame | frame | frame | first part of a frame |
 *               to assembly        in place         to assembly
 *
 * A frame that is whole in a chunk is passed on in place, without a copy. A split frame is
 * assembled in one buffer of a pool. The buffer is taken after the header was found valid, is as
 * long as the header declares, and is given back when the frame has been read.
 *
 * After an exception, of the framer or the sink, the position in the stream is lost: every later
 * push throws too.
 *
 * Not here: the bodies of messages (messages.ts).
 */
import { type BufferPool, NO_BUFFER, type PooledBuffer } from "../core/buffer-pool.ts";
import { WireError } from "../core/errors.ts";
import { BODY_BYTES_MAX, HEADER_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { HEADER, invalidHeader } from "./header.ts";

export interface FrameSink {
  /** `frame` is one object, filled again for every frame. It is valid only during the call. */
  onFrame(frame: Frame): void;
}

/** A message, in the bytes that it came in. */
export class Frame {
  bytes: Uint8Array = NO_BUFFER.bytes;
  view: DataView = NO_BUFFER.view;
  /** Where the header starts. */
  at = 0;
  type = 0;
  request = 0;
  flags = 0;
  transportStatus = 0;
  handlerStatus = 0;
  count = 0;
  bodyAt = 0;
  bodyBytes = 0;
}

export class Framer {
  /** A header that declares a longer body is refused. */
  bodyBytesMax = BODY_BYTES_MAX;
  private readonly sink: FrameSink;
  private readonly memory: Memory;
  private readonly pool: BufferPool;
  private readonly frame = new Frame();
  private readonly header = new Uint8Array(HEADER_BYTES);
  private readonly headerView = new DataView(this.header.buffer);
  /** The buffer of a frame that is being assembled. */
  private buffer: PooledBuffer = NO_BUFFER;
  /**
   * How many bytes are assembled, and how many there must be: those of the header, and then those
   * of the frame.
   */
  private have = 0;
  private want = HEADER_BYTES;
  /** True within push, and for ever after an exception there. */
  private isOutOfStep = false;
  private isPushing = false;
  private isClosed = false;

  constructor(sink: FrameSink, memory: Memory, pool: BufferPool) {
    this.sink = sink;
    this.memory = memory;
    this.pool = pool;
  }

  /**
   * Takes the next bytes of the stream. Throws WireError BAD_FRAME, or what the sink throws. The
   * stream must then be closed. The sink must not push.
   */
  push(chunk: Uint8Array): void {
    if (this.isOutOfStep) {
      throw new WireError("BAD_FRAME", "Cannot read message: an earlier one was not read");
    }
    this.isOutOfStep = true;
    this.isPushing = true;
    try {
      this.take(chunk);
      this.isOutOfStep = false;
    } finally {
      this.isPushing = false;
      if (this.isClosed) this.giveBack();
    }
  }

  /** Whether a frame has begun and is not complete. */
  get isWithin(): boolean {
    return this.have > 0;
  }

  /** Reads nothing more. The frame of the current call of the sink stays valid until it returns. */
  close(): void {
    this.isClosed = true;
    if (!this.isPushing) this.giveBack();
  }

  private take(chunk: Uint8Array): void {
    let at = this.have > 0 ? this.assemble(chunk) : 0;
    if (at === chunk.byteLength) return;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (chunk.byteLength - at >= HEADER_BYTES) {
      const frameBytes = this.checkedFrameBytes(view, at);
      if (chunk.byteLength - at < frameBytes) break;
      this.give(chunk, view, at);
      at += frameBytes;
    }
    if (at < chunk.byteLength) this.assemble(chunk, at);
  }

  /**
   * Adds bytes of the chunk from `start` to the frame in assembly. @returns where the rest begins.
   */
  private assemble(chunk: Uint8Array, start = 0): number {
    let at = start;
    while (at < chunk.byteLength) {
      const isHeader = this.want === HEADER_BYTES;
      const target = isHeader ? this.header : this.buffer.bytes;
      const count = Math.min(this.want - this.have, chunk.byteLength - at);
      this.memory.copy(target, this.have, chunk, at, count);
      this.have += count;
      at += count;
      if (this.have < this.want) return at;
      if (isHeader) {
        this.want = this.checkedFrameBytes(this.headerView, 0);
        if (this.want > HEADER_BYTES) {
          this.buffer = this.pool.take(this.want);
          this.memory.copy(this.buffer.bytes, 0, this.header, 0, HEADER_BYTES);
          continue;
        }
        this.give(this.header, this.headerView, 0);
      } else {
        this.give(this.buffer.bytes, this.buffer.view, 0);
      }
      this.have = 0;
      this.want = HEADER_BYTES;
      this.giveBack();
      return at;
    }
    return at;
  }

  private giveBack(): void {
    const { buffer } = this;
    this.buffer = NO_BUFFER;
    this.pool.give(buffer);
    // The last frame is not read any more, wherever its bytes were.
    this.frame.bytes = NO_BUFFER.bytes;
    this.frame.view = NO_BUFFER.view;
  }

  private checkedFrameBytes(view: DataView, at: number): number {
    const reason = invalidHeader(view, at);
    if (reason !== null) throw new WireError("BAD_FRAME", `Cannot read message: ${reason}`);
    const bodyBytes = view.getUint32(at + HEADER.BODY_BYTES);
    if (bodyBytes > this.bodyBytesMax) {
      const most = `more than ${this.bodyBytesMax} are not taken now`;
      throw new WireError("BAD_FRAME", `Cannot read message: ${bodyBytes} bytes, ${most}`);
    }
    return HEADER_BYTES + bodyBytes;
  }

  private give(bytes: Uint8Array, view: DataView, at: number): void {
    const { frame } = this;
    frame.bytes = bytes;
    frame.view = view;
    frame.at = at;
    frame.type = view.getUint8(at + HEADER.TYPE);
    frame.bodyBytes = view.getUint32(at + HEADER.BODY_BYTES);
    frame.request = view.getUint32(at + HEADER.REQUEST);
    frame.flags = view.getUint8(at + HEADER.FLAGS);
    frame.transportStatus = view.getUint8(at + HEADER.TRANSPORT_STATUS);
    frame.handlerStatus = view.getUint8(at + HEADER.HANDLER_STATUS);
    frame.count = view.getUint32(at + HEADER.COUNT);
    frame.bodyAt = at + HEADER_BYTES;
    this.sink.onFrame(frame);
  }
}
