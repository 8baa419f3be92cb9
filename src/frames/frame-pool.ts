/**
 * FramePool: the frames of one store, in one region of memory that is as resident as it is used.
 *
 *     region:  | frame 1 | frame 2 | ... | frame end - 1 |   never touched   | frameCountMax |
 *
 * Frames are numbered from 1; 0 is "none". A frame that was given back is reused first, newest
 * first, since it is still resident and warm. `trim` returns the rest: runs of free frames go back
 * to the operating system with one madvise each, and the free list is rebuilt lowest frame first,
 * so that a shrinking store gathers at the low end.
 *
 * A held pool is resident from the start to the end, whatever is in it: it gives nothing back.
 *
 * Not here: what is in a frame (zbud), and how many frames may be used (zcache's budget).
 */
import { assert } from "../core/assert.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { Memory, Region } from "../core/memory.ts";
import { Rows } from "../core/table.ts";

/** In the one word of a frame's row: it is in use. Otherwise the word is the next free frame. */
const USED = -1;

export class FramePool {
  readonly frameCountMax: number;
  readonly held: boolean;
  private readonly region: Region;
  private readonly links: Rows;
  private freeHead = 0;
  private end = 1;
  private used = 0;
  private warm = 0;

  constructor(memory: Memory, options: { frameCountMax: number; held?: boolean }) {
    const { frameCountMax, held = false } = options;
    const byteCount = frameCountMax * FRAME_BYTES;
    this.frameCountMax = frameCountMax;
    this.held = held;
    this.region = memory.reserve(byteCount, { heldBytes: held ? byteCount : 0 });
    const heldRows = held ? frameCountMax : 0;
    this.links = new Rows(memory, { rowCountMax: frameCountMax, wordsPerRow: 1, heldRows });
  }

  get framesUsed(): number {
    return this.used;
  }

  /** Free frames that still hold memory: what `trim` would give back. */
  get framesWarm(): number {
    return this.warm;
  }

  /** A frame of unspecified content, or 0 when all are in use. */
  take(): number {
    let frame = this.freeHead;
    if (frame !== 0) {
      this.freeHead = this.links.get(frame, 0);
      if (this.warm > 0) this.warm -= 1;
    } else {
      if (this.end > this.frameCountMax) return 0;
      frame = this.end;
      this.end += 1;
    }
    this.links.set(frame, 0, USED);
    this.used += 1;
    return frame;
  }

  give(frame: number): void {
    assert(frame > 0 && frame < this.end && this.links.get(frame, 0) === USED);
    this.links.set(frame, 0, this.freeHead);
    this.freeHead = frame;
    this.used -= 1;
    if (!this.held) this.warm += 1;
  }

  /**
   * Returns all free frames to the operating system. Cost: one pass over the frames ever used, a
   * call for each run.
   */
  trim(): void {
    if (this.held) return;
    if (this.used === 0) {
      this.region.release(0, this.region.byteCount);
      this.freeHead = 0;
      this.end = 1;
      this.warm = 0;
      return;
    }
    let frame = this.end - 1;
    let runEnd = 0;
    this.freeHead = 0;
    let end = 1;
    for (; frame >= 0; frame -= 1) {
      const free = frame > 0 && this.links.get(frame, 0) !== USED;
      if (free && runEnd === 0) runEnd = frame + 1;
      if (!free && runEnd !== 0) {
        this.region.release(frame * FRAME_BYTES, (runEnd - frame - 1) * FRAME_BYTES);
        runEnd = 0;
      }
      if (!free && end === 1) end = frame + 1;
      if (free && end > 1) {
        this.links.set(frame, 0, this.freeHead);
        this.freeHead = frame;
      }
    }
    this.end = Math.max(end, 1);
    this.warm = 0;
  }

  read(frame: number, offset: number, target: Uint8Array, at: number, byteCount: number): void {
    this.region.read((frame - 1) * FRAME_BYTES + offset, target, at, byteCount);
  }

  write(frame: number, offset: number, source: Uint8Array, at: number, byteCount: number): void {
    this.region.write((frame - 1) * FRAME_BYTES + offset, source, at, byteCount);
  }

  close(): void {
    this.region.close();
    this.links.close();
  }
}
