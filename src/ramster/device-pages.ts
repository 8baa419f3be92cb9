/**
 * DevicePages: what a block device needs from the index in addition to put, get and flush. It
 * checks whether a page exists or is remote, brings a page home, and marks a page as lost.
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

  /** Whether a page is stored under the handle: here, remote or lost. */
  has(handle: Handle): boolean {
    return this.find(handle) !== 0;
  }

  /** The version of a remote page. 0: the page is not remote. */
  versionAway(handle: Handle): number {
    const { tmem } = this.zcache;
    const page = this.find(handle);
    return page !== 0 && tmem.tag(page) === TAG.REMOTE ? tmem.version(page) : 0;
  }

  /** Begins to bring the page home, if it is remote and there is room. */
  bringCloser(handle: Handle): void {
    this.homecoming.begin(this.find(handle));
  }

  /** Marks the page as lost: see Zcache.lose. */
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
