/**
 * ForeignFlushes: serves FLUSH at a holder, entry by entry, with a limited share of each turn
 * (tmem/reaper.ts). The next requests of the owner wait until the whole message is done, so it
 * never sees a part of its effect. Other owners do not wait.
 *
 *     a pool or object without newer pages       out of reach at once, freed in slices
 *     a pool that was made after the flush       nothing to do
 *     a pool or object that has newer pages too  a walk, in slices
 *
 * So the cost of an entry is what it frees. Only a walk visits more pages, and its owner waits for
 * it.
 */
import { Handle } from "../../core/handle.ts";
import { STATUS } from "../../core/status.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import type { Pool } from "../../tmem/pool.ts";
import { NO_JOB, type Reaper } from "../../tmem/reaper.ts";
import type { Tmem } from "../../tmem/tmem.ts";
import type { Walk } from "../../tmem/walk.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  FLUSH_ENTRY_BYTES,
  FLUSH_SCOPE,
  readFlushScope,
  readFlushVersion,
} from "../../wire/peer-entries.ts";

/** A message, to be served from its entry `next` on. */
interface FlushWork {
  readonly channel: Channel;
  readonly request: number;
  readonly count: number;
  readonly statuses: Uint8Array;
  view: DataView;
  at: number;
  next: number;
  /** The walk for the entry `next`, if it has started. */
  walk: Walk | null;
}

const NOT_DONE = -1;

interface Parts {
  readonly tmem: Tmem;
  readonly reaper: Reaper;
  /** Called when a message is done. */
  readonly onFlushed: (pageCount: number) => void;
}

export class ForeignFlushes {
  private readonly parts: Parts;
  /** The message of each owner that continues in the next turn. */
  private readonly parked = new Map<number, FlushWork>();
  private readonly handle = new Handle();

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** FLUSH: page, object or pool, each up to a version. @returns false when it has no reply. */
  serve(node: number, channel: Channel, frame: Frame): boolean {
    const { request, count, view, bodyAt: at, bytes } = frame;
    const statuses = new Uint8Array(count);
    const work: FlushWork = { channel, request, count, statuses, view, at, next: 0, walk: null };
    if (this.goOn(node, work)) return this.finish(work);
    const kept = bytes.slice(at, at + frame.bodyBytes);
    work.view = new DataView(kept.buffer);
    work.at = 0;
    this.parked.set(node, work);
    channel.deferRequests();
    this.parts.reaper.nextTurn(() => this.resume(node, work));
    return true;
  }

  /** The link is gone. The owner will send the unfinished entries again. */
  drop(node: number): void {
    const work = this.parked.get(node);
    if (work === undefined) return;
    if (work.walk !== null) this.parts.tmem.walks.end(work.walk);
    this.parked.delete(node);
  }

  /** Frees the page under the handle, unless it is newer. @returns how many pages that was. */
  flushPage(node: number, handle: Handle, version: number): number {
    const { tmem } = this.parts;
    const pool = tmem.pool(node, handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, handle);
    if (page === 0 || tmem.version(page) > version) return 0;
    tmem.flush(page);
    return 1;
  }

  private resume(node: number, work: FlushWork): void {
    if (this.parked.get(node) !== work) return;
    if (!this.goOn(node, work)) {
      this.parts.reaper.nextTurn(() => this.resume(node, work));
      return;
    }
    this.parked.delete(node);
    this.finish(work);
    work.channel.resumeRequests();
  }

  /** Goes on until the turn has done its share. @returns whether the whole message is done. */
  private goOn(node: number, work: FlushWork): boolean {
    const { reaper, onFlushed } = this.parts;
    let flushed = 0;
    while (work.next < work.count && !reaper.isSpent) {
      const freed = this.flushEntry(node, work);
      if (freed === NOT_DONE) break;
      work.statuses[work.next] = freed > 0 ? STATUS.OK : STATUS.NOT_FOUND;
      work.next += 1;
      flushed += freed;
    }
    onFlushed(flushed);
    return work.next === work.count;
  }

  /** @returns how many pages were freed, or NOT_DONE. */
  private flushEntry(node: number, work: FlushWork): number {
    const { tmem, reaper } = this.parts;
    const { view } = work;
    const { handle } = this;
    const at = work.at + work.next * FLUSH_ENTRY_BYTES;
    handle.read(view, at);
    const scope = readFlushScope(view, at);
    const version = readFlushVersion(view, at);
    if (scope === FLUSH_SCOPE.PAGE) return this.flushPage(node, handle, version);
    if (work.walk === null) {
      const pool = tmem.pool(node, handle.pool);
      if (pool === null || version < pool.oldest) return 0;
      if (version >= pool.newest) return this.flushAll(pool, handle, scope);
      const object = scope === FLUSH_SCOPE.OBJECT ? handle : null;
      work.walk = tmem.beginWalk(pool, object, version);
    }
    const { walk } = work;
    if (!reaper.step(walk)) return NOT_DONE;
    work.walk = null;
    return walk.freed;
  }

  private flushAll(pool: Pool, handle: Handle, scope: number): number {
    const { reaper } = this.parts;
    if (scope === FLUSH_SCOPE.OBJECT) return reaper.flushObject(pool, handle, NO_JOB);
    const { pageCount } = pool;
    reaper.flushPool(pool, NO_JOB);
    return pageCount;
  }

  private finish({ channel, request, count, statuses }: FlushWork): boolean {
    if (!channel.begin(LANE.URGENT, count)) return false; // The owner sends it again.
    channel.bytes.set(statuses, channel.at);
    channel.commitReply(MESSAGE.FLUSH, request, STATUS.OK, count, count);
    return true;
  }
}
