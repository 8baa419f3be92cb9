/** Counters of the NBD door. Pages are counted under the names of the kernel's frontswap. */
export class NbdCounters {
  /** Pages that were read and had been written before. */
  frontswap_loads = 0;
  /** Pages that were stored, and pages whose store was refused. */
  frontswap_succ_stores = 0;
  frontswap_failed_stores = 0;
  /** Pages that a client trimmed. */
  frontswap_invalidates = 0;
  /** All requests, and requests that were answered with an error. */
  nbd_requests = 0;
  nbd_errors = 0;
  /** Requests that were answered with ENOSPC. */
  nbd_enospc = 0;
  /** Requests that became pending. */
  nbd_requests_waited = 0;
  /** Pages that were prefetched; of them, pages that were then read, and pages that never were. */
  nbd_prefetches = 0;
  nbd_prefetch_hits = 0;
  nbd_prefetch_wasted = 0;
  nbd_connections = 0;
  /** Connections that were closed before they had an export: too many, or a refused option. */
  nbd_connections_refused = 0;
}
