/**
 * Reclaim: how a lender gets lent memory back. It asks the owners of its coldest persistent frames
 * to move the pages elsewhere. The owners flush the pages here when that is done. Until then the
 * pages stay, so no page is lost, however long it takes.
 *
 *     oldest live frame -> zombie -> [ RECLAIM to the owners of its zpages ] -> flushed: frame free
 *                            |-> owner cannot move it: newest live frame, and the next one
 *                            '-> no flush for PATIENCE_MS: likewise
 *
 * A zombie gets no new zpage while it is emptied. Not here: how much is reclaimed and why
 * (foreign.ts), what the owner does (repair.ts).
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import { RECLAIM_BATCH_COUNT_MAX, RECLAIM_FRAMES_MAX } from "../../core/limits.ts";
import { STATUS } from "../../core/status.ts";
import { type Channel, LANE, type ReplySink } from "../../net/channel.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { GET_ENTRY_BYTES, writeGetEntry } from "../../wire/peer-entries.ts";
import { PERSISTENT } from "../../zbud/zbud.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import type { ForeignCounters } from "../counters.ts";

/** How long Reclaim waits for a frame to come free. */
const PATIENCE_MS = 3000;
/** The pause after all owners answered that they cannot move any page. */
const PAUSE_MS = 500;

/** Pages that one message asks an owner to move elsewhere. */
class Batch {
  readonly refs = new Int32Array(RECLAIM_BATCH_COUNT_MAX);
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
  /** The frames that are waited for. `askedAtMs` has the time of each request. */
  private readonly frames = new Int32Array(RECLAIM_FRAMES_MAX);
  private readonly askedAtMs = new Float64Array(RECLAIM_FRAMES_MAX);
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
    const { frames, zbud } = zcache;
    if (clock.now() < this.pausedUntilMs) return;
    let blocked = 0;
    while (this.waiting < RECLAIM_FRAMES_MAX) {
      if (frames.framesUsed - this.waiting <= frameCountMax || blocked > this.byOwner.size) break;
      const frame = zbud.makeZombie(PERSISTENT);
      if (frame === 0) break;
      if (this.ask(frame)) {
        this.frames[this.waiting] = frame;
        this.askedAtMs[this.waiting] = clock.now();
        this.waiting += 1;
      } else {
        blocked += 1;
        zbud.resurrect(frame, "newest");
      }
    }
    for (const [owner, batch] of this.byOwner) this.send(owner, batch);
  }

  /** Stops waiting. Frames that owners have not flushed yet stay. */
  stop(): void {
    for (let i = 0; i < this.waiting; i += 1) this.giveUp(this.frames[i] ?? 0);
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
      else this.refused((batch.refs[i] ?? 0) >>> 1);
    }
    this.finish(batch);
    if (this.waiting > 0) this.step(this.frameCountMax);
  }

  /** ReplySink: there is no answer, so the owner is asked again later. */
  onFailure(owner: number): void {
    const batch = this.sentBatch(owner);
    for (let i = 0; i < batch.count; i += 1) this.giveUp((batch.refs[i] ?? 0) >>> 1);
    this.finish(batch);
  }

  /** Forgets frames that came free, and frames that take too long. */
  private forgetDone(): void {
    const { clock, zcache } = this.parts;
    const now = clock.now();
    let kept = 0;
    for (let i = 0; i < this.waiting; i += 1) {
      const frame = this.frames[i] ?? 0;
      const askedAtMs = this.askedAtMs[i] ?? 0;
      if (!zcache.zbud.isZombie(frame)) continue;
      if (now - askedAtMs > PATIENCE_MS) {
        this.giveUp(frame);
        continue;
      }
      this.frames[kept] = frame;
      this.askedAtMs[kept] = askedAtMs;
      kept += 1;
    }
    this.waiting = kept;
  }

  /** @returns whether all its owners can be asked now. */
  private ask(frame: number): boolean {
    const { zcache } = this.parts;
    for (let ref = frame * 2; ref <= frame * 2 + 1; ref += 1) {
      if (zcache.zbud.zpageBytes(ref) > 0 && !this.hasRoomFor(this.ownerOf(ref))) return false;
    }
    for (let ref = frame * 2; ref <= frame * 2 + 1; ref += 1) {
      if (zcache.zbud.zpageBytes(ref) > 0) this.append(ref);
    }
    return true;
  }

  private ownerOf(ref: number): number {
    const { tmem, zbud } = this.parts.zcache;
    return tmem.poolOf(zbud.ownerOf(ref)).client;
  }

  private hasRoomFor(owner: number): boolean {
    const { channelOf, want } = this.parts;
    if (channelOf(owner) === null) {
      want(owner);
      return false;
    }
    const batch = this.byOwner.get(owner);
    return batch === undefined || (!batch.isSent && batch.count + 2 <= RECLAIM_BATCH_COUNT_MAX);
  }

  private append(ref: number): void {
    const { tmem, zbud } = this.parts.zcache;
    const page = zbud.ownerOf(ref);
    const owner = tmem.poolOf(page).client;
    let batch = this.byOwner.get(owner);
    if (batch === undefined) {
      batch = new Batch();
      this.byOwner.set(owner, batch);
    }
    tmem.readHandle(page, this.handle);
    this.handle.write(batch.handles, batch.count * HANDLE_BYTES);
    batch.refs[batch.count] = ref;
    batch.versions[batch.count] = tmem.version(page);
    batch.count += 1;
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

  /** The owner cannot move a page of the frame now. */
  private refused(frame: number): void {
    const { counters, clock } = this.parts;
    counters.foreign_reclaims_refused += 1;
    this.refusedInRow += 1;
    this.giveUp(frame);
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

  private giveUp(frame: number): void {
    const { zcache } = this.parts;
    if (zcache.zbud.isZombie(frame)) zcache.zbud.resurrect(frame, "newest");
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
