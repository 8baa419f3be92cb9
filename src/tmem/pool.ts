/** A tmem pool: the top of the key, ephemeral or persistent, with the objects that live in it. */
import type { RowList } from "../core/list.ts";

export interface PoolOptions {
  persistent: boolean;
  /**
   * Pages that do not compress are stored whole instead of refused: for callers that have nowhere
   * else to put a page, such as a block device. The original refuses.
   */
  storeWhole: boolean;
}

export class Pool {
  /** Within the client: what the caller names. */
  readonly id: number;
  /** Node number of the owner, or LOCAL_CLIENT. */
  readonly client: number;
  /** Within this tmem: what object records hold. From 1. */
  row: number;
  readonly persistent: boolean;
  readonly storeWhole: boolean;
  objects: RowList;
  pageCount = 0;
  /** Bounds of the versions of its pages: none is older, or newer. */
  oldest = Number.POSITIVE_INFINITY;
  newest = 0;
  /** Nobody can name it: its pages are gone, and are being freed. */
  isDoomed = false;

  constructor(
    place: { id: number; client: number; row: number; objects: RowList },
    options: PoolOptions,
  ) {
    this.id = place.id;
    this.client = place.client;
    this.row = place.row;
    this.objects = place.objects;
    this.persistent = options.persistent;
    this.storeWhole = options.storeWhole;
  }

  /** A page of that version is in it from now on. */
  noteVersion(version: number): void {
    if (version < this.oldest) this.oldest = version;
    if (version > this.newest) this.newest = version;
  }

  /** A page has left it. */
  removed(count: number): void {
    this.pageCount -= count;
    if (this.pageCount > 0) return;
    this.oldest = Number.POSITIVE_INFINITY;
    this.newest = 0;
  }
}
