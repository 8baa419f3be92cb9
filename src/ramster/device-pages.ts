/**
 * DevicePages: what a block device asks of the index beyond put, get and flush: whether a page is
 * there, or remote; and has a page brought home, or marked as lost.
 */
import type { Handle } from "../core/handle.ts";
import { TAG } from "../tmem/pampd.ts";
import { LOCAL_CLIENT } from "../tmem/tmem.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { Homecoming } from "./repatriate/homecoming.ts";

export class DevicePages {
  private readonly zcache: Zcache;
  private readonly homecoming: Homecoming;

  constructor(zcache: Zcache, homecoming: Homecoming) {
    this.zcache = zcache;
    this.homecoming = homecoming;
  }

  /** Whether anything is stored under the handle, here, away or lost. */
  has(handle: Handle): boolean {
    return this.find(handle) !== 0;
  }

  /** The version of a remote page; 0: it is not remote. */
  versionAway(handle: Handle): number {
    const { tmem } = this.zcache;
    const page = this.find(handle);
    return page !== 0 && tmem.tag(page) === TAG.REMOTE ? tmem.version(page) : 0;
  }

  /** Begins to bring the page home, if it is remote and there is room. */
  bringCloser(handle: Handle): void {
    this.homecoming.begin(this.find(handle));
  }

  /** See Zcache.lose. */
  lose(handle: Handle): void {
    const pool = this.zcache.tmem.pool(LOCAL_CLIENT, handle.pool);
    if (pool !== null) this.zcache.lose(pool, handle);
  }

  private find(handle: Handle): number {
    const { tmem } = this.zcache;
    const pool = tmem.pool(LOCAL_CLIENT, handle.pool);
    return pool === null ? 0 : tmem.find(pool, handle);
  }
}
