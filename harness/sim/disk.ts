/**
 * SimDisk: a disk under virtual time that can be slow, full or failing, and can flip stored bits.
 * All settings may change at run time.
 *
 * Bytes are read and written when an operation ends. Code that touches an array before that, or
 * reads a range that is being written, sees what a real disk would give. A failed write has written
 * a part.
 */
import { assert } from "../../src/core/assert.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Disk, DiskError, DiskRoom, DiskSink } from "../../src/core/disk.ts";
import { below, type Random } from "../../src/core/random.ts";

export interface DiskTroubles {
  /** Every operation takes between this long and twice as long. */
  latencyMs: number;
  /** Percent of reads and of writes that fail. */
  readFailPercent: number;
  writeFailPercent: number;
  /** No byte is written from this offset on: the file system is full. */
  bytesMax: number;
  /** A full disk does not report that it is full: a quota. */
  hidesRoom: boolean;
}

export const NO_TROUBLES: DiskTroubles = {
  latencyMs: 0.05,
  readFailPercent: 0,
  writeFailPercent: 0,
  bytesMax: Number.POSITIVE_INFINITY,
  hidesRoom: false,
};

const BROKEN: DiskError = { isFull: false, reason: "input/output error" };
const ENDS_BEFORE: DiskError = { isFull: false, reason: "the file is too short" };
const FULL: DiskError = { isFull: true, reason: "no space left on the device" };

const BLOCK_BYTES = 64 * 1024;
const PLENTY_BYTES = 2 ** 44;

export class SimDisk implements Disk {
  readonly troubles: DiskTroubles = { ...NO_TROUBLES };
  /** The present length of the file, and its greatest length so far. */
  byteCount = 0;
  byteCountMax = 0;
  isClosed = false;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly blocks = new Map<number, Uint8Array>();

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  read(
    position: number,
    target: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void {
    assert(at + byteCount <= target.byteLength);
    this.later(sink, token, () => {
      if (this.fails(this.troubles.readFailPercent)) return BROKEN;
      if (position + byteCount > this.byteCount) return ENDS_BEFORE;
      for (let i = 0; i < byteCount; i += 1) target[at + i] = this.byteAt(position + i);
      return null;
    });
  }

  write(
    position: number,
    source: Uint8Array,
    at: number,
    byteCount: number,
    sink: DiskSink,
    token: number,
  ): void {
    assert(at + byteCount <= source.byteLength);
    this.later(sink, token, () => {
      const room = Math.max(0, this.troubles.bytesMax - position);
      const fails = this.fails(this.troubles.writeFailPercent);
      const written = Math.min(fails ? below(this.random, byteCount) : byteCount, room);
      for (let i = 0; i < written; i += 1) this.setByte(position + i, source[at + i] ?? 0);
      this.byteCount = Math.max(this.byteCount, written === 0 ? 0 : position + written);
      this.byteCountMax = Math.max(this.byteCountMax, this.byteCount);
      if (fails) return BROKEN;
      return written < byteCount ? FULL : null;
    });
  }

  truncate(byteCount: number, sink: DiskSink, token: number): void {
    this.later(sink, token, () => {
      this.byteCount = byteCount;
      for (const block of this.blocks.keys()) {
        if (block * BLOCK_BYTES >= byteCount) this.blocks.delete(block);
      }
      const last = this.blocks.get(Math.floor(byteCount / BLOCK_BYTES));
      last?.fill(0, byteCount % BLOCK_BYTES);
      return null;
    });
  }

  readRoom(onRoom: (room: DiskRoom | null) => void): void {
    this.clock.after(this.troubles.latencyMs, () => {
      const { bytesMax, hidesRoom } = this.troubles;
      const availableBytes = Math.max(0, (hidesRoom ? PLENTY_BYTES : bytesMax) - this.byteCount);
      const room = { allocatedBytes: this.byteCount, availableBytes };
      if (!this.isClosed) onRoom({ ...room, lengthMax: Number.POSITIVE_INFINITY });
    });
  }

  close(): void {
    this.isClosed = true;
    this.blocks.clear();
  }

  /** Flips one bit in about one of `every` stored bytes, at random. */
  flipBits(every: number): void {
    for (let at = below(this.random, every); at < this.byteCount; ) {
      this.setByte(at, this.byteAt(at) ^ (1 << below(this.random, 8)));
      at += 1 + below(this.random, 2 * every);
    }
  }

  private fails(percent: number): boolean {
    return percent > 0 && below(this.random, 100) < percent;
  }

  private later(sink: DiskSink, token: number, work: () => DiskError | null): void {
    const { latencyMs } = this.troubles;
    const delayMs = latencyMs * (1 + below(this.random, 1000) / 1000);
    this.clock.after(delayMs, () => {
      if (!this.isClosed) sink.onDisk(token, work());
    });
  }

  private byteAt(position: number): number {
    return this.blocks.get(Math.floor(position / BLOCK_BYTES))?.[position % BLOCK_BYTES] ?? 0;
  }

  private setByte(position: number, byte: number): void {
    const index = Math.floor(position / BLOCK_BYTES);
    const block = this.blocks.get(index) ?? new Uint8Array(BLOCK_BYTES);
    this.blocks.set(index, block);
    block[position % BLOCK_BYTES] = byte;
  }
}
