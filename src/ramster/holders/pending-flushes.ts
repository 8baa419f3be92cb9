/**
 * PendingFlushes: what one holder must flush and has not acknowledged, oldest first (the original's
 * flush list).
 *
 *     | head: sent, not acknowledged | sent: not sent yet | tail
 *
 * Entries are kept in their wire format, so sending is one copy. An entry names a version, so an
 * entry that is sent twice or late never harms a newer page. The caller ensures that a page is not
 * put again in the same version before its flush is done (remote-pages.ts).
 *
 * The caller also bounds the list. A page turns remote only while the pages on a holder and its
 * pending flushes fit PENDING_FLUSHES_MAX. So `add` never has to refuse.
 */
import { assert } from "../../core/assert.ts";
import type { Handle } from "../../core/handle.ts";
import type { Memory } from "../../core/memory.ts";
import {
  FLUSH_ENTRY_BYTES,
  type FlushScope,
  readFlushScope,
  writeFlushEntry,
} from "../../wire/peer-entries.ts";
import type { RamsterCounters } from "../counters.ts";

/** How many entries an idle list keeps room for. */
const ENTRIES_MIN = 64;

export class PendingFlushes {
  private readonly memory: Memory;
  private readonly counters: Pick<RamsterCounters, "flnodes" | "flnodes_max">;
  private bytes = new Uint8Array(ENTRIES_MIN * FLUSH_ENTRY_BYTES);
  private view = new DataView(this.bytes.buffer);
  /** How many entries were acknowledged or dropped since the start. */
  private done = 0;
  private head = 0;
  private sent = 0;
  private tail = 0;

  /** `counters` count the lists of all holders. */
  constructor(memory: Memory, counters: Pick<RamsterCounters, "flnodes" | "flnodes_max">) {
    this.memory = memory;
    this.counters = counters;
  }

  /** How many entries are not acknowledged. */
  get count(): number {
    return this.tail - this.head;
  }

  /** How many entries are not sent, or must be sent again. */
  get unsentCount(): number {
    return this.tail - this.sent;
  }

  get inFlightCount(): number {
    return this.sent - this.head;
  }

  /**
   * How many entries were added since the start. Once `doneCount` is as high, all of them are done.
   */
  get addedCount(): number {
    return this.done + this.count;
  }

  get doneCount(): number {
    return this.done;
  }

  add(handle: Handle, version: number, scope: FlushScope): void {
    if ((this.tail + 1) * FLUSH_ENTRY_BYTES > this.bytes.byteLength) this.makeRoom();
    writeFlushEntry(this.view, this.tail * FLUSH_ENTRY_BYTES, handle, version, scope);
    this.tail += 1;
    const { counters } = this;
    counters.flnodes += 1;
    if (counters.flnodes > counters.flnodes_max) counters.flnodes_max = counters.flnodes;
  }

  /** Copies the next `count` unsent entries to `target[at]` and marks them sent. */
  send(count: number, target: Uint8Array, at: number): void {
    assert(count <= this.unsentCount);
    const byteCount = count * FLUSH_ENTRY_BYTES;
    this.memory.copy(target, at, this.bytes, this.sent * FLUSH_ENTRY_BYTES, byteCount);
    this.sent += count;
  }

  /** The scope of the sent entry that is `at` entries behind the oldest. */
  scopeInFlight(at: number): number {
    assert(at < this.inFlightCount);
    return readFlushScope(this.view, (this.head + at) * FLUSH_ENTRY_BYTES);
  }

  /** The oldest `count` sent entries are done. */
  acknowledge(count: number): void {
    assert(count <= this.inFlightCount);
    this.head += count;
    this.done += count;
    this.counters.flnodes -= count;
    if (this.head === this.tail) this.clear();
  }

  /** Entries that were sent and not acknowledged must be sent again. */
  rewind(): void {
    this.sent = this.head;
  }

  /** The holder has nothing left to flush. */
  clear(): void {
    this.counters.flnodes -= this.count;
    this.done += this.count;
    this.head = 0;
    this.sent = 0;
    this.tail = 0;
    if (this.bytes.byteLength > ENTRIES_MIN * FLUSH_ENTRY_BYTES) {
      this.bytes = new Uint8Array(ENTRIES_MIN * FLUSH_ENTRY_BYTES);
      this.view = new DataView(this.bytes.buffer);
    }
  }

  /** Drops entries that are done, and doubles the room when less than half of it is free then. */
  private makeRoom(): void {
    const from = this.head * FLUSH_ENTRY_BYTES;
    const used = this.count * FLUSH_ENTRY_BYTES;
    const grow = used * 2 > this.bytes.byteLength;
    const bytes = grow ? new Uint8Array(this.bytes.byteLength * 2) : this.bytes;
    if (grow) this.memory.copy(bytes, 0, this.bytes, from, used);
    else bytes.copyWithin(0, from, from + used);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
    this.sent -= this.head;
    this.tail -= this.head;
    this.head = 0;
  }
}
