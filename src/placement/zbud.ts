/**
 * zbud: places two compressed pages in one frame.
 *
 *     0                                                 FRAME_BYTES
 *     | first buddy >          free chunks          < last buddy |   buddied; unbuddied: one of two
 *     | one whole page, as it is                                 |   whole: did not compress
 *
 * A buddy is a header of ZBUD_HEADER_BYTES and the zpage after it, rounded up to chunks. Record and
 * checksum end the header; the rest is unused, and is there because the original has it. With at
 * most two zpages in a frame, evicting it has a known cost. A ref is frame * 2 + buddy.
 *
 * Geometry, lists and order are those of the original (drivers/staging/zcache/zbud.c;
 * docs/original.md, "Zbud").
 *
 * Invariants, checked by verify():
 *   1. A live frame with one buddy is on exactly one unbuddied list, the one for the buddy's chunk
 *      count. A live frame with two buddies, or with a whole page, is on none.
 *   2. Every live frame is on the LRU of its kind, in order of insertion. A read moves nothing; a
 *      match moves the frame to the newest end. A zombie is on the zombie list instead.
 *   3. The buddies never overlap, and both are of one kind.
 *
 * States of a frame:
 *   - live
 *   - zombie: its zpages are leaving. It is off the match and LRU lists, and readable. Unlike in
 *     the original it can come back (`putBack`).
 *   - dying: it is being evicted. Its data is invalid.
 *
 * The original's `unevictable` count is not needed: nothing waits between taking space for a zpage
 * and entering it into tmem.
 *
 * Not here: compression, tmem, peers.
 */
import { assert } from "../core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../core/kind.ts";
import {
  CHUNK_BYTES,
  CHUNK_COUNT,
  FRAME_BYTES,
  PAGE_BYTES,
  ZBUD_HEADER_BYTES,
  ZPAGE_BYTES_MAX,
} from "../core/limits.ts";
import { RowList } from "../core/list.ts";
import type { Memory } from "../core/memory.ts";
import { Rows } from "../core/table.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import { chunksOf, PlacementCounters } from "./counters.ts";
import {
  HEADER_BYTES,
  headerChecksum,
  headerPage,
  type Placement,
  type PlacementSink,
  TAKEN_MAX,
  writeHeader,
  writeHeaderPage,
} from "./placement.ts";

assert(TAKEN_MAX >= 2);
/** At the start of a buddy. */
const UNUSED_BYTES = ZBUD_HEADER_BYTES - HEADER_BYTES;

// Words of a frame's row. A frame with a whole page is on no unbuddied list. Its two link words
// contain record and checksum.
const LRU_PREV = 0;
const LRU_NEXT = 1;
const BUD_PREV = 2;
const BUD_NEXT = 3;
const SHAPE = 4;
const WORDS_PER_FRAME = 5;

// Fields of SHAPE: the sizes of the two zpages, 0 for a free buddy, and then flags.
const SIZE_BITS = 13;
const SIZE_MASK = (1 << SIZE_BITS) - 1;
const KIND_BIT = 1 << 26;
const WHOLE_BIT = 1 << 27;
const ZOMBIE_BIT = 1 << 28;
const DYING_BIT = 1 << 29;

export class Zbud implements Placement {
  readonly counters = new PlacementCounters();
  readonly cold = null;
  private readonly frames: FramePool;
  private readonly sink: PlacementSink;
  private readonly rows: Rows;
  private readonly unbuddied: readonly [readonly RowList[], readonly RowList[]];
  private readonly lru: readonly [RowList, RowList];
  private readonly zombies: readonly [RowList, RowList];
  private readonly header = new Uint8Array(HEADER_BYTES);

  constructor(memory: Memory, frames: FramePool, sink: PlacementSink) {
    this.frames = frames;
    this.sink = sink;
    const rows = new Rows(memory, {
      rowCountMax: frames.frameCountMax,
      wordsPerRow: WORDS_PER_FRAME,
      pinnedRows: frames.pinned ? frames.frameCountMax : 0,
    });
    this.rows = rows;
    const byChunks = (): RowList[] =>
      Array.from({ length: CHUNK_COUNT }, () => {
        return new RowList(rows, { prev: BUD_PREV, next: BUD_NEXT });
      });
    const byAge = (): RowList => new RowList(rows, { prev: LRU_PREV, next: LRU_NEXT });
    this.unbuddied = [byChunks(), byChunks()];
    this.lru = [byAge(), byAge()];
    this.zombies = [byAge(), byAge()];
  }

  get framesNeeded(): number {
    return this.frames.framesUsed;
  }

  get metadataBytes(): number {
    return this.frames.linkBytes * (1 + WORDS_PER_FRAME);
  }

  get hasRoom(): boolean {
    return this.frames.hasFree || this.hasLive(EPHEMERAL);
  }

  /** Nothing moves. */
  makeReady(): void {}

  makeFrame(): boolean {
    return false;
  }

  put(
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    kind: Kind,
    page: number,
    checksum: number,
  ): number {
    if (zpageBytes === PAGE_BYTES) return this.putWhole(source, at, kind, page, checksum);
    assert(zpageBytes > 0 && zpageBytes <= ZPAGE_BYTES_MAX);
    writeHeader(source, at, page, checksum);
    const ref = this.match(zpageBytes, kind) || this.create(zpageBytes, kind);
    if (ref === 0) return 0;
    const offset = this.offsetOf(ref, zpageBytes) + UNUSED_BYTES;
    this.frames.write(ref >>> 1, offset, source, at - HEADER_BYTES, HEADER_BYTES + zpageBytes);
    this.counters.addZpage(kind, zpageBytes);
    return ref;
  }

  /**
   * Makes room beside a lone buddy (zbud_match_prep of zbud.c): in the fullest frame that has
   * enough, and the oldest of these. Cost: at most CHUNK_COUNT list heads. @returns the ref, or 0.
   */
  private match(zpageBytes: number, kind: Kind): number {
    const lists = this.unbuddied[kind];
    for (let used = CHUNK_COUNT - chunksOf(zpageBytes); used > 0; used -= 1) {
      const list = lists[used];
      const frame = list === undefined ? 0 : list.head;
      if (list === undefined || frame === 0) continue;
      list.remove(frame);
      const shape = this.rows.get(frame, SHAPE);
      const buddy = (shape & SIZE_MASK) === 0 ? 0 : 1;
      const size = buddy === 0 ? zpageBytes : zpageBytes << SIZE_BITS;
      this.rows.set(frame, SHAPE, shape | size);
      const lru = this.lru[kind];
      lru.remove(frame);
      lru.append(frame);
      this.counters.unbuddied[kind] -= 1;
      this.counters.buddied[kind] += 1;
      return frame * 2 + buddy;
    }
    return 0;
  }

  /** Makes room as first buddy of a new frame (zbud_create_prep of zbud.c). @returns the ref, or 0. */
  private create(zpageBytes: number, kind: Kind): number {
    const frame = this.frames.take();
    if (frame === 0) return 0;
    this.rows.set(frame, SHAPE, zpageBytes | (kind === PERSISTENT ? KIND_BIT : 0));
    this.unbuddied[kind][chunksOf(zpageBytes)]?.append(frame);
    this.lru[kind].append(frame);
    this.counters.unbuddied[kind] += 1;
    this.counters.pageframes[kind] += 1;
    return frame * 2;
  }

  private putWhole(
    source: Uint8Array,
    at: number,
    kind: Kind,
    page: number,
    checksum: number,
  ): number {
    const frame = this.frames.take();
    if (frame === 0) return 0;
    const kindBit = kind === PERSISTENT ? KIND_BIT : 0;
    this.rows.set(frame, SHAPE, PAGE_BYTES | WHOLE_BIT | kindBit);
    this.rows.set(frame, BUD_PREV, page);
    this.rows.set(frame, BUD_NEXT, checksum);
    this.lru[kind].append(frame);
    this.counters.whole[kind] += 1;
    this.counters.pageframes[kind] += 1;
    this.frames.write(frame, 0, source, at, PAGE_BYTES);
    this.counters.addZpage(kind, PAGE_BYTES);
    return frame * 2;
  }

  /**
   * Frees a zpage (zbud_free_and_delist of zbud.c), and its frame with the last one. The frame
   * keeps its place in the LRU while a buddy remains.
   */
  free(ref: number): void {
    const frame = ref >>> 1;
    const shape = this.rows.get(frame, SHAPE);
    assert((shape & DYING_BIT) === 0, "free of a zpage that is being evicted");
    const kind = this.kindOf(shape);
    const size = this.sizeIn(shape, ref & 1);
    assert(size > 0, "free of a buddy that is not there");
    const zombie = (shape & ZOMBIE_BIT) !== 0;
    const other = this.sizeIn(shape, (ref & 1) ^ 1);
    this.counters.removeZpage(kind, size);
    if ((shape & WHOLE_BIT) !== 0) {
      this.counters.whole[kind] -= 1;
      this.release(frame, kind, zombie);
      return;
    }
    if (other === 0) {
      if (!zombie) this.unbuddied[kind][chunksOf(size)]?.remove(frame);
      this.counters.unbuddied[kind] -= 1;
      this.release(frame, kind, zombie);
      return;
    }
    const mask = (ref & 1) === 0 ? SIZE_MASK : SIZE_MASK << SIZE_BITS;
    this.rows.set(frame, SHAPE, shape & ~mask);
    if (!zombie) this.unbuddied[kind][chunksOf(other)]?.append(frame);
    this.counters.buddied[kind] -= 1;
    this.counters.unbuddied[kind] += 1;
  }

  /** Evicts the oldest ephemeral frame (zbud_evict_pageframe_lru of zbud.c). */
  evict(): boolean {
    const frame = this.lru[EPHEMERAL].head;
    if (frame === 0) return false;
    const shape = this.rows.get(frame, SHAPE);
    this.rows.set(frame, SHAPE, shape | DYING_BIT);
    this.unlistUnbuddied(frame, shape);
    this.lru[EPHEMERAL].remove(frame);
    const first = this.sizeIn(shape, 0);
    const last = this.sizeIn(shape, 1);
    if ((shape & WHOLE_BIT) !== 0) this.counters.whole[EPHEMERAL] -= 1;
    else if (first !== 0 && last !== 0) this.counters.buddied[EPHEMERAL] -= 1;
    else this.counters.unbuddied[EPHEMERAL] -= 1;
    for (let buddy = 0; buddy < 2; buddy += 1) {
      const size = buddy === 0 ? first : last;
      if (size === 0) continue;
      this.counters.removeZpage(EPHEMERAL, size);
      const ref = frame * 2 + buddy;
      this.sink.onEvict(this.pageOf(ref), ref);
    }
    this.counters.pageframes[EPHEMERAL] -= 1;
    this.counters.evicted_pageframes[EPHEMERAL] += 1;
    this.rows.set(frame, SHAPE, 0);
    this.frames.give(frame);
    return true;
  }

  /** Makes the oldest frame of the kind a zombie (zbud_make_zombie_lru of zbud.c). */
  takeOldest(kind: Kind, pages: Int32Array): number {
    const frame = this.lru[kind].head;
    if (frame === 0) return 0;
    const shape = this.rows.get(frame, SHAPE);
    this.unlistUnbuddied(frame, shape);
    this.lru[kind].remove(frame);
    this.zombies[kind].append(frame);
    this.counters.zombies[kind] += 1;
    this.rows.set(frame, SHAPE, shape | ZOMBIE_BIT);
    let count = 0;
    for (let buddy = 0; buddy < 2; buddy += 1) {
      if (this.sizeIn(shape, buddy) === 0) continue;
      pages[count] = this.pageOf(frame * 2 + buddy);
      count += 1;
    }
    return count;
  }

  putBack(ref: number, as: "oldest" | "newest"): void {
    const frame = ref >>> 1;
    const shape = this.rows.get(frame, SHAPE);
    assert((shape & ZOMBIE_BIT) !== 0, "only a leaving zpage can be put back");
    const kind = this.kindOf(shape);
    this.zombies[kind].remove(frame);
    this.counters.zombies[kind] -= 1;
    if (as === "oldest") this.lru[kind].prepend(frame);
    else this.lru[kind].append(frame);
    this.rows.set(frame, SHAPE, shape & ~ZOMBIE_BIT);
    const first = this.sizeIn(shape, 0);
    const last = this.sizeIn(shape, 1);
    if ((shape & WHOLE_BIT) !== 0 || (first !== 0 && last !== 0)) return;
    this.unbuddied[kind][chunksOf(first + last)]?.append(frame);
  }

  /** The order is that of insertion, as in the original. */
  touch(): void {}

  /** Zpages never move. */
  compact(): boolean {
    return false;
  }

  hasLive(kind: Kind): boolean {
    return this.lru[kind].head !== 0;
  }

  /** Memory is not kept with zbud: the original's frames say too little. */
  restore(): boolean {
    return false;
  }

  holds(page: number, ref: number, zpageBytes: number): boolean {
    return this.pageOf(ref) === page && this.zpageBytes(ref) === zpageBytes;
  }

  freeOthers(): number {
    return 0;
  }

  isLeaving(ref: number): boolean {
    return (this.rows.get(ref >>> 1, SHAPE) & ZOMBIE_BIT) !== 0;
  }

  framesOf(ref: number): number {
    const shape = this.rows.get(ref >>> 1, SHAPE);
    return this.sizeIn(shape, 0) !== 0 && this.sizeIn(shape, 1) !== 0 ? 0.5 : 1;
  }

  zpageBytes(ref: number): number {
    return this.sizeIn(this.rows.get(ref >>> 1, SHAPE), ref & 1);
  }

  pageOf(ref: number): number {
    if (this.isWhole(ref)) return this.rows.get(ref >>> 1, BUD_PREV);
    const { header } = this;
    const offset = this.offsetOf(ref, this.zpageBytes(ref)) + UNUSED_BYTES;
    this.frames.read(ref >>> 1, offset, header, 0, HEADER_BYTES);
    return headerPage(header, HEADER_BYTES);
  }

  setPage(ref: number, page: number): void {
    if (this.isWhole(ref)) {
      this.rows.set(ref >>> 1, BUD_PREV, page);
      return;
    }
    const { header } = this;
    const offset = this.offsetOf(ref, this.zpageBytes(ref)) + UNUSED_BYTES;
    writeHeaderPage(header, HEADER_BYTES, page);
    this.frames.write(ref >>> 1, offset, header, 0, 4);
  }

  read(ref: number, zpageBytes: number, target: Uint8Array, at: number): number {
    const frame = ref >>> 1;
    if (zpageBytes === PAGE_BYTES) {
      this.frames.read(frame, 0, target, at, PAGE_BYTES);
      return this.rows.get(frame, BUD_NEXT) >>> 0;
    }
    const offset = this.offsetOf(ref, zpageBytes) + UNUSED_BYTES;
    this.frames.read(frame, offset, target, at - HEADER_BYTES, HEADER_BYTES + zpageBytes);
    return headerChecksum(target, at);
  }

  positionOf(ref: number, byte: number): number {
    const zpageBytes = this.zpageBytes(ref);
    const isWhole = zpageBytes === PAGE_BYTES;
    const offset = isWhole ? 0 : this.offsetOf(ref, zpageBytes) + ZBUD_HEADER_BYTES;
    return (ref >>> 1) * FRAME_BYTES + offset + byte;
  }

  verify(): void {
    verifyLists(this.rows, {
      lru: this.lru,
      zombies: this.zombies,
      unbuddied: this.unbuddied,
      counters: this.counters,
    });
  }

  close(): void {
    this.rows.close();
  }

  private isWhole(ref: number): boolean {
    return (this.rows.get(ref >>> 1, SHAPE) & WHOLE_BIT) !== 0;
  }

  private kindOf(shape: number): Kind {
    return (shape & KIND_BIT) !== 0 ? PERSISTENT : EPHEMERAL;
  }

  private sizeIn(shape: number, buddy: number): number {
    return (buddy === 0 ? shape : shape >>> SIZE_BITS) & SIZE_MASK;
  }

  private offsetOf(ref: number, zpageBytes: number): number {
    return (ref & 1) === 0 ? 0 : FRAME_BYTES - chunksOf(zpageBytes) * CHUNK_BYTES;
  }

  private unlistUnbuddied(frame: number, shape: number): void {
    const first = this.sizeIn(shape, 0);
    const last = this.sizeIn(shape, 1);
    if ((shape & WHOLE_BIT) !== 0 || (first !== 0 && last !== 0)) return;
    this.unbuddied[this.kindOf(shape)][chunksOf(first + last)]?.remove(frame);
  }

  private release(frame: number, kind: Kind, zombie: boolean): void {
    if (zombie) {
      this.zombies[kind].remove(frame);
      this.counters.zombies[kind] -= 1;
    } else this.lru[kind].remove(frame);
    this.counters.pageframes[kind] -= 1;
    this.rows.set(frame, SHAPE, 0);
    this.frames.give(frame);
  }
}

interface ZbudLists {
  lru: readonly [RowList, RowList];
  zombies: readonly [RowList, RowList];
  unbuddied: readonly [readonly RowList[], readonly RowList[]];
  counters: PlacementCounters;
}

/** The body of verify(): walks every list from its head and counts its frames. */
function verifyLists(rows: Rows, lists: ZbudLists): void {
  for (const kind of [EPHEMERAL, PERSISTENT] as const) {
    const seen = { zpages: 0, zbytes: 0, unbuddied: 0, buddied: 0, whole: 0, lone: 0, frames: 0 };
    const walk = (list: RowList, zombie: boolean): void => {
      let count = 0;
      for (let frame = list.head; frame !== 0; frame = list.next(frame)) {
        const shape = rows.get(frame, SHAPE);
        const first = shape & SIZE_MASK;
        const last = (shape >>> SIZE_BITS) & SIZE_MASK;
        assert(((shape & KIND_BIT) !== 0) === (kind === PERSISTENT), "kind of a frame");
        assert(((shape & ZOMBIE_BIT) !== 0) === zombie, "state of a frame");
        assert((shape & DYING_BIT) === 0, "a dying frame is on a list");
        assert(first + last > 0, "an empty frame is on a list");
        if ((shape & WHOLE_BIT) !== 0) seen.whole += 1;
        else if (first > 0 && last > 0) {
          assert(chunksOf(first) + chunksOf(last) <= CHUNK_COUNT, "buddies overlap");
          seen.buddied += 1;
        } else {
          seen.unbuddied += 1;
          if (!zombie) seen.lone += 1;
        }
        seen.zpages += (first > 0 ? 1 : 0) + (last > 0 ? 1 : 0);
        seen.zbytes += first + last;
        seen.frames += 1;
        count += 1;
        assert(count <= list.count, "a list is longer than its count");
      }
      assert(count === list.count, "count of a list");
    };
    walk(lists.lru[kind], false);
    walk(lists.zombies[kind], true);
    let lone = 0;
    lists.unbuddied[kind].forEach((list, chunks) => {
      for (let frame = list.head; frame !== 0; frame = list.next(frame)) {
        const shape = rows.get(frame, SHAPE);
        const size = (shape & SIZE_MASK) + ((shape >>> SIZE_BITS) & SIZE_MASK);
        assert(chunksOf(size) === chunks, "a frame is on the wrong unbuddied list");
        assert((shape & (WHOLE_BIT | ZOMBIE_BIT | DYING_BIT)) === 0, "state on unbuddied list");
        lone += 1;
        assert(lone <= seen.lone, "a frame is on two unbuddied lists");
      }
    });
    assert(lone === seen.lone, "a lone buddy is on no unbuddied list");
    const counters = lists.counters;
    assert(counters.zombies[kind] === lists.zombies[kind].count, "zombies");
    assert(counters.zpages[kind] === seen.zpages, "zpages");
    assert(counters.zbytes[kind] === seen.zbytes, "zbytes");
    assert(counters.unbuddied[kind] === seen.unbuddied, "unbuddied_count");
    assert(counters.buddied[kind] === seen.buddied, "buddied_count");
    assert(counters.whole[kind] === seen.whole, "whole frames");
    assert(counters.pageframes[kind] === seen.frames, "pageframes");
  }
}
