/** Counters of the NBD door. Pages are counted under the names of the kernel's frontswap. */
export class NbdCounters {
  /** Pages that were read and had been written. */
  frontswap_loads = 0;
  /** Pages that were stored, and that were refused. */
  frontswap_succ_stores = 0;
  frontswap_failed_stores = 0;
  /** Pages that a client had no more use for. */
  frontswap_invalidates = 0;
  /** Requests, whatever became of them, and those that were answered with an error. */
  nbd_requests = 0;
  nbd_errors = 0;
  /** Of these, for want of room. */
  nbd_enospc = 0;
  /** Requests that were not answered in the same turn. */
  nbd_requests_waited = 0;
  /** Pages that were fetched ahead, those that were then read, and those that never were. */
  nbd_prefetches = 0;
  nbd_prefetch_hits = 0;
  nbd_prefetch_wasted = 0;
  nbd_connections = 0;
  /** Closed before they had an export: there were too many, or what they asked for was refused. */
  nbd_connections_refused = 0;
}
