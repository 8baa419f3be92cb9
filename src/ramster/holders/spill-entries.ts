/** Makes a batch for the disk from the entries of a PUT message. */
import type { SpillBatch } from "../../spill/batch.ts";
import type { Spill } from "../../spill/spill.ts";
import { PUT_ENTRY_BYTES, readPutChecksum, readPutSize } from "../../wire/peer-entries.ts";

/** The location of entries in a buffer. */
export interface Entries {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
}

/** Copies `count` entries into a batch, page by page. The disk must be ready. */
export function spillEntries(spill: Spill, entries: Entries, count: number): SpillBatch {
  const { bytes, view } = entries;
  const batch = spill.begin();
  let { at } = entries;
  for (let i = 0; i < count; i += 1) {
    const zpageBytes = readPutSize(view, at);
    const zpageAt = at + PUT_ENTRY_BYTES;
    spill.add(batch, readPutChecksum(view, at), bytes, zpageAt, zpageBytes);
    at = zpageAt + zpageBytes;
  }
  return batch;
}
