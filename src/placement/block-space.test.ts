import { expect, test } from "bun:test";
import { PERSISTENT } from "../core/kind.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { FramePool } from "../frames/frame-pool.ts";
import { openMemory } from "../memory/open-memory.ts";
import { BlockRows, FRAMES_MAX, SLOTS_MAX, slotOf, slotOffset, tableBytes } from "./block-rows.ts";
import { BlockSpace } from "./block-space.ts";
import { PlacementCounters } from "./counters.ts";
import { HEADER_BYTES, headerPage, writeHeader } from "./placement.ts";

class Rig {
  readonly frames: FramePool;
  readonly rows: BlockRows;
  readonly space: BlockSpace;
  private readonly bytes = new Uint8Array(2 * PAGE_BYTES);

  constructor() {
    const memory = openMemory();
    this.frames = new FramePool(memory, { frameCountMax: 16, spareCountMax: FRAMES_MAX });
    this.rows = new BlockRows(memory, this.frames);
    this.space = new BlockSpace(this.rows, this.frames, new PlacementCounters());
  }

  /** A block of so many frames. None of them may be asked for a frame after that. */
  grow(frameCount: number): number {
    let row = 0;
    for (let i = 0; i < frameCount; i += 1) row = this.space.grow(PERSISTENT);
    return row;
  }

  store(row: number, page: number, zpageBytes: number): number {
    writeHeader(this.bytes, HEADER_BYTES, page, page);
    return this.space.store(row, this.bytes, 0, slotOf(0, zpageBytes, 0));
  }

  slotIn(row: number, ref: number): number {
    return this.rows.slot(row, indexOf(ref));
  }

  pageAt(row: number, ref: number): number {
    const { bytes } = this;
    this.rows.read(row, slotOffset(this.slotIn(row, ref)), bytes, 0, HEADER_BYTES);
    return headerPage(bytes, HEADER_BYTES);
  }
}

test("a merge makes room for the slot table, and its refs name the same zpages", () => {
  const rig = new Rig();
  const { space, rows } = rig;
  const target = rig.grow(FRAMES_MAX);
  const row = rig.grow(2);
  // The target shrinks to one frame, which three zpages and the table of their slots fill.
  const first = rig.store(target, 1, 1352);
  space.shrink(target);
  const second = rig.store(target, 2, 1352);
  const third = rig.store(target, 3, 1352);
  expect([rows.frameCount(target), rows.freeBytes(target)]).toEqual([1, 0]);
  // Its hole has room for no zpage of the other block, and none for the table.
  space.drop(target, indexOf(second), rig.slotIn(target, second));
  const pages = [4, 5, 6, 7];
  for (const page of pages) rig.store(row, page, 1700);
  const freeBytes = rows.freeBytes(row) + rows.freeBytes(target);

  expect(space.fitMerge(row)).toBe(target);
  const refs = new Int32Array(SLOTS_MAX);
  expect(space.merge(row, target, refs)).toBe(4);
  expect([rows.isUsed(row), rows.frameCount(target), rows.liveCount(target)]).toEqual([
    false,
    3,
    6,
  ]);
  const tables = tableBytes(4) - (tableBytes(6) - tableBytes(3));
  expect(rows.freeBytes(target)).toBe(freeBytes + tables);
  expect(rows.gap(target)).toBeGreaterThanOrEqual(0);
  const all = [first, third, ...refs.subarray(0, 4)];
  expect(all.map((ref) => rig.pageAt(target, ref))).toEqual([1, 3, ...pages]);
  rig.frames.close();
});

function indexOf(ref: number): number {
  return ref & (SLOTS_MAX - 1);
}
