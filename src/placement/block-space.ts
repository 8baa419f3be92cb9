/**
 * BlockSpace: the free bytes of blocks, and how zpages get in and out of them.
 *
 *     store   in the gap of a block, or in a hole; else the zpages slide together first, which
 *             costs as much as several stores
 *     slide   copies a block to spare frames, which then are its own. The old ones are spare.
 *     rewrite puts a shorter zpage in the place of another, and leaves a hole
 *     drop    leaves a hole. An empty block gives its frames back.
 *     shrink  slides zpages together, and gives the frames back that they do not need
 *     merge   adds the frames of a block to another one, so that their free bytes come together
 *
 * Each block that is not a whole page is on two lists of its kind: for its free bytes, and for the
 * largest of its gap and its holes. How large its holes are is found when they are looked for. In
 * between a block may have a larger one than it is listed for.
 *
 * Not here: which zpages there are (blocks.ts), their age (age-hand.ts).
 */
import { assert } from "../core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../core/kind.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import {
  BLOCK_BYTES_MAX,
  type BlockRows,
  bytesFor,
  FRAMES_MAX,
  HOLE_LIST_WORDS,
  LIST_WORDS,
  SLOT_BITS,
  SLOTS_MAX,
  slotBytes,
  slotOffset,
  slotZpageBytes,
  tableBytes,
  withOffset,
} from "./block-rows.ts";
import type { PlacementCounters } from "./counters.ts";
import { FreeLists } from "./free-lists.ts";
import { HEADER_BYTES } from "./placement.ts";

/**
 * A block with a hole is taken before one that would have to slide, if it has no more free bytes
 * beyond those of the other one. With more, free bytes spread over all blocks.
 */
const SLACK_BYTES = 1024;
/** Blocks that are tried for one more frame, before there is a new block. */
const GROW_TRIES = 4;
/**
 * The mean size of a zpage is looked at again after so many changes, and after each of the first.
 */
const RECOUNT_EVERY = 1024;
const RECOUNT_FIRST = 16;

export class BlockSpace {
  readonly lists: readonly [FreeLists, FreeLists];
  /** By the largest of gap and holes. */
  readonly holeLists: readonly [FreeLists, FreeLists];
  /** Free bytes of all blocks. */
  freeBytes = 0;
  /** Free bytes of the blocks that have at least `usableFrom`. */
  usableBytes = 0;
  private readonly usableFrom: [number, number] = [0, 0];
  private sizeChanges = 0;
  private readonly rows: BlockRows;
  private readonly frames: FramePool;
  private readonly counters: PlacementCounters;
  /** The block of each kind that got a frame last. */
  private readonly growing: [number, number] = [0, 0];
  /** Frames that the next slide copies to. */
  private readonly spares = new Int32Array(FRAMES_MAX);
  private spareCount = 0;
  /** The last operation with a slide: the frames that are spare since then must stay as they are. */
  private sliding = 0;
  /** Where zpages begin and end, by offset: see sortBounds. */
  private readonly bounds = new Int32Array(2 * SLOTS_MAX);
  /** The largest hole apart from the one that findHole found. */
  private otherHole = 0;
  /** What `fits`, `fitsHole` and `fitsMerge` are asked about. */
  private wanted = 0;
  private readonly fits = (row: number): boolean => {
    const { rows } = this;
    if (rows.liveCount(row) === SLOTS_MAX) return false;
    return rows.freeBytes(row) >= this.wanted + this.tableGrowth(row);
  };
  private readonly fitsHole = (row: number): boolean => {
    const { rows } = this;
    if (rows.liveCount(row) === SLOTS_MAX) return false;
    const gap = rows.gap(row) - this.tableGrowth(row);
    return gap >= this.wanted || (gap >= 0 && rows.hole(row) >= this.wanted);
  };
  /** The block that `fitsMerge` looks for another one to. */
  private merging = 0;
  private readonly fitsMerge = (target: number): boolean => {
    const { rows, merging: row } = this;
    if (target === row || rows.frameCount(row) + rows.frameCount(target) > FRAMES_MAX) return false;
    if (rows.liveCount(row) + rows.liveCount(target) > SLOTS_MAX) return false;
    const growth = this.mergedTableGrowth(row, target);
    if (rows.freeBytes(target) < growth) return false;
    return rows.freeBytes(row) + rows.freeBytes(target) - growth >= this.wanted;
  };
  private readonly mayGrow = (row: number): boolean => {
    return this.rows.frameCount(row) < FRAMES_MAX && this.rows.liveCount(row) < SLOTS_MAX;
  };

  constructor(rows: BlockRows, frames: FramePool, counters: PlacementCounters) {
    this.rows = rows;
    this.frames = frames;
    this.counters = counters;
    const byFree = (): FreeLists => new FreeLists(rows, LIST_WORDS, BLOCK_BYTES_MAX);
    this.lists = [byFree(), byFree()];
    const byHole = (): FreeLists => new FreeLists(rows, HOLE_LIST_WORDS, BLOCK_BYTES_MAX);
    this.holeLists = [byHole(), byHole()];
  }

  /** A block of the kind with room for that many bytes and a slot. 0: there is none. */
  fit(bytes: number, kind: Kind): number {
    this.wanted = bytes;
    const fullest = this.fitFullest(bytes, kind);
    if (fullest === 0 || this.fitsHole(fullest)) return fullest;
    const row = this.holeLists[kind].bestFit(bytes, this.fitsHole);
    const { rows } = this;
    const hasHole = row !== 0 && rows.freeBytes(row) <= rows.freeBytes(fullest) + SLACK_BYTES;
    return hasHole ? row : fullest;
  }

  /** The same, for compaction: the block with the fewest free bytes, even if it has to slide. */
  fitFullest(bytes: number, kind: Kind): number {
    this.wanted = bytes;
    return this.lists[kind].bestFit(bytes, this.fits);
  }

  /** Adds a frame to a block, or makes a new one. @returns the block, or 0 without a frame. */
  grow(kind: Kind): number {
    const { frames } = this;
    const frame = frames.take();
    if (frame === 0) return 0;
    const row = this.addFrame(kind, frame);
    if (row === 0) frames.give(frame);
    return row;
  }

  /** Ends a whole page, and adds its frame to a block of its kind. @returns that block. */
  giveToBlock(wholeRow: number): number {
    const { rows } = this;
    const kind = rows.kind(wholeRow);
    const frame = rows.frame(wholeRow, 0);
    rows.giveBlock(wholeRow);
    this.counters.pageframes[kind] -= 1;
    const row = this.addFrame(kind, frame);
    assert(row !== 0, "a row that was given back is not there");
    return row;
  }

  /** Adds the frame to a block, or makes a new one. @returns the block, or 0: there is no row. */
  private addFrame(kind: Kind, frame: number): number {
    const { rows, growing, lists } = this;
    let row = growing[kind];
    if (row === 0 || !this.mayGrow(row)) row = lists[kind].fromEmptiest(GROW_TRIES, this.mayGrow);
    if (row === 0) {
      row = rows.takeBlock(kind, false);
      if (row === 0) return 0;
    } else this.unlist(row);
    const count = rows.frameCount(row);
    rows.setFrame(row, count, frame);
    rows.setFrameCount(row, count + 1);
    rows.setRoom(row, rows.freeBytes(row) + FRAME_BYTES, count === 0 ? FRAME_BYTES : rows.low(row));
    if (count > 0) rows.setHole(row, Math.max(rows.hole(row), FRAME_BYTES));
    this.list(row);
    this.counters.pageframes[kind] += 1;
    growing[kind] = row;
    return row;
  }

  /**
   * Stores header and zpage at `source[at]` in the block, which has room. `slot` is without the
   * offset. @returns the ref.
   */
  store(row: number, source: Uint8Array, at: number, slot: number): number {
    const { rows } = this;
    this.unlist(row);
    const bytes = slotBytes(slot);
    const growth = this.tableGrowth(row);
    const count = rows.readSlots(row);
    const live = rows.liveCount(row);
    const index = live < count ? rows.slots.indexOf(0) : count;
    const table = tableBytes(Math.max(count, index + 1));
    let low = rows.low(row);
    let offset = low - bytes;
    if (offset < table) {
      const end = rows.frameCount(row) * FRAME_BYTES;
      const zpages = this.sortBounds(count);
      low = zpages > 0 ? (this.bounds[0] ?? 0) : end;
      offset = low - bytes;
      const isInGap = offset >= table;
      const hole = this.findHole(zpages, isInGap ? Number.POSITIVE_INFINITY : bytes, end);
      rows.setHole(row, this.otherHole);
      if (!isInGap && low >= table) offset = hole;
      if (offset < table) {
        this.slide(row, rows.frameCount(row));
        low = rows.low(row);
        offset = low - bytes;
        assert(offset >= table, "a block has less room than it should");
      }
    }
    rows.write(row, offset, source, at, HEADER_BYTES + slotZpageBytes(slot));
    rows.setSlotCount(row, Math.max(count, index + 1));
    rows.setSlot(row, index, withOffset(slot, offset));
    rows.setLiveCount(row, live + 1);
    rows.setRoom(row, rows.freeBytes(row) - bytes - growth, Math.min(low, offset));
    this.list(row);
    return (row << SLOT_BITS) | index;
  }

  /**
   * Writes header and zpage at `source[at]` over those of the slot of a block. `slot` is the new
   * one: at the same offset, and not longer.
   */
  rewrite(row: number, index: number, source: Uint8Array, at: number, slot: number): void {
    const { rows } = this;
    const saved = slotBytes(rows.slot(row, index)) - slotBytes(slot);
    assert(saved >= 0, "a zpage does not fit over another one");
    this.unlist(row);
    rows.write(row, slotOffset(slot), source, at, HEADER_BYTES + slotZpageBytes(slot));
    rows.setSlot(row, index, slot);
    rows.setRoom(row, rows.freeBytes(row) + saved, rows.low(row));
    rows.setHole(row, Math.max(rows.hole(row), saved));
    this.list(row);
  }

  /**
   * The offset for that many bytes in the smallest hole above one of the zpages in `bounds`, or -1.
   * `otherHole` is the largest hole that is left then.
   */
  private findHole(live: number, bytes: number, end: number): number {
    const { bounds } = this;
    let best = -1;
    let bestBytes = Number.POSITIVE_INFINITY;
    this.otherHole = 0;
    for (let i = 0; i < live; i += 1) {
      const from = bounds[2 * i + 1] ?? 0;
      let holeBytes = (i + 1 < live ? (bounds[2 * i + 2] ?? 0) : end) - from;
      if (holeBytes >= bytes && holeBytes < bestBytes) {
        const before = bestBytes;
        best = from;
        bestBytes = holeBytes;
        holeBytes = before === Number.POSITIVE_INFINITY ? 0 : before;
      }
      if (holeBytes > this.otherHole) this.otherHole = holeBytes;
    }
    if (best >= 0) this.otherHole = Math.max(this.otherHole, bestBytes - bytes);
    return best;
  }

  /** Fills `bounds` with the first `count` of `slots`. @returns how many zpages there are. */
  private sortBounds(count: number): number {
    const { bounds } = this;
    const { slots } = this.rows;
    let live = 0;
    // From the last slot on: zpages that slid together are in order then.
    for (let i = count - 1; i >= 0; i -= 1) {
      const slot = slots[i] ?? 0;
      if (slot === 0) continue;
      const offset = slotOffset(slot);
      let at = live;
      for (; at > 0 && (bounds[2 * at - 2] ?? 0) > offset; at -= 1) {
        bounds[2 * at] = bounds[2 * at - 2] ?? 0;
        bounds[2 * at + 1] = bounds[2 * at - 1] ?? 0;
      }
      bounds[2 * at] = offset;
      bounds[2 * at + 1] = offset + slotBytes(slot);
      live += 1;
    }
    return live;
  }

  /** Packs the zpages of an unlisted block into its first `frameCount` frames' worth of frames. */
  private slide(row: number, frameCount: number): void {
    const { rows, frames, spares } = this;
    const { journal } = frames;
    if (journal !== null) {
      assert(this.sliding !== journal.operation, "an operation slides two blocks");
      this.sliding = journal.operation;
    }
    while (this.spareCount < frameCount) {
      spares[this.spareCount] = frames.takeSpare();
      this.spareCount += 1;
    }
    const { slots } = rows;
    const count = rows.readSlots(row);
    let low = frameCount * FRAME_BYTES;
    for (let i = 0; i < count; i += 1) {
      const slot = slots[i] ?? 0;
      if (slot === 0) continue;
      const bytes = slotBytes(slot);
      low -= bytes;
      rows.copy(row, slotOffset(slot), spares, low, bytes);
      slots[i] = withOffset(slot, low);
    }
    assert(low >= tableBytes(count), "zpages do not fit in their block");
    rows.writeSlots(spares[0] ?? 0, count);
    const before = rows.frameCount(row);
    for (let i = 0; i < before; i += 1) {
      const frame = rows.frame(row, i);
      if (i < frameCount) {
        rows.setFrame(row, i, spares[i] ?? 0);
        spares[i] = frame;
      } else frames.give(frame);
    }
    this.counters.pageframes[rows.kind(row)] -= before - frameCount;
    rows.setFrameCount(row, frameCount);
    rows.setRoom(row, low - tableBytes(count), low);
    rows.setHole(row, 0);
    this.counters.slides += 1;
  }

  /** Gives frames of the block back that its zpages do not need. @returns whether there were any. */
  shrink(row: number): boolean {
    const { rows } = this;
    const spareFrames = Math.floor(rows.freeBytes(row) / FRAME_BYTES);
    if (rows.isWhole(row) || spareFrames === 0) return false;
    this.unlist(row);
    this.frames.journal?.begin();
    this.slide(row, rows.frameCount(row) - spareFrames);
    this.frames.journal?.end();
    this.list(row);
    return true;
  }

  /**
   * The block that the frames of another one are to be added to: both together have room for a
   * zpage of the mean size, with as little to spare as possible. 0: there is none.
   */
  fitMerge(row: number): number {
    const { rows } = this;
    const kind = rows.kind(row);
    this.merging = row;
    this.wanted = Math.min(this.usableFrom[kind], FRAME_BYTES);
    return this.lists[kind].bestFit(this.wanted - rows.freeBytes(row), this.fitsMerge);
  }

  /**
   * Adds the frames of one block to another one that fits. Zpages stay where they are in them, and
   * `refs` gets the new one of each slot, or 0 of an empty slot. The first block is no more.
   * @returns how many slots it had.
   */
  merge(row: number, target: number, refs: Int32Array): number {
    const { rows, growing } = this;
    this.unlist(row);
    this.unlist(target);
    const growth = this.mergedTableGrowth(row, target);
    const before = rows.frameCount(target);
    if (rows.gap(target) < growth) this.slide(target, before);
    for (let i = 0; i < rows.frameCount(row); i += 1) {
      rows.setFrame(target, before + i, rows.frame(row, i));
    }
    rows.setFrameCount(target, before + rows.frameCount(row));
    const count = rows.readSlots(row);
    const targetCount = rows.slotCount(target);
    let index = 0;
    for (let i = 0; i < count; i += 1) {
      const slot = rows.slots[i] ?? 0;
      refs[i] = 0;
      if (slot === 0) continue;
      while (index < targetCount && rows.slot(target, index) !== 0) index += 1;
      rows.setSlot(target, index, withOffset(slot, before * FRAME_BYTES + slotOffset(slot)));
      refs[i] = (target << SLOT_BITS) | index;
      index += 1;
    }
    rows.setSlotCount(target, Math.max(targetCount, index));
    rows.setLiveCount(target, rows.liveCount(target) + rows.liveCount(row));
    const freeBytes = rows.freeBytes(target) + rows.freeBytes(row) + tableBytes(count) - growth;
    rows.setRoom(target, freeBytes, rows.low(target));
    rows.setHole(target, Math.max(rows.hole(target), rows.hole(row), rows.low(row)));
    if (growing[rows.kind(row)] === row) growing[rows.kind(row)] = 0;
    rows.giveBlock(row);
    this.list(target);
    return count;
  }

  /** Empties the slot. Its block stays on its list, or gives its frames back if it is empty. */
  drop(row: number, index: number, slot: number): void {
    this.unlist(row);
    this.dropSlot(row, index, slot);
    if (this.rows.liveCount(row) === 0) this.giveBlock(row);
    else this.list(row);
  }

  /** Empties the slot of an unlisted block. */
  dropSlot(row: number, index: number, slot: number): void {
    const { rows } = this;
    const before = rows.slotCount(row);
    let count = before;
    rows.setSlot(row, index, 0);
    if (index === before - 1) {
      rows.readSlots(row);
      while (count > 0 && rows.slots[count - 1] === 0) count -= 1;
      rows.setSlotCount(row, count);
    }
    rows.setLiveCount(row, rows.liveCount(row) - 1);
    const bytes = slotBytes(slot);
    const free = rows.freeBytes(row) + bytes + tableBytes(before) - tableBytes(count);
    const low = rows.low(row);
    const isLowest = slotOffset(slot) === low;
    rows.setRoom(row, free, isLowest ? low + bytes : low);
    if (!isLowest) rows.setHole(row, Math.max(rows.hole(row), bytes));
  }

  /** Gives a block, or a whole page, back with its frames. It is on no list. */
  giveBlock(row: number): void {
    const { rows, frames, growing } = this;
    const kind = rows.kind(row);
    const count = rows.frameCount(row);
    for (let i = 0; i < count; i += 1) frames.give(rows.frame(row, i));
    this.counters.pageframes[kind] -= count;
    if (growing[kind] === row) growing[kind] = 0;
    rows.giveBlock(row);
  }

  giveSpares(): void {
    while (this.spareCount > 0) {
      this.spareCount -= 1;
      this.frames.giveSpare(this.spares[this.spareCount] ?? 0);
    }
  }

  list(row: number): void {
    const kind = this.rows.kind(row);
    const freeBytes = this.rows.freeBytes(row);
    this.lists[kind].insert(row, freeBytes);
    this.holeLists[kind].insert(row, this.largest(row));
    this.freeBytes += freeBytes;
    if (freeBytes >= this.usableFrom[kind]) this.usableBytes += freeBytes;
  }

  /** The largest of gap and holes, as far as it is known. */
  private largest(row: number): number {
    return Math.max(0, this.rows.gap(row), this.rows.hole(row));
  }

  unlist(row: number): void {
    const kind = this.rows.kind(row);
    const freeBytes = this.rows.freeBytes(row);
    this.lists[kind].remove(row, freeBytes);
    this.holeLists[kind].remove(row, this.largest(row));
    this.freeBytes -= freeBytes;
    if (freeBytes >= this.usableFrom[kind]) this.usableBytes -= freeBytes;
  }

  /** A zpage was put or replaced: now and then the mean size is looked at again. */
  sizesChanged(): void {
    this.sizeChanges += 1;
    const isFirst = this.sizeChanges <= RECOUNT_FIRST;
    if (isFirst || this.sizeChanges % RECOUNT_EVERY === 0) this.countUsable();
  }

  /** Free bytes count as usable in blocks that have enough for a zpage of the mean size. */
  countUsable(): void {
    this.usableBytes = 0;
    for (const kind of [EPHEMERAL, PERSISTENT] as const) {
      const { zbytes, zpages } = this.counters;
      const mean = zpages[kind] === 0 ? 0 : Math.ceil(zbytes[kind] / zpages[kind]);
      this.usableFrom[kind] = this.lists[kind].classAt(bytesFor(mean) + tableBytes(1));
      this.usableBytes += this.lists[kind].bytesFrom(this.usableFrom[kind]);
    }
  }

  /** For checks. */
  verify(): void {
    let usable = 0;
    let free = 0;
    for (const kind of [EPHEMERAL, PERSISTENT] as const) {
      usable += this.lists[kind].bytesFrom(this.usableFrom[kind]);
      free += this.lists[kind].bytesFrom(0);
    }
    assert(this.usableBytes === usable, "usable bytes");
    assert(this.freeBytes === free, "free bytes");
  }

  /** Bytes that the slot table of `target` needs for the zpages of the other block. */
  private mergedTableGrowth(row: number, target: number): number {
    const { rows } = this;
    const count = rows.slotCount(target);
    const merged = Math.max(count, rows.liveCount(target) + rows.liveCount(row));
    return tableBytes(merged) - tableBytes(count);
  }

  private tableGrowth(row: number): number {
    const { rows } = this;
    const count = rows.slotCount(row);
    return rows.liveCount(row) < count ? 0 : tableBytes(count + 1) - tableBytes(count);
  }
}
