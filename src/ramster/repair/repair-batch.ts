/** RepairBatch: zpages on their way to a new holder. Made once, used over and over. */
import { HANDLE_BYTES } from "../../core/handle.ts";
import { PAGE_BYTES, REMOTIFY_BATCH_BYTES, REPAIR_PAGES_MAX } from "../../core/limits.ts";
import type { SpillBatch } from "../../spill/batch.ts";
import { PUT_ENTRY_BYTES } from "../../wire/peer-entries.ts";

export class RepairBatch {
  readonly pages = new Int32Array(REPAIR_PAGES_MAX);
  readonly versions = new Float64Array(REPAIR_PAGES_MAX);
  /** Who wants to be rid of it, or NOBODY. */
  readonly from = new Int32Array(REPAIR_PAGES_MAX);
  readonly handles = new DataView(new ArrayBuffer(REPAIR_PAGES_MAX * HANDLE_BYTES));
  readonly bytes = new Uint8Array(REMOTIFY_BATCH_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  state: "free" | "filling" | "sent" = "free";
  node = 0;
  count = 0;
  countMax = 0;
  bodyBytes = 0;
  /** Of one that goes to the disk. */
  spilled: SpillBatch | null = null;

  get hasRoom(): boolean {
    const bytes = this.bodyBytes + PUT_ENTRY_BYTES + PAGE_BYTES;
    return this.count < this.countMax && bytes <= this.bytes.byteLength;
  }
}
