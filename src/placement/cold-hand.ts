/**
 * ColdHand: which zpages are cold, and how shorter ones take their place. A hand of its own goes
 * round over the blocks of both kinds. It finds each zpage again until that is settled or gone.
 *
 *     in a block    the shorter zpage begins where the old one did; a hole is left behind it
 *     whole page    goes to a block. If none has room, its frame becomes a frame of a block: so
 *                   there is always room, however many frames are in use.
 *     kept memory   the shorter zpage goes to another place, and then the old one is freed: until
 *                   the operation ends, the old bytes must stay (core/journal.ts)
 *
 * Not here: how a zpage gets shorter (src/cold), what it is worth, and when.
 */
import { assert } from "../core/assert.ts";
import { ZPAGE_BYTES_MAX } from "../core/limits.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import type { AgeHand } from "./age-hand.ts";
import {
  type BlockRows,
  bytesFor,
  isLeaving,
  isSettled,
  SETTLED_BIT,
  SLOT_BITS,
  SLOTS_MAX,
  slotBytes,
  slotEpoch,
  slotZpageBytes,
  withZpageBytes,
} from "./block-rows.ts";
import type { BlockSpace } from "./block-space.ts";
import type { Compactor } from "./compactor.ts";
import type { PlacementCounters } from "./counters.ts";
import { type ColdZpages, HEADER_BYTES, writeHeader } from "./placement.ts";

/** Zpages of this age are cold. An epoch lasts until an eighth of the store was used, or longer. */
const COLD_AGE = 2;
/** One call of `next` visits this many rows at most. */
const ROWS_MAX = 64;

interface Parts {
  readonly frames: FramePool;
  readonly rows: BlockRows;
  readonly space: BlockSpace;
  readonly hand: AgeHand;
  readonly compactor: Compactor;
  readonly counters: PlacementCounters;
}

export class ColdHand implements ColdZpages {
  private readonly frames: FramePool;
  private readonly rows: BlockRows;
  private readonly space: BlockSpace;
  private readonly hand: AgeHand;
  private readonly compactor: Compactor;
  private readonly counters: PlacementCounters;
  private row = 1;
  private slot = 0;
  private roundsDone = 0;

  constructor({ frames, rows, space, hand, compactor, counters }: Parts) {
    this.frames = frames;
    this.rows = rows;
    this.space = space;
    this.hand = hand;
    this.compactor = compactor;
    this.counters = counters;
  }

  get epoch(): number {
    return this.hand.now;
  }

  get rounds(): number {
    return this.roundsDone;
  }

  next(pages: Int32Array): number {
    const { rows } = this;
    let found = 0;
    for (let left = ROWS_MAX; left > 0 && this.row < rows.rowEnd; left -= 1) {
      const count = rows.isUsed(this.row) ? rows.readSlots(this.row) : 0;
      for (; this.slot < count; this.slot += 1) {
        const slot = rows.slots[this.slot] ?? 0;
        if (!this.isCold(slot)) continue;
        if (found === pages.length) return found;
        pages[found] = rows.page(this.row, slot);
        found += 1;
      }
      this.row += 1;
      this.slot = 0;
    }
    // A call ends with the round: else it could find a zpage twice.
    if (this.row >= rows.rowEnd) {
      this.row = 1;
      this.slot = 0;
      this.roundsDone += 1;
    }
    return found;
  }

  private isCold(slot: number): boolean {
    if (slot === 0 || isSettled(slot) || isLeaving(slot)) return false;
    return this.hand.ages.ageOf(slotEpoch(slot)) >= COLD_AGE;
  }

  settle(ref: number): void {
    const row = ref >>> SLOT_BITS;
    const index = ref & (SLOTS_MAX - 1);
    const slot = this.rows.slot(row, index);
    assert(slot !== 0, "only a zpage that is there can be settled");
    this.rows.markSlot(row, index, slot | SETTLED_BIT);
  }

  replace(
    ref: number,
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    checksum: number,
  ): number {
    const { rows, space } = this;
    const row = ref >>> SLOT_BITS;
    const index = ref & (SLOTS_MAX - 1);
    const before = rows.slot(row, index);
    const savedBytes = slotZpageBytes(before) - zpageBytes;
    assert(before !== 0 && !isLeaving(before), "only a live zpage can be replaced");
    assert(savedBytes > 0, "a zpage is replaced with a shorter one");
    assert(zpageBytes > 0 && zpageBytes <= ZPAGE_BYTES_MAX);
    writeHeader(source, at, rows.page(row, before), checksum);
    const slot = withZpageBytes(before, zpageBytes) | SETTLED_BIT;
    let newRef = ref;
    if (this.frames.journal !== null) {
      newRef = this.toPlace(row, index, source, at - HEADER_BYTES, slot);
      if (newRef === 0) return 0;
    } else if (rows.isWhole(row)) newRef = this.toBlock(row, source, at - HEADER_BYTES, slot);
    else space.rewrite(row, index, source, at - HEADER_BYTES, slot);
    this.counters.shortenZpage(rows.kind(newRef >>> SLOT_BITS), savedBytes);
    this.compactor.freed(slotBytes(before) - slotBytes(slot));
    space.sizesChanged();
    return newRef;
  }

  /**
   * Stores header and zpage at `source[at]` in another place, and frees the old one. @returns the
   * ref there, or 0 without room: then nothing has changed.
   */
  private toPlace(
    row: number,
    index: number,
    source: Uint8Array,
    at: number,
    slot: number,
  ): number {
    const { rows, space, hand } = this;
    const kind = rows.kind(row);
    const target = space.fit(bytesFor(slotZpageBytes(slot)), kind) || space.grow(kind);
    if (target === 0) return 0;
    const ref = space.store(target, source, at, hand.kept(kind, slot));
    if (rows.isWhole(row)) {
      this.counters.whole[kind] -= 1;
      space.giveBlock(row);
    } else space.drop(row, index, rows.slot(row, index));
    return ref;
  }

  /** Ends a whole page: header and zpage at `source[at]` go to a block. @returns the ref there. */
  private toBlock(row: number, source: Uint8Array, at: number, slot: number): number {
    const { rows, space, hand } = this;
    const kind = rows.kind(row);
    this.counters.whole[kind] -= 1;
    let target = space.fit(bytesFor(slotZpageBytes(slot)), kind);
    if (target !== 0) space.giveBlock(row);
    else target = space.giveToBlock(row);
    return space.store(target, source, at, hand.kept(kind, slot));
  }
}
