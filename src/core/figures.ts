/**
 * Figures: every counter and gauge that a node reports, one row each. `ramster stats`, `/metrics`,
 * `/status.json` and the client library take kind, unit and text from here.
 *
 * A new counter takes a row in a table that ends in `_COUNTED`, and the line that counts. The part
 * makes its counters from that table (figure.ts). A figure that is computed for each report takes a
 * row in a table that ends in `_READ`, and a line in the report of its part. The types demand both.
 * Names never change, because scripts and dashboards use them.
 */
import { asInOriginal, counter, gauge, latency, peak, prefixed } from "./figure.ts";

/** zbud: docs/original.md, "Zbud counters". Bytes do not include the headers of zpages. */
export const ZBUD_READ = {
  ...asInOriginal({
    eph_zbytes: gauge("bytes", "Bytes of compressed ephemeral pages in frames."),
    pers_zbytes: gauge("bytes", "Bytes of compressed persistent pages in frames."),
    eph_zpages: gauge("pages", "Ephemeral pages in frames."),
    pers_zpages: gauge("pages", "Persistent pages in frames."),
    eph_pageframes: gauge("frames", "Frames with ephemeral pages."),
    pers_pageframes: gauge("frames", "Frames with persistent pages."),
    eph_buddied_count: gauge("frames", "Frames with two ephemeral pages.", {
      metric: "eph_buddied_frames",
    }),
    pers_buddied_count: gauge("frames", "Frames with two persistent pages.", {
      metric: "pers_buddied_frames",
    }),
    eph_unbuddied_count: gauge("frames", "Frames with one ephemeral page and room for another.", {
      metric: "eph_unbuddied_frames",
    }),
    pers_unbuddied_count: gauge("frames", "Frames with one persistent page and room for another.", {
      metric: "pers_unbuddied_frames",
    }),
    eph_zombie_count: gauge("frames", "Frames whose ephemeral pages are moving to a holder.", {
      metric: "eph_zombie_frames",
    }),
    pers_zombie_count: gauge("frames", "Frames whose persistent pages are moving to a holder.", {
      metric: "pers_zombie_frames",
    }),
    eph_cumul_zbytes: counter("bytes", "Bytes of ephemeral pages ever stored, compressed."),
    pers_cumul_zbytes: counter("bytes", "Bytes of persistent pages ever stored, compressed."),
    eph_cumul_zpages: counter("pages", "Ephemeral pages ever stored in frames."),
    pers_cumul_zpages: counter("pages", "Persistent pages ever stored in frames."),
    eph_evicted_pageframes: counter("frames", "Frames of ephemeral pages that were evicted."),
    pers_evicted_pageframes: counter("frames", "Always 0: persistent pages are never evicted."),
  }),
  eph_whole_count: gauge("frames", "Frames filled by one ephemeral page.", {
    metric: "eph_whole_frames",
  }),
  pers_whole_count: gauge("frames", "Frames filled by one persistent page.", {
    metric: "pers_whole_frames",
  }),
};

/** How dense a store is. Reports put `own_` or `lent_` in front of the names. */
export const DENSITY_READ = {
  page_bytes: gauge("bytes", "Bytes of the pages in frames, before compression."),
  zpage_bytes: gauge("bytes", "Bytes of the pages in frames, compressed."),
  frame_bytes: gauge("bytes", "Bytes of the frames in use."),
  metadata_bytes: gauge("bytes", "Bytes of the index and of other tables, beside frames."),
  codec_ratio: gauge("ratio", "Bytes of pages by bytes of compressed pages."),
  placement_ratio: gauge("ratio", "Bytes of compressed pages by bytes of their frames."),
  effective_ratio: gauge("ratio", "Bytes of pages by bytes of frames and tables."),
};

/** What blocks do to stay dense: src/placement/blocks.ts. */
export const PLACEMENT_READ = {
  block_slides: counter("times", "How often the pages of a block slid together."),
  block_moves: counter("pages", "Pages that compaction moved to another block."),
};

/** The whole process. Metrics have the names that all Prometheus clients use. */
export const PROCESS_READ = {
  process_resident_bytes: gauge("bytes", "Resident memory of the process.", {
    metric: "process_resident_memory_bytes",
  }),
  process_virtual_bytes: gauge("bytes", "Address space of the process.", {
    metric: "process_virtual_memory_bytes",
  }),
  process_cpu_seconds: counter("seconds", "Time that the process ran, in user and kernel mode."),
  process_start_seconds: gauge("seconds", "Unix time at which the process began.", {
    metric: "process_start_time_seconds",
  }),
  process_open_descriptors: gauge("descriptors", "Open files and sockets of the process.", {
    metric: "process_open_fds",
  }),
  process_descriptors_max: gauge("descriptors", "Files and sockets that it may have open.", {
    metric: "process_max_fds",
  }),
  node_effective_ratio: gauge("ratio", "Bytes of all pages by resident memory of the process."),
};

/**
 * zcache: docs/original.md, "Zcache counters". Each reason to refuse a put has a counter. Puts and
 * gets of ephemeral pages have the names of Linux' cleancache, whoever makes them.
 */
export const ZCACHE_COUNTED = {
  ...asInOriginal({
    failed_eph_puts: counter("pages", "Puts of ephemeral pages that were refused."),
    failed_pers_puts: counter("pages", "Puts of persistent pages that were refused."),
    failed_getfreepages: counter("times", "How often a page needed a frame and none was free."),
    failed_alloc: counter("pages", "Puts refused because the index is full."),
    put_to_flush: counter("pages", "Puts on a frozen store, which act as flushes."),
    compress_poor: counter("pages", "Puts refused because the compressed page is too large."),
    mean_compress_poor: counter(
      "pages",
      "Puts refused because the mean compressed size is too large.",
    ),
    eph_ate_tail: counter("pages", "Ephemeral pages stored in the frame of evicted, older ones."),
    eph_ate_tail_failed: counter(
      "pages",
      "Ephemeral pages refused because no frame could be evicted.",
    ),
    pers_ate_eph: counter(
      "pages",
      "Persistent pages stored in the frame of evicted ephemeral ones.",
    ),
    pers_ate_eph_failed: counter(
      "pages",
      "Persistent pages refused because no frame could be evicted.",
    ),
    evicted_eph_zpages: counter("pages", "Ephemeral pages that were evicted."),
    evicted_eph_pageframes: counter("frames", "Frames of ephemeral pages evicted for new pages."),
    flush_total: counter("flushes", "Flushes of one page."),
    flush_found: counter("flushes", "Flushes of one page that found it."),
    flobj_total: counter("flushes", "Flushes of one object."),
    flobj_found: counter("flushes", "Flushes of one object that found it."),
    eph_pageframes_max: peak("frames", "Most frames with ephemeral pages so far."),
    pers_pageframes_max: peak("frames", "Most frames with persistent pages so far."),
    eph_zpages_max: peak("pages", "Most ephemeral pages in frames so far."),
    pers_zpages_max: peak("pages", "Most persistent pages in frames so far."),
    eph_zbytes_max: peak("bytes", "Most bytes of compressed ephemeral pages so far."),
    pers_zbytes_max: peak("bytes", "Most bytes of compressed persistent pages so far."),
    obj_count_max: peak("objects", "Most objects in the index so far."),
  }),
  cleancache_puts: counter("pages", "Puts of ephemeral pages.", { original: "cleancache/puts" }),
  cleancache_succ_gets: counter("pages", "Gets of ephemeral pages that found them.", {
    original: "cleancache/succ_gets",
  }),
  cleancache_failed_gets: counter("pages", "Gets of ephemeral pages that missed.", {
    original: "cleancache/failed_gets",
  }),
  cleancache_invalidates: counter("flushes", "Flushes of ephemeral pages, objects and pools.", {
    original: "cleancache/invalidates",
  }),
  stored_whole: counter("pages", "Pages stored uncompressed, because they do not compress."),
  same_filled_puts: counter("pages", "Puts of pages of one repeated word, which take no frame."),
  same_filled_pages: gauge("pages", "Pages of one repeated word, which take no frame.", {
    original: "zero_filled_pages",
  }),
  same_filled_pages_max: peak("pages", "Most pages of one repeated word so far."),
  corrupt_pages: counter("pages", "Pages in memory that did not match their checksum."),
};

export const ZCACHE_READ = {
  obj_count: gauge("objects", "Objects in the index.", {
    original: "obj_count",
    metric: "objects",
  }),
  page_count: gauge("pages", "Pages in the index, here or at a holder.", { metric: "index_pages" }),
  raw_pages: gauge("pages", "Pages that are not compressed, here or at a holder."),
  lz4_pages: gauge("pages", "Pages compressed with lz4, here or at a holder."),
  zstd_pages: gauge("pages", "Pages compressed with zstd, here or at a holder."),
  zstd_dictionary_pages: gauge(
    "pages",
    "Pages compressed with zstd and a dictionary, here or at a holder.",
  ),
  raw_zbytes: gauge("bytes", "Bytes of the pages that are not compressed."),
  lz4_zbytes: gauge("bytes", "Bytes of the pages compressed with lz4."),
  zstd_zbytes: gauge("bytes", "Bytes of the pages compressed with zstd."),
  zstd_dictionary_zbytes: gauge(
    "bytes",
    "Bytes of the pages compressed with zstd and a dictionary.",
  ),
  frames_used: gauge("frames", "Frames in use for the pages of this node."),
  frames_max: gauge("frames", "Frames that the pages of this node may use."),
};

/** The cold tier: src/cold. */
export const COLD_COUNTED = {
  cold_recompressed: counter("pages", "Cold pages that were compressed again, to fewer bytes."),
  cold_saved_bytes: counter("bytes", "Bytes that compressing cold pages again has saved."),
  cold_not_shorter: counter("pages", "Cold pages that stay as they are: it would not save enough."),
  cold_failed_jobs: counter("times", "How often compressing a batch of cold pages has failed."),
  dictionaries_trained: counter("times", "Dictionaries that were trained from pages of a pool."),
  dictionaries_failed: counter("times", "Trainings of dictionaries that failed."),
};

export const COLD_READ = {
  dictionaries: gauge("objects", "Dictionaries in memory, each for the pages of one pool."),
  dictionary_bytes: gauge("bytes", "Bytes of all dictionaries."),
};

/** Remote pages: docs/original.md, "Ramster counters". */
export const RAMSTER_COUNTED = {
  ...asInOriginal({
    eph_pages_remoted: counter("pages", "Ephemeral pages that moved to a holder."),
    pers_pages_remoted: counter("pages", "Persistent pages that moved to a holder."),
    eph_pages_remote_failed: counter(
      "pages",
      "Ephemeral pages that no holder accepted, so they stayed here.",
    ),
    pers_pages_remote_failed: counter(
      "pages",
      "Persistent pages that no holder accepted, so they stayed here.",
    ),
    remote_eph_pages_succ_get: counter("pages", "Ephemeral pages fetched for a get."),
    remote_pers_pages_succ_get: counter("pages", "Persistent pages fetched for a get."),
    remote_eph_pages_unsucc_get: counter("pages", "Ephemeral pages that their holder had evicted."),
    remote_pers_pages_unsucc_get: counter(
      "pages",
      "Fetches of persistent pages that their holder did not have.",
    ),
    pers_pages_remote_nomem: counter(
      "pages",
      "Pages that could not come home because no frame was free.",
    ),
    remote_pages_flushed: counter("flushes", "Flushes of a page that holders acknowledged."),
    remote_page_flushes_failed: counter("flushes", "Flushes of a page that had to be sent again."),
    remote_objects_flushed: counter("flushes", "Flushes of an object that holders acknowledged."),
    remote_object_flushes_failed: counter(
      "flushes",
      "Flushes of an object that had to be sent again.",
    ),
    flnodes: gauge("flushes", "Flushes that holders have not acknowledged yet."),
    flnodes_max: peak("flushes", "Most flushes that were not acknowledged so far."),
    remote_pers_pages: gauge("pages", "Persistent pages of this node at a holder."),
  }),
  client_pages_put: counter("pages", "Pages that programs stored."),
  client_pages_got: counter("pages", "Pages that programs read and found."),
  client_puts_waited: counter("requests", "Put requests of programs that waited for a frame."),
  remotify_raced: counter(
    "pages",
    "Pages that changed while they moved, so their copies are flushed.",
  ),
  remoted_zbytes: counter("bytes", "Bytes of compressed pages that holders accepted."),
  fetch_raced: counter(
    "pages",
    "Fetches of pages that changed meanwhile, so their gets start again.",
  ),
  fetch_shared: counter("pages", "Gets that joined a fetch of the same page."),
  fetch_hedged: counter("pages", "Fetches that asked another holder because one was slow."),
  fetch_unreachable: counter(
    "requests",
    "Requests for a page that a holder did not answer in time.",
  ),
  fetch_corrupt: counter("pages", "Fetched pages that did not match their checksum."),
  fetch_seal_broken: counter(
    "pages",
    "Fetched pages with a broken seal: their holder altered them.",
  ),
  pages_repatriated: counter("pages", "Pages that came home."),
  remote_pers_pages_lost: counter("pages", "Persistent pages lost because all copies are gone."),
  copies_lost: counter("copies", "Copies lost with their holder, or found damaged."),
  copies_repaired: counter("copies", "New copies of pages that had too few."),
  orphans_flushed: counter("pages", "Pages at holders that no record named after a takeover."),
  copies_reclaimed: counter("copies", "Copies that lenders gave up after they asked for it."),
  pages_unspilled: counter("pages", "Pages that left the disk for other nodes."),
  remote_eph_pages: gauge("pages", "Ephemeral pages of this node at a holder."),
  remote_copies: gauge("copies", "Copies of this node's pages, over all holders but the disk."),
  spilled_pages: gauge("pages", "Pages that have a copy on this node's disk."),
};

export const RAMSTER_READ = {
  fetches_in_flight: gauge("pages", "Fetches under way."),
  frames_in_flight: gauge("frames", "Frames whose pages are moving to a holder."),
  absent_copies: gauge("copies", "Copies at holders that do not answer."),
  pages_at_risk: gauge("pages", "Pages with fewer copies than they should have."),
  pages_out_of_reach: gauge("pages", "Pages without a copy at a node that answers."),
  pages_lost: gauge("pages", "Pages whose copies are all lost: a read of them fails."),
  no_copy_pages: gauge("pages", "Pages that are lost, or have no copy in reach."),
  one_copy_pages: gauge("pages", "Pages away from here with one copy in reach."),
  two_copy_pages: gauge("pages", "Pages away from here with two copies in reach."),
  three_copy_pages: gauge("pages", "Pages away from here with three copies in reach."),
  pages_exposed: gauge("pages", "Pages at risk with one copy in reach."),
  copies_intended: gauge("copies", "Copies that a remote page should have."),
  copies_possible: gauge("copies", "Copies that a page can have with the present lenders."),
  reclaims_pending: gauge("pages", "Pages that a lender wants to give up and still holds."),
  space_bytes_used: gauge("bytes", "Bytes in use of the space for pages, here and elsewhere."),
  space_bytes_max: gauge("bytes", "Bytes of the space for pages, here and elsewhere."),
  space_percent_used: gauge("percent", "Percentage of the space for pages that is in use."),
  space_full_count: gauge("0 or 1", "1 while no page can be stored, here or elsewhere.", {
    metric: "space_is_full",
  }),
  repair_pages_per_second: gauge("pages/s", "Pages that get their missing copy, each second."),
};

export const SPILL_COUNTED = {
  spill_writes: counter("pages", "Pages written to the disk.", { original: "writtenback_pages" }),
  spill_reads: counter("pages", "Pages read from the disk."),
  spill_failed_writes: counter(
    "pages",
    "Pages that could not be written to the disk, or had no room there.",
  ),
  spill_failed_reads: counter("pages", "Pages that the disk could not read."),
};

export const SPILL_READ = {
  spill_bytes: gauge("bytes", "Bytes of the disk in use for pages."),
  spill_bytes_max: gauge("bytes", "Bytes of the disk that pages may use."),
  spill_bytes_asked: gauge("bytes", "Bytes of the disk that --spill-size allows."),
  spill_pages_in_flight: gauge("pages", "Pages on their way to the disk.", {
    original: "outstanding_writeback_pages",
  }),
  spill_failing_count: gauge("0 or 1", "1 while pages cannot be written to the disk."),
};

/** Pages that this node holds for other nodes. */
export const FOREIGN_COUNTED = {
  ...asInOriginal({
    foreign_eph_pages_max: peak("pages", "Most ephemeral pages held for other nodes so far."),
    foreign_pers_pages_max: peak("pages", "Most persistent pages held for other nodes so far."),
  }),
  foreign_puts: counter("pages", "Pages of other nodes that were accepted."),
  foreign_failed_puts: counter("pages", "Pages of other nodes that were refused."),
  foreign_gets: counter("pages", "Pages that other nodes fetched."),
  foreign_failed_gets: counter("pages", "Pages that other nodes requested and that were not here."),
  foreign_flushes: counter("pages", "Pages that other nodes flushed."),
  foreign_reclaims: counter("pages", "Pages that owners were asked to move elsewhere."),
  foreign_reclaims_refused: counter("pages", "Pages that owners could not move elsewhere."),
  foreign_orphans: counter("pages", "Pages dropped because their owner did not know them."),
  foreign_over_grant: counter(
    "pages",
    "Pages sent without a grant, which is a fault of their sender.",
  ),
  foreign_purged_pages: counter("pages", "Pages dropped because their owner restarted or is gone."),
};

export const FOREIGN_READ = {
  ...asInOriginal({
    foreign_eph_pages: gauge("pages", "Ephemeral pages held for other nodes."),
    foreign_pers_pages: gauge("pages", "Persistent pages held for other nodes."),
  }),
  foreign_zbytes: gauge("bytes", "Bytes of compressed pages held for other nodes."),
  foreign_frames_used: gauge("frames", "Frames in use for other nodes."),
  foreign_granted_pages: gauge("pages", "Pages that other nodes may send and have not sent yet."),
  foreign_frames_max: gauge("frames", "Frames that may be used for other nodes now."),
  foreign_evicted_eph_zpages: counter("pages", "Ephemeral pages of other nodes that were evicted."),
  foreign_corrupt_pages: counter(
    "pages",
    "Pages of other nodes that did not match their checksum.",
  ),
};

export const LENDING_READ = {
  lend_limit_frames: gauge("frames", "Frames that this node lends now."),
  lend_pressure_shrinks: counter(
    "times",
    "How often this node lent less because its machine was short of memory.",
  ),
};

/** The memory of a lender's machine. A figure is missing where Linux does not report it. */
export const MACHINE_READ = {
  machine_total_bytes: gauge("bytes", "Memory of the machine, or of the node's control group."),
  machine_available_bytes: gauge("bytes", "Memory of the machine that is available."),
  machine_reserve_bytes: gauge("bytes", "Memory that a lender leaves free for its machine."),
  machine_stall_percent: gauge("percent", "Percentage of time in which programs wait for memory."),
};

/** Block devices. Counters of pages have the names of Linux' frontswap. */
export const NBD_COUNTED = {
  frontswap_loads: counter("pages", "Pages read by block devices, without those never written.", {
    original: "frontswap/loads",
  }),
  frontswap_succ_stores: counter("pages", "Pages written by block devices.", {
    original: "frontswap/succ_stores",
  }),
  frontswap_failed_stores: counter("pages", "Pages written by block devices and refused.", {
    original: "frontswap/failed_stores",
  }),
  frontswap_invalidates: counter("pages", "Pages discarded by block devices.", {
    original: "frontswap/invalidates",
  }),
  nbd_requests: counter("requests", "Requests of block devices."),
  nbd_errors: counter("requests", "Requests of block devices answered with an error."),
  nbd_enospc: counter("requests", "Requests of block devices refused because there was no room."),
  nbd_requests_waited: counter("requests", "Requests of block devices that had to wait."),
  nbd_prefetches: counter("pages", "Pages fetched ahead of reads."),
  nbd_prefetch_hits: counter("pages", "Pages fetched ahead and then read."),
  nbd_prefetch_wasted: counter("pages", "Pages fetched ahead and never read."),
  nbd_connections: gauge("connections", "Connections of block devices."),
  nbd_connections_refused: counter("connections", "Connections to the NBD port that were refused."),
};

export const NBD_READ = {
  nbd_waiting_count: gauge("requests", "Requests of block devices that are waiting.", {
    metric: "nbd_waiting_requests",
  }),
  nbd_long_bytes_used: gauge("bytes", "Memory in use for long requests of block devices."),
  space_warn_count: gauge("0 or 1", "1 while the space in use is above --warn-at.", {
    metric: "space_is_above_mark",
  }),
};

/** The HTTP port for monitoring. */
export const HTTP_COUNTED = {
  http_connections: gauge("connections", "Connections to the monitoring port."),
  http_connections_evicted: counter(
    "connections",
    "Monitoring connections closed to make room for new ones.",
  ),
  http_requests: counter("requests", "Requests on the monitoring port."),
  http_refused: counter(
    "requests",
    "Requests on the monitoring port that were malformed or incomplete.",
  ),
};

export const LOG_COUNTED = {
  log_lines_dropped: counter(
    "lines",
    "Log lines dropped because the reader of the log was too slow.",
  ),
  log_lines_suppressed: counter("lines", "Repeated log lines left out."),
};

export const NODE_READ = {
  nowhere_count: gauge("0 or 1", "1 while no lender or disk can take pages: see ramster status.", {
    metric: "pages_have_nowhere_to_go",
  }),
};

/** Each is missing on a node that has none. A server compresses nothing. */
export const OPTIONAL_READ = {
  codec_native: gauge("0 or 1", "1 if a library of the system compresses pages: --codec."),
  certificate_days_left: gauge("days", "Days until the certificate expires and links fail."),
  standby_ready: gauge("0 or 1", "1 while a standby can take over: --standby."),
  standby_bytes: gauge("bytes", "Memory that the standby takes beside what it shares."),
};

/** All links to one peer since the start. */
export const LINK_COUNTED = {
  bytes_sent: counter("bytes", "Bytes sent to the peer."),
  bytes_received: counter("bytes", "Bytes received from the peer."),
  messages_sent: counter("messages", "Messages sent to the peer."),
  messages_received: counter("messages", "Messages received from the peer."),
  requests_timed_out: counter("requests", "Requests that the peer did not answer in time."),
  requests_died: counter("requests", "Requests under way when the link was lost."),
  replies_late: counter("messages", "Replies that arrived after their request had timed out."),
  requests_held: counter(
    "requests",
    "Requests that waited because the peer did not read its replies.",
  ),
  malformed: counter("times", "How often a link was closed because the peer broke the protocol."),
  keepalives_sent: counter("messages", "Keepalives sent to the peer."),
  idle_timeouts: counter("connections", "Links closed because the peer sent nothing."),
  dials: counter("connections", "Attempts to connect to the peer."),
  dials_failed: counter("connections", "Attempts to connect to the peer that failed."),
  handshakes_refused: counter("connections", "Handshakes with the peer that failed."),
  duplicates_closed: counter("connections", "Links closed because there were two at once."),
  links_up: counter("connections", "How often a link to the peer came up."),
  links_down: counter("connections", "How often a link to the peer went down."),
};

/** Computed for each peer. */
export const PEER_READ = {
  connected: gauge("boolean", "1 while there is a link to the peer."),
  remote_pages: gauge("pages", "Pages of this node that the peer holds."),
  credit_pages: gauge("pages", "Pages that this node may still send to the peer."),
  granted_pages: gauge("pages", "Pages that the peer may still send to this node."),
  owed_flushes: gauge("flushes", "Flushes that the peer has not acknowledged yet."),
  foreign_pages: gauge("pages", "Pages held for the peer."),
  lend_frames: gauge("frames", "Frames that the peer lends, or 0 for a peer that gossips."),
  free_frames: gauge("frames", "Free frames among those, or 0 for a peer that gossips."),
  drained: gauge("boolean", "1 while the peer is drained, and always 0 for a peer that gossips."),
  gone: gauge("boolean", "1 while a peer that does not gossip is dead, or has left."),
};

/** All figures of a peer. Metrics begin with `peer_`. */
export const PEER = { ...PEER_READ, ...LINK_COUNTED };

/** All figures of an export. Metrics begin with `export_`. */
export const EXPORT = {
  size_bytes: gauge("bytes", "Size of the block device."),
  pages: gauge("pages", "Pages written to the block device and not discarded since."),
  used_bytes: gauge("bytes", "Bytes of these pages."),
  swap_bytes: gauge("bytes", "Bytes that this machine's kernel swaps on the block device."),
  stale_bytes: gauge("bytes", "Bytes stored for swap that the kernel uses no longer."),
  connections: gauge("connections", "Connections that use the block device."),
};

/** How long requests of a block device took. Metrics begin with `export_`, and end in `_seconds`. */
export const EXPORT_LATENCIES = {
  read: latency("Time to read from the block device, by request."),
  write: latency("Time to write to the block device or to discard, by request."),
};

/** All figures of a pool. Metrics begin with `pool_`. */
export const POOL = {
  pages: gauge("pages", "Pages of the pool, here or at a holder."),
  raw_pages: gauge("pages", "Pages of the pool that are not compressed."),
  lz4_pages: gauge("pages", "Pages of the pool compressed with lz4."),
  zstd_pages: gauge("pages", "Pages of the pool compressed with zstd."),
  zstd_dictionary_pages: gauge("pages", "Pages of the pool compressed with zstd and a dictionary."),
};

/** Connections of unknown nodes: those that are no peers, or not yet. */
export const STRANGERS_READ = {
  stranger_connections_refused: counter(
    "connections",
    "Connections refused because too many were new.",
  ),
  stranger_handshakes_refused: counter("connections", "Handshakes with unknown nodes that failed."),
  stranger_malformed: counter("times", "How often unknown nodes broke the protocol."),
  stranger_idle_timeouts: counter(
    "connections",
    "Connections closed because an unknown node sent nothing.",
  ),
};

/** Membership (src/cluster). Reports put `gossip_` in front of the names. */
export const GOSSIP_COUNTED = {
  packets_sent: counter("datagrams", "Datagrams of gossip sent."),
  packets_received: counter("datagrams", "Datagrams of gossip received."),
  packet_bytes_sent: counter("bytes", "Bytes of gossip sent in datagrams."),
  packet_bytes_received: counter("bytes", "Bytes of gossip received in datagrams."),
  packets_refused: counter(
    "datagrams",
    "Datagrams that were no gossip, or came from another cluster.",
  ),
  messages_unread: counter("messages", "Messages in datagrams that could not be read."),
  streams_opened: counter("streams", "Streams of gossip opened."),
  streams_accepted: counter("streams", "Streams of gossip accepted."),
  streams_refused: counter("streams", "Streams of gossip refused."),
  stream_bytes_sent: counter("bytes", "Bytes of gossip sent in streams."),
  stream_bytes_received: counter("bytes", "Bytes of gossip received in streams."),
  probes: counter("times", "Probes of members."),
  probes_failed: counter("times", "Probes without an answer."),
  indirect_probes: counter("times", "Probes made through other members."),
  probes_by_stream: counter("times", "Probes answered over TCP only: a firewall may drop UDP."),
  push_pulls: counter("times", "Exchanges of the whole list of members."),
  push_pulls_failed: counter("times", "Exchanges of the list of members that failed."),
  members_unread: counter("members", "Members of exchanges that could not be read."),
  suspicions: counter("times", "How often a member was suspected."),
  deaths: counter("times", "How often a member was found dead."),
  refutes: counter("times", "How often this node was suspected or dead, and refuted it."),
  name_conflicts: counter("times", "How often two members had the same name."),
  members_refused: counter("members", "Messages about members refused because the list is full."),
  members_unfit: counter("members", "Messages about members with an incompatible gossip version."),
};

export const GOSSIP_READ = {
  gossip_health: gauge("points", "How late this node answers: 0 is healthy, more is worse."),
};

/** Latencies. Metrics end in `_seconds`. */
export const LATENCIES = {
  put: latency("Time to put the pages of a request, including waits for frames."),
  local_get: latency("Time to get the pages of a request when all are here."),
  remote_get: latency("Time to get the pages of a request when some are remote."),
  fetch: latency("Time of a holder to answer a fetch."),
  remotify: latency("Time of holders to accept a batch of pages."),
  spill_read: latency("Time of the disk to read a page."),
  spill_write: latency("Time of the disk to write a batch of pages."),
};

/** All counters of the stats. */
export const COUNTERS = {
  ...ZBUD_READ,
  ...PLACEMENT_READ,
  ...prefixed("own_", DENSITY_READ),
  ...prefixed("lent_", DENSITY_READ),
  ...PROCESS_READ,
  ...ZCACHE_COUNTED,
  ...ZCACHE_READ,
  ...COLD_COUNTED,
  ...COLD_READ,
  ...RAMSTER_COUNTED,
  ...RAMSTER_READ,
  ...SPILL_COUNTED,
  ...SPILL_READ,
  ...FOREIGN_COUNTED,
  ...FOREIGN_READ,
  ...LENDING_READ,
  ...MACHINE_READ,
  ...NBD_COUNTED,
  ...NBD_READ,
  ...NODE_READ,
  ...HTTP_COUNTED,
  ...STRANGERS_READ,
  ...prefixed("gossip_", GOSSIP_COUNTED),
  ...GOSSIP_READ,
  ...LOG_COUNTED,
  ...OPTIONAL_READ,
};

/** Every figure of the stats, by its section. */
export const FIGURES = {
  counters: COUNTERS,
  latencies: LATENCIES,
  peers: PEER,
  exports: EXPORT,
  pools: POOL,
};
