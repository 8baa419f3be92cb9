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
  readonly row: number;
  readonly persistent: boolean;
  readonly storeWhole: boolean;
  readonly objects: RowList;
  pageCount = 0;

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
}
