/** A tmem pool: the first part of a handle. It is ephemeral or persistent, and has objects. */
import { CODECS_END } from "../core/limits.ts";
import type { RowList } from "../core/list.ts";

export interface PoolOptions {
  persistent: boolean;
  /**
   * Pages that do not compress are stored whole instead of refused. This is for callers without
   * another place for a page, such as a block device. The original refuses them.
   */
  storeWhole: boolean;
  /** How a successor finds the pool again (core/journal.ts). None: it does not. */
  key?: PoolKey | null;
}

/** Four words. What they mean is known where the pool is used. */
export type PoolKey = readonly [number, number, number, number];

export class Pool {
  /** The number within the client, which callers use. */
  readonly id: number;
  /** Node number of the owner, or LOCAL_CLIENT. */
  readonly client: number;
  /** The number within this tmem, from 1, which the rows of objects contain. */
  row: number;
  readonly persistent: boolean;
  readonly storeWhole: boolean;
  readonly key: PoolKey | null;
  objects: RowList;
  pageCount = 0;
  /** Its pages with a zpage, here or at holders, by codec id. Includes those that are being freed. */
  readonly byCodec: Int32Array;
  /** Bounds of the versions of its pages. */
  oldest = Number.POSITIVE_INFINITY;
  newest = 0;
  /** It has no name: its pages are flushed, and are being freed. */
  isDoomed = false;
  /**
   * Some of its pages may be missing: bits have flipped in kept memory. Then a page that is not
   * found is lost, if the pool is persistent.
   */
  isDamaged = false;

  constructor(
    identity: { id: number; client: number; row: number; objects: RowList; byCodec?: Int32Array },
    options: PoolOptions,
  ) {
    this.id = identity.id;
    this.client = identity.client;
    this.row = identity.row;
    this.objects = identity.objects;
    this.byCodec = identity.byCodec ?? new Int32Array(CODECS_END);
    this.persistent = options.persistent;
    this.storeWhole = options.storeWhole;
    this.key = options.key ?? null;
  }

  /** A page of this version was added. */
  noteVersion(version: number): void {
    if (version < this.oldest) this.oldest = version;
    if (version > this.newest) this.newest = version;
  }

  /** `count` pages were removed. */
  removed(count: number): void {
    this.pageCount -= count;
    if (this.pageCount > 0) return;
    this.oldest = Number.POSITIVE_INFINITY;
    this.newest = 0;
  }
}
