/**
 * Walks: flushes up to a version, of a pool or of one object, page by page in several steps. A walk
 * points at the page to be examined next. When that page leaves the index, the walk moves on. Until
 * it ends, pages keep their numbers and their order.
 */
import type { PageIndex } from "./page-index.ts";
import type { Pool } from "./pool.ts";

export interface Walk {
  readonly pool: Pool;
  readonly version: number;
  readonly isOneObject: boolean;
  /** The next page, and its object; 0: the walk has ended. */
  page: number;
  object: number;
  /** Pages that the walk has freed. */
  freed: number;
  /** The pool's `oldest` when the walk began. */
  readonly oldestBefore: number;
}

/** What a walk does with pages. */
interface WalkedPages {
  version(page: number): number;
  flush(page: number): void;
}

export class Walks {
  private readonly pages: PageIndex;
  private readonly walked: WalkedPages;
  private readonly walks: Walk[] = [];

  constructor(pages: PageIndex, walked: WalkedPages) {
    this.pages = pages;
    this.walked = walked;
  }

  /**
   * Begins to free the pages with at most `version`: those of the pool, or only of its `object`.
   */
  begin(pool: Pool, version: number, object: number | null): Walk {
    const first = object ?? pool.objects.head;
    const page = first === 0 ? 0 : this.pages.first(first);
    const at = { page, object: first, freed: 0 };
    const { oldest: oldestBefore } = pool;
    const walk = { ...at, pool, version, isOneObject: object !== null, oldestBefore };
    if (page !== 0) this.walks.push(walk);
    this.pages.isStill = this.walks.length > 0;
    return walk;
  }

  /** Examines the next pages of the walk, at most `countMax`. @returns how many. */
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

  /** Ends the walk. */
  end(walk: Walk): void {
    const at = this.walks.indexOf(walk);
    if (at >= 0) this.walks.splice(at, 1);
    this.pages.isStill = this.walks.length > 0;
  }

  /** The page is about to leave the index. */
  pageLeaves(page: number): void {
    if (this.walks.length === 0) return; // The page path.
    for (const walk of this.walks) if (walk.page === page) this.passPage(walk);
  }

  /** The object is about to leave its pool, with its pages. */
  objectLeaves(object: number): void {
    for (const walk of this.walks) if (walk.object === object) this.passObject(walk);
  }

  private passPage(walk: Walk): void {
    walk.page = this.pages.next(walk.page);
    if (walk.page === 0) this.passObject(walk);
  }

  private passObject(walk: Walk): void {
    walk.object = walk.isOneObject ? 0 : walk.pool.objects.next(walk.object);
    walk.page = walk.object === 0 ? 0 : this.pages.first(walk.object);
  }

  private finish(walk: Walk): void {
    const { pool, version, isOneObject, oldestBefore } = walk;
    // Pages that were added meanwhile may be older than those that the walk left.
    const isKnown = !isOneObject && pool.pageCount > 0 && pool.oldest === oldestBefore;
    if (isKnown) pool.oldest = Math.max(pool.oldest, version + 1);
    this.end(walk);
  }
}
