/**
 * PamOps: how tmem has the storage behind a page released (the original's `struct tmem_pamops`).
 * tmem knows where a page is only as far as its descriptor says; what it takes to free a zbud, or
 * to tell a holder, is known above.
 */
export interface PamOps {
  /**
   * The page is about to leave the index, or to be put anew: release what its descriptor points at.
   * The record, with handle, version and descriptor, may be read during the call. A page without
   * storage yet (TAG.NONE) is not announced.
   */
  free(page: number): void;
}
