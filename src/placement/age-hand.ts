/**
 * AgeHand: finds old zpages. It is the clock algorithm (Corbató 1968) with ages.
 *
 * There is a hand for each kind. It visits the blocks row by row, and begins again after the last
 * one. It stops at a zpage that is among the oldest of its kind: one in OLD_PART. So zpages need no
 * list in the order of their ages, and a use only writes the present epoch into a slot.
 *
 * Not here: what epochs and ages are (ages.ts), what happens to old zpages (blocks.ts).
 */
import { assert } from "../core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../core/kind.ts";
import { AGE_KEPT, Ages, EPOCHS_PER_SWEEP } from "./ages.ts";
import { type BlockRows, isLeaving, LEAVING_BIT, slotEpoch, withEpoch } from "./block-rows.ts";
import type { PlacementCounters } from "./counters.ts";

/** The hand takes zpages of the oldest part of their kind. */
const OLD_PART = 16;
/** After each this many rows of a search, half the age is enough for the hand to stop. */
const HAND_ROWS = 1024;
/**
 * Epochs while as many zpages are used as there are. Fewer make the order of insertion coarse; with
 * more, what is used seldom is soon as old as can be.
 */
const EPOCHS_PER_TURNOVER = 8;
/** The sweep visits a row at every so many uses. */
const SWEEP_EVERY = 4;

export class AgeHand {
  /** Where the hand of each kind is. */
  readonly row: [number, number] = [1, 1];
  readonly slot: [number, number] = [0, 0];
  /** How many zpages of each kind are leaving. */
  readonly leaving: [number, number] = [0, 0];
  readonly ages = new Ages();
  private readonly rows: BlockRows;
  private readonly counters: PlacementCounters;
  private sweepRow = 1;
  private uses = 0;

  constructor(rows: BlockRows, counters: PlacementCounters) {
    this.rows = rows;
    this.counters = counters;
  }

  get now(): number {
    return this.ages.now;
  }

  /** A zpage was put or used: time goes on, and so does the sweep. */
  used(): void {
    const { zpages } = this.counters;
    const forSweep = (SWEEP_EVERY * this.rows.rowEnd) / EPOCHS_PER_SWEEP;
    const forSpan = (zpages[EPHEMERAL] + zpages[PERSISTENT]) / EPOCHS_PER_TURNOVER;
    const { now } = this.ages;
    this.ages.used(Math.ceil(Math.max(forSweep, forSpan)));
    if (this.ages.now !== now) this.rows.epoch = this.ages.now;
    this.uses += 1;
    if (this.uses % SWEEP_EVERY === 0) this.sweep();
  }

  added(kind: Kind): void {
    this.ages.add(kind, this.ages.now);
  }

  removed(kind: Kind, slot: number): void {
    if (isLeaving(slot)) this.leaving[kind] -= 1;
    else this.ages.remove(kind, slotEpoch(slot));
  }

  /** The zpage is as young as can be. */
  touch(row: number, index: number): void {
    const { rows, ages } = this;
    const slot = rows.slot(row, index);
    if (slotEpoch(slot) === ages.now || isLeaving(slot)) return;
    const kind = rows.kind(row);
    ages.remove(kind, slotEpoch(slot));
    ages.add(kind, ages.now);
    rows.markSlot(row, index, withEpoch(slot, ages.now));
  }

  /** The slot with its age set back to AGE_KEPT if it is older. */
  kept(kind: Kind, slot: number): number {
    const { ages } = this;
    if (ages.ageOf(slotEpoch(slot)) <= AGE_KEPT) return slot;
    const epoch = ages.epochOf(AGE_KEPT);
    if (!isLeaving(slot)) {
      ages.remove(kind, slotEpoch(slot));
      ages.add(kind, epoch);
    }
    return withEpoch(slot, epoch);
  }

  hasLive(kind: Kind): boolean {
    return this.counters.zpages[kind] > this.leaving[kind];
  }

  /**
   * Moves the hand of the kind to one of its oldest zpages. There is one. @returns its slot.
   *
   * A round of the hand visits each row, at 8 ns a row, and finds all zpages of that age. A kind
   * with few zpages has long searches, but few of them.
   */
  findOldest(kind: Kind): number {
    const { rows, ages } = this;
    const live = this.counters.zpages[kind] - this.leaving[kind];
    let age = ages.oldestFrom(kind, Math.ceil(live / OLD_PART));
    for (let visited = 1; ; visited += 1) {
      const row = this.row[kind];
      if (row < rows.rowEnd && rows.isUsed(row) && rows.kind(row) === kind) {
        const count = rows.readSlots(row);
        for (let index = this.slot[kind]; index < count; index += 1) {
          const slot = rows.slots[index] ?? 0;
          if (slot === 0 || isLeaving(slot) || ages.ageOf(slotEpoch(slot)) < age) continue;
          this.slot[kind] = index;
          return slot;
        }
      }
      this.row[kind] = row + 1 < rows.rowEnd ? row + 1 : 1;
      this.slot[kind] = 0;
      if (visited % HAND_ROWS === 0) age >>= 1;
      assert(visited < HAND_ROWS * AGE_KEPT + 2 * rows.rowEnd, "there is no zpage for the hand");
    }
  }

  /** The zpage at the hand is leaving from now on. */
  take(kind: Kind, slot: number): void {
    this.rows.markSlot(this.row[kind], this.slot[kind], slot | LEAVING_BIT);
    this.leaving[kind] += 1;
    this.ages.remove(kind, slotEpoch(slot));
  }

  /** The leaving zpage stays. As the oldest, it is the next one that the hand finds. */
  putBack(row: number, index: number, as: "oldest" | "newest"): void {
    const { rows, ages } = this;
    const slot = rows.slot(row, index);
    assert(isLeaving(slot), "only a leaving zpage can be put back");
    const kind = rows.kind(row);
    const epoch = as === "newest" ? ages.now : slotEpoch(slot);
    rows.markSlot(row, index, withEpoch(slot & ~LEAVING_BIT, epoch));
    ages.add(kind, epoch);
    this.leaving[kind] -= 1;
    if (as === "newest") return;
    this.row[kind] = row;
    this.slot[kind] = index;
  }

  /** Keeps the zpages of one more row from growing older than AGE_KEPT. */
  private sweep(): void {
    const { rows, ages } = this;
    const row = this.sweepRow < rows.rowEnd ? this.sweepRow : 1;
    this.sweepRow = row + 1;
    if (row >= rows.rowEnd || !rows.isUsed(row)) return;
    const count = rows.readSlots(row);
    for (let i = 0; i < count; i += 1) {
      const slot = rows.slots[i] ?? 0;
      if (slot === 0 || ages.ageOf(slotEpoch(slot)) <= AGE_KEPT) continue;
      rows.markSlot(row, i, this.kept(rows.kind(row), slot));
    }
  }
}
