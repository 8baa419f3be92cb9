/** Compactor with the parts that it works on. What it does to a store is in blocks.test.ts. */
import { expect, test } from "bun:test";
import { PERSISTENT } from "../core/kind.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { FramePool } from "../frames/frame-pool.ts";
import { openMemory } from "../memory/open-memory.ts";
import { AgeHand } from "./age-hand.ts";
import { AGE_KEPT } from "./ages.ts";
import {
  BlockRows,
  bytesFor,
  FRAMES_MAX,
  isLeaving,
  SLOT_BITS,
  SLOTS_MAX,
  slotBytes,
  slotEpoch,
  slotOf,
  slotZpageBytes,
  tableBytes,
} from "./block-rows.ts";
import { BlockSpace } from "./block-space.ts";
import { Compactor } from "./compactor.ts";
import { PlacementCounters } from "./counters.ts";
import { HEADER_BYTES, writeHeader } from "./placement.ts";
import { verifyBlocks } from "./verify-blocks.ts";

interface Filling {
  readonly zpageBytes: number;
  readonly perBlock: number;
  readonly kept: number;
}

/** Persistent zpages in blocks of four frames, which nothing but compaction changes. */
class Rig {
  readonly frames: FramePool;
  readonly rows: BlockRows;
  readonly hand: AgeHand;
  readonly compactor: Compactor;
  /** The ref of each page. */
  readonly refs = new Map<number, number>();
  private readonly space: BlockSpace;
  private readonly counters = new PlacementCounters();
  private readonly bytes = new Uint8Array(2 * PAGE_BYTES);

  constructor() {
    const memory = openMemory();
    this.frames = new FramePool(memory, { frameCountMax: 16, spareCountMax: FRAMES_MAX });
    this.rows = new BlockRows(memory, this.frames);
    const { frames, rows, counters } = this;
    const space = new BlockSpace(rows, frames, counters);
    const hand = new AgeHand(rows, counters);
    const sink = {
      onEvict: () => {},
      onMove: (page: number, ref: number): void => {
        this.refs.set(page, ref);
      },
    };
    this.space = space;
    this.hand = hand;
    this.compactor = new Compactor({ frames, rows, space, hand, counters, sink });
  }

  put(page: number, zpageBytes: number): void {
    const { space, hand, counters, bytes } = this;
    const row = space.fit(bytesFor(zpageBytes), PERSISTENT) || space.grow(PERSISTENT);
    writeHeader(bytes, HEADER_BYTES, page, page);
    this.refs.set(page, space.store(row, bytes, 0, slotOf(0, zpageBytes, hand.now)));
    counters.addZpage(PERSISTENT, zpageBytes);
    hand.added(PERSISTENT);
    space.sizesChanged();
  }

  free(page: number): void {
    const ref = this.refOf(page);
    const slot = this.slotOf(page);
    this.hand.removed(PERSISTENT, slot);
    this.counters.removeZpage(PERSISTENT, slotZpageBytes(slot));
    this.compactor.freed(slotBytes(slot));
    this.space.drop(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1), slot);
    this.refs.delete(page);
  }

  /** Puts `perBlock` zpages in each of two blocks, and frees all but `kept` of each. */
  fillTwoBlocks({ zpageBytes, perBlock, kept }: Filling): void {
    for (let page = 1; page <= 2 * perBlock; page += 1) this.put(page, zpageBytes);
    expect(this.frames.framesUsed).toBe(2 * FRAMES_MAX);
    for (let page = 1; page <= 2 * perBlock; page += 1) {
      if ((page - 1) % perBlock >= kept) this.free(page);
    }
  }

  /** Lets so many epochs begin, without the sweep that sets ages back. */
  age(epochs: number): void {
    const { ages } = this.hand;
    for (let left = epochs; left > 0; left -= 1) {
      const { now } = ages;
      while (ages.now === now) ages.used(1);
    }
  }

  /** Compacts until no frame comes free. */
  compact(): void {
    while (this.compactor.compactBriefly());
  }

  ageOf(page: number): number {
    return this.hand.ages.ageOf(slotEpoch(this.slotOf(page)));
  }

  isLeaving(page: number): boolean {
    return isLeaving(this.slotOf(page));
  }

  /** The oldest zpage is leaving from now on. @returns its page. */
  takeOldest(): number {
    const { hand, rows } = this;
    const slot = hand.findOldest(PERSISTENT);
    hand.take(PERSISTENT, slot);
    return rows.page(hand.row[PERSISTENT], slot);
  }

  verify(): void {
    const { rows, hand, counters, space } = this;
    space.verify();
    verifyBlocks({ rows, hand, counters, lists: space.lists, holeLists: space.holeLists });
  }

  private refOf(page: number): number {
    const ref = this.refs.get(page);
    if (ref === undefined) throw new Error(`page ${page} is not stored`);
    return ref;
  }

  private slotOf(page: number): number {
    const ref = this.refOf(page);
    return this.rows.slot(ref >>> SLOT_BITS, ref & (SLOTS_MAX - 1));
  }
}

test.each([
  ["moves to another block", { zpageBytes: 780, perBlock: 20, kept: 2, frames: 1 }],
  ["merges with another block", { zpageBytes: 2500, perBlock: 6, kept: 1, frames: 2 }],
])("a zpage that compaction %s is as old as the sweep keeps it, at most", (_, sizes) => {
  const rig = new Rig();
  rig.fillTwoBlocks(sizes);
  const leaving = rig.takeOldest();
  rig.age(AGE_KEPT + 5);
  const before = new Map(rig.refs);
  rig.compact();
  expect(rig.frames.framesUsed).toBe(sizes.frames);
  const pages = [...rig.refs.keys()];
  const isMoved = (page: number): boolean => rig.refs.get(page) !== before.get(page);
  expect(pages.filter(isMoved).length).toBe(sizes.kept);
  // The sweep has not come to those that stay where they were.
  for (const page of pages) expect(rig.ageOf(page)).toBe(AGE_KEPT + (isMoved(page) ? 0 : 5));
  expect(rig.isLeaving(leaving)).toBe(true);
  rig.verify();
  rig.frames.close();
});

test("free bytes that a step could not use promise no frame, and those that come later do", () => {
  const rig = new Rig();
  const { compactor } = rig;
  rig.put(1, 1000);
  expect(compactor.promisedBytes).toBeGreaterThan(2 * 1000);
  expect(compactor.compactBriefly()).toBe(false);
  expect(compactor.promisedBytes).toBe(0);
  rig.put(2, 1000);
  expect(compactor.promisedBytes).toBe(0);
  rig.free(2);
  expect(compactor.promisedBytes).toBe(bytesFor(1000) + tableBytes(2) - tableBytes(1));
  rig.frames.close();
});

test("free bytes that came together in a step promise a frame, though none came free yet", () => {
  const rig = new Rig();
  const { compactor, frames } = rig;
  rig.fillTwoBlocks({ zpageBytes: 2500, perBlock: 6, kept: 1 });
  while (frames.framesUsed > 2) expect(compactor.compactBriefly()).toBe(true);
  expect(compactor.promisedBytes).toBe(0); // No block has room for one more zpage.
  expect(compactor.compactBriefly()).toBe(false);
  expect(compactor.promisedBytes).toBeGreaterThan(2500);
  rig.frames.close();
});
