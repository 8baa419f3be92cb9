/**
 * Presence: whether each holder is there, and still has the copies that the records name. That is a
 * named state.
 *
 *     present     its copies count
 *     doubted     heard of in another boot: its copies count until the next link shows a restart
 *     dead        its copies do not count, unless it comes back in the same boot
 *     returning   dead, and heard of in another boot
 *     left        it stopped for good: what it kept is gone
 *     rejoining   left, and heard of again
 *
 * A link is wanted to a holder that is doubted, returning or rejoining, because only a link shows
 * for sure which boot it is. The events, and the state that follows each of them:
 *
 *     state     | linked  heardSame heardOther heardEmpty died left
 *     ----------+---------------------------------------------------
 *     present   | present present   doubted    present    dead left
 *     doubted   | present doubted   doubted    present    dead left
 *     dead      | present present   returning  dead       dead left
 *     returning | present doubted   returning  dead       dead left
 *     left      | present left      rejoining  left       left left
 *     rejoining | present rejoining rejoining  left       left left
 *
 *     linked       a link is up
 *     heardSame    news: it runs in the boot of the last link
 *     heardOther   news: it runs in another boot, and may have, or have lost, pages of this node
 *     heardEmpty   news: it runs in another boot, and no record names it
 *     died         news: it is dead
 *     left         it announced its stop, in the boot of the last link
 *
 * In addition, a holder is *emptied* from when it is known to have lost all pages of this node
 * until no record names it (losses.ts). Three events empty it: a link in another boot, `left`, and
 * a GRANT with another epoch than the last one. Copies at an emptied holder do not count.
 *
 * In kept memory a successor needs boot id and epoch of each holder (core/journal.ts): without them
 * the next link would look like that of a holder that has lost everything. It must also know which
 * holders are emptied, since the boot id and epoch that show it are kept at once, and records that
 * name the holder go one by one. Until the next link, holders are doubted.
 *
 * Not here: where news comes from (node/node.ts), and what follows from it (ramster.ts).
 */
import type { Journal } from "../../core/journal.ts";
import { NODES_MAX } from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { Rows } from "../../core/table.ts";
import { type Copies, copyAt, copyCount, withoutCopy } from "../copies.ts";

export type PresenceState = "present" | "doubted" | "dead" | "returning" | "left" | "rejoining";

export type PresenceEvent = "linked" | "heardSame" | "heardOther" | "heardEmpty" | "died" | "left";

const NEXT: Readonly<Record<PresenceState, Readonly<Record<PresenceEvent, PresenceState>>>> = {
  present: {
    linked: "present",
    heardSame: "present",
    heardOther: "doubted",
    heardEmpty: "present",
    died: "dead",
    left: "left",
  },
  doubted: {
    linked: "present",
    heardSame: "doubted",
    heardOther: "doubted",
    heardEmpty: "present",
    died: "dead",
    left: "left",
  },
  dead: {
    linked: "present",
    heardSame: "present",
    heardOther: "returning",
    heardEmpty: "dead",
    died: "dead",
    left: "left",
  },
  returning: {
    linked: "present",
    heardSame: "doubted",
    heardOther: "returning",
    heardEmpty: "dead",
    died: "dead",
    left: "left",
  },
  left: {
    linked: "present",
    heardSame: "left",
    heardOther: "rejoining",
    heardEmpty: "left",
    died: "left",
    left: "left",
  },
  rejoining: {
    linked: "present",
    heardSame: "rejoining",
    heardOther: "rejoining",
    heardEmpty: "left",
    died: "left",
    left: "left",
  },
};

/** The state that follows `state` after `event`. A pure function. */
export function nextPresence(state: PresenceState, event: PresenceEvent): PresenceState {
  return NEXT[state][event];
}

/** Which boot a new link shows: that of the last link, another one, or the one that had left. */
export type LinkedBoot = "same" | "other" | "left";

class Row {
  state: PresenceState = "present";
  isEmptied = false;
  /** The boot id of the last link. 0: there was none, or the holder left since. */
  bootId = 0n;
  /** The last boot id that left. */
  leftBootId = 0n;
  /** The epoch of the last GRANT in this boot. 0: there was none. */
  epoch = 0;
}

// Words of a kept row. Its number is that of the node, and 1.
const BOOT_LO = 0;
const BOOT_HI = 1;
const EPOCH = 2;
const FLAGS = 3;
const WORDS_PER_HOLDER = 4;
/** It left, and the boot id is the last one that did. */
const HAS_LEFT = 1;
const IS_EMPTIED = 2;

export class Presence {
  /** The rows by node. A node that never had a link has no row, and counts as present. */
  private readonly rows: Array<Row | undefined> = [];
  private readonly kept: Rows;
  private readonly journal: Journal | null;

  constructor(memory: Memory) {
    this.journal = memory.journal;
    const shape = { rowCountMax: NODES_MAX, wordsPerRow: WORDS_PER_HOLDER };
    this.kept = new Rows(memory, { ...shape, name: "holders" });
  }

  /** Makes the rows of a predecessor again. */
  restore(): void {
    for (let node = 0; node < NODES_MAX; node += 1) {
      const lo = BigInt(this.kept.get(node + 1, BOOT_LO) >>> 0);
      const bootId = (BigInt(this.kept.get(node + 1, BOOT_HI) >>> 0) << 32n) | lo;
      if (bootId === 0n) continue;
      const row = new Row();
      const flags = this.kept.get(node + 1, FLAGS);
      const hasLeft = (flags & HAS_LEFT) !== 0;
      row.state = hasLeft ? "left" : "doubted";
      if (hasLeft) row.leftBootId = bootId;
      else row.bootId = bootId;
      row.epoch = this.kept.get(node + 1, EPOCH);
      row.isEmptied = (flags & IS_EMPTIED) !== 0;
      this.rows[node] = row;
    }
  }

  /** The nodes that have linked, and have not left. */
  linkedNodes(): number[] {
    return [...this.rows.keys()].filter((node) => (this.rows[node]?.bootId ?? 0n) !== 0n);
  }

  emptiedNodes(): number[] {
    return [...this.rows.keys()].filter((node) => this.isEmptied(node));
  }

  close(): void {
    this.kept.close();
  }

  private keep(node: number, row: Row): void {
    const hasLeft = row.bootId === 0n;
    const bootId = hasLeft ? row.leftBootId : row.bootId;
    this.journal?.begin();
    this.kept.setKept(node + 1, BOOT_LO, Number(bootId & 0xffffffffn) | 0);
    this.kept.setKept(node + 1, BOOT_HI, Number(bootId >> 32n) | 0);
    this.kept.setKept(node + 1, EPOCH, row.epoch);
    const flags = (hasLeft ? HAS_LEFT : 0) | (row.isEmptied ? IS_EMPTIED : 0);
    this.kept.setKept(node + 1, FLAGS, flags);
    this.journal?.end();
  }

  /** A link is up. With another boot than that of the last one the holder is emptied. */
  linked(node: number, bootId: bigint): LinkedBoot {
    const row = this.rows[node] ?? new Row();
    this.rows[node] = row;
    row.state = nextPresence(row.state, "linked");
    if (row.bootId === bootId) return "same";
    row.bootId = bootId;
    row.epoch = 0;
    row.isEmptied = true;
    this.keep(node, row);
    return bootId === row.leftBootId ? "left" : "other";
  }

  /** News of the node. `isNamed`: whether a record names it as a holder. */
  heard(node: number, bootId: bigint, isNamed: boolean): void {
    const row = this.rows[node];
    if (row === undefined) return;
    // A node that was wrongly reported to have left still has the pages that were given up.
    const mayHavePages = isNamed || bootId === row.leftBootId;
    const other = mayHavePages ? "heardOther" : "heardEmpty";
    row.state = nextPresence(row.state, row.bootId === bootId ? "heardSame" : other);
  }

  died(node: number): void {
    const row = this.rows[node];
    if (row !== undefined) row.state = nextPresence(row.state, "died");
  }

  /**
   * News that the node left. @returns whether that is the boot of the last link, so that it is
   * emptied. Otherwise the news is old.
   */
  left(node: number, bootId: bigint): boolean {
    const row = this.rows[node];
    if (row === undefined || row.bootId !== bootId) return false;
    row.state = nextPresence(row.state, "left");
    row.leftBootId = bootId;
    row.bootId = 0n;
    row.epoch = 0;
    row.isEmptied = true;
    this.keep(node, row);
    return true;
  }

  /**
   * A GRANT has this epoch. @returns whether the holder dropped the pages that it kept for this
   * node, so that it is emptied.
   */
  granted(node: number, epoch: number): boolean {
    const row = this.rows[node];
    if (row === undefined) return false;
    const isDropped = row.epoch !== 0 && row.epoch !== epoch;
    if (row.epoch !== epoch) {
      row.epoch = epoch;
      if (isDropped) row.isEmptied = true;
      this.keep(node, row);
    }
    return isDropped;
  }

  /** No record names the emptied holder any more. */
  endEmptied(node: number): void {
    const row = this.rows[node];
    if (row === undefined || !row.isEmptied) return;
    row.isEmptied = false;
    this.keep(node, row);
  }

  isEmptied(node: number): boolean {
    return this.rows[node]?.isEmptied ?? false;
  }

  stateOf(node: number): PresenceState {
    return this.rows[node]?.state ?? "present";
  }

  /** Whether the holder is dead or left, so that none of its copies is in reach. */
  isAbsent(node: number): boolean {
    const state = this.stateOf(node);
    return state !== "present" && state !== "doubted";
  }

  /** Whether only a link can show which copies it has. */
  isInDoubt(node: number): boolean {
    const state = this.stateOf(node);
    return state === "doubted" || state === "returning" || state === "rejoining";
  }

  hasLeft(node: number): boolean {
    const state = this.stateOf(node);
    return state === "left" || state === "rejoining";
  }

  /** Whether its copies count. */
  isPresent(node: number): boolean {
    return !(this.isAbsent(node) || this.isEmptied(node));
  }

  /** Those of the copies that count. */
  presentOf(copies: Copies): Copies {
    let present = copies;
    for (let i = 0; i < copyCount(copies); i += 1) {
      const node = copyAt(copies, i);
      if (!this.isPresent(node)) present = withoutCopy(present, node);
    }
    return present;
  }

  /** The first holder that `presentOf` leaves out, or -1. */
  absentOf(copies: Copies): number {
    for (let i = 0; i < copyCount(copies); i += 1) {
      const node = copyAt(copies, i);
      if (!this.isPresent(node)) return node;
    }
    return -1;
  }
}
