/**
 * Flushes: flushes whole objects and pools of this node's own pages, wherever the pages are. The
 * pages are out of reach at once, and freed in slices (tmem/reaper.ts).
 *
 * When the last page is freed, each holder of any of them gets one entry to flush. The entry covers
 * every version up to that of the flush. So it removes no page that was put later, even if that
 * page reaches the holder first.
 */
import { Handle } from "../../core/handle.ts";
import { STATUS, type Status } from "../../core/status.ts";
import type { Pool } from "../../tmem/pool.ts";
import { type FlushJob, Reaper, type ReaperParts } from "../../tmem/reaper.ts";
import { FLUSH_SCOPE, type FlushScope } from "../../wire/peer-entries.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import type { RemotePages } from "./remote-pages.ts";

interface Parts extends Pick<ReaperParts, "clock" | "buggify"> {
  readonly zcache: Zcache;
  readonly remotePages: RemotePages;
  /** Called when a slice has freed pages in a later turn. */
  readonly onSlice: () => void;
  /** Called when holders have pending flushes. */
  readonly onPending: () => void;
}

export class Flushes {
  private readonly parts: Parts;
  private readonly reaper: Reaper;
  /** The nodes that hold some of the pages, while a slice frees them. Otherwise null. */
  private holders: Set<number> | null = null;

  constructor(parts: Parts) {
    this.parts = parts;
    this.reaper = new Reaper({ ...parts, tmem: parts.zcache.tmem });
  }

  /** Whether flushed pages are still to be freed. */
  get isBusy(): boolean {
    return this.reaper.isBusy;
  }

  /** Whether this turn has flushed its share. The rest continues at `nextTurn`. */
  get isSpent(): boolean {
    return this.reaper.isSpent;
  }

  nextTurn(callback: () => void): void {
    this.reaper.nextTurn(callback);
  }

  /** See Reaper.markPools. */
  markPools(client: number, busy: Uint8Array): void {
    this.reaper.markPools(client, busy);
  }

  flushObject(pool: Pool, handle: Handle): Status {
    const { counters } = this.parts.zcache;
    counters.flobj_total += 1;
    if (!pool.persistent) counters.cleancache_invalidates += 1;
    const job = this.job(handle, FLUSH_SCOPE.OBJECT, () => {});
    if (this.reaper.flushObject(pool, handle, job) === 0) return STATUS.NOT_FOUND;
    counters.flobj_found += 1;
    return STATUS.OK;
  }

  /** Removes every page of the pool, and the pool itself when `destroy`. */
  flushPool(pool: Pool, { destroy }: { destroy: boolean }, onDone: () => void): void {
    if (!pool.persistent) this.parts.zcache.counters.cleancache_invalidates += 1;
    const handle = new Handle().set(pool.id, [0n, 0n, 0n], 0);
    const job = this.job(handle, FLUSH_SCOPE.POOL, onDone);
    if (destroy) this.reaper.destroyPool(pool, job);
    else this.reaper.flushPool(pool, job);
  }

  /**
   * A page that the node holds is freed. @returns whether the flush of the whole object or pool
   * covers it.
   */
  takes(holder: number): boolean {
    this.holders?.add(holder);
    return this.holders !== null;
  }

  close(): void {
    this.reaper.close();
  }

  private job(handle: Handle, scope: FlushScope, onDone: () => void): FlushJob {
    const holders = new Set<number>();
    const flushed = new Handle().copy(handle);
    const { zcache, remotePages, onPending } = this.parts;
    const version = zcache.tmem.newestVersion;
    return {
      around: (slice) => {
        this.holders = holders;
        slice();
        this.holders = null;
      },
      done: () => {
        for (const holder of holders) remotePages.addFlush(holder, flushed, version, scope);
        onPending();
        onDone();
      },
    };
  }
}
