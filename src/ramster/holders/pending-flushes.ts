/**
 * PendingFlushes: what one holder must flush and has not acknowledged, oldest first (the original's
 * flush list).
 *
 *     | head: sent, not acknowledged | sent: not sent yet | tail
 *
 * Entries are kept as they go on the wire, so sending is one copy. An entry names a version: one
 * that is sent twice, or late, never hurts a newer page. The caller sees to it that a page is not
 * put again in the same version before its flush is done (remote-pages.ts).
 *
 * The caller bounds the list, too: a page turns remote only while the pages on a holder and its
 * pending flushes fit PENDING_FLUSHES_MAX, so `add` never has to refuse.
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

/** Entries that an idle list keeps room for. */
const ENTRIES_MIN = 64;

export class PendingFlushes {
  private readonly memory: Memory;
  private readonly counters: Pick<RamsterCounters, "flnodes" | "flnodes_max">;
  private bytes = new Uint8Array(ENTRIES_MIN * FLUSH_ENTRY_BYTES);
  private view = new DataView(this.bytes.buffer);
  /** Entries that were acknowledged or dropped since the start. */
  private done = 0;
  private head = 0;
  private sent = 0;
  private tail = 0;

  /** `counters`: of the lists of all holders. */
  constructor(memory: Memory, counters: Pick<RamsterCounters, "flnodes" | "flnodes_max">) {
    this.memory = memory;
    this.counters = counters;
  }

  /** Entries that are not acknowledged. */
  get count(): number {
    return this.tail - this.head;
  }

  /** Entries that are not sent, or must be sent again. */
  get unsentCount(): number {
    return this.tail - this.sent;
  }

  get inFlightCount(): number {
    return this.sent - this.head;
  }

  /** Entries ever added. Once `doneCount` is as high, all of them are done. */
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

  /** Scope of the sent entry that is `at` entries behind the oldest. */
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

  /** What was sent and not acknowledged must be sent again. */
  rewind(): void {
    this.sent = this.head;
  }

  /** The holder has nothing to flush any more. */
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

  /** Drops what is done, and doubles when less than half of the room came free by that. */
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
