/**
 * Flushes: objects and pools of this node's own pages that are flushed as a whole, wherever their
 * pages are. They are out of reach at once, and freed in slices (tmem/reaper.ts).
 *
 * The holders of what was freed are told when the last page is: one entry for each, which means
 * every version up to that of the flush. So it takes no page that was put since, although that may
 * have got there first.
 */
import { Handle } from "../../core/handle.ts";
import { STATUS, type Status } from "../../core/status.ts";
import type { Pool } from "../../tmem/pool.ts";
import { type FlushJob, Reaper, type ReaperParts } from "../../tmem/reaper.ts";
import { FLUSH_SCOPE, type FlushScope } from "../../wire/peer-entries.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import type { RemotePages } from "./remote-pages.ts";

export class Flushes {
  private readonly zcache: Zcache;
  private readonly remotePages: RemotePages;
  private readonly onPending: () => void;
  private readonly reaper: Reaper;
  /** In a slice: the nodes that hold some of it. Else null. */
  private holders: Set<number> | null = null;

  constructor(
    parts: Pick<ReaperParts, "clock" | "buggify"> & {
      zcache: Zcache;
      remotePages: RemotePages;
      /** Pages were freed in a turn of their own. */
      onSlice: () => void;
      /** Holders have pending flushes. */
      onPending: () => void;
    },
  ) {
    this.zcache = parts.zcache;
    this.remotePages = parts.remotePages;
    this.onPending = parts.onPending;
    this.reaper = new Reaper({ ...parts, tmem: parts.zcache.tmem });
  }

  /** Whether pages that were flushed are still to be freed. */
  get isBusy(): boolean {
    return this.reaper.isBusy;
  }

  /** Whether enough was flushed in this turn: what else there is goes on at `nextTurn`. */
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
    const { counters } = this.zcache;
    counters.flobj_total += 1;
    const job = this.job(handle, FLUSH_SCOPE.OBJECT, () => {});
    if (this.reaper.flushObject(pool, handle, job) === 0) return STATUS.NOT_FOUND;
    counters.flobj_found += 1;
    return STATUS.OK;
  }

  /** Removes every page of the pool, and the pool itself when `destroy`. */
  flushPool(pool: Pool, { destroy }: { destroy: boolean }, onDone: () => void): void {
    const handle = new Handle().set(pool.id, [0n, 0n, 0n], 0);
    const job = this.job(handle, FLUSH_SCOPE.POOL, onDone);
    if (destroy) this.reaper.destroyPool(pool, job);
    else this.reaper.flushPool(pool, job);
  }

  /** A page that the node holds is freed. @returns whether that is told with the whole. */
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
    const version = this.zcache.tmem.newestVersion;
    return {
      around: (slice) => {
        this.holders = holders;
        slice();
        this.holders = null;
      },
      done: () => {
        for (const holder of holders) this.remotePages.addFlush(holder, flushed, version, scope);
        this.onPending();
        onDone();
      },
    };
  }
}
