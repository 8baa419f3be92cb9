/**
 * PamOps: how tmem frees the storage of a page (the original's `struct tmem_pamops`). tmem knows
 * only the descriptor of a page. How to free a zbud, or to flush a copy at a holder, is known
 * above.
 */
export interface PamOps {
  /**
   * The page is about to be removed or replaced: free what its descriptor points at. Its handle,
   * version and descriptor may be read during the call. It is not called for a page without storage
   * (TAG.NONE).
   */
  free(page: number): void;
}

/** The same for a store whose pages may get other numbers (page-index.ts). */
export interface PageOps extends PamOps {
  /** Whether only the store's own placement knows the number of the page. */
  mayRenumber(page: number): boolean;
  /** The page has this number from now on. Its handle, version and descriptor are the same. */
  renumbered(page: number): void;
}
