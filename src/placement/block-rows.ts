/**
 * BlockRows: the rows of blocks, and what is in their frames.
 *
 * A block has up to FRAMES_MAX frames, which need not be side by side. Offsets run through all of
 * them, so a zpage may begin in one frame and end in the next.
 *
 *     0                                                                 frames * FRAME_BYTES
 *     | slot 0 | slot 1 | ...  >   gap   < low | zpage | hole | zpage | zpage | hole |
 *
 * A slot is a word: where a zpage is, and how old it is. 0 is an empty slot.
 *
 *     bits 0-10   offset of the zpage's header, in units of 8 bytes
 *     bits 11-23  bytes of the zpage, 1 .. 4096
 *     bits 24-29  epoch (ages.ts)
 *     bit  30     leaving
 *     bit  31     settled: ColdZpages passes over it. The word is negative.
 *
 * A whole page is a block of one frame without a slot table. Its row has its slot, record and
 * checksum.
 *
 * In kept memory a successor needs frames and slots of each block (core/journal.ts). It counts room
 * and holes again. The age of a slot, and whether it is leaving or settled, is changed without the
 * journal: either value will do.
 *
 * Not here: which block a zpage goes to, and when blocks change (blocks.ts).
 */
import { assert } from "../core/assert.ts";
import type { Kind } from "../core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { Table } from "../core/table.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import { EPOCH_BITS } from "./ages.ts";
import { HEADER_BYTES, headerPage } from "./placement.ts";

export const FRAMES_MAX = 4;
export const BLOCK_BYTES_MAX = FRAMES_MAX * FRAME_BYTES;
/** A block has at most this many zpages: 64 bytes each if it is full of them. */
export const SLOTS_MAX = 64;
export const SLOT_BITS = 6;
const UNIT = 8;
/** Where in the scratch array a single slot goes: behind a whole table. */
const ONE_SLOT_AT = SLOTS_MAX * 4;
/** Where a header goes there. */
const HEADER_AT = ONE_SLOT_AT + UNIT;

// Words of a row: 40 bytes. PREV and NEXT link the list by free bytes; NEXT also that of free rows.
// HOLE_PREV and HOLE_NEXT link the list by the largest hole.
const NEXT = 0;
const PREV = 1;
const SHAPE = 2;
const ROOM = 3;
const HOLE_NEXT = 4;
const HOLE_PREV = 5;
const FRAME = 6;
const WORDS_PER_BLOCK = FRAME + FRAMES_MAX;
/** In row 0, which is no block: the epoch that ages of slots count from (ages.ts). */
const EPOCH = ROOM;
// Of a whole page, in place of the frames that it does not have.
const WHOLE_SLOT = FRAME + 1;
const WHOLE_PAGE = FRAME + 2;
const WHOLE_CHECKSUM = FRAME + 3;

export const LIST_WORDS = { prev: PREV, next: NEXT };
export const HOLE_LIST_WORDS = { prev: HOLE_PREV, next: HOLE_NEXT };

// Fields of SHAPE. 0: the row is free.
const USED_BIT = 1;
const KIND_SHIFT = 1;
const WHOLE_BIT = 1 << 2;
const FRAMES_SHIFT = 3;
const FRAMES_MASK = 0x7;
const SLOTS_SHIFT = 6;
const LIVE_SHIFT = 13;
const COUNT_MASK = 0x7f;
/** The largest hole, in units, to the end of the word. */
const HOLE_SHIFT = 20;
const BELOW_HOLE = (1 << HOLE_SHIFT) - 1;
// Fields of ROOM: free bytes, and the lowest offset of a zpage.
const ROOM_BITS = 15;
const ROOM_MASK = (1 << ROOM_BITS) - 1;

assert(BLOCK_BYTES_MAX / UNIT < 1 << (32 - HOLE_SHIFT) && LIVE_SHIFT + 7 === HOLE_SHIFT);
assert(BLOCK_BYTES_MAX <= ROOM_MASK && SLOTS_MAX <= COUNT_MASK && SLOTS_MAX === 1 << SLOT_BITS);

// Fields of a slot.
const OFFSET_MASK = 0x7ff;
const SIZE_SHIFT = 11;
const SIZE_MASK = 0x1fff;
const EPOCH_SHIFT = 24;
const EPOCH_MASK = ((1 << EPOCH_BITS) - 1) << EPOCH_SHIFT;
export const LEAVING_BIT = 1 << 30;
export const SETTLED_BIT = 1 << 31;

assert(BLOCK_BYTES_MAX / UNIT <= OFFSET_MASK + 1 && PAGE_BYTES <= SIZE_MASK);

export function slotOf(offset: number, zpageBytes: number, epoch: number): number {
  return (offset / UNIT) | (zpageBytes << SIZE_SHIFT) | (epoch << EPOCH_SHIFT);
}

export function slotOffset(slot: number): number {
  return (slot & OFFSET_MASK) * UNIT;
}

export function slotZpageBytes(slot: number): number {
  return (slot >>> SIZE_SHIFT) & SIZE_MASK;
}

/** Bytes of header and zpage in their block. */
export function slotBytes(slot: number): number {
  return bytesFor(slotZpageBytes(slot));
}

export function slotEpoch(slot: number): number {
  return (slot & EPOCH_MASK) >>> EPOCH_SHIFT;
}

export function withOffset(slot: number, offset: number): number {
  return (slot & ~OFFSET_MASK) | (offset / UNIT);
}

export function withZpageBytes(slot: number, zpageBytes: number): number {
  return (slot & ~(SIZE_MASK << SIZE_SHIFT)) | (zpageBytes << SIZE_SHIFT);
}

export function withEpoch(slot: number, epoch: number): number {
  return (slot & ~EPOCH_MASK) | (epoch << EPOCH_SHIFT);
}

export function isLeaving(slot: number): boolean {
  return (slot & LEAVING_BIT) !== 0;
}

export function isSettled(slot: number): boolean {
  return (slot & SETTLED_BIT) !== 0;
}

/** Bytes of header and zpage in a block, in whole units. */
export function bytesFor(zpageBytes: number): number {
  return (HEADER_BYTES + zpageBytes + UNIT - 1) & -UNIT;
}

/** Bytes of a table of `count` slots, in whole units. */
export function tableBytes(count: number): number {
  return (count * 4 + UNIT - 1) & -UNIT;
}

export class BlockRows extends Table {
  /** The slots of the block that `readSlots` was called for. */
  readonly slots: Int32Array;
  private readonly slotBytes: Uint8Array;
  private readonly frames: FramePool;

  constructor(memory: Memory, frames: FramePool) {
    const { frameCountMax, pinned } = frames;
    const pinnedRows = pinned ? frameCountMax : 0;
    super(memory, {
      rowCountMax: frameCountMax,
      wordsPerRow: WORDS_PER_BLOCK,
      pinnedRows,
      name: "blocks",
    });
    this.frames = frames;
    // A page long, so that its address is known (ffi-memory.ts).
    this.slots = new Int32Array(PAGE_BYTES / 4);
    this.slotBytes = new Uint8Array(this.slots.buffer);
  }

  /** A new row: a block without frames, or a whole page. 0: there is none. */
  takeBlock(kind: Kind, isWhole: boolean): number {
    const row = this.take();
    if (row === 0) return 0;
    const whole = isWhole ? WHOLE_BIT : 0;
    this.setKept(row, SHAPE, USED_BIT | (kind << KIND_SHIFT) | whole);
    this.set(row, ROOM, 0);
    return row;
  }

  /** The block of a predecessor is not good. */
  clearBlock(row: number): void {
    this.setKept(row, SHAPE, 0);
  }

  /** The epoch, for a successor. */
  get epoch(): number {
    return this.get(0, EPOCH) & ((1 << EPOCH_BITS) - 1);
  }

  set epoch(epoch: number) {
    this.set(0, EPOCH, epoch);
  }

  giveBlock(row: number): void {
    this.setKept(row, SHAPE, 0);
    this.give(row);
  }

  isUsed(row: number): boolean {
    return this.get(row, SHAPE) !== 0;
  }

  isWhole(row: number): boolean {
    return (this.get(row, SHAPE) & WHOLE_BIT) !== 0;
  }

  kind(row: number): Kind {
    return ((this.get(row, SHAPE) >>> KIND_SHIFT) & 1) as Kind;
  }

  frameCount(row: number): number {
    return (this.get(row, SHAPE) >>> FRAMES_SHIFT) & FRAMES_MASK;
  }

  slotCount(row: number): number {
    return (this.get(row, SHAPE) >>> SLOTS_SHIFT) & COUNT_MASK;
  }

  /** One past the last slot, also of a whole page. */
  slotEnd(row: number): number {
    return this.isWhole(row) ? 1 : this.slotCount(row);
  }

  liveCount(row: number): number {
    return (this.get(row, SHAPE) >>> LIVE_SHIFT) & COUNT_MASK;
  }

  setFrameCount(row: number, count: number): void {
    this.setShape(row, FRAMES_SHIFT, FRAMES_MASK, count);
  }

  setSlotCount(row: number, count: number): void {
    if (count !== this.slotCount(row)) this.setShape(row, SLOTS_SHIFT, COUNT_MASK, count);
  }

  /** A successor counts again. */
  setLiveCount(row: number, count: number): void {
    const shape = this.get(row, SHAPE) & ~(COUNT_MASK << LIVE_SHIFT);
    this.set(row, SHAPE, shape | (count << LIVE_SHIFT));
  }

  /** Bytes that neither zpages nor the slot table use. */
  freeBytes(row: number): number {
    return this.get(row, ROOM) & ROOM_MASK;
  }

  /** No zpage lies below this offset. The lowest one may lie above it. */
  low(row: number): number {
    return this.get(row, ROOM) >>> ROOM_BITS;
  }

  setRoom(row: number, freeBytes: number, low: number): void {
    this.set(row, ROOM, freeBytes | (low << ROOM_BITS));
  }

  /** Bytes between the slot table and the lowest zpage. Negative: the table has run into them. */
  gap(row: number): number {
    return this.low(row) - tableBytes(this.slotCount(row));
  }

  /** Some hole between zpages, or behind them, has so many bytes. */
  hole(row: number): number {
    return (this.get(row, SHAPE) >>> HOLE_SHIFT) * UNIT;
  }

  /** A successor looks again. */
  setHole(row: number, bytes: number): void {
    this.set(row, SHAPE, (this.get(row, SHAPE) & BELOW_HOLE) | ((bytes / UNIT) << HOLE_SHIFT));
  }

  frame(row: number, index: number): number {
    return this.get(row, FRAME + index);
  }

  setFrame(row: number, index: number, frame: number): void {
    this.setKept(row, FRAME + index, frame);
  }

  // Slots.

  slot(row: number, index: number): number {
    if (this.isWhole(row)) return this.get(row, WHOLE_SLOT);
    this.frames.read(this.get(row, FRAME), index * 4, this.slotBytes, ONE_SLOT_AT, 4);
    return this.slots[ONE_SLOT_AT / 4] ?? 0;
  }

  setSlot(row: number, index: number, slot: number): void {
    if (this.isWhole(row)) this.setKept(row, WHOLE_SLOT, slot);
    else this.frames.setKept(this.get(row, FRAME), index * 4, slot);
  }

  /** Sets the slot to one that differs in age, or in the bits for leaving and settled. */
  markSlot(row: number, index: number, slot: number): void {
    if (this.isWhole(row)) {
      this.set(row, WHOLE_SLOT, slot);
      return;
    }
    this.slots[ONE_SLOT_AT / 4] = slot;
    this.frames.write(this.get(row, FRAME), index * 4, this.slotBytes, ONE_SLOT_AT, 4);
  }

  /** Fills `slots` with those of the row. @returns how many there are. */
  readSlots(row: number): number {
    if (this.isWhole(row)) {
      this.slots[0] = this.get(row, WHOLE_SLOT);
      return 1;
    }
    const count = this.slotCount(row);
    if (count > 0) this.frames.read(this.get(row, FRAME), 0, this.slotBytes, 0, count * 4);
    return count;
  }

  /** Writes the first `count` of `slots`. */
  writeSlots(frame: number, count: number): void {
    this.frames.write(frame, 0, this.slotBytes, 0, count * 4);
  }

  // Bytes.

  /** The record that the zpage of the slot belongs to. */
  page(row: number, slot: number): number {
    if (this.isWhole(row)) return this.get(row, WHOLE_PAGE);
    this.read(row, slotOffset(slot), this.slotBytes, HEADER_AT, HEADER_BYTES);
    return headerPage(this.slotBytes, HEADER_AT + HEADER_BYTES);
  }

  setPage(row: number, slot: number, page: number): void {
    if (this.isWhole(row)) {
      this.setKept(row, WHOLE_PAGE, page);
      return;
    }
    const offset = slotOffset(slot);
    this.frames.setKept(this.frameAt(row, offset), offset % FRAME_BYTES, page);
  }

  wholeChecksum(row: number): number {
    return this.get(row, WHOLE_CHECKSUM) >>> 0;
  }

  setWhole(row: number, page: number, checksum: number): void {
    this.setKept(row, WHOLE_PAGE, page);
    this.setKept(row, WHOLE_CHECKSUM, checksum);
  }

  read(row: number, offset: number, target: Uint8Array, at: number, byteCount: number): void {
    for (let done = 0; done < byteCount; ) {
      const start = (offset + done) % FRAME_BYTES;
      const length = Math.min(FRAME_BYTES - start, byteCount - done);
      this.frames.read(this.frameAt(row, offset + done), start, target, at + done, length);
      done += length;
    }
  }

  write(row: number, offset: number, source: Uint8Array, at: number, byteCount: number): void {
    for (let done = 0; done < byteCount; ) {
      const start = (offset + done) % FRAME_BYTES;
      const length = Math.min(FRAME_BYTES - start, byteCount - done);
      this.frames.write(this.frameAt(row, offset + done), start, source, at + done, length);
      done += length;
    }
  }

  /** Copies from one block to the frames of another, whose numbers are `targets`. */
  copy(
    row: number,
    offset: number,
    targets: Int32Array,
    targetOffset: number,
    byteCount: number,
  ): void {
    for (let done = 0; done < byteCount; ) {
      const start = (offset + done) % FRAME_BYTES;
      const to = targetOffset + done;
      const toStart = to % FRAME_BYTES;
      const length = Math.min(FRAME_BYTES - Math.max(start, toStart), byteCount - done);
      const target = targets[Math.floor(to / FRAME_BYTES)] ?? 0;
      this.frames.move(this.frameAt(row, offset + done), start, target, toStart, length);
      done += length;
    }
  }

  frameAt(row: number, offset: number): number {
    return this.get(row, FRAME + Math.floor(offset / FRAME_BYTES));
  }

  private setShape(row: number, shift: number, mask: number, value: number): void {
    this.setKept(row, SHAPE, (this.get(row, SHAPE) & ~(mask << shift)) | (value << shift));
  }
}
