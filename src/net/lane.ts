/**
 * Lane: one output queue of a channel. It holds whole frames in the order in which they are sent.
 *
 *     0          head                     tail       end
 *     | sent      | frames that wait       | room     |
 *                 ^ may lie inside a frame after a write that was taken in part
 *
 * The bytes are in one pooled buffer. Frames are written in place and handed to the stream by
 * offset, so there is no copy and no view. The buffer is taken for the first frame, doubles up to
 * twice the bound, and is given back when the lane is empty. With twice the bound, bytes are moved
 * to the front only when at least as many were sent as wait. So each byte is moved at most once.
 */
import { assert } from "../core/assert.ts";
import { type BufferPool, NO_BUFFER, type PooledBuffer } from "../core/buffer-pool.ts";
import { HEADER_BYTES, LANE_BYTES_MAX } from "../core/limits.ts";

const CAPACITY_MAX = 2 * LANE_BYTES_MAX;
/** Offset of the body length in a frame's header (src/wire/PROTOCOL.md). */
const BODY_BYTES_OFFSET = 4;

export class Lane {
  private readonly pool: BufferPool;
  private buffer: PooledBuffer = NO_BUFFER;
  head = 0;
  tail = 0;
  /** The start of some frame; `frameEnd` moves it on until it is not before `head`. */
  private boundary = 0;

  constructor(pool: BufferPool) {
    this.pool = pool;
  }

  /** Valid until the lane is empty, or makes room. */
  get bytes(): Uint8Array {
    return this.buffer.bytes;
  }

  get view(): DataView {
    return this.buffer.view;
  }

  /** Bytes that wait to be sent. */
  get pendingBytes(): number {
    return this.tail - this.head;
  }

  /**
   * Makes room for `byteCount` more bytes at `tail`. @returns false when the lane would exceed its
   * bound.
   */
  reserve(byteCount: number): boolean {
    if (this.tail + byteCount <= this.bytes.byteLength) {
      return this.pendingBytes + byteCount <= LANE_BYTES_MAX;
    }
    if (this.pendingBytes + byteCount > LANE_BYTES_MAX) return false;
    this.makeRoom(byteCount);
    return true;
  }

  /** Adds the frame that was written at `tail`. */
  append(byteCount: number): void {
    this.tail += byteCount;
    assert(this.tail <= this.bytes.byteLength);
  }

  /** The stream took `byteCount` bytes from `head`. */
  sent(byteCount: number): void {
    this.head += byteCount;
    assert(this.head <= this.tail);
    if (this.head < this.tail) return;
    this.close();
  }

  /** The end of the frame that is sent in part. It is `head` when no frame is sent in part. */
  frameEnd(): number {
    while (this.boundary < this.head) {
      this.boundary += HEADER_BYTES + this.view.getUint32(this.boundary + BODY_BYTES_OFFSET);
    }
    return this.boundary;
  }

  /** Drops the frames that are not sent at all yet. */
  dropUnsent(): void {
    this.tail = this.frameEnd();
    this.sent(0);
  }

  /** Drops all frames and gives the buffer back. */
  close(): void {
    this.pool.give(this.emptied());
  }

  /** Drops all frames and the buffer. A caller may still be writing to the buffer. */
  abandon(): void {
    this.pool.forget(this.emptied());
  }

  private emptied(): PooledBuffer {
    const { buffer } = this;
    this.head = 0;
    this.tail = 0;
    this.boundary = 0;
    this.buffer = NO_BUFFER;
    return buffer;
  }

  private makeRoom(byteCount: number): void {
    this.boundary = this.frameEnd() - this.head;
    const pending = this.pendingBytes;
    const { bytes, head, tail } = this;
    if (pending > 0 && bytes.byteLength >= Math.min(CAPACITY_MAX, 2 * (pending + byteCount))) {
      bytes.copyWithin(0, head, tail);
    } else {
      const wanted = pending === 0 ? byteCount : 2 * (pending + byteCount);
      const larger = this.pool.take(Math.min(CAPACITY_MAX, wanted));
      if (pending > 0) larger.bytes.set(bytes.subarray(head, tail));
      this.pool.give(this.buffer);
      this.buffer = larger;
    }
    this.head = 0;
    this.tail = pending;
  }
}
