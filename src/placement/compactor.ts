/**
 * Compactor: free bytes are scattered over blocks, and it makes free frames of them. A step frees
 * at most one frame, in one of three ways:
 *
 *     shrink   a block has a frame's worth of free bytes: it gives one frame back
 *     move     zpages of one of the emptiest blocks go to other blocks, until a frame is free
 *     merge    two small blocks become one, so that their free bytes are together
 *
 * Overwrites scatter bytes as fast as compaction gathers them. So a move of a zpage costs credit.
 * Bytes that are freed earn it, and a little comes with time. A put stays cheap under load, and a
 * drain earns enough for all that is left. When memory must be given back, credit does not count.
 *
 * Not here: how a block shrinks, and which block has room (block-space.ts).
 */
import { assert } from "../core/assert.ts";
import { EPHEMERAL, PERSISTENT } from "../core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import type { AgeHand } from "./age-hand.ts";
import { type BlockRows, SLOTS_MAX, slotBytes, slotOffset, slotZpageBytes } from "./block-rows.ts";
import type { BlockSpace } from "./block-space.ts";
import type { PlacementCounters } from "./counters.ts";
import { HEADER_BYTES, type PlacementSink } from "./placement.ts";

const KINDS = [PERSISTENT, EPHEMERAL] as const;
/** Compaction keeps this many frames free for puts, if it can. */
const FRAMES_READY = 4;
/** Compaction is worth it when more than this part of all frames is free in blocks. */
const SCATTERED_PART = 1 / 50;
/** Blocks that a step tries, for a put that waits and in idle turns. */
const TRIED_BRIEFLY = 4;
const TRIED_MAX = 8;
/**
 * The emptiest blocks may have zpages that fit nowhere. After so many of them, idle turns try no
 * more until a frame's worth was freed. A put does not try as long.
 */
const IN_VAIN_MAX = 1024;
/** The part of freed bytes that may be moved. 1/2 makes puts slower, and the memory no denser. */
const EARNED_PART = 1 / 4;
/** Bytes that may be moved after each rest, whatever was freed: 640 KiB/s in idle times. */
const EARNED_RESTING = 64 * 1024;
/** Credit is at most this many times the free bytes of all blocks. */
const CREDIT_MAX = 8;
/** What a step costs in addition to the bytes that it moves. */
const STEP_BYTES = 512;

interface Parts {
  readonly frames: FramePool;
  readonly rows: BlockRows;
  readonly space: BlockSpace;
  readonly hand: AgeHand;
  readonly counters: PlacementCounters;
  readonly sink: PlacementSink;
}

export class Compactor {
  private readonly frames: FramePool;
  private readonly rows: BlockRows;
  private readonly space: BlockSpace;
  private readonly hand: AgeHand;
  private readonly counters: PlacementCounters;
  private readonly sink: PlacementSink;
  private readonly tried = new Int32Array(TRIED_MAX);
  private readonly refs = new Int32Array(SLOTS_MAX);
  private readonly scratch = new Uint8Array(2 * PAGE_BYTES);
  /** So many of the emptiest blocks were tried in vain, while less than a frame was freed. */
  private triedInVain = 0;
  private freedSince = 0;
  /** So many usable bytes were there when a step was in vain. */
  private unusable = 0;
  /** Bytes that may still be moved. Below 0 compaction rests until the next tick. */
  private credit = EARNED_RESTING;
  private isResting = false;

  constructor({ frames, rows, space, hand, counters, sink }: Parts) {
    this.frames = frames;
    this.rows = rows;
    this.space = space;
    this.hand = hand;
    this.counters = counters;
    this.sink = sink;
  }

  /**
   * Free bytes that are likely to become frames. Those that were there when a step was in vain do
   * not count: else pages would come home for them, and leave again.
   */
  get promisedBytes(): number {
    const { usableBytes } = this.space;
    this.unusable = Math.min(this.unusable, usableBytes);
    return usableBytes - this.unusable;
  }

  /** A step for a put that comes next, if few frames are free although blocks have free bytes. */
  makeReady(): void {
    if (this.isShort) this.compactBriefly();
  }

  private get isShort(): boolean {
    const { limit, framesUsed } = this.frames;
    return limit - framesUsed < FRAMES_READY && this.space.usableBytes > FRAMES_READY * FRAME_BYTES;
  }

  /** Whether many frames could come free, or any where more are in use than may be. */
  private get isScattered(): boolean {
    const { framesUsed, limit } = this.frames;
    const frames = this.space.freeBytes / FRAME_BYTES;
    if (framesUsed > limit) return frames > 1;
    return frames > FRAMES_READY && frames > framesUsed * SCATTERED_PART;
  }

  /** So many bytes of zpages were freed. */
  freed(bytes: number): void {
    this.credit += bytes * EARNED_PART;
    this.freedSince += bytes;
    if (this.freedSince < FRAME_BYTES) return;
    this.freedSince = 0;
    this.triedInVain = 0;
  }

  /**
   * A step, if many frames could come free. @returns whether another one is worth it now. A call
   * after that earns a little, so it should come a tick later.
   */
  compact(): boolean {
    if (!this.isScattered || this.triedInVain >= IN_VAIN_MAX) return false;
    if (this.isResting) this.credit += EARNED_RESTING;
    this.isResting = false;
    // More credit than there is to gather is worth nothing.
    this.credit = Math.min(this.credit - STEP_BYTES, CREDIT_MAX * this.space.freeBytes);
    this.compactOne(TRIED_MAX);
    this.isResting = this.credit < 0 && this.frames.framesUsed <= this.frames.limit;
    return !this.isResting && this.isScattered && this.triedInVain < IN_VAIN_MAX;
  }

  /** A step for a put that waits. @returns whether a frame came free. */
  compactBriefly(): boolean {
    return this.triedInVain < TRIED_BRIEFLY && this.compactOne(TRIED_BRIEFLY);
  }

  /**
   * Makes a frame free: it shrinks one of `countMax` blocks, moves zpages out of it, or adds its
   * frames to another. Those are tried first that are emptiest, and were not tried in vain.
   * @returns whether one came free.
   */
  private compactOne(countMax: number): boolean {
    const { space, frames, tried } = this;
    assert(frames.journal?.isOpen !== true, "compaction is no part of another operation");
    const before = frames.framesUsed;
    let merged = 0;
    let isEnd = true;
    for (const kind of KINDS) {
      const count = space.lists[kind].emptiest(tried, countMax, this.triedInVain);
      if (count > 0) isEnd = false;
      for (let i = 0; i < count; i += 1) {
        const row = tried[i] ?? 0;
        if (!space.shrink(row)) this.evacuate(row);
        if (frames.framesUsed === before && this.merge(row)) merged += 1;
        if (frames.framesUsed < before) return true;
      }
    }
    // Merges of both kinds together may be more than the blocks that were tried of one.
    const inVain = Math.max(0, countMax - merged);
    this.triedInVain = isEnd ? IN_VAIN_MAX : this.triedInVain + inVain;
    if (merged === 0) this.unusable = space.usableBytes;
    return false;
  }

  /** Moves zpages of the block to others, until a frame comes free or no other has room. */
  private evacuate(row: number): void {
    const { rows, space, scratch, sink } = this;
    const { journal } = this.frames;
    const kind = rows.kind(row);
    space.unlist(row);
    for (let index = 0; rows.isUsed(row) && index < rows.slotCount(row); index += 1) {
      if (rows.freeBytes(row) >= FRAME_BYTES && rows.frameCount(row) > 1) break;
      const slot = rows.slot(row, index);
      if (slot === 0) continue;
      const target = space.fitFullest(slotBytes(slot), kind);
      if (target === 0) continue;
      const page = rows.page(row, slot);
      rows.read(row, slotOffset(slot), scratch, 0, HEADER_BYTES + slotZpageBytes(slot));
      journal?.begin();
      const ref = space.store(target, scratch, 0, this.hand.kept(kind, slot));
      space.dropSlot(row, index, slot);
      this.moved(slot);
      sink.onMove(page, ref);
      if (rows.liveCount(row) === 0) space.giveBlock(row);
      journal?.end();
    }
    if (!rows.isUsed(row)) return;
    space.list(row);
    space.shrink(row);
  }

  private moved(slot: number): void {
    this.counters.moves += 1;
    this.credit -= slotBytes(slot);
  }

  /**
   * Adds the frames of the block to another one. Two blocks of one frame, with a zpage of 2.5 KiB
   * each, have room for a third one then. @returns whether there was another one.
   */
  private merge(row: number): boolean {
    const { rows, space, hand, refs, sink } = this;
    const target = space.fitMerge(row);
    if (target === 0) return false;
    for (let index = 0; index < rows.slotCount(row); index += 1) {
      const slot = rows.slot(row, index);
      if (slot !== 0) rows.markSlot(row, index, hand.kept(rows.kind(row), slot));
    }
    this.frames.journal?.begin();
    const count = space.merge(row, target, refs);
    for (let i = 0; i < count; i += 1) {
      const ref = refs[i] ?? 0;
      if (ref === 0) continue;
      const slot = rows.slot(target, ref & (SLOTS_MAX - 1));
      this.moved(slot);
      sink.onMove(rows.page(target, slot), ref);
    }
    this.frames.journal?.end();
    space.shrink(target);
    return true;
  }
}
