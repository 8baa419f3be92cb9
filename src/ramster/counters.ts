/**
 * Counters of ramster under the kernel's names (docs/original.md, "ramster counters"), each with
 * the meaning of an increment.
 */
export class RamsterCounters {
  /** A zpage was accepted by a holder and its local copy freed. */
  eph_pages_remoted = 0;
  pers_pages_remoted = 0;
  /**
   * A zpage was refused by a holder, or its link was lost before the answer: the local copy stays.
   */
  eph_pages_remote_failed = 0;
  pers_pages_remote_failed = 0;
  /**
   * A holder accepted a zpage that had been put anew or flushed meanwhile: its copy is flushed
   * again.
   */
  remotify_raced = 0;
  /** Bytes of zpages that holders accepted. */
  remoted_zbytes = 0;
  /** A remote page was fetched and delivered. */
  remote_eph_pages_succ_get = 0;
  remote_pers_pages_succ_get = 0;
  /** A fetch found nothing: evicted by the holder (ephemeral), or lost with it (persistent). */
  remote_eph_pages_unsucc_get = 0;
  remote_pers_pages_unsucc_get = 0;
  /**
   * A fetch came back after the page had been put anew or flushed: the getters were served again
   * from the index.
   */
  fetch_raced = 0;
  /** Getters that found a fetch of their page under way and waited for it. */
  fetch_shared = 0;
  /** Another holder was asked because one was slow. */
  fetch_hedged = 0;
  /** Asks for a page that a holder did not answer. */
  fetch_unreachable = 0;
  /** A fetched zpage did not match its checksum. */
  fetch_corrupt = 0;
  /** A fetched zpage matched its checksum, but did not open: its holder, or a link, forged it. */
  fetch_seal_broken = 0;
  /** A remote page came home. */
  pages_repatriated = 0;
  /** Pages whose holder came back empty. */
  remote_pers_pages_lost = 0;
  /** One of several copies of a page, gone with its holder, or found to be bad. */
  copies_lost = 0;
  /** Another copy was made of a page that had too few. */
  copies_repaired = 0;
  /** A lender got rid of a copy that it wanted to give up. */
  copies_reclaimed = 0;
  /** A page left the disk, because other holders have it. */
  pages_unspilled = 0;
  /** A persistent remote page was to come home and there was no frame. */
  pers_pages_remote_nomem = 0;
  /** Flushes that holders acknowledged, and messages with flushes that failed and go out again. */
  remote_pages_flushed = 0;
  remote_page_flushes_failed = 0;
  remote_objects_flushed = 0;
  /** Gauges: pages of this node that holders keep, or its disk. */
  remote_eph_pages = 0;
  remote_pers_pages = 0;
  /** Gauge: copies of them, over all holders but the disk. */
  remote_copies = 0;
  /** Gauge: pages that have a copy on the disk. */
  spilled_pages = 0;
}

/** Counters of what is held for others. */
export class ForeignCounters {
  foreign_eph_pages_max = 0;
  foreign_pers_pages_max = 0;
  /** Puts of other nodes that were taken, and refused. */
  foreign_puts = 0;
  foreign_failed_puts = 0;
  foreign_gets = 0;
  foreign_failed_gets = 0;
  foreign_flushes = 0;
  /** Pages that owners were asked to take back, and those of them that they could not move. */
  foreign_reclaims = 0;
  foreign_reclaims_refused = 0;
  /** Pages that their owner did not know of, dropped. */
  foreign_orphans = 0;
  /** Puts beyond what was granted: the other side breaks the protocol. */
  foreign_over_grant = 0;
  /** Pages purged because their owner came back with a new boot id, or is gone. */
  foreign_purged_pages = 0;
}
