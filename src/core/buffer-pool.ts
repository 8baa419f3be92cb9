/**
 * BufferPool: the buffers of a door, or of all links. A buffer is taken while bytes wait in it, and
 * given back at once. An idle stream has none.
 *
 *     sizes:   4 KiB | 8 KiB | 16 KiB | ... | 8 MiB       powers of two
 *
 * A few buffers are kept for the next caller. The others are freed at once and not
 * left to the collector (buffers.ts says why).
 */
import { assert } from "./assert.ts";
import { freeBuffer } from "./buffers.ts";
import { BUFFER_BYTES_MIN, BUFFERS_KEPT_BYTES } from "./limits.ts";

/** A pool is busy when one part in this many of its limit is taken. */
const BUSY_PART = 4;

export class PooledBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;

  constructor(byteCount: number) {
    this.bytes = new Uint8Array(byteCount);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** Stands for no buffer: no byte fits. */
export const NO_BUFFER = new PooledBuffer(0);

export class BufferPool {
  /** Bytes of the buffers that are taken. */
  usedBytes = 0;
  /** Waiters are called when what is taken falls to this again. */
  private readonly limitBytes: number;
  private readonly keptBytesMax: number;
  private readonly kept = new Map<number, PooledBuffer[]>();
  private keptBytes = 0;
  private readonly waiters = new Set<() => void>();

  constructor(limitBytes = Number.POSITIVE_INFINITY, keptBytesMax = BUFFERS_KEPT_BYTES) {
    this.limitBytes = limitBytes;
    this.keptBytesMax = keptBytesMax;
  }

  /** Whether a caller that keeps buffers for long should take no more. */
  get isBusy(): boolean {
    return this.usedBytes >= this.limitBytes / BUSY_PART;
  }

  /** Whether no more should be taken now. Nothing is refused here. */
  get isFull(): boolean {
    return this.usedBytes >= this.limitBytes;
  }

  /** Whether far more is taken than the limit. */
  get isOverflowing(): boolean {
    return this.usedBytes >= 2 * this.limitBytes;
  }

  /** Takes a buffer of unspecified content. */
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
    if (this.keptBytes + size > this.keptBytesMax) return freeBuffer(buffer.bytes);
    const same = this.kept.get(size) ?? [];
    if (same.length === 0) this.kept.set(size, same);
    same.push(buffer);
    this.keptBytes += size;
  }

  /** Gives up a buffer that may still be written to. It is left to the collector. */
  forget(buffer: PooledBuffer): void {
    this.usedBytes -= buffer.bytes.byteLength;
    assert(this.usedBytes >= 0);
    if (this.waiters.size === 0 || this.isFull) return;
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const waiter of waiters) waiter();
  }

  /** Calls `waiter` once, when the pool is no longer full. */
  whenRoom(waiter: () => void): void {
    this.waiters.add(waiter);
  }

  /** Removes `waiter`, which is then not called. */
  leave(waiter: () => void): void {
    this.waiters.delete(waiter);
  }
}

function sizeFor(byteCount: number): number {
  let size = BUFFER_BYTES_MIN;
  while (size < byteCount) size *= 2;
  return size;
}
