/**
 * Restoring: takes over the pages that a predecessor kept (core/journal.ts).
 *
 *     local, same-filled   as they were
 *     remote               with the same copies. A fetch that was under way is forgotten.
 *     on the disk          that copy is gone, since its file ended with the predecessor
 *     pools                those with a key wait until somebody asks for them; the others go
 *
 * Holders are doubted until their next link shows that they still have the copies (presence.ts).
 * Flushes that a holder had not acknowledged are forgotten: the audit finds their pages (audit.ts).
 */
import { COPIES_MAX, NODES_MAX } from "../../core/limits.ts";
import type { Pool, PoolKey } from "../../tmem/pool.ts";
import { LOCAL_CLIENT } from "../../tmem/tmem.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import {
  type Copies,
  copyAt,
  copyCount,
  hasCopy,
  NO_COPIES,
  SPILL,
  withoutCopy,
} from "../copies.ts";
import type { Flushes } from "../holders/flushes.ts";
import type { Presence } from "../holders/presence.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Fetches } from "../repatriate/fetches.ts";
import type { Audit } from "./audit.ts";
import type { Losses } from "./losses.ts";
import type { Repair } from "./repair.ts";

interface Parts {
  readonly zcache: Zcache;
  readonly fetches: Fetches;
  readonly presence: Presence;
  readonly remotePages: RemotePages;
  readonly losses: Losses;
  readonly audit: Audit;
  readonly repair: Repair;
  readonly flushes: Flushes;
}

export class Restoring {
  private readonly parts: Parts;
  /** The pools of the predecessor that nobody has taken yet. */
  private pools: Pool[] = [];

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /**
   * Nothing was put yet. @returns false when it is not possible. Then the node cannot be used.
   */
  restore(): boolean {
    const { zcache, presence, losses, audit, repair } = this.parts;
    presence.restore();
    if (!zcache.restore((page, pool) => this.restoreRemote(page, pool))) return false;
    this.pools = zcache.tmem.poolsOf(LOCAL_CLIENT);
    for (const node of presence.linkedNodes()) audit.begin(node);
    for (const node of presence.emptiedNodes()) losses.holderEmptied(node);
    repair.sweep();
    return true;
  }

  /** The pool with such a key that the predecessor kept, or null. Each is given out once. */
  take(isIt: (key: PoolKey) => boolean): Pool | null {
    const at = this.pools.findIndex(({ key }) => key !== null && isIt(key));
    return at === -1 ? null : (this.pools.splice(at, 1)[0] ?? null);
  }

  /** Frees the pools that nobody has taken. @returns how many pages they had. */
  dropOthers(): number {
    let pages = 0;
    for (const pool of this.pools.splice(0)) {
      pages += pool.pageCount;
      this.parts.flushes.flushPool(pool, { destroy: true }, () => {});
    }
    return pages;
  }

  /** @returns whether the page has a copy. */
  private restoreRemote(page: number, pool: Pool): boolean {
    const { zcache, fetches, remotePages } = this.parts;
    const { tmem } = zcache;
    const place = tmem.place(page);
    let copies = tmem.inTransit(page) ? fetches.copies(place) : place;
    if (!isPossible(copies)) return false;
    if (hasCopy(copies, SPILL)) copies = withoutCopy(copies, SPILL);
    if (copies === NO_COPIES) return false;
    tmem.endTransit(page, copies);
    remotePages.added(copies, pool.persistent, tmem.zpageBytes(page));
    return true;
  }
}

/** Whether the word, which comes from outside, names different nodes. */
function isPossible(copies: Copies): boolean {
  const count = copyCount(copies);
  if (count < 1 || count > COPIES_MAX) return false;
  for (let i = 0; i < count; i += 1) {
    const node = copyAt(copies, i);
    if (node >= NODES_MAX && node !== SPILL) return false;
    for (let j = 0; j < i; j += 1) if (copyAt(copies, j) === node) return false;
  }
  return true;
}
