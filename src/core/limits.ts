/**
 * Every bound and constant, with its reason. Relations between them are asserted at the end, when
 * the file loads. What an operator may change is a setting with one of these as its default.
 */
import { assert } from "./assert.ts";

// Pages and frames.

/** A page, and a frame: the page size of every machine that we run on. Part of the handshake. */
export const PAGE_BYTES = 4096;
export const FRAME_BYTES = PAGE_BYTES;

// zbud geometry: that of the original (docs/original.md, "Zbud").

export const CHUNK_BYTES = 64;
export const CHUNK_COUNT = FRAME_BYTES / CHUNK_BYTES;
/** In front of every zpage in its frame. */
export const ZBUD_HEADER_BYTES = 32;
/** One chunk short of a frame, less the header: a buddy of one chunk still fits. */
export const ZPAGE_BYTES_MAX = (CHUNK_COUNT - 1) * CHUNK_BYTES - ZBUD_HEADER_BYTES;

export const BYTES_PER_MIB = 1024 * 1024;

// When a page is accepted (docs/original.md, "Accept or refuse"). Settings.

/**
 * 7/8 of a page. A persistent page that compresses to more is refused. A pool that may not refuse
 * stores it whole.
 */
export const PERS_ZPAGE_BYTES_MAX_DEFAULT = 3584;
/**
 * 5/8 of a page. A persistent page above it is accepted only while the mean of the store is below.
 */
export const PERS_ZPAGE_MEAN_BYTES_DEFAULT = 2560;

// Swap of a kernel.

/** The range of swapon(8). Swap without a priority is below 0, so ours is used before a disk's. */
export const SWAP_PRIORITY_MAX = 32767;
export const SWAP_PRIORITY_DEFAULT = 100;

/** The largest process id of Linux: PID_MAX_LIMIT of include/linux/threads.h. */
export const PID_MAX = 4 * 1024 * 1024;

// tmem.

/** Pools of one client. The original had 16; a pool costs one row. */
export const POOLS_PER_CLIENT_MAX = 256;
/**
 * Pools of one index, with those whose pages are being freed. Their rows take 512 KiB. New pools
 * get half of them, so that a pool can always be moved to another row.
 */
export const POOL_ROWS_MAX = 16 * 1024;
/**
 * Pages and objects that a node's index can name. 64 Mi pages are 256 GiB, and 128 fewer are 512
 * KiB less. Their rows fill one region of 2 GiB of address space; only the rows in use are
 * resident.
 */
export const PAGES_PER_NODE_MAX = 64 * 1024 * 1024 - 128;
export const OBJECTS_PER_NODE_MAX = 16 * 1024 * 1024;
/**
 * Records of objects that a node in swap mode keeps resident, in 200 KiB. An export has 256
 * objects (docs/original.md, "Swizzle").
 */
export const PINNED_OBJECTS = 4096;
/** Pages whose records and leaves it keeps resident at least: 4 MiB for 256 MiB of pages. */
export const PINNED_PAGES_MIN = 64 * 1024;
/**
 * Pages that one turn examines or frees when objects and pools are flushed. They take a millisecond
 * or two. Gossip, links and other programs have their turn in between.
 */
export const FLUSH_SLICE = 2048;
/**
 * Versions stay below this. They are exact as numbers and take 45 bits of a page's record. At a
 * million puts a second they last a year.
 */
export const VERSION_END = 2 ** 45;
/** Versions that are noted in kept memory at once, before any of them is used. */
export const VERSION_BLOCK = 65_536;
/** Codec ids are below this: src/compress/codec.ts. A page's record has three bits for one. */
export const CODECS_END = 7;
/**
 * Node numbers are 0 .. NODES_MAX - 1. A page's record has ten bits for one, and one value stands
 * for the disk (ramster/copies.ts).
 */
export const NODES_MAX = 1023;

// Region.

/**
 * The largest region that is read as one Int32Array: 2 GiB, below JavaScriptCore's limit of 4 GiB
 * for one ArrayBuffer.
 */
export const REGION_WORDS_BYTES_MAX = 2 ** 31;
/** A table of many rows grows in steps of this. Each step is a system call. */
export const TABLE_GROW_BYTES = 16 * 1024 * 1024;

/**
 * An emptied table up to this size keeps its memory. Otherwise a store of a few pages would call
 * madvise for each page.
 */
export const TABLE_KEEP_BYTES = 1024 * 1024;

/**
 * Words that one operation on kept memory changes. The largest one, a merge of two blocks, changes
 * some 300.
 */
export const JOURNAL_ENTRIES_MAX = 4096;

// Wire. Byte layouts are in src/wire/PROTOCOL.md.

export const PROTOCOL_VERSION = 1;
export const HEADER_BYTES = 20;
/**
 * The longest body: 256 whole pages with their handles, and some room. A longer declared length
 * closes the stream.
 */
export const BODY_BYTES_MAX = 1_114_112;
/** The longest body before the handshake is complete: a HELLO, or a GOODBYE. */
export const GREETING_BODY_BYTES_MAX = 2048;
/** The smallest buffer of a BufferPool: one page of memory, which takes many small messages. */
export const BUFFER_BYTES_MIN = 4096;
/** Free buffers that a BufferPool keeps for reuse: several times the longest frame. */
export const BUFFERS_KEPT_BYTES = 8 * 1024 * 1024;
/** The same of a client, which is a part of somebody's program: one buffer of the longest frame. */
export const CLIENT_BUFFERS_KEPT_BYTES = 2 * 1024 * 1024;
/** Cluster and node names, in bytes of UTF-8 (the original: 64 characters). */
export const NAME_BYTES_MAX = 64;
/** The zone is one of a member's tags, which share META_BYTES_MAX. */
export const ZONE_BYTES_MAX = 32;
/** Entries in one batch. */
export const BATCH_COUNT_MAX = 4096;
/**
 * Requests that may wait for a reply on one channel. A power of two: the low bits of the request's
 * number choose the slot.
 */
export const REQUESTS_OUTSTANDING_MAX = 1024;
/**
 * Bytes that may wait in one lane of a channel before `begin` refuses. Two of the longest frames
 * fit.
 */
export const LANE_BYTES_MAX = 4 * 1024 * 1024;
/** A channel with this much output writes it at once, and not at the end of the turn. */
export const GATHER_BYTES = 64 * 1024;
/**
 * Bytes of replies that one side may be waiting for. The other side must be able to queue as much.
 */
export const REPLY_BYTES_OUTSTANDING_MAX = 2 * (HEADER_BYTES + BODY_BYTES_MAX);
/**
 * A channel with more than this in its urgent lane serves no further request until the lane is
 * below the lower mark. The mark is above the window of replies. So two sides that keep to the
 * window never stop reading, and cannot deadlock.
 */
export const OUTPUT_PAUSE_BYTES = 2_621_440;
export const OUTPUT_RESUME_BYTES = 1_048_576;
/**
 * Requests that timed out and still have no reply. With more the other side counts as dead.
 */
export const REQUESTS_ABANDONED_MAX = REQUESTS_OUTSTANDING_MAX / 2;
/** How often deadlines of requests are checked. A request may overrun its deadline by this. */
export const DEADLINE_TICK_MS = 50;
/** After a goodbye, how long the other side may take to close before the link is cut. */
export const GOODBYE_TIMEOUT_MS = 1000;
/** A link whose handshake takes longer is closed. */
export const HANDSHAKE_TIMEOUT_MS = 5000;
/** Keepalive and idle defaults, those of the original (docs/original.md, "Cluster"). */
export const KEEPALIVE_MS_DEFAULT = 2000;
export const IDLE_MS_DEFAULT = 30_000;
/**
 * A link that nobody used for this long is closed. That is far longer than pauses in work, and
 * short enough that a large cluster keeps only the links in use.
 */
export const UNUSED_MS_DEFAULT = 60_000;
/**
 * The lowest keepalive that a peer's HELLO can bring about. Idle is at least twice the result.
 */
export const KEEPALIVE_MS_MIN = 10;
/**
 * Redial back-off: the first wait, and the longest. A node that is back is linked within a second,
 * and a get waits longer than that. The original always waited 2 s.
 */
export const REDIAL_MS_MIN = 50;
export const REDIAL_MS_MAX = 1000;

/** A node warns from this many days before the cluster's certificate ends. */
export const CERTIFICATE_WARN_DAYS = 30;

// Membership.

/** Members of a cluster that are alive: nodes, and other programs that gossip with them. */
export const MEMBERS_MAX = 1024;
/** Members that died or left and are remembered. Beyond that the one gone longest is forgotten. */
export const MEMBERS_GONE_MAX = MEMBERS_MAX;

/** The default port of memberlist and Serf. */
export const GOSSIP_PORT_DEFAULT = 7946;
/**
 * The wait between two attempts to join, doubled up to the longest. A seed that boots late is found
 * soon, and a mistyped one is not tried four times a second for ever.
 */
export const JOIN_RETRY_MS_MIN = 250;
export const JOIN_RETRY_MS_MAX = 2000;
/** How often a node that waits for its seeds logs that. */
export const JOIN_NOTICE_MS = 60_000;
/** Addresses to join at. Each may be a name that stands for many. */
export const SEEDS_MAX = 64;
/** MetaMaxSize of memberlist, net.go. Serf's tags must fit it. */
export const META_BYTES_MAX = 512;
/** Names of other members. memberlist has no limit; the longest host name has this many bytes. */
export const FOREIGN_NAME_BYTES_MAX = 255;
/** News that wait to be gossiped: one for each member, and Serf's intents. */
export const BROADCASTS_MAX = 2 * MEMBERS_MAX;
/** Probes that wait for an answer. Beyond that none is made on behalf of other members. */
export const PROBES_WAITING_MAX = 4 * MEMBERS_MAX;
/** Gossip streams that others have opened and not ended. */
export const GOSSIP_STREAMS_MAX = 256;
/** Lamport times whose Serf events, or queries, are remembered: as many as in Serf. */
export const SERF_TIMES_MAX = 512;
/** Serf events, or queries, that are remembered: 512 of the longest, which is 512 bytes. */
export const SERF_RECENT_BYTES_MAX = 512 * 512;
/** Members that relay the answer to one Serf query, which is also sent directly. */
export const SERF_RELAYS_MAX = 8;
/** How long the certificates of a new key are valid: the default, and the most. */
export const KEY_DAYS_DEFAULT = 3650;
export const KEY_DAYS_MAX = 36_500;
/** The length of a new gossip key: AES-256. */
export const GOSSIP_KEY_BYTES = 32;
/** Gossip keys at once: the one in use, and those that are being installed or removed. */
export const GOSSIP_KEYS_MAX = 16;
/** Queries about gossip keys that a node answers in a second: of one member, and of all. */
export const KEY_QUERIES_A_SECOND_EACH = 16;
export const KEY_QUERIES_A_SECOND = 64;
/** The length of a label is one byte. */
export const GOSSIP_LABEL_BYTES_MAX = 255;
/** Parts of a compound message, whose count is one byte. */
export const COMPOUND_PARTS_MAX = 255;
/** Nesting of compound and compressed messages. memberlist makes two levels at most. */
export const GOSSIP_NESTING_MAX = 4;
/** Messages in one packet at all levels, with those that cannot be read. */
export const PACKET_MESSAGES_MAX = 1024;
/** Bytes that one packet may decompress to. */
export const PACKET_BYTES_MAX = 1024 * 1024;
/** Members accepted from one push/pull: those that are alive, and as many that are gone. */
export const PUSH_PULL_MEMBERS_MAX = 2 * MEMBERS_MAX;
/** Members that one push/pull may list: more than the largest known memberlist cluster has. */
export const PUSH_PULL_DECLARED_MAX = 65_536;
/** User state that is read: in Serf's a time and a line for each member, and events. */
export const USER_STATE_BYTES_MAX = 1024 * 1024;
/** maxPushStateBytes of memberlist: longer user state is refused, shorter is read or skipped. */
export const USER_STATE_DECLARED_BYTES_MAX = 20 * 1024 * 1024;
/** One encrypted or compressed message, which is buffered whole: memberlist's limit. */
export const GOSSIP_WHOLE_BYTES_MAX = USER_STATE_DECLARED_BYTES_MAX;
/** Bytes kept of one stream: such a message, and its headers. */
export const GOSSIP_STREAM_BYTES_MAX = GOSSIP_WHOLE_BYTES_MAX + 1024;
/** One message after it is decompressed: the user state, and members. */
export const GOSSIP_INFLATED_BYTES_MAX = USER_STATE_DECLARED_BYTES_MAX + 6 * 1024 * 1024;
/** Bytes kept of all incomplete streams of others: the longest one, and ordinary ones. */
export const GOSSIP_BUFFERED_BYTES_MAX = GOSSIP_STREAM_BYTES_MAX + 8 * 1024 * 1024;

// ramster.

/** Remote copies of a page: a record has room for this many. */
export const COPIES_MAX = 3;
/**
 * One remotify batch. It is large enough that its round trip costs little for each page, and small
 * enough that a read behind it waits little.
 */
export const REMOTIFY_BATCH_BYTES = 128 * 1024;
/** Zpages in one remotify batch. */
export const REMOTIFY_BATCH_COUNT_MAX = 512;
/** Batches under way to a holder: 1 MiB keeps a 10 Gb/s link busy at 0.8 ms round trip. */
export const REMOTIFY_BATCHES_MAX = 8;
/**
 * Puts do not wait for a holder that took nothing for this long, which is longer than dialling a
 * link takes.
 */
export const REMOTIFY_PATIENCE_MS = 1000;
/** Pages that a lender grants one owner ahead: twice those of the batches under way. */
export const GRANT_PAGES_MAX = (4 * REMOTIFY_BATCHES_MAX * REMOTIFY_BATCH_BYTES) / FRAME_BYTES;
/** The first grant: a batch. It doubles each time that half of it is used. */
export const GRANT_PAGES_FIRST = 64;
/** The smallest grant that is worth a message and a batch. */
export const GRANT_PAGES_STEP = 16;
/** Pages in one GET. Their replies, whole pages at worst, fit one body. */
export const FETCH_BATCH_COUNT_MAX = 256;
/** Fetches under way on a node, and gets that wait for them. Beyond that a get is refused. */
export const FETCHES_MAX = 65_536;
export const WAITERS_MAX = 65_536;
/** Records that a search over the index reads in one step: a millisecond or two. */
export const INDEX_ROWS_PER_STEP = 65_536;
/** The same for a walk that may change each record, and goes on in the next turn. */
export const INDEX_SLICE = 4096;
/** Pages that a holder asks their owner to take back in one message. */
export const RECLAIM_BATCH_COUNT_MAX = 256;
/** Pages that a holder reclaims at once: enough that owners always have something to do. */
export const RECLAIM_PAGES_MAX = 2048;
/** Pages that one reply to AUDIT lists at most. */
export const AUDIT_COUNT_MAX = 256;
/** Pages known to be at risk at once, in 8 MiB. After their repair all records are searched. */
export const AT_RISK_MAX = 1_048_576;
/** Pages that repair is fetching, or copying to another holder. */
export const REPAIR_PAGES_MAX = 64;
/** Repair batches under way. Each goes to one holder. */
export const REPAIR_BATCHES_MAX = 4;
/** Flushes in one message to a holder. */
export const FLUSH_BATCH_COUNT_MAX = 1024;
/**
 * Pages at one holder and its pending flushes, together. So there is always room for a pending
 * flush.
 */
export const PENDING_FLUSHES_MAX = 4_194_304;

// What a lender leaves to its own machine (ramster/foreign/lend-limit.ts).

/**
 * The reserve: a tenth of all memory, and at most 1 GiB, since a tenth of a large machine is far
 * more than needed. It lasts for the second that giving memory back takes, for a login, a compiler
 * that starts or a cache that grows.
 */
export const RESERVE_PERCENT_DEFAULT = 10;
export const RESERVE_BYTES_MAX_DEFAULT = 1024 * 1024 * 1024;
/** The reserve is this much larger where PSI, which shows waits for memory, cannot be read. */
export const RESERVE_UNSEEN_FACTOR = 2;
/**
 * A lender gives back an eighth more than the reserve lacks, and at most this. Otherwise the next
 * page would start it again: available memory always moves a little.
 */
export const RESERVE_MARGIN_PART = 8;
export const RESERVE_MARGIN_BYTES_MAX = 64 * 1024 * 1024;
/** How often a lender checks its machine: a twelfth of the time to give memory back. */
export const HOST_CHECK_MS = 250;
/**
 * Programs wait for memory this many percent of the time. A person notices that, and a machine that
 * swaps a little stays below. Below half of it the machine counts as calm.
 */
export const STALL_PERCENT = 10;
/** While programs wait, one part in this many of the foreign pages is given back, so often. */
export const STALL_SHRINK_PART = 16;
export const STALL_SHRINK_MS = 1000;
/**
 * Waits do not count while this many times the reserve is available. What waits is then in a cgroup
 * with a limit of its own, and memory that a lender gives back would not help it.
 */
export const STALL_RESERVES_MAX = 4;
/** A lender lends more again after a calm of this long: the span that PSI averages over. */
export const LEND_CALM_MS = 10_000;
/** It lends more in this many steps of LEND_GROW_MS: half a minute for all of it. */
export const LEND_STEPS = 64;
export const LEND_GROW_MS = 500;

// Spill: the node's own disk.

/** The least that a disk reads or writes, and the unit of a page's place on it. */
export const SECTOR_BYTES = 512;
/** The checksum in front of each zpage on the disk. */
export const SPILL_HEADER_BYTES = 4;
/** Sectors of the longest page, which is stored whole. */
export const SECTORS_PER_PAGE_MAX = Math.ceil((SPILL_HEADER_BYTES + PAGE_BYTES) / SECTOR_BYTES);
/** A sector's number fits one word, and every page of a node, stored whole, has its sectors. */
export const SPILL_BYTES_MAX = SECTOR_BYTES * 2 ** 30;
/** As the least memory of a node: less is not worth a file. */
export const SPILL_BYTES_MIN = 1024 * 1024;
/** Batches on their way to the disk. Two keep it busy while the others complete. */
export const SPILL_WRITES_MAX = 4;
/** How often the room on the disk is read. */
export const SPILL_CHECK_MS = 1000;
/** Pages that are being read from the disk: as many as a disk's queue takes. */
export const SPILL_READS_MAX = 32;
/**
 * Pages wait this long for a lender that may take them before they go to the disk. That is longer
 * than making a link takes, and far shorter than a put waits.
 */
export const SPILL_PATIENCE_MS = 200;

// Client door.

/** Programs that may be connected at once. */
export const CLIENTS_MAX = 1024;
/** Entries of one PAGE_PUT or PAGE_GET: as many whole pages as fit a body. */
export const CLIENT_GET_COUNT_MAX = 256;
/**
 * Buffers of all clients: requests that wait, and replies that clients have not read. Beyond it
 * long requests are delayed. Beyond twice of it a client that sends more is closed. Twelve of the
 * longest requests under way, with their replies, keep a codec busy.
 */
export const CLIENT_BUFFERS_BYTES_MAX = 24 * 1024 * 1024;
/** A request that is longer than this with its reply is delayed while those buffers are full. */
export const CLIENT_LONG_BYTES = 64 * 1024;
/** While others wait for buffers, a client that reads no reply for this long is closed. */
export const CLIENT_STALL_TIMEOUT_MS = 1000;
/** How often that is checked. */
export const CLIENT_STALL_CHECK_MS = 250;

/** One part of the stats, with at least one member or peer: far shorter than a body may be. */
export const STATS_PART_BYTES = 192 * 1024;

// NBD door.

/** Each export is a pool. */
export const NBD_EXPORTS_MAX = 64;
/** The longest name of an export that the NBD protocol recommends. */
export const NBD_NAME_BYTES_MAX = 256;
/** Exports are thin-provisioned: far more than a node can store, and exact as a number. */
export const NBD_EXPORT_BYTES_MAX = 2 ** 44;
/**
 * Connections at once. A kernel opens at most one for each of its processors. Their bytes, below,
 * are 768 MiB if no client reads.
 */
export const NBD_CONNECTIONS_MAX = 256;
/**
 * Requests that wait and replies to be sent, on one connection. With more no further request is
 * served. 512 pages keep a link and a codec busy.
 */
export const NBD_CONNECTION_BYTES_MAX = 2 * 1024 * 1024;
/** A longer request waits for a share of the memory for all of them, which is bounded as well. */
export const NBD_LARGE_BYTES = 1024 * 1024;
export const NBD_LARGE_BYTES_MAX = 256 * 1024 * 1024;
/** Requests that wait, on all connections. */
export const NBD_PENDING_MAX = 131_072;
/** Writes to one export that wait for others. With more, each connection has one at a time. */
export const NBD_RANGE_LOCKS_MAX = 2048;
/** What a request counts for beside its data, which counts as a page at least. */
export const NBD_PENDING_BYTES = 256;
/** Buffers of finished requests that are kept for reuse: the longest, and all together. */
export const NBD_PENDING_KEEP_BYTES = 64 * 1024;
export const NBD_PENDING_KEEP_BYTES_MAX = 16 * 1024 * 1024;
/** A connection keeps buffers up to these lengths: 64 replies of a page, and a piece of input. */
export const NBD_OUTPUT_KEEP_BYTES = 512 * 1024;
export const NBD_ASSEMBLY_KEEP_BYTES = 256 * 1024;
/** A reply up to this is gathered with others. A longer one is sent by itself. */
export const NBD_GATHER_BYTES = 256 * 1024;
/** The longest option: a name and many queries. A longer one is skipped. */
export const NBD_OPTION_BYTES_MAX = 64 * 1024;
/** Options that one client may send: several for each export. */
export const NBD_OPTIONS_MAX = 1024;
/** From the connection to the choice of an export. A person may be typing. */
export const NBD_HANDSHAKE_TIMEOUT_MS = 30_000;
/** At the limit of connections, one that sent nothing for this long is closed for a new one. */
export const NBD_IDLE_GRACE_MS = 1000;
/**
 * While others wait for memory for long requests, a client that has some must send or read this
 * much in this time. A stopped client would keep it for ever. After a goodbye any progress counts,
 * since what the kernel has buffered cannot be seen.
 */
export const NBD_STALL_BYTES = 1024 * 1024;
export const NBD_STALL_TIMEOUT_MS = 30_000;
/** How often waiting requests are checked: pages to get again, time limits. */
export const NBD_TICK_MS = 100;
/** A longer tick means that the node or machine was suspended: the rest does not count. */
export const NBD_TICK_MS_MAX = 500;
/**
 * Work of a request before others have their turn: a millisecond or two. The unit is a lookup of a
 * page. A flush counts two, a read eight, a write sixteen.
 */
export const NBD_SLICE = 4096;
/** The least of it, for a connection among very many. */
export const NBD_SLICE_MIN = 256;
/** Extents in a reply to BLOCK_STATUS, and pages looked up for it. A client asks for the rest. */
export const NBD_EXTENTS_MAX = 1024;
export const NBD_STATUS_PAGES_MAX = 4096;
/** Pages that one CACHE request fetches. */
export const NBD_CACHE_PAGES_MAX = 1024;
/** Pages fetched ahead of reads at even steps, and the fetched pages that are kept. */
export const NBD_PREFETCH_AHEAD_MAX = 128;
export const NBD_PREFETCH_PAGES = 512;
/** All must be full for this long before a write is refused: news comes once a second. */
export const NBD_FULL_MS = 2000;
/**
 * How long a request waits for the cluster: longer than a failover, shorter than a kernel waits.
 */
export const NBD_IO_TIMEOUT_MS_DEFAULT = 30_000;
/** Percent of all room that is used: an operator still has time to add a lender. */
export const NBD_WARN_AT_PERCENT_DEFAULT = 80;
/** The warning is over when use is this far below the mark. */
export const NBD_WARN_HYSTERESIS_PERCENT = 5;

// Log, and what a process writes to its standard streams.

/** A longer line is cut. Some lines have text that peers sent. */
export const LOG_LINE_LENGTH_MAX = 2000;
/** Lines of one kind about one thing: this many at once, then one in each period. */
export const LOG_SOURCE_BURST = 20;
export const LOG_SOURCE_PERIOD_MS = 60_000;
/** Lines of one kind about all things: a cluster of 128 writes as many when it starts. */
export const LOG_KIND_BURST = 128;
export const LOG_KIND_PERIOD_MS = 5000;
/** Things and kinds with a count of their own. New ones beyond that are counted as one. */
export const LOG_SOURCES_MAX = 512;
export const LOG_KINDS_MAX = 128;
/** The lines left out are summed up this long after the first. */
export const LOG_SUMMARY_MS = 60_000;
/** Output that waits for a reader that has stopped: half a minute of a busy log. */
export const OUTPUT_QUEUE_BYTES_MAX = 256 * 1024;
/** Lines below a warning use only this much of it. The rest is for warnings and errors. */
export const OUTPUT_QUIET_BYTES_MAX = 192 * 1024;
/** PIPE_BUF: a pipe takes this much as a whole (pipe(7)), so lines of two writers never mix. */
export const OUTPUT_CHUNK_BYTES = 4096;
/** How often it is checked whether the reader goes on. */
export const OUTPUT_RETRY_MS = 20;
/** How long a process that ends waits for the reader to take what is queued. */
export const OUTPUT_END_MS = 500;

// Settings of a node (node/settings.ts).

/** About 30,000 pages: enough for a first try, and little enough to start many nodes. */
export const MEMORY_BYTES_DEFAULT = 64 * 1024 * 1024;
/** 256 frames. With fewer the marks, and frames in transit, leave no room for pages. */
export const MEMORY_BYTES_MIN = 1024 * 1024;
/** 2^26 frames: a table of them with 32 bytes each still fits one region. */
export const MEMORY_BYTES_MAX = FRAME_BYTES * 2 ** 26;
/** How long pages of a dead node are kept. It may be cut off, and an operator needs time. */
export const FOREIGN_GRACE_MS_DEFAULT = 10 * 60 * 1000;
/** The highest quota: the largest signed word, which is no limit in practice. */
export const QUOTA_PAGES_MAX = 2 ** 31 - 1;
/**
 * How long a node may object to the news that it has left, which may be of an earlier boot. It is
 * several rounds of gossip, with losses.
 */
export const LEFT_GRACE_MS = 10_000;
/**
 * For nodes that do not gossip. One that needs a link kept sends its offer this often, so that the
 * link counts as used. A peer without a link for the second time is dead: gossip takes as long.
 */
export const OFFER_REFRESH_MS = 10_000;
export const PEER_DEAD_MS = 5000;
/**
 * How long a node that stops, and does not gossip, waits for links to its holders. Dialling on a
 * local network takes a hundredth of it.
 */
export const FAREWELL_MS = 1000;
/** How long a drain may take: 1 GiB at a tenth of the speed of a slow network. */
export const DRAIN_TIMEOUT_MS_DEFAULT = 60_000;
/** What a memory server lends by default. */
export const SERVER_MEMORY_BYTES_DEFAULT = 1024 * 1024 * 1024;
/** Addresses of one client door. Each is a listening socket. */
export const CLIENT_ADDRESSES_MAX = 16;
/** The use of memory where remotify begins and ends: a tenth of the memory moves at a time. */
export const HIGH_MARK_PERCENT_DEFAULT = 90;
export const LOW_MARK_PERCENT_DEFAULT = 80;
/** The original's trickle was 100 frames of each kind a second. Off here: the marks do the work. */
export const TRICKLE_FRAMES_DEFAULT = 0;
export const TRICKLE_FRAMES_MAX = 65_536;
export const TRICKLE_PERIOD_MS_DEFAULT = 1000;
export const TRICKLE_FIRST_MS_DEFAULT = 60_000;
/** How long a put waits for frames while pages move away: for a slow batch, not a deadline. */
export const PUT_WAIT_MS_DEFAULT = 1000;
/** Deadline of a request to a peer: 1000 times the round trip of a busy local network. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 2000;
/** Selfshrink, with the original's numbers (docs/original.md, "Selfshrink"). */
export const SELFSHRINK_INTERVAL_MS_DEFAULT = 5000;
export const SELFSHRINK_HYSTERESIS_DEFAULT = 20;
export const SELFSHRINK_INERTIA_DEFAULT = 3;
/** As many as can be under way, so that only the share above decides. */
export const SELFSHRINK_PAGES_DEFAULT = FETCHES_MAX;
/** The most for hysteresis and inertia: far beyond any use, and still a check on typing errors. */
export const SELFSHRINK_COUNT_MAX = 10_000;
/** The longest file of settings. All settings together take a thousandth of it. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
/** Times that an operator sets: at most a day, since timers of the runtime end at 24.8 days. */
export const SETTING_MS_MIN = 1;
export const SETTING_MS_MAX = 24 * 60 * 60 * 1000;

assert(FRAME_BYTES % CHUNK_BYTES === 0);
assert(OUTPUT_QUIET_BYTES_MAX < OUTPUT_QUEUE_BYTES_MAX);
assert(2 * PUSH_PULL_MEMBERS_MAX * 1024 + USER_STATE_BYTES_MAX <= GOSSIP_STREAM_BYTES_MAX);
assert(GOSSIP_STREAM_BYTES_MAX < GOSSIP_BUFFERED_BYTES_MAX);
assert(ZPAGE_BYTES_MAX === 4000);
assert(PERS_ZPAGE_BYTES_MAX_DEFAULT <= ZPAGE_BYTES_MAX);
assert(PERS_ZPAGE_MEAN_BYTES_DEFAULT <= PERS_ZPAGE_BYTES_MAX_DEFAULT);
assert((REQUESTS_OUTSTANDING_MAX & (REQUESTS_OUTSTANDING_MAX - 1)) === 0);
assert(LANE_BYTES_MAX >= 2 * (HEADER_BYTES + BODY_BYTES_MAX));
assert(2 * STATS_PART_BYTES <= BODY_BYTES_MAX);
assert(BODY_BYTES_MAX >= 256 * (PAGE_BYTES + 40));
assert(REPLY_BYTES_OUTSTANDING_MAX < OUTPUT_PAUSE_BYTES);
assert(OUTPUT_RESUME_BYTES < OUTPUT_PAUSE_BYTES);
// The reply to a request that is served always fits its lane.
assert(OUTPUT_PAUSE_BYTES + HEADER_BYTES + BODY_BYTES_MAX <= LANE_BYTES_MAX);
assert(KEEPALIVE_MS_DEFAULT < IDLE_MS_DEFAULT);
assert(REDIAL_MS_MAX < REQUEST_TIMEOUT_MS_DEFAULT);
assert(MEMORY_BYTES_MIN <= MEMORY_BYTES_DEFAULT && MEMORY_BYTES_DEFAULT <= MEMORY_BYTES_MAX);
assert(LOW_MARK_PERCENT_DEFAULT < HIGH_MARK_PERCENT_DEFAULT);
assert(HOST_CHECK_MS <= LEND_GROW_MS && LEND_GROW_MS < LEND_CALM_MS);
assert(PAGES_PER_NODE_MAX * SECTORS_PER_PAGE_MAX <= SPILL_BYTES_MAX / SECTOR_BYTES);
assert(SPILL_PATIENCE_MS < REMOTIFY_PATIENCE_MS && SPILL_PATIENCE_MS < PUT_WAIT_MS_DEFAULT);
assert(PUT_WAIT_MS_DEFAULT < REQUEST_TIMEOUT_MS_DEFAULT);
assert(NBD_EXPORTS_MAX < POOLS_PER_CLIENT_MAX);
assert(
  NBD_CONNECTIONS_MAX * (1 + NBD_CONNECTION_BYTES_MAX / (PAGE_BYTES + NBD_PENDING_BYTES)) <=
    NBD_PENDING_MAX,
);
assert(NBD_GATHER_BYTES <= NBD_LARGE_BYTES && NBD_LARGE_BYTES < NBD_CONNECTION_BYTES_MAX);
assert(NBD_LARGE_BYTES_MAX >= 32 * 1024 * 1024);
assert(REQUEST_TIMEOUT_MS_DEFAULT < NBD_IO_TIMEOUT_MS_DEFAULT);
