/**
 * FramePool: the frames of one store, in one region of memory. Only used frames are resident.
 *
 *     region:  | frame 1 | frame 2 | ... | frame end - 1 |   never touched   | frameCountMax |
 *
 * Frames are numbered from 1; 0 is "none". They belong to areas of AREA_FRAMES, each with its own
 * list of free frames. A warm frame, which was given back and is still resident, is reused first.
 * Otherwise the lowest area with a free frame serves, so that a shrinking store moves to the low
 * end.
 *
 * `trim` returns warm frames to the operating system, a few areas at each call. Each run of free
 * frames takes one madvise, and the area's list is rebuilt with the lowest frame first.
 *
 * A pinned pool is resident from the start to the end, and gives nothing back.
 *
 * Frames may be kept (core/journal.ts). A successor marks those that hold something, and `restore`
 * makes the lists of the others. So a frame that was freed must not be taken again in the same
 * operation: what it held may be put back.
 *
 * Not here: what is in a frame (src/placement), and who sets the limit (zcache's budget).
 */
import { assert } from "../core/assert.ts";
import type { Journal } from "../core/journal.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { Memory, Region } from "../core/memory.ts";
import { Rows } from "../core/table.ts";
import { AreaSet } from "./area-set.ts";

/** The one word of a frame's row when it is in use. Otherwise the word is the next free frame. */
const USED = -1;

/** Frames of an area: 2 MiB. */
const AREA_FRAMES = 512;
/** Words of an area's row: the first free frame, and how many of the free frames are warm. */
const HEAD = 0;
const WARM = 1;
/** One trim ends after this many areas, or system calls: a millisecond or two. */
const TRIM_AREAS = 16;
const TRIM_CALLS = 128;

export interface FramePoolOptions {
  frameCountMax: number;
  /** Resident from the start. Default: no. */
  pinned?: boolean;
  /** Spare frames beyond `frameCountMax`. Default: none. */
  spareCountMax?: number;
}

export class FramePool {
  readonly frameCountMax: number;
  readonly pinned: boolean;
  /** How many frames may be used. More may be in use when it was lowered: none is taken then. */
  limit: number;
  private readonly region: Region;
  /** For operations on frames and on what says where they are. Null: they are not kept. */
  readonly journal: Journal | null;
  /** The last operation that freed a frame. */
  private freeing = 0;
  private readonly word = new Uint8Array(4);
  private readonly wordView = new DataView(this.word.buffer);
  private readonly links: Rows;
  private readonly areas: Rows;
  /** Areas with a free frame, and areas with a warm one. */
  private readonly withFree: AreaSet;
  private readonly withWarm: AreaSet;
  /** One past the highest frame that was ever taken. */
  private end = 1;
  private used = 0;
  private spares = 0;
  /** All frames, spare ones included. */
  private readonly capacity: number;
  private warm = 0;

  constructor(memory: Memory, options: FramePoolOptions) {
    const { frameCountMax, pinned = false, spareCountMax = 0 } = options;
    this.capacity = frameCountMax + spareCountMax;
    const byteCount = this.capacity * FRAME_BYTES;
    this.frameCountMax = frameCountMax;
    this.limit = frameCountMax;
    this.pinned = pinned;
    const pinnedBytes = pinned ? byteCount : 0;
    this.region = memory.reserve(byteCount, { pinnedBytes, name: "frames" });
    this.journal = this.region.kept?.journal ?? null;
    const pinnedRows = pinned ? this.capacity : 0;
    this.links = new Rows(memory, { rowCountMax: this.capacity, wordsPerRow: 1, pinnedRows });
    const areaCount = Math.ceil(this.capacity / AREA_FRAMES);
    const pinnedAreas = pinned ? areaCount : 0;
    const areas = { rowCountMax: areaCount, wordsPerRow: WARM + 1, pinnedRows: pinnedAreas };
    this.areas = new Rows(memory, areas);
    this.withFree = new AreaSet(areaCount);
    this.withWarm = new AreaSet(areaCount);
  }

  get framesUsed(): number {
    return this.used;
  }

  /** Bytes of the links of all frames that were ever taken. */
  get linkBytes(): number {
    return this.end * 4;
  }

  /** Free frames that are still resident, which `trim` would give back. */
  get framesWarm(): number {
    return this.warm;
  }

  /** Whether `take` finds a frame. */
  get hasFree(): boolean {
    return this.used < this.limit;
  }

  /** A frame of unspecified content, or 0 when as many are in use as may be. */
  take(): number {
    if (this.used >= this.limit) return 0;
    this.used += 1;
    return this.takeFree();
  }

  give(frame: number): void {
    this.used -= 1;
    this.giveFree(frame);
  }

  /** A spare frame, which does not count as used. There are `spareCountMax` of them. */
  takeSpare(): number {
    this.spares += 1;
    return this.takeFree();
  }

  giveSpare(frame: number): void {
    this.spares -= 1;
    this.giveFree(frame);
  }

  private takeFree(): number {
    const { journal } = this;
    const isSafe = journal === null || !journal.isOpen || this.freeing !== journal.operation;
    assert(isSafe, "an operation takes a frame after it has freed one");
    const warmArea = this.withWarm.first();
    const area = warmArea < 0 ? this.withFree.first() : warmArea;
    const frame = area < 0 ? this.end : this.areas.get(area, HEAD);
    assert(frame <= this.capacity);
    if (area < 0) this.end += 1;
    else this.leaveArea(area, frame);
    this.links.set(frame, 0, USED);
    return frame;
  }

  private giveFree(frame: number): void {
    assert(frame > 0 && frame < this.end && this.links.get(frame, 0) === USED);
    if (this.journal !== null) this.freeing = this.journal.operation;
    this.link(frame);
  }

  /** The frame is free, and the first of its area that is taken. */
  private link(frame: number): void {
    const area = areaOf(frame);
    this.links.set(frame, 0, this.areas.get(area, HEAD));
    this.areas.set(area, HEAD, frame);
    this.withFree.add(area);
    if (this.pinned) return;
    this.setWarm(area, this.areas.get(area, WARM) + 1);
    this.withWarm.add(area);
  }

  /**
   * Returns a bounded number of warm free frames to the operating system. @returns whether there
   * are more.
   */
  trim(): boolean {
    assert(this.journal === null || !this.journal.isOpen, "a trim during an operation");
    let calls = 0;
    for (let left = TRIM_AREAS; left > 0 && this.warm > 0 && calls < TRIM_CALLS; left -= 1) {
      calls += this.trimArea(this.withWarm.first());
    }
    if (this.used + this.spares === 0 && this.warm === 0 && !this.pinned) this.startOver();
    return this.warm > 0;
  }

  /** Takes the first free frame of the area. Warm ones are first in its list. */
  private leaveArea(area: number, frame: number): void {
    const next = this.links.get(frame, 0);
    this.areas.set(area, HEAD, next);
    if (next === 0) this.withFree.remove(area);
    const warm = this.areas.get(area, WARM);
    if (warm > 0) this.setWarm(area, warm - 1);
  }

  private setWarm(area: number, warm: number): void {
    this.warm += warm - this.areas.get(area, WARM);
    this.areas.set(area, WARM, warm);
    if (warm === 0) this.withWarm.remove(area);
  }

  /** @returns how many system calls that took. */
  private trimArea(area: number): number {
    const first = area * AREA_FRAMES + 1;
    let head = 0;
    let runEnd = 0;
    let calls = 0;
    for (let frame = Math.min(first + AREA_FRAMES, this.end) - 1; frame >= first - 1; frame -= 1) {
      const isFree = frame >= first && this.links.get(frame, 0) !== USED;
      if (isFree) {
        this.links.set(frame, 0, head);
        head = frame;
        if (runEnd === 0) runEnd = frame + 1;
      } else if (runEnd !== 0) {
        this.region.release(frame * FRAME_BYTES, (runEnd - frame - 1) * FRAME_BYTES);
        runEnd = 0;
        calls += 1;
      }
    }
    this.areas.set(area, HEAD, head);
    this.setWarm(area, 0);
    return calls;
  }

  /** Makes all frames as if they had never been touched. */
  private startOver(): void {
    if (this.end === 1) return;
    this.links.clear(this.end);
    this.areas.clear(areaOf(this.end - 1) + 1);
    this.withFree.clear();
    this.end = 1;
  }

  read(frame: number, offset: number, target: Uint8Array, at: number, byteCount: number): void {
    this.region.read((frame - 1) * FRAME_BYTES + offset, target, at, byteCount);
  }

  write(frame: number, offset: number, source: Uint8Array, at: number, byteCount: number): void {
    this.region.write((frame - 1) * FRAME_BYTES + offset, source, at, byteCount);
  }

  /**
   * Replaces a word of a frame that a successor needs. `offset` is a multiple of 4. Inside of an
   * operation of the journal.
   */
  setKept(frame: number, offset: number, value: number): void {
    const { kept } = this.region;
    const at = (frame - 1) * FRAME_BYTES + offset;
    if (kept !== null) {
      this.region.read(at, this.word, 0, 4);
      kept.journal.save(kept.number, at / 4, this.wordView.getInt32(0, true));
    }
    this.wordView.setInt32(0, value, true);
    this.region.write(at, this.word, 0, 4);
  }

  /**
   * The frame holds something that a predecessor put there. @returns false when there is no such
   * frame, or another owner has it.
   */
  claim(frame: number): boolean {
    if (!Number.isInteger(frame) || frame < 1 || frame > this.capacity) return false;
    if (this.links.get(frame, 0) === USED) return false;
    this.links.set(frame, 0, USED);
    this.used += 1;
    if (frame >= this.end) this.end = frame + 1;
    return true;
  }

  /** What the frame holds is not good. */
  unclaim(frame: number): void {
    this.links.set(frame, 0, 0);
    this.used -= 1;
  }

  /** All frames that a predecessor used are claimed. The others are free, and may be resident. */
  restore(): void {
    for (let frame = this.end - 1; frame > 0; frame -= 1) {
      if (this.links.get(frame, 0) !== USED) this.link(frame);
    }
    const usedBytes = (this.end - 1) * FRAME_BYTES;
    const rest = this.region.byteCount - usedBytes;
    if (rest > 0) this.region.release(usedBytes, rest);
  }

  /** Copies between two frames, or between two places of one that do not overlap. */
  move(from: number, fromOffset: number, to: number, toOffset: number, byteCount: number): void {
    const source = (from - 1) * FRAME_BYTES + fromOffset;
    this.region.move(source, (to - 1) * FRAME_BYTES + toOffset, byteCount);
  }

  close(): void {
    this.region.close();
    this.links.close();
    this.areas.close();
  }
}

function areaOf(frame: number): number {
  return Math.floor((frame - 1) / AREA_FRAMES);
}
