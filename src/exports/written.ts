/**
 * Written: where an export may have pages at all, in blocks of BLOCK_PAGES. A device is thin: what
 * was never written, or was freed, is passed over in one step.
 *
 *     mark(page)                 it is written
 *     forget(from, to)           no page from `from` up to `to` is there any more
 *     blankUntil(page, end)      the first page from here on that may be there
 *
 * A block counts until all of it is forgotten at once.
 */

/** 4 MiB: 256 KiB of blocks to a TiB of device. */
const BLOCK_PAGES = 1024;

export class Written {
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

  forget(from: number, to: number): void {
    const end = to === this.pageCount ? this.blocks.length : Math.floor(to / BLOCK_PAGES);
    const first = Math.ceil(from / BLOCK_PAGES);
    if (first < end) this.blocks.fill(0, first, end);
  }

  /** `page` itself if it may be there; `end` if none before it is. */
  blankUntil(page: number, end: number): number {
    const block = Math.floor(page / BLOCK_PAGES);
    if (this.blocks[block] === 1) return page;
    const next = this.blocks.subarray(block, Math.ceil(end / BLOCK_PAGES)).indexOf(1);
    return next < 0 ? end : Math.min(end, (block + next) * BLOCK_PAGES);
  }
}
