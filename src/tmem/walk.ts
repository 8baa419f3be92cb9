/**
 * Walks: flushes up to a version that are under way, of a pool or of one object, page after page. A
 * walk stands on the page that is to be looked at next, and is moved on when that page leaves the
 * index meanwhile.
 */
import type { Table } from "../core/table.ts";
import type { Pool } from "./pool.ts";
import { OBJECT_FIRST, PAGE_NEXT } from "./rows.ts";

export interface Walk {
  readonly pool: Pool;
  readonly version: number;
  readonly isOneObject: boolean;
  /** The next page, and its object; 0: it is over. */
  page: number;
  object: number;
  /** Pages that it has freed. */
  freed: number;
  /** Of the pool, when it began. */
  readonly oldestBefore: number;
}

/** What it has to do with pages. */
interface WalkedPages {
  version(page: number): number;
  flush(page: number): void;
}

export class Walks {
  private readonly pages: Table;
  private readonly objects: Table;
  private readonly walked: WalkedPages;
  private readonly walks: Walk[] = [];

  constructor(pages: Table, objects: Table, walked: WalkedPages) {
    this.pages = pages;
    this.objects = objects;
    this.walked = walked;
  }

  /**
   * Begins to free pages whose version is at most `version`: those of the pool, or of its `object`
   * alone.
   */
  begin(pool: Pool, version: number, object: number | null): Walk {
    const first = object ?? pool.objects.head;
    const page = first === 0 ? 0 : this.objects.get(first, OBJECT_FIRST);
    const at = { page, object: first, freed: 0 };
    const { oldest: oldestBefore } = pool;
    const walk = { ...at, pool, version, isOneObject: object !== null, oldestBefore };
    if (page !== 0) this.walks.push(walk);
    return walk;
  }

  /** Looks at the next pages of the walk, `countMax` at most. @returns how many. */
  step(walk: Walk, countMax: number): number {
    let count = 0;
    while (count < countMax && walk.page !== 0) {
      const { page } = walk;
      this.passPage(walk);
      count += 1;
      if (this.walked.version(page) > walk.version) continue;
      this.walked.flush(page);
      walk.freed += 1;
    }
    if (walk.page === 0) this.finish(walk);
    return count;
  }

  /** The walk goes no further. */
  end(walk: Walk): void {
    const at = this.walks.indexOf(walk);
    if (at >= 0) this.walks.splice(at, 1);
  }

  /** The page leaves the index. */
  pageLeaves(page: number): void {
    if (this.walks.length === 0) return; // The page path.
    for (const walk of this.walks) if (walk.page === page) this.passPage(walk);
  }

  /** The object leaves its pool, with its pages. */
  objectLeaves(object: number): void {
    for (const walk of this.walks) if (walk.object === object) this.passObject(walk);
  }

  private passPage(walk: Walk): void {
    walk.page = this.pages.get(walk.page, PAGE_NEXT);
    if (walk.page === 0) this.passObject(walk);
  }

  private passObject(walk: Walk): void {
    walk.object = walk.isOneObject ? 0 : walk.pool.objects.next(walk.object);
    walk.page = walk.object === 0 ? 0 : this.objects.get(walk.object, OBJECT_FIRST);
  }

  private finish(walk: Walk): void {
    const { pool, version, isOneObject, oldestBefore } = walk;
    // What has come meanwhile may be older than what the walk has left.
    const isKnown = !isOneObject && pool.pageCount > 0 && pool.oldest === oldestBefore;
    if (isKnown) pool.oldest = Math.max(pool.oldest, version + 1);
    this.end(walk);
  }
}
