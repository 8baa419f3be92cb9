/**
 * Blocks: as many zpages as fit in a block of up to four frames.
 *
 *     put    the block with the fewest free bytes that has enough
 *              -> in its gap or a hole; else its zpages slide together, and the gap is large enough
 *            no block has enough -> one more frame for a block, or a new block of one frame
 *            no frame either     -> compaction; else there is no room
 *     free   an empty block gives its frames back
 *
 * A put takes at most one frame. A slide keeps refs as they are: row * SLOTS_MAX + slot. Compaction
 * moves zpages: their refs change, and the sink is told.
 *
 * Zpages leave by their own age, not by that of their block. A get counts as a use (`byUse`), or
 * the order is that of insertion.
 *
 *     blocks.ts -> age-hand.ts -> ages.ts           which zpages leave
 *               -> block-space.ts -> free-lists.ts  where zpages go
 *               -> compactor.ts                     frames that could come free
 *               -> cold-hand.ts                     which zpages are cold, and shorter ones
 *               -> block-rows.ts                    rows, slots and bytes
 *
 * Invariants, checked by verify():
 *   1. Zpages and slot table of a block never overlap, and its free bytes are what they leave.
 *   2. Each block that is not a whole page is on the list for its free bytes and its kind.
 *   3. The counts of zpages by epoch, and all counters, are those of the slots.
 *
 * Not here: compression, tmem, peers.
 */
import { assert } from "../core/assert.ts";
import { EPHEMERAL, type Kind } from "../core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES, ZPAGE_BYTES_MAX } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import { AgeHand } from "./age-hand.ts";
import {
  BlockRows,
  bytesFor,
  isLeaving,
  SLOT_BITS,
  SLOTS_MAX,
  slotBytes,
  slotOf,
  slotOffset,
  slotZpageBytes,
} from "./block-rows.ts";
import { BlockSpace } from "./block-space.ts";
import { ColdHand } from "./cold-hand.ts";
import { Compactor } from "./compactor.ts";
import { PlacementCounters } from "./counters.ts";
import {
  HEADER_BYTES,
  headerChecksum,
  type Placement,
  type PlacementSink,
  writeHeader,
} from "./placement.ts";
import { restoreBlocks } from "./restore-blocks.ts";
import { verifyBlocks } from "./verify-blocks.ts";

export interface BlocksOptions {
  /** Zpages leave by their last use. Else in the order of insertion. */
  readonly byUse: boolean;
}

export class Blocks implements Placement {
  readonly counters = new PlacementCounters();
  readonly cold: ColdHand;
  private readonly frames: FramePool;
  private readonly sink: PlacementSink;
  private readonly byUse: boolean;
  private readonly rows: BlockRows;
  private readonly space: BlockSpace;
  private readonly hand: AgeHand;
  private readonly compactor: Compactor;

  constructor(memory: Memory, frames: FramePool, sink: PlacementSink, options: BlocksOptions) {
    this.frames = frames;
    this.sink = sink;
    this.byUse = options.byUse;
    this.rows = new BlockRows(memory, frames);
    this.space = new BlockSpace(this.rows, frames, this.counters);
    this.hand = new AgeHand(this.rows, this.counters);
    const { rows, space, hand, counters } = this;
    const compactor = new Compactor({ frames, rows, space, hand, counters, sink });
    this.compactor = compactor;
    this.cold = new ColdHand({ frames, rows, space, hand, compactor, counters });
  }

  get framesNeeded(): number {
    return this.frames.framesUsed - this.compactor.promisedBytes / FRAME_BYTES;
  }

  get metadataBytes(): number {
    return this.frames.linkBytes + this.rows.usedBytes;
  }

  get hasRoom(): boolean {
    if (this.frames.hasFree) return true;
    // An eviction frees no frame where other zpages of the block are leaving.
    return this.hasLive(EPHEMERAL) && this.hand.leaving[EPHEMERAL] === 0;
  }

  makeReady(): void {
    this.compactor.makeReady();
  }

  makeFrame(): boolean {
    return this.compactor.compactBriefly();
  }

  put(
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    kind: Kind,
    page: number,
    checksum: number,
  ): number {
    const ref =
      zpageBytes === PAGE_BYTES
        ? this.putWhole(source, at, kind, page, checksum)
        : this.putZpage(source, at, zpageBytes, kind, page, checksum);
    if (ref === 0) return 0;
    this.counters.addZpage(kind, zpageBytes);
    this.hand.added(kind);
    this.hand.used();
    this.space.sizesChanged();
    return ref;
  }

  private putZpage(
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    kind: Kind,
    page: number,
    checksum: number,
  ): number {
    assert(zpageBytes > 0 && zpageBytes <= ZPAGE_BYTES_MAX);
    const row = this.space.fit(bytesFor(zpageBytes), kind) || this.space.grow(kind);
    if (row === 0) return 0;
    writeHeader(source, at, page, checksum);
    return this.space.store(row, source, at - HEADER_BYTES, slotOf(0, zpageBytes, this.hand.now));
  }

  private putWhole(
    source: Uint8Array,
    at: number,
    kind: Kind,
    page: number,
    checksum: number,
  ): number {
    const { rows, frames, counters } = this;
    const frame = frames.take();
    const row = frame === 0 ? 0 : rows.takeBlock(kind, true);
    if (row === 0) {
      if (frame !== 0) frames.give(frame);
      return 0;
    }
    frames.write(frame, 0, source, at, PAGE_BYTES);
    rows.setFrame(row, 0, frame);
    rows.setFrameCount(row, 1);
    rows.setLiveCount(row, 1);
    rows.setWhole(row, page, checksum);
    rows.setSlot(row, 0, slotOf(0, PAGE_BYTES, this.hand.now));
    counters.whole[kind] += 1;
    counters.pageframes[kind] += 1;
    return row << SLOT_BITS;
  }

  read(ref: number, zpageBytes: number, target: Uint8Array, at: number): number {
    const row = ref >>> SLOT_BITS;
    const { rows } = this;
    if (zpageBytes === PAGE_BYTES) {
      this.frames.read(rows.frame(row, 0), 0, target, at, PAGE_BYTES);
      return rows.wholeChecksum(row);
    }
    const offset = slotOffset(rows.slot(row, ref & (SLOTS_MAX - 1)));
    rows.read(row, offset, target, at - HEADER_BYTES, HEADER_BYTES + zpageBytes);
    return headerChecksum(target, at);
  }

  free(ref: number): void {
    this.frames.journal?.begin();
    this.remove(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1));
    this.frames.journal?.end();
  }

  private remove(row: number, index: number): void {
    const { rows, counters, space } = this;
    const slot = rows.slot(row, index);
    assert(slot !== 0, "free of a zpage that is not there");
    const kind = rows.kind(row);
    this.hand.removed(kind, slot);
    counters.removeZpage(kind, slotZpageBytes(slot));
    this.compactor.freed(slotBytes(slot));
    if (rows.isWhole(row)) {
      counters.whole[kind] -= 1;
      space.giveBlock(row);
    } else space.drop(row, index, slot);
    if (counters.zpages[0] + counters.zpages[1] === 0) space.giveSpares();
  }

  touch(ref: number): void {
    if (!this.byUse) return;
    this.hand.touch(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1));
    this.hand.used();
  }

  hasLive(kind: Kind): boolean {
    return this.hand.hasLive(kind);
  }

  takeOldest(kind: Kind, pages: Int32Array): number {
    const { hand } = this;
    if (!hand.hasLive(kind)) return 0;
    const slot = hand.findOldest(kind);
    hand.take(kind, slot);
    pages[0] = this.rows.page(hand.row[kind], slot);
    return 1;
  }

  putBack(ref: number, as: "oldest" | "newest"): void {
    this.hand.putBack(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1), as);
  }

  evict(kind: Kind): boolean {
    if (!this.hasLive(EPHEMERAL)) return false;
    const { rows, frames, counters } = this;
    const before = frames.framesUsed;
    this.hand.findOldest(EPHEMERAL);
    const row = this.hand.row[EPHEMERAL];
    const first = this.hand.slot[EPHEMERAL];
    // One zpage makes room for another. A zpage of the other kind needs a frame.
    const end = kind === EPHEMERAL ? first + 1 : Math.max(1, rows.slotCount(row));
    for (let index = kind === EPHEMERAL ? first : 0; index < end; index += 1) {
      if (!rows.isUsed(row)) break;
      const slot = rows.slot(row, index);
      if (slot === 0 || isLeaving(slot)) continue;
      const page = rows.page(row, slot);
      frames.journal?.begin();
      this.remove(row, index);
      this.sink.onEvict(page, (row << SLOT_BITS) | index);
      frames.journal?.end();
    }
    if (rows.isUsed(row)) this.space.shrink(row);
    counters.evicted_pageframes[EPHEMERAL] += before - frames.framesUsed;
    return true;
  }

  isLeaving(ref: number): boolean {
    return isLeaving(this.rows.slot(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1)));
  }

  framesOf(ref: number): number {
    const row = ref >>> SLOT_BITS;
    if (this.rows.isWhole(row)) return 1;
    return slotBytes(this.rows.slot(row, ref & (SLOTS_MAX - 1))) / FRAME_BYTES;
  }

  zpageBytes(ref: number): number {
    return slotZpageBytes(this.rows.slot(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1)));
  }

  pageOf(ref: number): number {
    const row = ref >>> SLOT_BITS;
    return this.rows.page(row, this.rows.slot(row, ref & (SLOTS_MAX - 1)));
  }

  setPage(ref: number, page: number): void {
    const row = ref >>> SLOT_BITS;
    this.rows.setPage(row, this.rows.slot(row, ref & (SLOTS_MAX - 1)), page);
  }

  positionOf(ref: number, byte: number): number {
    const { rows } = this;
    const row = ref >>> SLOT_BITS;
    if (rows.isWhole(row)) return rows.frame(row, 0) * FRAME_BYTES + byte;
    const offset = slotOffset(rows.slot(row, ref & (SLOTS_MAX - 1))) + HEADER_BYTES + byte;
    return rows.frameAt(row, offset) * FRAME_BYTES + (offset % FRAME_BYTES);
  }

  restore(): boolean {
    const { frames, rows, space, hand, counters } = this;
    return restoreBlocks({ frames, rows, space, hand, counters });
  }

  holds(page: number, ref: number, zpageBytes: number): boolean {
    const { rows } = this;
    const row = ref >>> SLOT_BITS;
    const index = ref & (SLOTS_MAX - 1);
    if (row < 1 || row >= rows.rowEnd || !rows.isUsed(row)) return false;
    if (index >= rows.slotEnd(row)) return false;
    const slot = rows.slot(row, index);
    return slot !== 0 && slotZpageBytes(slot) === zpageBytes && rows.page(row, slot) === page;
  }

  freeOthers(isOwned: (page: number, ref: number) => boolean): number {
    const { rows } = this;
    let freed = 0;
    for (let row = 1; row < rows.rowEnd; row += 1) {
      for (let index = 0; rows.isUsed(row) && index < rows.slotEnd(row); index += 1) {
        const slot = rows.slot(row, index);
        const ref = (row << SLOT_BITS) | index;
        if (slot === 0 || isOwned(rows.page(row, slot), ref)) continue;
        this.free(ref);
        freed += 1;
      }
    }
    return freed;
  }

  compact(): boolean {
    return this.compactor.compact();
  }

  verify(): void {
    const { rows, space, hand, counters } = this;
    space.verify();
    const { lists, holeLists } = space;
    verifyBlocks({ rows, lists, holeLists, hand, counters });
  }

  close(): void {
    this.rows.close();
  }
}
