/** A placement on frames of its own, and a Map of all that it is expected to have. */
import { assert } from "../../src/core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../src/core/kind.ts";
import { PAGE_BYTES, ZPAGE_BYTES_MAX } from "../../src/core/limits.ts";
import type { Memory } from "../../src/core/memory.ts";
import { below, type Random, SeededRandom } from "../../src/core/random.ts";
import { FramePool } from "../../src/frames/frame-pool.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { FRAMES_MAX } from "../../src/placement/block-rows.ts";
import {
  HEADER_BYTES,
  type Placement,
  type PlacementSink,
  TAKEN_MAX,
} from "../../src/placement/placement.ts";

export type MakePlacement = (memory: Memory, frames: FramePool, sink: PlacementSink) => Placement;

interface Stored {
  /** The number that it was stored with. Its bytes and its checksum are made from this. */
  readonly mark: number;
  readonly zpageBytes: number;
  readonly kind: Kind;
  ref: number;
}

const FENCE = 0xa5;
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

  constructor(make: MakePlacement, frameCountMax = 64, memory: Memory = openMemory()) {
    this.frames = new FramePool(memory, { frameCountMax, spareCountMax: FRAMES_MAX });
    this.placement = make(memory, this.frames, this);
  }

  /** @returns the new page, or 0: no room. A put takes at most one frame. */
  put(zpageBytes: number, kind: Kind = PERSISTENT): number {
    const page = this.lastPage + 1;
    const { bytes, frames } = this;
    const before = frames.framesUsed;
    bytes.fill(FENCE);
    bytes.fill(page, ZPAGE_AT, ZPAGE_AT + zpageBytes);
    const ref = this.placement.put(bytes, ZPAGE_AT, zpageBytes, kind, page, checksumOf(page));
    assert(frames.framesUsed - before <= 1, "a put took several frames");
    if (ref === 0) return 0;
    this.lastPage = page;
    this.stored.set(page, { mark: page, zpageBytes, kind, ref });
    this.check(page);
    return page;
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

/** Random operations, checked against the rig's Map. Ends with an empty store. */
export function playRandomly(rig: PlacementRig, seed: number, steps: number): void {
  const random = new SeededRandom(seed);
  const leaving: number[] = [];
  const anyPage = (): number => {
    const pages = [...rig.stored.keys()];
    return pages[below(random, pages.length)] ?? 0;
  };
  for (let step = 0; step < steps; step += 1) {
    const kind = below(random, 2) === 0 ? EPHEMERAL : PERSISTENT;
    const dice = below(random, 16);
    const page = anyPage();
    if (dice < 8) {
      if (rig.put(anySize(random), kind) === 0)
        assert(!rig.frames.hasFree, "refused with free frames");
    } else if (dice < 12) {
      if (page !== 0) rig.free(page);
    } else if (dice === 12) {
      const had = rig.placement.hasLive(EPHEMERAL);
      assert(rig.placement.evict(kind) === had, "evicts what there is");
    } else if (dice === 13) {
      leaving.push(...rig.takeOldest(kind));
    } else if (dice === 14) {
      const back = leaving.shift() ?? 0;
      if (rig.stored.has(back) && rig.isLeaving(back)) rig.putBack(back, "oldest");
    } else if (page !== 0 && !rig.isLeaving(page)) {
      rig.renumber(page);
    } else if (page !== 0) rig.check(page);
    if (step % 97 === 0) rig.placement.verify();
  }
  rig.checkAll();
  rig.freeAll();
  rig.placement.verify();
  assert(rig.frames.framesUsed === 0, "a frame is left");
  rig.placement.close();
  rig.frames.close();
}
