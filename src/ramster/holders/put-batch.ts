/**
 * PutBatch: zpages on their way to the same holders, as entries of one PUT message, with the
 * answers of the holders so far. A batch is made once and reused.
 *
 *     free --> filling --> sent, `waiting` holders have not answered --> free
 */
import { assert } from "../../core/assert.ts";
import { HANDLE_BYTES } from "../../core/handle.ts";
import { type Kind, PERSISTENT } from "../../core/kind.ts";
import { COPIES_MAX, PAGE_BYTES, REMOTIFY_BATCH_BYTES } from "../../core/limits.ts";
import type { SpillBatch } from "../../spill/batch.ts";
import { PUT_ENTRY_BYTES } from "../../wire/peer-entries.ts";
import { type Copies, copyAt, copyCount, NO_COPIES } from "../copies.ts";
import type { Entries } from "./spill-entries.ts";

/** A bit of `taken`: a holder found that the bytes do not match their checksum. */
export const DAMAGED = 1 << 7;
assert(COPIES_MAX < 7);

/** The sender of a batch, which decides what happens to its pages. */
export interface PutSink {
  /** The node gave no answer, so it may have any page of the batch. */
  onUnknown(batch: PutBatch, node: number): void;
  /** All holders have answered, or never will. `batch.taken` tells which of them have each page. */
  onDone(batch: PutBatch): void;
  /** The batch is free again. `isAnswered`: whether the last holder gave an answer. */
  onFree(isAnswered: boolean): void;
  /** Whether more pages for a batch that is filling are on their way. */
  mayGrow(batch: PutBatch): boolean;
}

/** A buffer for entries outside a message. */
export class Staging implements Entries {
  readonly bytes = new Uint8Array(REMOTIFY_BATCH_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly at = 0;
}

export class PutBatch {
  readonly index: number;
  /** Where entries are gathered over several turns. Null: they are written into a message. */
  readonly staging: Staging | null;
  /** The rows of the index. */
  readonly pages: Int32Array;
  readonly versions: Float64Array;
  /**
   * The handles, since a page and its handle may be gone when the reply comes, and a flush needs
   * the handle.
   */
  readonly handles: DataView;
  /** For repair: the holder that gives its copy of each page up, or NOBODY. */
  readonly givenUpBy: Int32Array;
  /** The answers for each page. Bit i: the i-th holder has taken it. DAMAGED may be set, too. */
  readonly taken: Uint8Array;
  state: "free" | "filling" | "sent" = "free";
  sink: PutSink | null = null;
  holders: Copies = NO_COPIES;
  kind: Kind = PERSISTENT;
  /** Where the entries are written. `bodyBytes` are written so far. */
  entries: Entries | null = null;
  count = 0;
  countMax = 0;
  bodyBytes = 0;
  /** How many frames the sender empties with the batch. */
  frameCount = 0;
  /** How many holders have not answered. */
  waiting = 0;
  sentAtMs = 0;
  /** The part of the batch that goes to the disk. */
  spilled: SpillBatch | null = null;

  constructor(index: number, pageCountMax: number, staging: Staging | null) {
    this.index = index;
    this.staging = staging;
    this.pages = new Int32Array(pageCountMax);
    this.versions = new Float64Array(pageCountMax);
    this.handles = new DataView(new ArrayBuffer(pageCountMax * HANDLE_BYTES));
    this.givenUpBy = new Int32Array(pageCountMax);
    this.taken = new Uint8Array(pageCountMax);
  }

  begin(sink: PutSink, holders: Copies, kind: Kind, countMax: number): void {
    this.state = "filling";
    this.sink = sink;
    this.holders = holders;
    this.kind = kind;
    this.countMax = Math.min(countMax, this.pages.length);
    this.count = 0;
    this.bodyBytes = 0;
    this.frameCount = 0;
  }

  hasRoomFor(pageCount: number): boolean {
    const bytes = this.bodyBytes + pageCount * (PUT_ENTRY_BYTES + PAGE_BYTES);
    return this.count + pageCount <= this.countMax && bytes <= REMOTIFY_BATCH_BYTES;
  }

  /** Whether all holders have taken the page. */
  isTaken(i: number): boolean {
    return this.taken[i] === 2 ** copyCount(this.holders) - 1;
  }

  has(page: number, version: number): boolean {
    for (let i = 0; this.state !== "free" && i < this.count; i += 1) {
      if (this.pages[i] === page && this.versions[i] === version) return true;
    }
    return false;
  }

  /** The holder lost the pages that it took so far. */
  emptied(node: number): void {
    for (let copy = 0; copy < copyCount(this.holders); copy += 1) {
      if (copyAt(this.holders, copy) !== node) continue;
      for (let i = 0; i < this.count; i += 1) {
        this.taken[i] = (this.taken[i] ?? 0) & ~(1 << copy);
      }
    }
  }
}
