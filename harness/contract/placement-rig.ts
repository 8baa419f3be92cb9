/** A placement on frames of its own, and a Map of all that it is expected to have. */
import { assert } from "../../src/core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../src/core/kind.ts";
import { PAGE_BYTES, ZPAGE_BYTES_MAX } from "../../src/core/limits.ts";
import type { Memory } from "../../src/core/memory.ts";
import { below, type Random } from "../../src/core/random.ts";
import { FramePool } from "../../src/frames/frame-pool.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { FRAMES_MAX } from "../../src/placement/block-rows.ts";
import {
  type ColdZpages,
  HEADER_BYTES,
  type Placement,
  type PlacementSink,
  TAKEN_MAX,
} from "../../src/placement/placement.ts";

export type MakePlacement = (memory: Memory, frames: FramePool, sink: PlacementSink) => Placement;

interface Stored {
  /** The number that it was stored with. Its bytes and its checksum are made from this. */
  mark: number;
  zpageBytes: number;
  readonly kind: Kind;
  /** Epochs that had begun when it was put. */
  readonly epochs: number;
  isSettled: boolean;
  ref: number;
}

const FENCE = 0xa5;
/** Cold zpages are at least this many epochs old. */
const COLD_AGE = 2;
/** Not aligned. */
const ZPAGE_AT = HEADER_BYTES + 13;

export class PlacementRig implements PlacementSink {
  readonly frames: FramePool;
  readonly placement: Placement;
  readonly stored = new Map<number, Stored>();
  readonly evicted: number[] = [];
  private readonly bytes = new Uint8Array(3 * PAGE_BYTES);
  private readonly taken = new Int32Array(TAKEN_MAX);
  private lastPage = 0;
  /** Epochs that have begun, as far as they began in calls of the rig. */
  private epochs = 0;
  private lastEpoch = 0;

  constructor(make: MakePlacement, frameCountMax = 64, memory: Memory = openMemory()) {
    this.frames = new FramePool(memory, { frameCountMax, spareCountMax: FRAMES_MAX });
    this.placement = make(memory, this.frames, this);
  }

  /** @returns the new page, or 0: no room. A put takes at most one frame. */
  put(zpageBytes: number, kind: Kind = PERSISTENT): number {
    const page = this.lastPage + 1;
    const { frames, epochs } = this;
    const before = frames.framesUsed;
    const bytes = this.bytesOf(page, zpageBytes);
    const put = (): number => {
      return this.placement.put(bytes, ZPAGE_AT, zpageBytes, kind, page, checksumOf(page));
    };
    this.placement.makeReady();
    const ref = put() || (this.placement.makeFrame() ? put() : 0);
    assert(frames.framesUsed - before <= 1, "a put took several frames");
    this.countEpochs();
    if (ref === 0) return 0;
    this.lastPage = page;
    this.stored.set(page, { mark: page, zpageBytes, kind, epochs, isSettled: false, ref });
    this.check(page);
    return page;
  }

  touch(page: number): void {
    this.placement.touch(this.refOf(page));
    this.countEpochs();
  }

  /** The page is there, and a read of it writes nothing but header and zpage. */
  check(page: number): void {
    const { zpageBytes, mark } = this.at(page);
    const ref = this.refOf(page);
    const { bytes, placement } = this;
    bytes.fill(FENCE);
    const checksum = placement.read(ref, zpageBytes, bytes, ZPAGE_AT);
    const end = ZPAGE_AT + zpageBytes;
    const isRight =
      checksum === checksumOf(mark) &&
      placement.pageOf(ref) === page &&
      placement.zpageBytes(ref) === zpageBytes &&
      isFilled(bytes, ZPAGE_AT, end, mark & 0xff) &&
      isFilled(bytes, 0, ZPAGE_AT - HEADER_BYTES, FENCE) &&
      isFilled(bytes, end, bytes.length, FENCE);
    assert(isRight, `page ${page} of ${zpageBytes} bytes`);
  }

  /** Gives the page a new number. @returns that. */
  renumber(page: number): number {
    const stored = this.at(page);
    this.lastPage += 1;
    this.placement.setPage(stored.ref, this.lastPage);
    this.stored.delete(page);
    this.stored.set(this.lastPage, stored);
    this.check(this.lastPage);
    return this.lastPage;
  }

  get cold(): ColdZpages {
    const { cold } = this.placement;
    if (cold === null) throw new Error("the placement has no cold zpages");
    return cold;
  }

  /** The pages that `next` finds in one call. */
  nextCold(countMax = 64): number[] {
    const found = new Int32Array(countMax);
    const pages = [...found.subarray(0, this.cold.next(found))];
    for (const page of pages) {
      const { epochs, isSettled } = this.at(page);
      assert(!this.isLeaving(page), "a leaving zpage is not cold");
      assert(!isSettled, "next found a settled zpage");
      assert(this.epochs - epochs >= COLD_AGE, "next found a zpage that was put just now");
    }
    return pages;
  }

  /** The pages that `next` finds until it has gone round. */
  restOfRound(countMax = 64): number[] {
    const { rounds } = this.cold;
    const pages: number[] = [];
    while (this.cold.rounds === rounds) pages.push(...this.nextCold(countMax));
    assert(this.cold.rounds === rounds + 1, "rounds");
    assert(new Set(pages).size === pages.length, "a zpage was found twice in a round");
    return pages;
  }

  /** The pages that are to be found in a round, in order, if none was used since it was put. */
  coldPages(): number[] {
    const cold = [...this.stored].filter(([page, { epochs, isSettled }]) => {
      return this.epochs - epochs >= COLD_AGE && !isSettled && !this.isLeaving(page);
    });
    return cold.map(([page]) => page).sort((a, b) => a - b);
  }

  settle(page: number): void {
    this.cold.settle(this.refOf(page));
    this.at(page).isSettled = true;
    this.check(page);
  }

  /** Replaces the zpage with another one. Never takes a frame. */
  replace(page: number, zpageBytes: number): void {
    const stored = this.at(page);
    this.lastPage += 1;
    const mark = this.lastPage;
    const before = this.frames.framesUsed;
    const bytes = this.bytesOf(mark, zpageBytes);
    stored.ref = this.cold.replace(stored.ref, bytes, ZPAGE_AT, zpageBytes, checksumOf(mark));
    assert(this.frames.framesUsed <= before, "a replacement took a frame");
    stored.mark = mark;
    stored.zpageBytes = zpageBytes;
    stored.isSettled = true;
    this.check(page);
  }

  checkAll(): void {
    this.placement.verify();
    for (const page of this.stored.keys()) this.check(page);
  }

  free(page: number): void {
    this.placement.free(this.refOf(page));
    this.stored.delete(page);
  }

  freeAll(): void {
    for (const page of [...this.stored.keys()]) this.free(page);
  }

  takeOldest(kind: Kind = PERSISTENT): number[] {
    const count = this.placement.takeOldest(kind, this.taken);
    const pages = [...this.taken.subarray(0, count)];
    for (const page of pages) assert(this.isLeaving(page), "taken, and not leaving");
    return pages;
  }

  putBack(page: number, as: "oldest" | "newest"): void {
    this.placement.putBack(this.refOf(page), as);
  }

  isLeaving(page: number): boolean {
    return this.placement.isLeaving(this.refOf(page));
  }

  pages(kind: Kind): number[] {
    const ofKind = [...this.stored].filter(([, stored]) => stored.kind === kind);
    return ofKind.map(([page]) => page);
  }

  refOf(page: number): number {
    return this.at(page).ref;
  }

  onEvict(page: number, ref: number): void {
    assert(this.refOf(page) === ref, "evicted from another ref");
    assert(this.at(page).kind === EPHEMERAL, "evicted what is not ephemeral");
    this.evicted.push(page);
    this.stored.delete(page);
  }

  onMove(page: number, ref: number): void {
    this.at(page).ref = ref;
  }

  /** A zpage made from the mark, with fences around it. */
  private bytesOf(mark: number, zpageBytes: number): Uint8Array {
    const { bytes } = this;
    bytes.fill(FENCE);
    return bytes.fill(mark, ZPAGE_AT, ZPAGE_AT + zpageBytes);
  }

  /** A put or a use begins one epoch at most. */
  private countEpochs(): void {
    const epoch = this.placement.cold?.epoch ?? 0;
    if (epoch !== this.lastEpoch) this.epochs += 1;
    this.lastEpoch = epoch;
  }

  private at(page: number): Stored {
    const stored = this.stored.get(page);
    if (stored === undefined) throw new Error(`page ${page} is not stored`);
    return stored;
  }
}

function checksumOf(page: number): number {
  return Math.imul(page, 0x9e3779b1) >>> 0;
}

function isFilled(bytes: Uint8Array, from: number, to: number, value: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] !== value) return false;
  return true;
}

/** Sizes of real zpages: mostly small, some large, some whole. */
export function anySize(random: Random): number {
  const dice = below(random, 10);
  if (dice === 0) return PAGE_BYTES;
  if (dice === 1) return 1 + below(random, ZPAGE_BYTES_MAX);
  return 1 + below(random, dice < 6 ? 1200 : 2500);
}
