/** RemotifyBatch: zpages on their way to their holders, and what these have said so far. */
import { assert } from "../../core/assert.ts";
import { HANDLE_BYTES } from "../../core/handle.ts";
import { COPIES_MAX, REMOTIFY_BATCH_BYTES, REMOTIFY_BATCH_COUNT_MAX } from "../../core/limits.ts";
import type { SpillBatch } from "../../spill/batch.ts";
import { type Kind, PERSISTENT } from "../../zbud/zbud.ts";
import { type Copies, copyAt, copyCount, NO_COPIES } from "../copies.ts";
import type { Entries } from "../spill-entries.ts";

/** In `taken`: a holder says that the bytes do not match their checksum. */
export const DAMAGED = 1 << 7;
assert(COPIES_MAX < 7);

/**
 * What is under way in one batch, so that each reply finds its pages again. Made once, used over
 * and over.
 */
export class RemotifyBatch {
  readonly pages = new Int32Array(REMOTIFY_BATCH_COUNT_MAX);
  readonly refs = new Int32Array(REMOTIFY_BATCH_COUNT_MAX);
  readonly versions = new Float64Array(REMOTIFY_BATCH_COUNT_MAX);
  /**
   * The page may be gone when the reply comes, and with it its handle; a flush of the copy needs
   * it.
   */
  readonly handles = new DataView(new ArrayBuffer(REMOTIFY_BATCH_COUNT_MAX * HANDLE_BYTES));
  /** Of each page: bit i, the i-th holder has taken it; or DAMAGED. */
  readonly taken = new Uint8Array(REMOTIFY_BATCH_COUNT_MAX);
  count = 0;
  frameCount = 0;
  bodyBytes = 0;
  holders: Copies = NO_COPIES;
  kind: Kind = PERSISTENT;
  sentAtMs = 0;
  /** Holders that have not answered. With the last answer it is over. */
  waiting = 0;
  /** What of it goes to the disk. */
  spilled: SpillBatch | null = null;

  /** The holder has nothing any more of what it took so far. */
  emptied(node: number): void {
    for (let copy = 0; copy < copyCount(this.holders); copy += 1) {
      if (copyAt(this.holders, copy) !== node) continue;
      for (let i = 0; i < this.count; i += 1) {
        this.taken[i] = (this.taken[i] ?? 0) & ~(1 << copy);
      }
    }
  }
}

/** Of a batch that goes to the disk alone: from here it is copied there before the call returns. */
export class Staging implements Entries {
  readonly bytes = new Uint8Array(REMOTIFY_BATCH_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly at = 0;
}
