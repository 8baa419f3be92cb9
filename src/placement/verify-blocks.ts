/** Checks every invariant of blocks.ts. Cost: all zpages. For tests. */
import { assert } from "../core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../core/kind.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { AgeHand } from "./age-hand.ts";
import type { Ages } from "./ages.ts";
import {
  type BlockRows,
  isLeaving,
  slotBytes,
  slotEpoch,
  slotOffset,
  slotZpageBytes,
  tableBytes,
} from "./block-rows.ts";
import type { PlacementCounters } from "./counters.ts";
import type { FreeLists } from "./free-lists.ts";

interface Parts {
  readonly rows: BlockRows;
  readonly lists: readonly [FreeLists, FreeLists];
  readonly holeLists: readonly [FreeLists, FreeLists];
  readonly hand: AgeHand;
  readonly counters: PlacementCounters;
}

/** What the slots of one kind add up to. */
class Seen {
  readonly epochs = new Map<number, number>();
  readonly blocks = new Set<number>();
  zpages = 0;
  zbytes = 0;
  leaving = 0;
  frames = 0;
  whole = 0;
}

export function verifyBlocks({ rows, lists, holeLists, hand, counters }: Parts): void {
  const seen = [new Seen(), new Seen()] as const;
  const frames = new Set<number>();
  for (let row = 1; row < rows.rowEnd; row += 1) {
    if (!rows.isUsed(row)) continue;
    const of = seen[rows.kind(row)];
    addSlots(rows, row, of);
    for (let i = 0; i < rows.frameCount(row); i += 1) {
      assert(!frames.has(rows.frame(row, i)), "a frame is in two blocks");
      frames.add(rows.frame(row, i));
    }
    of.frames += rows.frameCount(row);
    if (rows.isWhole(row)) of.whole += 1;
    else {
      of.blocks.add(row);
      verifyRoom(rows, row);
    }
  }
  for (const kind of [EPHEMERAL, PERSISTENT] as const) {
    const of = seen[kind];
    assert(counters.zpages[kind] === of.zpages, "zpages");
    assert(counters.zbytes[kind] === of.zbytes, "zbytes");
    assert(counters.pageframes[kind] === of.frames, "pageframes");
    assert(counters.whole[kind] === of.whole, "whole pages");
    assert(hand.leaving[kind] === of.leaving, "leaving zpages");
    verifyEpochs(kind, hand.ages, of);
    verifyList(lists[kind], of.blocks, (row) => rows.freeBytes(row));
    const largest = (row: number): number => Math.max(0, rows.gap(row), rows.hole(row));
    verifyList(holeLists[kind], of.blocks, largest);
  }
}

function addSlots(rows: BlockRows, row: number, of: Seen): void {
  const count = rows.readSlots(row);
  let live = 0;
  for (let i = 0; i < count; i += 1) {
    const slot = rows.slots[i] ?? 0;
    if (slot === 0) continue;
    assert(slotZpageBytes(slot) > 0, "a slot of no zpage");
    live += 1;
    of.zpages += 1;
    of.zbytes += slotZpageBytes(slot);
    if (isLeaving(slot)) of.leaving += 1;
    else of.epochs.set(slotEpoch(slot), (of.epochs.get(slotEpoch(slot)) ?? 0) + 1);
  }
  assert(live > 0 && live === rows.liveCount(row), "zpages of a block");
}

function verifyRoom(rows: BlockRows, row: number): void {
  const count = rows.readSlots(row);
  const zpages = [...rows.slots.subarray(0, count)]
    .filter((slot) => slot !== 0)
    .sort((a, b) => slotOffset(a) - slotOffset(b));
  let end = tableBytes(count);
  let used = end;
  let hole = 0;
  assert(rows.low(row) <= slotOffset(zpages[0] ?? 0), "a zpage is below the lowest");
  for (const slot of zpages) {
    assert(slotOffset(slot) >= end, "zpages overlap");
    hole = Math.max(hole, slotOffset(slot) - end);
    end = slotOffset(slot) + slotBytes(slot);
    used += slotBytes(slot);
  }
  const bytes = rows.frameCount(row) * FRAME_BYTES;
  assert(end <= bytes, "a zpage is beyond the end of its block");
  assert(rows.freeBytes(row) === bytes - used, "free bytes of a block");
  assert(rows.hole(row) <= Math.max(hole, bytes - end), "a block has no such hole");
}

function verifyEpochs(kind: Kind, ages: Ages, { epochs }: Seen): void {
  for (let epoch = 0; epoch < 64; epoch += 1) {
    assert(ages.countOf(kind, epoch) === (epochs.get(epoch) ?? 0), "zpages of an epoch");
  }
}

function verifyList(
  list: FreeLists,
  blocks: ReadonlySet<number>,
  bytesOf: (row: number) => number,
): void {
  const listed = new Set<number>();
  list.each((row, from) => {
    assert(blocks.has(row) && !listed.has(row), "a list has a row that is not its own");
    const bytes = bytesOf(row);
    assert(bytes >= from && bytes < from + list.classBytes, "a block is on the wrong list");
    listed.add(row);
  });
  assert(listed.size === blocks.size, "a block is on no list");
}
