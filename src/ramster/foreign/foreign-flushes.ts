/**
 * ForeignFlushes: FLUSH at a holder, entry after entry, no more in a turn than its share
 * (tmem/reaper.ts). The owner's next requests wait until all of a message is done, so that nobody
 * sees half of it; the others' do not.
 *
 *     a pool or object all of whose versions are meant    out of reach at once, freed in slices
 *     none is: the pool's oldest version is newer         nothing to look at
 *     some may be: flushed late, and put to since         a walk, in slices
 *
 * So an entry costs what it frees. Only the last kind looks at more, and makes its owner wait.
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

/** A message, from its entry `next` on. */
interface FlushWork {
  readonly channel: Channel;
  readonly request: number;
  readonly count: number;
  readonly statuses: Uint8Array;
  view: DataView;
  at: number;
  next: number;
  /** Of the entry `next`, if it has begun. */
  walk: Walk | null;
}

const NOT_DONE = -1;

export class ForeignFlushes {
  private readonly tmem: Tmem;
  private readonly reaper: Reaper;
  private readonly onFlushed: (pageCount: number) => void;
  /** By owner: what goes on in the next turn. */
  private readonly parked = new Map<number, FlushWork>();
  private readonly handle = new Handle();

  constructor(parts: {
    tmem: Tmem;
    reaper: Reaper;
    /** A message is done. */
    onFlushed: (pageCount: number) => void;
  }) {
    this.tmem = parts.tmem;
    this.reaper = parts.reaper;
    this.onFlushed = parts.onFlushed;
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
    this.reaper.nextTurn(() => this.resume(node, work));
    return true;
  }

  /** The link is gone: what is not done will be sent again. */
  drop(node: number): void {
    const work = this.parked.get(node);
    if (work === undefined) return;
    if (work.walk !== null) this.tmem.walks.end(work.walk);
    this.parked.delete(node);
  }

  /** Frees the page under the handle if it is no newer. @returns how many that was. */
  flushPage(node: number, handle: Handle, version: number): number {
    const pool = this.tmem.pool(node, handle.pool);
    const page = pool === null ? 0 : this.tmem.find(pool, handle);
    if (page === 0 || this.tmem.version(page) > version) return 0;
    this.tmem.flush(page);
    return 1;
  }

  private resume(node: number, work: FlushWork): void {
    if (this.parked.get(node) !== work) return;
    if (!this.goOn(node, work)) {
      this.reaper.nextTurn(() => this.resume(node, work));
      return;
    }
    this.parked.delete(node);
    this.finish(work);
    work.channel.resumeRequests();
  }

  /** @returns whether it is done, or this turn has done its share. */
  private goOn(node: number, work: FlushWork): boolean {
    let flushed = 0;
    while (work.next < work.count && !this.reaper.isSpent) {
      const found = this.flushEntry(node, work);
      if (found === NOT_DONE) break;
      work.statuses[work.next] = found > 0 ? STATUS.OK : STATUS.NOT_FOUND;
      work.next += 1;
      flushed += found;
    }
    this.onFlushed(flushed);
    return work.next === work.count;
  }

  /** @returns how many pages that were, or NOT_DONE. */
  private flushEntry(node: number, work: FlushWork): number {
    const { view } = work;
    const { handle } = this;
    const at = work.at + work.next * FLUSH_ENTRY_BYTES;
    handle.read(view, at);
    const scope = readFlushScope(view, at);
    const version = readFlushVersion(view, at);
    if (scope === FLUSH_SCOPE.PAGE) return this.flushPage(node, handle, version);
    if (work.walk === null) {
      const pool = this.tmem.pool(node, handle.pool);
      if (pool === null || version < pool.oldest) return 0;
      if (version >= pool.newest) return this.flushAll(pool, handle, scope);
      const object = scope === FLUSH_SCOPE.OBJECT ? handle : null;
      work.walk = this.tmem.beginWalk(pool, object, version);
    }
    const { walk } = work;
    if (!this.reaper.step(walk)) return NOT_DONE;
    work.walk = null;
    return walk.freed;
  }

  private flushAll(pool: Pool, handle: Handle, scope: number): number {
    if (scope === FLUSH_SCOPE.OBJECT) return this.reaper.flushObject(pool, handle, NO_JOB);
    const { pageCount } = pool;
    this.reaper.flushPool(pool, NO_JOB);
    return pageCount;
  }

  private finish({ channel, request, count, statuses }: FlushWork): boolean {
    if (!channel.begin(LANE.URGENT, count)) return false; // It is sent again.
    channel.bytes.set(statuses, channel.at);
    channel.commitReply(MESSAGE.FLUSH, request, STATUS.OK, count, count);
    return true;
  }
}
