/**
 * BufferPool: buffers of a door or of all links, taken for as long as bytes wait in them and given
 * back at once. A stream that is idle has none.
 *
 *     sizes:   4 KiB | 8 KiB | 16 KiB | ... | 8 MiB       powers of two
 *
 * A few that were given back are kept for the next who takes one; the others are freed, and not
 * left to the collector (buffers.ts says why).
 */
import { assert } from "./assert.ts";
import { freeBuffer } from "./buffers.ts";
import { BUFFER_BYTES_MIN, BUFFERS_KEPT_BYTES } from "./limits.ts";

/** A pool is busy when a part in so many of its limit is taken. */
const BUSY_PART = 4;

export class PooledBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;

  constructor(byteCount: number) {
    this.bytes = new Uint8Array(byteCount);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** Of who has none: no byte fits. */
export const NO_BUFFER = new PooledBuffer(0);

export class BufferPool {
  /** Bytes of the buffers that are taken. */
  usedBytes = 0;
  /** With more than `limitBytes` taken, those who wait are told when it is less again. */
  private readonly limitBytes: number;
  private readonly kept = new Map<number, PooledBuffer[]>();
  private keptBytes = 0;
  private readonly waiters = new Set<() => void>();

  constructor(limitBytes = Number.POSITIVE_INFINITY) {
    this.limitBytes = limitBytes;
  }

  /** So much is taken that one who keeps some for long should not take more. */
  get isBusy(): boolean {
    return this.usedBytes >= this.limitBytes / BUSY_PART;
  }

  /** No more should be taken now. Who has to may: nothing is refused here. */
  get isFull(): boolean {
    return this.usedBytes >= this.limitBytes;
  }

  /** Far more is taken than there should be. */
  get isOverflowing(): boolean {
    return this.usedBytes >= 2 * this.limitBytes;
  }

  /** Its bytes are whatever was in it before. */
  take(byteCount: number): PooledBuffer {
    const size = sizeFor(byteCount);
    this.usedBytes += size;
    const buffer = this.kept.get(size)?.pop();
    if (buffer === undefined) return new PooledBuffer(size);
    this.keptBytes -= size;
    return buffer;
  }

  give(buffer: PooledBuffer): void {
    const { byteLength: size } = buffer.bytes;
    if (size === 0) return;
    this.forget(buffer);
    if (this.keptBytes + size > BUFFERS_KEPT_BYTES) return freeBuffer(buffer.bytes);
    const same = this.kept.get(size) ?? [];
    if (same.length === 0) this.kept.set(size, same);
    same.push(buffer);
    this.keptBytes += size;
  }

  /** It is taken no longer, but somebody may still write to it: it is left to the collector. */
  forget(buffer: PooledBuffer): void {
    this.usedBytes -= buffer.bytes.byteLength;
    assert(this.usedBytes >= 0);
    if (this.waiters.size === 0 || this.isFull) return;
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const waiter of waiters) waiter();
  }

  /** `waiter` is called once, when it is full no longer. */
  whenRoom(waiter: () => void): void {
    this.waiters.add(waiter);
  }

  /** `waiter` waits no more. */
  leave(waiter: () => void): void {
    this.waiters.delete(waiter);
  }
}

function sizeFor(byteCount: number): number {
  let size = BUFFER_BYTES_MIN;
  while (size < byteCount) size *= 2;
  return size;
}
