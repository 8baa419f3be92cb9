/**
 * AllocationMap: which blocks of BLOCK_PAGES pages of an export may have pages. Exports are
 * thin-provisioned, so ranges that were never written, or were freed, are skipped in one step.
 *
 *     mark(page)                 the page is written
 *     markAll()                  any page may be there: a predecessor wrote them
 *     clear(from, to)            no page from `from` up to `to` is left
 *     nextAllocated(page, end)   the first page from here on that may be there
 *
 * A block is cleared only when one call covers all of it.
 */

/** 4 MiB: 256 KiB of blocks to a TiB of device. */
const BLOCK_PAGES = 1024;

export class AllocationMap {
  private readonly pageCount: number;
  /** 1: marked. */
  private readonly blocks: Uint8Array;

  constructor(pageCount: number) {
    this.pageCount = pageCount;
    this.blocks = new Uint8Array(Math.ceil(pageCount / BLOCK_PAGES));
  }

  mark(page: number): void {
    this.blocks[Math.floor(page / BLOCK_PAGES)] = 1;
  }

  markAll(): void {
    this.blocks.fill(1);
  }

  clear(from: number, to: number): void {
    const end = to === this.pageCount ? this.blocks.length : Math.floor(to / BLOCK_PAGES);
    const first = Math.ceil(from / BLOCK_PAGES);
    if (first < end) this.blocks.fill(0, first, end);
  }

  /** @returns `page` itself if it may be there, and `end` if no page before `end` is. */
  nextAllocated(page: number, end: number): number {
    const block = Math.floor(page / BLOCK_PAGES);
    if (this.blocks[block] === 1) return page;
    const next = this.blocks.subarray(block, Math.ceil(end / BLOCK_PAGES)).indexOf(1);
    return next < 0 ? end : Math.min(end, (block + next) * BLOCK_PAGES);
  }
}
