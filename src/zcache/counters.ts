/**
 * Counters of zcache under the kernel's names (docs/original.md, "zcache counters"): one for each
 * reason to refuse, each with the meaning of an increment. Gauges are read off the lists; only
 * their peaks are kept here.
 */
export class ZcacheCounters {
  /** Puts refused, by kind of the pool, whatever the reason. */
  failed_eph_puts = 0;
  failed_pers_puts = 0;
  /** A frame was wanted and the budget had none. */
  failed_getfreepages = 0;
  /** A put found the index full. */
  failed_alloc = 0;
  /** A put on a frozen store, which acts as a flush. */
  put_to_flush = 0;
  /** Refused for its compressed size alone. */
  compress_poor = 0;
  /** Refused for its compressed size while the whole store compresses badly. */
  mean_compress_poor = 0;
  /** Stored whole, since its pool does not refuse what does not compress. Not in the kernel. */
  stored_whole = 0;
  /**
   * A page of one repeated word was stored as that word (the kernel counts zero_filled_pages only).
   */
  same_filled_puts = 0;
  same_filled_pages = 0;
  same_filled_pages_max = 0;
  /** An ephemeral page took the frame of the oldest ephemeral pages, or found none. */
  eph_ate_tail = 0;
  eph_ate_tail_failed = 0;
  /** A persistent page took the frame of the oldest ephemeral pages, or found none. */
  pers_ate_eph = 0;
  pers_ate_eph_failed = 0;
  evicted_eph_zpages = 0;
  evicted_eph_pageframes = 0;
  flush_total = 0;
  flush_found = 0;
  flobj_total = 0;
  flobj_found = 0;
  /** Bytes in a frame did not match their checksum, or did not decompress. Not in the kernel. */
  corrupt_pages = 0;
  eph_pageframes_max = 0;
  pers_pageframes_max = 0;
  eph_zpages_max = 0;
  pers_zpages_max = 0;
  obj_count_max = 0;
}
