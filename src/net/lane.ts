/**
 * One output lane of a channel: whole frames in the order in which they go out.
 *
 *     0          head                     tail       end
 *     | sent      | frames that wait       | room     |
 *                 ^ may lie inside a frame after a write that was taken in part
 *
 * The bytes are one array, written in place by whoever makes a frame and handed to the stream by
 * offset: no copy, no view. It starts small, doubles up to twice the bound, and is given back when
 * it was large and runs empty. Twice, so that bytes are moved to the front only once as many have
 * been sent as wait: at most one move a byte.
 */
import { assert } from "../core/assert.ts";
import { HEADER_BYTES, LANE_BYTES_MAX } from "../core/limits.ts";

const BYTES_AT_FIRST = 64 * 1024;
/**
 * An empty lane keeps this much: the longest frame fits, so that a steady flow of them allocates
 * nothing.
 */
const BYTES_KEPT = 2 * 1024 * 1024;
const CAPACITY_MAX = 2 * LANE_BYTES_MAX;
/** In a frame's header: where the length of its body stands (src/wire/PROTOCOL.md). */
const BODY_BYTES_OFFSET = 4;

export class Lane {
  bytes = new Uint8Array(BYTES_AT_FIRST);
  view = new DataView(this.bytes.buffer);
  head = 0;
  tail = 0;
  /** The start of some frame: walked on from by `frameEnd` until it is not before `head`. */
  private boundary = 0;

  /** Bytes that wait to go out. */
  get pendingBytes(): number {
    return this.tail - this.head;
  }

  /**
   * Makes room for `byteCount` more at `tail`. @returns false when the lane would grow over its
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

  /** Takes the frame that was written at `tail`. */
  append(byteCount: number): void {
    this.tail += byteCount;
    assert(this.tail <= this.bytes.byteLength);
  }

  /** The stream took `byteCount` bytes from `head`. */
  sent(byteCount: number): void {
    this.head += byteCount;
    assert(this.head <= this.tail);
    if (this.head < this.tail) return;
    this.head = 0;
    this.tail = 0;
    this.boundary = 0;
    if (this.bytes.byteLength > BYTES_KEPT) this.replace(BYTES_AT_FIRST);
  }

  /** Where the frame that `head` lies inside of ends; `head` itself when it is between frames. */
  frameEnd(): number {
    while (this.boundary < this.head) {
      this.boundary += HEADER_BYTES + this.view.getUint32(this.boundary + BODY_BYTES_OFFSET);
    }
    return this.boundary;
  }

  /** Drops the frames of which nothing was sent. */
  dropUnsent(): void {
    this.tail = this.frameEnd();
    this.sent(0);
  }

  /** Gives the memory back. Nothing may be appended afterwards. */
  close(): void {
    this.head = 0;
    this.tail = 0;
    this.boundary = 0;
    this.replace(0);
  }

  private makeRoom(byteCount: number): void {
    this.boundary = this.frameEnd() - this.head;
    const pending = this.pendingBytes;
    let capacity = this.bytes.byteLength;
    while (capacity < CAPACITY_MAX && capacity < 2 * (pending + byteCount)) capacity *= 2;
    const { bytes, head, tail } = this;
    if (capacity === bytes.byteLength) {
      bytes.copyWithin(0, head, tail);
    } else {
      this.replace(capacity);
      this.bytes.set(bytes.subarray(head, tail));
    }
    this.head = 0;
    this.tail = pending;
  }

  private replace(capacity: number): void {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }
}
