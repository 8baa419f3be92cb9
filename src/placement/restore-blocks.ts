/**
 * Makes the blocks of a predecessor usable again (core/journal.ts): from frames and slots it counts
 * room, holes and ages, and fills the lists.
 *
 * The bytes come from outside. A block whose frames cannot be right is dropped. So is a zpage that
 * is not within its block, or overlaps another one. Their pages are then lost (zcache).
 */
import type { Kind } from "../core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import type { AgeHand } from "./age-hand.ts";
import {
  type BlockRows,
  FRAMES_MAX,
  LEAVING_BIT,
  SLOTS_MAX,
  slotBytes,
  slotEpoch,
  slotOffset,
  slotZpageBytes,
  tableBytes,
} from "./block-rows.ts";
import type { BlockSpace } from "./block-space.ts";
import type { PlacementCounters } from "./counters.ts";

interface Parts {
  readonly frames: FramePool;
  readonly rows: BlockRows;
  readonly space: BlockSpace;
  readonly hand: AgeHand;
  readonly counters: PlacementCounters;
}

/** Units of a block that have a byte of a zpage: what overlaps is found so. */
const UNIT_BYTES = 8;

/** @returns false when there is no memory for so many blocks. */
export function restoreBlocks(parts: Parts): boolean {
  const { frames, rows, space, hand } = parts;
  const taken = new Uint8Array((FRAMES_MAX * FRAME_BYTES) / UNIT_BYTES);
  hand.ages.now = rows.epoch;
  const isRestored = rows.restore((row) => {
    if (!rows.isUsed(row)) return false;
    const isGood = claimFrames(parts, row) && restoreBlock(parts, row, taken);
    if (!isGood) rows.clearBlock(row);
    return isGood;
  });
  frames.restore();
  space.countUsable();
  return isRestored;
}

/** @returns whether the block has frames, and no other block has one of them. */
function claimFrames({ frames, rows }: Parts, row: number): boolean {
  const count = rows.frameCount(row);
  if (count < 1 || count > FRAMES_MAX || (rows.isWhole(row) && count !== 1)) return false;
  for (let i = 0; i < count; i += 1) {
    if (frames.claim(rows.frame(row, i))) continue;
    for (let j = 0; j < i; j += 1) frames.unclaim(rows.frame(row, j));
    return false;
  }
  return true;
}

/** @returns whether the block has zpages. If not, its frames are free. */
function restoreBlock(parts: Parts, row: number, taken: Uint8Array): boolean {
  const { frames, rows, space, hand, counters } = parts;
  const kind: Kind = rows.kind(row);
  const frameCount = rows.frameCount(row);
  const slotCount = rows.isWhole(row) ? 1 : Math.min(rows.slotCount(row), SLOTS_MAX);
  const end = frameCount * FRAME_BYTES;
  let live = 0;
  let low = end;
  let used = tableBytes(slotCount);
  taken.fill(0);
  rows.readSlots(row);
  for (let index = 0; index < slotCount; index += 1) {
    const word = rows.slots[index] ?? 0;
    const slot = word & ~LEAVING_BIT;
    if (word === 0) continue;
    if (!isInBlock(rows, row, slot, slotCount) || !takeUnits(taken, slot)) {
      rows.setSlot(row, index, 0);
      continue;
    }
    if (slot !== word) rows.markSlot(row, index, slot);
    hand.ages.add(kind, slotEpoch(slot));
    counters.restoreZpage(kind, slotZpageBytes(slot));
    live += 1;
    used += slotBytes(slot);
    low = Math.min(low, slotOffset(slot));
  }
  if (live === 0) {
    for (let i = 0; i < frameCount; i += 1) frames.unclaim(rows.frame(row, i));
    return false;
  }
  counters.pageframes[kind] += frameCount;
  rows.setLiveCount(row, live);
  if (rows.isWhole(row)) {
    counters.whole[kind] += 1;
    return true;
  }
  rows.setSlotCount(row, slotCount);
  rows.setRoom(row, end - used, low);
  rows.setHole(row, largestHole(taken, low, end));
  space.list(row);
  return true;
}

function isInBlock(rows: BlockRows, row: number, slot: number, slotCount: number): boolean {
  const zpageBytes = slotZpageBytes(slot);
  if (rows.isWhole(row)) return zpageBytes === PAGE_BYTES;
  const offset = slotOffset(slot);
  const isWithin = offset + slotBytes(slot) <= rows.frameCount(row) * FRAME_BYTES;
  return zpageBytes > 0 && offset >= tableBytes(slotCount) && isWithin;
}

/** Marks the units of the zpage. @returns false when another one has one of them. */
function takeUnits(taken: Uint8Array, slot: number): boolean {
  const from = slotOffset(slot) / UNIT_BYTES;
  const to = from + slotBytes(slot) / UNIT_BYTES;
  for (let unit = from; unit < to; unit += 1) if (taken[unit] === 1) return false;
  taken.fill(1, from, to);
  return true;
}

/** Bytes of the largest hole from `low` on. */
function largestHole(taken: Uint8Array, low: number, end: number): number {
  let largest = 0;
  let hole = 0;
  for (let unit = low / UNIT_BYTES; unit < end / UNIT_BYTES; unit += 1) {
    hole = taken[unit] === 1 ? 0 : hole + 1;
    if (hole > largest) largest = hole;
  }
  return largest * UNIT_BYTES;
}
