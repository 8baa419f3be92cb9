/**
 * zbud: places two compressed pages in one frame.
 *
 *     0                                                 FRAME_BYTES
 *     | first buddy >          free chunks          < last buddy |   buddied; unbuddied: one of two
 *     | one whole page, as it is                                 |   whole: did not compress
 *
 * A zbud is a header of ZBUD_HEADER_BYTES and the zpage after it, rounded up to chunks. Only the
 * owner's number in the header has a meaning here. With at most two zpages in a frame, evicting it
 * has a known cost. A zpage is named by a zbudref: frame * 2 + buddy. Geometry, lists and order are
 * those of the original (drivers/staging/zcache/zbud.c; docs/original.md, "Zbud").
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
 *   - zombie: its zpages are moving out. It is off the match and LRU lists, and readable. Unlike in
 *     the original it can come back (`resurrect`).
 *   - dying: it is being evicted. Its data is invalid, and freeing a buddy is ignored.
 *
 * The original's `unevictable` count is not needed: nothing waits between taking space for a zpage
 * and entering it into tmem.
 *
 * Not here: compression, frame allocation (the caller brings frames and gets empty ones back),
 * tmem, peers.
 */
import { assert } from "../core/assert.ts";
import type { Report } from "../core/figure.ts";
import type { ZBUD_READ } from "../core/figures.ts";
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
import { ZbudCounters } from "./counters.ts";

/** At most. */
export const PAGES_PER_FRAME = 2;
/** The two kinds of page, used as an index. */
export const EPHEMERAL = 0;
export const PERSISTENT = 1;
export type Kind = typeof EPHEMERAL | typeof PERSISTENT;

/** Where the owner's number is in the header, big-endian. The caller defines the rest. */
export const ZBUD_OWNER_OFFSET = 8;

// Words of a frame's row. A frame with a whole page is on no unbuddied list. Its two link words
// contain owner and checksum.
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

export interface EvictSink {
  /**
   * The zpage of `owner` was evicted; its zbudref was `ref`. The frame is dying, so freeing `ref`
   * is ignored.
   */
  onEvict(owner: number, ref: number): void;
}

export function chunksOf(zpageBytes: number): number {
  return Math.ceil((zpageBytes + ZBUD_HEADER_BYTES) / CHUNK_BYTES);
}

export class Zbud {
  readonly counters = new ZbudCounters();
  private readonly frames: FramePool;
  private readonly rows: Rows;
  private readonly unbuddied: readonly [readonly RowList[], readonly RowList[]];
  private readonly lru: readonly [RowList, RowList];
  private readonly zombies: readonly [RowList, RowList];
  private readonly header = new Uint8Array(ZBUD_HEADER_BYTES);
  private readonly headerView = new DataView(this.header.buffer);

  constructor(memory: Memory, frames: FramePool) {
    this.frames = frames;
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

  /**
   * Stores the zbud at `source[at]` (header, then `zpageBytes`) beside a lone buddy
   * (zbud_match_prep of zbud.c). Takes the fullest frame that fits, and the oldest of these. Cost:
   * at most CHUNK_COUNT list heads.
   *
   * @returns the zbudref, or 0 when no frame has room. The caller then gets a frame and calls
   * `create`.
   */
  match(source: Uint8Array, at: number, zpageBytes: number, kind: Kind): number {
    assert(zpageBytes > 0 && zpageBytes <= ZPAGE_BYTES_MAX);
    const chunks = chunksOf(zpageBytes);
    const lists = this.unbuddied[kind];
    for (let used = CHUNK_COUNT - chunks; used > 0; used -= 1) {
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
      this.writeBuddy(frame, buddy, source, at, zpageBytes);
      this.counters.addZpage(kind, chunks, zpageBytes);
      return frame * 2 + buddy;
    }
    return 0;
  }

  /**
   * Stores the zbud at `source[at]` as first buddy of an empty frame (zbud_create_prep of zbud.c).
   * @returns the zbudref.
   */
  create(frame: number, source: Uint8Array, at: number, zpageBytes: number, kind: Kind): number {
    assert(zpageBytes > 0 && zpageBytes <= ZPAGE_BYTES_MAX);
    const chunks = chunksOf(zpageBytes);
    this.rows.set(frame, SHAPE, zpageBytes | (kind === PERSISTENT ? KIND_BIT : 0));
    this.unbuddied[kind][chunks]?.append(frame);
    this.lru[kind].append(frame);
    this.counters.unbuddied[kind] += 1;
    this.counters.pageframes[kind] += 1;
    this.writeBuddy(frame, 0, source, at, zpageBytes);
    this.counters.addZpage(kind, chunks, zpageBytes);
    return frame * 2;
  }

  /**
   * Stores the whole page at `source[at]` in an empty frame. Owner and checksum, signed, are the
   * fields that a header would have.
   *
   * @returns the zbudref.
   */
  createWhole(
    frame: number,
    source: Uint8Array,
    at: number,
    kind: Kind,
    owner: number,
    checksum: number,
  ): number {
    const kindBit = kind === PERSISTENT ? KIND_BIT : 0;
    this.rows.set(frame, SHAPE, PAGE_BYTES | WHOLE_BIT | kindBit);
    this.rows.set(frame, BUD_PREV, owner);
    this.rows.set(frame, BUD_NEXT, checksum);
    this.lru[kind].append(frame);
    this.counters.whole[kind] += 1;
    this.counters.pageframes[kind] += 1;
    this.frames.write(frame, 0, source, at, PAGE_BYTES);
    this.counters.addZpage(kind, CHUNK_COUNT, PAGE_BYTES);
    return frame * 2;
  }

  /**
   * Frees a zpage (zbud_free_and_delist of zbud.c). The frame keeps its place in the LRU while a
   * buddy remains.
   *
   * @returns the frame if it is now empty, for the caller to give back; else 0. For a dying frame
   * it does nothing and returns 0.
   */
  free(ref: number): number {
    const frame = ref >>> 1;
    const shape = this.rows.get(frame, SHAPE);
    if ((shape & DYING_BIT) !== 0) return 0;
    const kind = this.kindOf(shape);
    const size = this.sizeIn(shape, ref & 1);
    assert(size > 0, "free of a buddy that is not there");
    const zombie = (shape & ZOMBIE_BIT) !== 0;
    const other = this.sizeIn(shape, (ref & 1) ^ 1);
    if ((shape & WHOLE_BIT) !== 0) {
      this.counters.removeZpage(kind, PAGE_BYTES);
      this.counters.whole[kind] -= 1;
      this.release(frame, kind, zombie);
      return frame;
    }
    this.counters.removeZpage(kind, size);
    if (other === 0) {
      if (!zombie) this.unbuddied[kind][chunksOf(size)]?.remove(frame);
      this.counters.unbuddied[kind] -= 1;
      this.release(frame, kind, zombie);
      return frame;
    }
    const mask = (ref & 1) === 0 ? SIZE_MASK : SIZE_MASK << SIZE_BITS;
    this.rows.set(frame, SHAPE, shape & ~mask);
    if (!zombie) this.unbuddied[kind][chunksOf(other)]?.append(frame);
    this.counters.buddied[kind] -= 1;
    this.counters.unbuddied[kind] += 1;
    return 0;
  }

  /**
   * Evicts the oldest ephemeral frame (zbud_evict_pageframe_lru of zbud.c) and calls `sink` for
   * each of its zpages. @returns the frame, which the caller may reuse at once; 0 when there is
   * none.
   */
  evict(sink: EvictSink): number {
    const frame = this.lru[EPHEMERAL].head;
    if (frame === 0) return 0;
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
      sink.onEvict(this.ownerOf(ref), ref);
    }
    this.counters.pageframes[EPHEMERAL] -= 1;
    this.counters.evicted_pageframes[EPHEMERAL] += 1;
    this.rows.set(frame, SHAPE, 0);
    return frame;
  }

  /**
   * Makes the oldest frame of the kind a zombie (zbud_make_zombie_lru of zbud.c). @returns the
   * frame, or 0 when there is none.
   */
  makeZombie(kind: Kind): number {
    const frame = this.lru[kind].head;
    if (frame === 0) return 0;
    const shape = this.rows.get(frame, SHAPE);
    this.unlistUnbuddied(frame, shape);
    this.lru[kind].remove(frame);
    this.zombies[kind].append(frame);
    this.rows.set(frame, SHAPE, shape | ZOMBIE_BIT);
    return frame;
  }

  /**
   * Makes a zombie live again: as the oldest frame of its LRU, as it was, or as the newest, so that
   * other frames come first.
   */
  resurrect(frame: number, as: "oldest" | "newest" = "oldest"): void {
    const shape = this.rows.get(frame, SHAPE);
    assert((shape & ZOMBIE_BIT) !== 0, "only a zombie can be resurrected");
    const kind = this.kindOf(shape);
    this.zombies[kind].remove(frame);
    if (as === "oldest") this.lru[kind].prepend(frame);
    else this.lru[kind].append(frame);
    this.rows.set(frame, SHAPE, shape & ~ZOMBIE_BIT);
    const first = this.sizeIn(shape, 0);
    const last = this.sizeIn(shape, 1);
    if ((shape & WHOLE_BIT) !== 0 || (first !== 0 && last !== 0)) return;
    this.unbuddied[kind][chunksOf(first + last)]?.append(frame);
  }

  /** Whether there is a frame for `makeZombie` or `evict`. */
  hasLive(kind: Kind): boolean {
    return this.lru[kind].head !== 0;
  }

  snapshot(): Report<typeof ZBUD_READ> {
    return this.counters.snapshot([this.zombies[EPHEMERAL].count, this.zombies[PERSISTENT].count]);
  }

  isZombie(frame: number): boolean {
    return (this.rows.get(frame, SHAPE) & ZOMBIE_BIT) !== 0;
  }

  isWhole(ref: number): boolean {
    return (this.rows.get(ref >>> 1, SHAPE) & WHOLE_BIT) !== 0;
  }

  /** Bytes of the zpage: PAGE_BYTES for a whole page, 0 for a free buddy. */
  zpageBytes(ref: number): number {
    return this.sizeIn(this.rows.get(ref >>> 1, SHAPE), ref & 1);
  }

  /** The owner's number in the header of this zpage. */
  ownerOf(ref: number): number {
    if (this.isWhole(ref)) return this.rows.get(ref >>> 1, BUD_PREV);
    this.readHeader(ref, this.zpageBytes(ref), this.header, 0);
    return this.headerView.getInt32(ZBUD_OWNER_OFFSET);
  }

  /**
   * The checksum that `createWhole` was given. Only for a whole page; other pages have it in their
   * header.
   */
  wholeChecksum(ref: number): number {
    return this.rows.get(ref >>> 1, BUD_NEXT);
  }

  /**
   * Copies header and zpage to `target[at]`. A whole page has no header in its frame: only the page
   * is copied.
   */
  read(ref: number, zpageBytes: number, target: Uint8Array, at: number): void {
    if (zpageBytes === PAGE_BYTES) {
      this.frames.read(ref >>> 1, 0, target, at, PAGE_BYTES);
      return;
    }
    const offset = this.offsetOf(ref, zpageBytes);
    this.frames.read(ref >>> 1, offset, target, at, ZBUD_HEADER_BYTES + zpageBytes);
  }

  /** Copies the header alone to `target[at]`. A whole page has none. */
  readHeader(ref: number, zpageBytes: number, target: Uint8Array, at: number): void {
    assert(zpageBytes !== PAGE_BYTES);
    const offset = this.offsetOf(ref, zpageBytes);
    this.frames.read(ref >>> 1, offset, target, at, ZBUD_HEADER_BYTES);
  }

  /** Copies the zpage alone to `target[at]`. */
  readZpage(ref: number, zpageBytes: number, target: Uint8Array, at: number): void {
    const headerBytes = zpageBytes === PAGE_BYTES ? 0 : ZBUD_HEADER_BYTES;
    const offset = zpageBytes === PAGE_BYTES ? 0 : this.offsetOf(ref, zpageBytes);
    this.frames.read(ref >>> 1, offset + headerBytes, target, at, zpageBytes);
  }

  /** Checks every invariant of the file's header. Cost: all frames. For tests. */
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

  private kindOf(shape: number): Kind {
    return (shape & KIND_BIT) !== 0 ? PERSISTENT : EPHEMERAL;
  }

  private sizeIn(shape: number, buddy: number): number {
    return (buddy === 0 ? shape : shape >>> SIZE_BITS) & SIZE_MASK;
  }

  private offsetOf(ref: number, zpageBytes: number): number {
    return (ref & 1) === 0 ? 0 : FRAME_BYTES - chunksOf(zpageBytes) * CHUNK_BYTES;
  }

  private writeBuddy(
    frame: number,
    buddy: number,
    source: Uint8Array,
    at: number,
    zpageBytes: number,
  ): void {
    const offset = this.offsetOf(buddy, zpageBytes);
    this.frames.write(frame, offset, source, at, ZBUD_HEADER_BYTES + zpageBytes);
  }

  private unlistUnbuddied(frame: number, shape: number): void {
    const first = this.sizeIn(shape, 0);
    const last = this.sizeIn(shape, 1);
    if ((shape & WHOLE_BIT) !== 0 || (first !== 0 && last !== 0)) return;
    this.unbuddied[this.kindOf(shape)][chunksOf(first + last)]?.remove(frame);
  }

  private release(frame: number, kind: Kind, zombie: boolean): void {
    if (zombie) this.zombies[kind].remove(frame);
    else this.lru[kind].remove(frame);
    this.counters.pageframes[kind] -= 1;
    this.rows.set(frame, SHAPE, 0);
  }
}

interface ZbudLists {
  lru: readonly [RowList, RowList];
  zombies: readonly [RowList, RowList];
  unbuddied: readonly [readonly RowList[], readonly RowList[]];
  counters: ZbudCounters;
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
    assert(counters.zpages[kind] === seen.zpages, "zpages");
    assert(counters.zbytes[kind] === seen.zbytes, "zbytes");
    assert(counters.unbuddied[kind] === seen.unbuddied, "unbuddied_count");
    assert(counters.buddied[kind] === seen.buddied, "buddied_count");
    assert(counters.whole[kind] === seen.whole, "whole frames");
    assert(counters.pageframes[kind] === seen.frames, "pageframes");
  }
}
