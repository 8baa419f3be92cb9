/**
 * Reclaim: how a lender gets lent memory back. It asks the owners of its coldest persistent pages
 * to move them elsewhere. The owners flush the pages here when that is done. Until then the pages
 * stay, so no page is lost, however long it takes.
 *
 *     oldest live zpage -> leaving -> [ RECLAIM to its owner ] -> flushed: its memory is free
 *                            |-> owner cannot move it: newest live zpage, and the next one
 *                            '-> no flush for PATIENCE_MS: likewise
 *
 * Zpages that share a frame in zbud leave together. Not here: how much is reclaimed and why
 * (foreign.ts), what the owner does (repair.ts).
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import { PERSISTENT } from "../../core/kind.ts";
import { RECLAIM_BATCH_COUNT_MAX, RECLAIM_PAGES_MAX } from "../../core/limits.ts";
import { STATUS } from "../../core/status.ts";
import { type Channel, LANE, type ReplySink } from "../../net/channel.ts";
import { TAKEN_MAX } from "../../placement/placement.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { GET_ENTRY_BYTES, writeGetEntry } from "../../wire/peer-entries.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import type { ForeignCounters } from "../counters.ts";

/** How long Reclaim waits for a page to be flushed. */
const PATIENCE_MS = 3000;
/** The pause after all owners answered that they cannot move any page. */
const PAUSE_MS = 500;

/** Pages that one message asks an owner to move elsewhere. */
class Batch {
  /** The rows of the index. */
  readonly pages = new Int32Array(RECLAIM_BATCH_COUNT_MAX);
  readonly versions = new Float64Array(RECLAIM_BATCH_COUNT_MAX);
  readonly handles = new DataView(new ArrayBuffer(RECLAIM_BATCH_COUNT_MAX * HANDLE_BYTES));
  count = 0;
  isSent = false;
}

interface Parts {
  readonly zcache: Zcache;
  /** The channel to an owner, or null. */
  readonly channelOf: (owner: number) => Channel | null;
  /** Requests a link to an owner. */
  readonly want: (owner: number) => void;
  readonly counters: ForeignCounters;
  readonly clock: Clock;
}

export class Reclaim implements ReplySink {
  private readonly parts: Parts;
  private readonly requestTimeoutMs: number;
  private readonly byOwner = new Map<number, Batch>();
  private readonly handle = new Handle();
  private readonly taken = new Int32Array(TAKEN_MAX);
  /** The pages that are waited for: version, frames that come free, time of the request. */
  private readonly pages = new Int32Array(RECLAIM_PAGES_MAX);
  private readonly versions = new Float64Array(RECLAIM_PAGES_MAX);
  private readonly frameCounts = new Float64Array(RECLAIM_PAGES_MAX);
  private readonly askedAtMs = new Float64Array(RECLAIM_PAGES_MAX);
  private waiting = 0;
  private refusedInRow = 0;
  private frameCountMax = 0;
  private pausedUntilMs = 0;

  constructor(parts: Parts, settings: { requestTimeoutMs: number }) {
    this.parts = parts;
    this.requestTimeoutMs = settings.requestTimeoutMs;
  }

  /**
   * Gets frames back until at most `frameCountMax` are used. Called when that has changed, when
   * pages were flushed, and at each tick.
   */
  step(frameCountMax: number): void {
    const { zcache, clock } = this.parts;
    this.frameCountMax = frameCountMax;
    this.forgetDone();
    const { placement } = zcache;
    if (clock.now() < this.pausedUntilMs) return;
    let awaited = this.framesAwaited();
    let blocked = 0;
    while (this.waiting + TAKEN_MAX <= RECLAIM_PAGES_MAX) {
      if (placement.framesNeeded - awaited <= frameCountMax || blocked > this.byOwner.size) break;
      const count = placement.takeOldest(PERSISTENT, this.taken);
      if (count === 0) break;
      if (this.canAsk(count)) {
        for (let i = 0; i < count; i += 1) awaited += this.ask(this.taken[i] ?? 0);
      } else {
        blocked += 1;
        this.putBack(this.taken[0] ?? 0);
      }
    }
    for (const [owner, batch] of this.byOwner) this.send(owner, batch);
  }

  /** Stops waiting. Pages that owners have not flushed yet stay. */
  stop(): void {
    for (let i = 0; i < this.waiting; i += 1) {
      this.giveUp(this.pages[i] ?? 0, this.versions[i] ?? 0);
    }
    this.waiting = 0;
  }

  /** ReplySink: what the owner does with each page. */
  onReply(owner: number, reply: Frame): void {
    const batch = this.sentBatch(owner);
    for (let i = 0; i < batch.count; i += 1) {
      const status =
        reply.handlerStatus === STATUS.OK ? reply.view.getUint8(reply.bodyAt + i) : STATUS.NO_ROOM;
      if (status === STATUS.OK) this.refusedInRow = 0;
      else if (status === STATUS.NOT_FOUND) this.dropOrphan(owner, batch, i);
      else this.refused(batch.pages[i] ?? 0, batch.versions[i] ?? 0);
    }
    this.finish(batch);
    if (this.waiting > 0) this.step(this.frameCountMax);
  }

  /** ReplySink: there is no answer, so the owner is asked again later. */
  onFailure(owner: number): void {
    const batch = this.sentBatch(owner);
    for (let i = 0; i < batch.count; i += 1) {
      this.giveUp(batch.pages[i] ?? 0, batch.versions[i] ?? 0);
    }
    this.finish(batch);
  }

  /** Forgets pages that were flushed, and pages that take too long. */
  private forgetDone(): void {
    const now = this.parts.clock.now();
    let kept = 0;
    for (let i = 0; i < this.waiting; i += 1) {
      const page = this.pages[i] ?? 0;
      const version = this.versions[i] ?? 0;
      const askedAtMs = this.askedAtMs[i] ?? 0;
      if (!this.isLeaving(page, version)) continue;
      if (now - askedAtMs > PATIENCE_MS) {
        this.giveUp(page, version);
        continue;
      }
      this.pages[kept] = page;
      this.versions[kept] = version;
      this.frameCounts[kept] = this.frameCounts[i] ?? 0;
      this.askedAtMs[kept] = askedAtMs;
      kept += 1;
    }
    this.waiting = kept;
  }

  /** How many frames come free when all pages that are waited for are flushed. */
  private framesAwaited(): number {
    let sum = 0;
    for (let i = 0; i < this.waiting; i += 1) sum += this.frameCounts[i] ?? 0;
    return sum;
  }

  /** Whether the page is still the one that its owner was asked for. */
  private isLeaving(page: number, version: number): boolean {
    const { tmem, placement } = this.parts.zcache;
    return (
      tmem.isTaken(page) && tmem.version(page) === version && placement.isLeaving(tmem.place(page))
    );
  }

  /** @returns whether the owners of all pages in `taken` can be asked now. */
  private canAsk(count: number): boolean {
    const { tmem } = this.parts.zcache;
    for (let i = 0; i < count; i += 1) {
      if (!this.hasRoomFor(tmem.poolOf(this.taken[i] ?? 0).client)) return false;
    }
    return true;
  }

  private hasRoomFor(owner: number): boolean {
    const { channelOf, want } = this.parts;
    if (channelOf(owner) === null) {
      want(owner);
      return false;
    }
    const batch = this.byOwner.get(owner);
    if (batch === undefined) return true;
    return !batch.isSent && batch.count + TAKEN_MAX <= RECLAIM_BATCH_COUNT_MAX;
  }

  /** @returns how many frames come free when the page is flushed. */
  private ask(page: number): number {
    const { zcache, clock } = this.parts;
    const { tmem, placement } = zcache;
    const owner = tmem.poolOf(page).client;
    const version = tmem.version(page);
    let batch = this.byOwner.get(owner);
    if (batch === undefined) {
      batch = new Batch();
      this.byOwner.set(owner, batch);
    }
    tmem.readHandle(page, this.handle);
    this.handle.write(batch.handles, batch.count * HANDLE_BYTES);
    batch.pages[batch.count] = page;
    batch.versions[batch.count] = version;
    batch.count += 1;
    this.pages[this.waiting] = page;
    this.versions[this.waiting] = version;
    const frameCount = placement.framesOf(tmem.place(page));
    this.frameCounts[this.waiting] = frameCount;
    this.askedAtMs[this.waiting] = clock.now();
    this.waiting += 1;
    return frameCount;
  }

  private send(owner: number, batch: Batch): void {
    const { channelOf, counters } = this.parts;
    if (batch.isSent || batch.count === 0) return;
    const channel = channelOf(owner);
    const bodyBytes = batch.count * GET_ENTRY_BYTES;
    batch.isSent = true;
    if (channel?.begin(LANE.BULK, bodyBytes) === true) {
      for (let i = 0; i < batch.count; i += 1) {
        this.handle.read(batch.handles, i * HANDLE_BYTES);
        const at = channel.at + i * GET_ENTRY_BYTES;
        writeGetEntry(channel.view, at, this.handle, batch.versions[i] ?? 0);
      }
      const { requestTimeoutMs: timeoutMs } = this;
      const type = MESSAGE.RECLAIM;
      if (channel.commitRequest(type, batch.count, bodyBytes, this, owner, timeoutMs) !== 0) {
        counters.foreign_reclaims += batch.count;
        return;
      }
    }
    this.onFailure(owner);
  }

  /** The owner cannot move the page now. */
  private refused(page: number, version: number): void {
    const { counters, clock } = this.parts;
    counters.foreign_reclaims_refused += 1;
    this.refusedInRow += 1;
    this.giveUp(page, version);
    if (this.refusedInRow < 2 * RECLAIM_BATCH_COUNT_MAX) return;
    this.refusedInRow = 0;
    this.pausedUntilMs = clock.now() + PAUSE_MS;
  }

  /** The owner has no record of the page, so it will never fetch or flush the page. */
  private dropOrphan(owner: number, batch: Batch, i: number): void {
    const { zcache, counters } = this.parts;
    const { tmem } = zcache;
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    const pool = tmem.pool(owner, this.handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, this.handle);
    if (page === 0 || tmem.version(page) !== batch.versions[i]) return;
    counters.foreign_orphans += 1;
    tmem.flush(page);
  }

  private giveUp(page: number, version: number): void {
    if (this.isLeaving(page, version)) this.putBack(page);
  }

  private putBack(page: number): void {
    const { tmem, placement } = this.parts.zcache;
    placement.putBack(tmem.place(page), "newest");
  }

  private sentBatch(owner: number): Batch {
    const batch = this.byOwner.get(owner);
    assert(batch?.isSent === true, "reply to a batch that was not sent");
    return batch;
  }

  private finish(batch: Batch): void {
    batch.count = 0;
    batch.isSent = false;
  }
}
