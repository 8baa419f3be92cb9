/**
 * Every bound and constant, with its reason. Relations between them are asserted at the end, when
 * the file loads. What an operator may change is a setting with one of these as its default.
 */
import { assert } from "./assert.ts";

// Pages and frames.

/** A page, and a frame: the page size of every machine that we run on. Part of the handshake. */
export const PAGE_BYTES = 4096;
export const FRAME_BYTES = PAGE_BYTES;

// zbud geometry: that of the original (reference 3.1).

export const CHUNK_BYTES = 64;
export const CHUNK_COUNT = FRAME_BYTES / CHUNK_BYTES;
/** In front of every zpage in its frame. */
export const ZBUD_HEADER_BYTES = 32;
/**
 * One chunk short of a frame, less the header: what still leaves a place for a buddy of one chunk.
 */
export const ZPAGE_BYTES_MAX = (CHUNK_COUNT - 1) * CHUNK_BYTES - ZBUD_HEADER_BYTES;

export const BYTES_PER_MIB = 1024 * 1024;

// Accept and refuse policy (reference 4.2). Settable.

/**
 * 7/8 of a page: a persistent page that compresses to more is refused, or stored whole where
 * refusing is no option.
 */
export const PERS_ZPAGE_BYTES_MAX_DEFAULT = 3584;
/**
 * 5/8 of a page: above it a persistent page is taken only while the mean of the store is below it.
 */
export const PERS_ZPAGE_MEAN_BYTES_DEFAULT = 2560;

// Swap of a kernel.

/** What swapon(8) takes. Swap without a priority is below 0, so ours comes before a disk's. */
export const SWAP_PRIORITY_MAX = 32767;
export const SWAP_PRIORITY_DEFAULT = 100;

// tmem.

/** Pools of one client. The original had 16; a pool costs one row. */
export const POOLS_PER_CLIENT_MAX = 256;
/**
 * Pages and objects that a node's index can name. 64 Mi pages are 256 GiB; their rows fill one
 * region of 2 GiB of address space, of which only what is used is resident.
 */
export const PAGES_PER_NODE_MAX = 64 * 1024 * 1024 - 128;
export const OBJECTS_PER_NODE_MAX = 16 * 1024 * 1024;
/**
 * Records of objects that a node in swap mode holds: an export is 256 objects, as a swap device of
 * the original was. 200 KiB.
 */
export const HELD_OBJECTS = 4096;
/** Records of pages that it holds at least: 1 GiB of pages in 10 MiB, wherever they are. */
export const HELD_PAGES_MIN = 256 * 1024;
/**
 * Pages of objects and pools that one turn frees, or looks at to free them: a millisecond or two.
 * Gossip, links and other programs have their turn in between.
 */
export const FLUSH_SLICE = 2048;
/**
 * Versions stay below this: exact as a number, 46 bits in a page's record, two years at a million
 * puts a second.
 */
export const VERSION_END = 2 ** 46;
/**
 * Node numbers are 0 .. NODES_MAX - 1: ten bits in the record of a page, less the number that
 * stands for the disk there (ramster/copies.ts).
 */
export const NODES_MAX = 1023;

// Region.

/**
 * The most that one Int32Array covers here: 2 GiB, below JavaScriptCore's limit of 4 GiB for one
 * ArrayBuffer.
 */
export const REGION_WORDS_BYTES_MAX = 2 ** 31;
/** A table of many rows becomes usable in steps of this: each is a system call. */
export const TABLE_GROW_BYTES = 16 * 1024 * 1024;

/**
 * An emptied table up to this size keeps its memory: a store of a few pages must not call madvise
 * for each.
 */
export const TABLE_KEEP_BYTES = 1024 * 1024;

// Wire. Byte layouts are in src/wire/PROTOCOL.md.

export const PROTOCOL_VERSION = 1;
export const HEADER_BYTES = 20;
/**
 * The longest body: 256 whole pages with their handles and change. A longer declared length closes
 * the stream.
 */
export const BODY_BYTES_MAX = 1_114_112;
/** The longest body before both sides have said who they are: a HELLO, or a GOODBYE. */
export const GREETING_BODY_BYTES_MAX = 2048;
/** The smallest buffer of a pool of them: one page of memory, and many small messages. */
export const BUFFER_BYTES_MIN = 4096;
/** Buffers of a pool that wait to be taken again: the longest frame, several times. */
export const BUFFERS_KEPT_BYTES = 8 * 1024 * 1024;
/** Cluster and node names, in bytes of UTF-8 (the original: 64 characters). */
export const NAME_BYTES_MAX = 64;
/** A zone is told in the tags of a member, with all else that must fit them. */
export const ZONE_BYTES_MAX = 32;
/** Entries of one batch. */
export const BATCH_COUNT_MAX = 4096;
/**
 * Requests that may wait for a reply on one channel; a power of two, since the low bits choose the
 * slot.
 */
export const REQUESTS_OUTSTANDING_MAX = 1024;
/**
 * Bytes that may wait in one lane of a channel before `begin` says no. Two of the longest frames
 * fit.
 */
export const LANE_BYTES_MAX = 4 * 1024 * 1024;
/** Output waiting on a channel that is written out at once instead of at the end of the turn. */
export const GATHER_BYTES = 64 * 1024;
/**
 * Bytes of replies that one side may be waiting for: what the other side must be ready to hold back
 * for it.
 */
export const REPLY_BYTES_OUTSTANDING_MAX = 2 * (HEADER_BYTES + BODY_BYTES_MAX);
/**
 * With more than this waiting in the urgent lane no further request is served, until it is below
 * the lower mark. Above the window of replies: between two sides that keep to the window neither
 * ever stops reading, so they cannot lock up.
 */
export const OUTPUT_PAUSE_BYTES = 2_621_440;
export const OUTPUT_RESUME_BYTES = 1_048_576;
/**
 * Requests that timed out and still have no reply. More means that the other side serves no longer.
 */
export const REQUESTS_ABANDONED_MAX = REQUESTS_OUTSTANDING_MAX / 2;
/** How often deadlines of requests are looked at, and so by how much one may be overrun. */
export const DEADLINE_TICK_MS = 50;
/** After a goodbye: how long the other side may take to close before it is cut off. */
export const GOODBYE_TIMEOUT_MS = 1000;
/** A link whose handshake takes longer is closed. */
export const HANDSHAKE_TIMEOUT_MS = 5000;
/** Keepalive and idle defaults, those of the original (reference 6.1). */
export const KEEPALIVE_MS_DEFAULT = 2000;
export const IDLE_MS_DEFAULT = 30_000;
/**
 * A link that nobody used for so long is closed: far above the pauses of work, and so short that of
 * the links between many nodes only those in use are there.
 */
export const UNUSED_MS_DEFAULT = 60_000;
/**
 * What a peer may bring the keepalive down to by its HELLO; idle is at least twice what comes of
 * it.
 */
export const KEEPALIVE_MS_MIN = 10;
/**
 * Redial back-off: the first wait, and the longest: a node that is back is linked within a second,
 * and a get waits longer than that (the original's reconnect delay was 2 s flat).
 */
export const REDIAL_MS_MIN = 50;
export const REDIAL_MS_MAX = 1000;

/** So long before the end of the certificate of the cluster a node begins to warn. */
export const CERTIFICATE_WARN_DAYS = 30;

// Membership.

/** Members of a cluster that are there: nodes, and what else gossips with them. */
export const MEMBERS_MAX = 1024;
/** Members that died or left and are remembered: past it the one gone longest is forgotten. */
export const MEMBERS_GONE_MAX = MEMBERS_MAX;

/** memberlist's and Serf's. */
export const GOSSIP_PORT_DEFAULT = 7946;
/**
 * Between two attempts to join at the start, doubled up to the longest: a seed that boots late is
 * found soon, and one that was mistyped is not asked four times a second for ever.
 */
export const JOIN_RETRY_MS_MIN = 250;
export const JOIN_RETRY_MS_MAX = 5000;
/** How often a node that waits for its seeds says so. */
export const JOIN_NOTICE_MS = 60_000;
/** Addresses to join at: each may be a name with many behind it. */
export const SEEDS_MAX = 64;
/** memberlist's MetaMaxSize, which Serf's tags must fit. */
export const META_BYTES_MAX = 512;
/** Names of nodes: Serf allows 128 characters. */
export const MEMBER_NAME_BYTES_MAX = 128;
/** Names of other members: memberlist has no limit; the longest host name is as long. */
export const FOREIGN_NAME_BYTES_MAX = 255;
/** News waiting to be gossiped: one piece a member, and intents. */
export const BROADCASTS_MAX = 2 * MEMBERS_MAX;
/** Probes that wait for an answer, own ones and those made for others. Past it others' are not. */
export const PROBES_WAITING_MAX = 4 * MEMBERS_MAX;
/** Streams of gossip that others have opened and not ended. */
export const GOSSIP_STREAMS_MAX = 256;
/** Times of a Lamport clock of Serf whose events, or queries, are remembered: Serf's own number. */
export const SERF_TIMES_MAX = 512;
/** Events, or queries, of Serf that are remembered: 512 of the 512 bytes that Serf lets one have. */
export const SERF_RECENT_BYTES_MAX = 512 * 512;
/** Members that the answer to one query of Serf goes through beside the direct way. */
export const SERF_RELAYS_MAX = 8;
/** How long the certificates of a new key are valid, and the longest that can be asked for. */
export const KEY_DAYS_DEFAULT = 3650;
export const KEY_DAYS_MAX = 36_500;
/** Of a new gossip key: AES-256. */
export const GOSSIP_KEY_BYTES = 32;
/** Keys of gossip at once: the one in use, and those on their way in and out. */
export const GOSSIP_KEYS_MAX = 16;
/** A label is told in one byte. */
export const GOSSIP_LABEL_BYTES_MAX = 255;
/** Parts of a compound message: told in one byte. */
export const COMPOUND_PARTS_MAX = 255;
/** Compounds and compressed messages within each other. memberlist makes two levels at most. */
export const GOSSIP_NESTING_MAX = 4;
/** Messages of one packet, however they are nested, with those that cannot be read. */
export const PACKET_MESSAGES_MAX = 1024;
/** All that is decompressed of one packet. */
export const PACKET_BYTES_MAX = 1024 * 1024;
/** Members taken from one push/pull: those that are there, and as many that are gone. */
export const PUSH_PULL_MEMBERS_MAX = 2 * MEMBERS_MAX;
/** Members told in one push/pull: more than the largest cluster that is known to use memberlist. */
export const PUSH_PULL_TOLD_MAX = 65_536;
/** State of the layer above that is read: Serf tells a time and a line for each member, and events. */
export const USER_STATE_BYTES_MAX = 1024 * 1024;
/** memberlist's maxPushStateBytes: a longer user state is refused, a shorter one read or skipped. */
export const USER_STATE_TOLD_BYTES_MAX = 20 * 1024 * 1024;
/** One message that is encrypted or compressed, and has to be there whole: memberlist's limit. */
export const GOSSIP_WHOLE_BYTES_MAX = USER_STATE_TOLD_BYTES_MAX;
/** What is kept of one stream: such a message, and what is around it. */
export const GOSSIP_STREAM_BYTES_MAX = GOSSIP_WHOLE_BYTES_MAX + 1024;
/** One message when it is decompressed: the user state, and members. */
export const GOSSIP_INFLATED_BYTES_MAX = USER_STATE_TOLD_BYTES_MAX + 6 * 1024 * 1024;
/** Bytes kept of all streams of others that are not whole yet: the longest one, and ordinary ones. */
export const GOSSIP_HELD_BYTES_MAX = GOSSIP_STREAM_BYTES_MAX + 8 * 1024 * 1024;

// ramster.

/** Remote copies of a page at most: what a record has room for. */
export const COPIES_MAX = 3;
/**
 * One remotify batch: large enough that its round trip costs little a page, small enough that a
 * read waits little.
 */
export const REMOTIFY_BATCH_BYTES = 128 * 1024;
/** Zpages of one remotify batch. */
export const REMOTIFY_BATCH_COUNT_MAX = 512;
/** Batches under way to the target: 1 MiB keeps a 10 Gb/s link busy at 0.8 ms round trip. */
export const REMOTIFY_BATCHES_MAX = 8;
/**
 * A target that took nothing for so long is not waited for by puts: longer than a link takes to be
 * dialled.
 */
export const REMOTIFY_PATIENCE_MS = 1000;
/** Pages that a lender promises one borrower ahead: twice those of the batches under way. */
export const GRANT_PAGES_MAX = (4 * REMOTIFY_BATCHES_MAX * REMOTIFY_BATCH_BYTES) / FRAME_BYTES;
/** The first time: a batch. Doubled each time that half of it is used. */
export const GRANT_PAGES_FIRST = 64;
/** The fewest that are worth a message, and a batch. */
export const GRANT_PAGES_STEP = 16;
/** Pages asked for in one GET: their replies, whole pages at worst, fit one body. */
export const FETCH_BATCH_COUNT_MAX = 256;
/** Fetches under way on a node, and getters that wait for them. Past it a get is refused. */
export const FETCHES_MAX = 65_536;
export const WAITERS_MAX = 65_536;
/** Records that a search over the index passes in one step: a millisecond or two. */
export const INDEX_ROWS_PER_STEP = 65_536;
/** The same of a walk that may have to change each of them, and goes on in the next turn. */
export const INDEX_SLICE = 4096;
/** Pages that a holder asks their owner to take back in one message. */
export const RECLAIM_BATCH_COUNT_MAX = 256;
/** Frames that a holder waits for to come free: enough that owners always have something to do. */
export const RECLAIM_FRAMES_MAX = 1024;
/** Pages known to be at risk at once: 8 MiB. When these are mended all records are looked at. */
export const AT_RISK_MAX = 1_048_576;
/** Pages that are fetched to be copied elsewhere, or on their way there. */
export const REPAIR_PAGES_MAX = 64;
/** Batches of them: each goes to one holder. */
export const REPAIR_BATCHES_MAX = 4;
/** Flushes in one message to a holder. */
export const FLUSH_BATCH_COUNT_MAX = 1024;
/**
 * Pages on one holder and its pending flushes, together: a flush is then never refused for want of
 * room.
 */
export const PENDING_FLUSHES_MAX = 4_194_304;

// What a lender leaves to its own machine (ramster/foreign/lend-limit.ts).

/**
 * Of all memory, and at most so much: enough for a login, a compiler that starts or a cache that
 * grows in the second that it takes to give more back; on a large machine a tenth would be far more
 * than that.
 */
export const RESERVE_PERCENT_DEFAULT = 10;
export const RESERVE_BYTES_MAX_DEFAULT = 1024 * 1024 * 1024;
/** Where waits for memory (PSI) cannot be seen, what is available is all there is to go by. */
export const RESERVE_UNSEEN_FACTOR = 2;
/**
 * What is given back beyond the reserve, so that the next page does not start it again: an eighth
 * of it, and at most this, which is more than what is available moves by itself.
 */
export const RESERVE_MARGIN_PART = 8;
export const RESERVE_MARGIN_BYTES_MAX = 64 * 1024 * 1024;
/** How often a lender looks at its machine: a twelfth of what it may take to give memory back. */
export const HOST_LOOK_MS = 250;
/**
 * Programs wait for memory so many percent of the time: felt, and above what a machine that swaps a
 * little has. Below the half of it all is well.
 */
export const STALL_PERCENT = 10;
/** While they wait a part in so many of what is held goes, and so often. */
export const STALL_SHRINK_PART = 16;
export const STALL_SHRINK_MS = 1000;
/**
 * Waits are no matter of ours while more than so many times the reserve is available: what waits is
 * in a cgroup with a limit of its own, which nothing that we give back would reach.
 */
export const STALL_RESERVES_MAX = 4;
/** All must be well for so long before it lends more again: the span that a stall is told over. */
export const LEND_CALM_MS = 10_000;
/** A lender lends more again in so many steps of LEND_GROW_MS: half a minute for all of it. */
export const LEND_STEPS = 64;
export const LEND_GROW_MS = 500;

// Spill: the disk tier.

/** What a disk reads and writes at once, at least, and what a page's place there is counted in. */
export const SECTOR_BYTES = 512;
/** In front of each zpage on the disk: its checksum. */
export const SPILL_HEADER_BYTES = 4;
/** Sectors of the longest page: one that is stored whole. */
export const SECTORS_PER_PAGE_MAX = Math.ceil((SPILL_HEADER_BYTES + PAGE_BYTES) / SECTOR_BYTES);
/** A page's place there is one word; every page of a node, stored whole, has one. */
export const SPILL_BYTES_MAX = SECTOR_BYTES * 2 ** 30;
/** Like the least memory of a node: below it there is nothing worth a file. */
export const SPILL_BYTES_MIN = 1024 * 1024;
/** Batches on their way to the disk: it is busy with two, and the others have their answers. */
export const SPILL_WRITES_MAX = 4;
/** How often the disk is asked how much room it has. */
export const SPILL_LOOK_MS = 1000;
/** Pages on their way from the disk: as many as the queues of disks take. */
export const SPILL_READS_MAX = 32;
/**
 * A lender that may take pages is waited for so long before they go to the disk: longer than a link
 * takes to be made, and far shorter than a put waits.
 */
export const SPILL_PATIENCE_MS = 200;

// Client door.

/** Connections at once. */
export const CLIENTS_MAX = 1024;
/** Entries of one PAGE_PUT or PAGE_GET: what fits a body as whole pages. */
export const CLIENT_GET_COUNT_MAX = 256;
/**
 * Buffers of all clients: requests that are held back or wait for pages, and replies that are not
 * taken. Past it long requests are held back; past twice of it who sends more is closed. Twelve of
 * the longest requests under way, with their replies, keep a codec busy.
 */
export const CLIENT_BUFFERS_BYTES_MAX = 24 * 1024 * 1024;
/** A request with its reply that is longer than this is held back while that is full. */
export const CLIENT_LONG_BYTES = 64 * 1024;
/** While others wait for buffers, a client that takes nothing of its replies for so long goes. */
export const CLIENT_STALL_TIMEOUT_MS = 1000;
/** How often that is looked at. */
export const CLIENT_STALL_LOOK_MS = 250;

/** A part of the stats, with at least one member or peer: far below what a message may have. */
export const STATS_PART_BYTES = 192 * 1024;

// NBD door.

/** Each is a pool. */
export const NBD_EXPORTS_MAX = 64;
/** Of the name of an export: the protocol wants no longer ones. */
export const NBD_NAME_BYTES_MAX = 256;
/** An export is thin: far more than a node can have stored, and exact as a number. */
export const NBD_EXPORT_BYTES_MAX = 2 ** 44;
/**
 * Connections at once; a kernel opens one for each of its processors at most. Their bytes, below,
 * are 768 MiB if nobody reads.
 */
export const NBD_CONNECTIONS_MAX = 256;
/**
 * Of one connection: requests that wait for something, and replies that wait to be sent. With more
 * no further request is served: 512 pages keep a link and a codec busy.
 */
export const NBD_CONNECTION_BYTES_MAX = 2 * 1024 * 1024;
/** A longer request has to wait until there is memory for it, of that many bytes over all. */
export const NBD_LARGE_BYTES = 1024 * 1024;
export const NBD_LARGE_BYTES_MAX = 256 * 1024 * 1024;
/** Requests that wait for something, of all connections. */
export const NBD_PENDING_MAX = 131_072;
/** Changes of one export that wait; with more each connection has one at a time. */
export const NBD_RANGE_LOCKS_MAX = 2048;
/** What one costs its connection beside its data: a page at least, and what goes with it. */
export const NBD_PENDING_BYTES = 256;
/** Buffers of finished requests that are kept for the next: each, and all of them. */
export const NBD_PENDING_KEEP_BYTES = 64 * 1024;
export const NBD_PENDING_KEEP_BYTES_MAX = 16 * 1024 * 1024;
/** A connection keeps buffers up to these: 64 replies with a page each, and a piece of input. */
export const NBD_OUTPUT_KEEP_BYTES = 512 * 1024;
export const NBD_ASSEMBLY_KEEP_BYTES = 256 * 1024;
/** A reply up to this is put together with others; a longer one leaves by itself. */
export const NBD_GATHER_BYTES = 256 * 1024;
/** Of one option: a name and many queries. Longer ones are thrown away unread. */
export const NBD_OPTION_BYTES_MAX = 64 * 1024;
/** Options of one client: several for each export there may be, and then some. */
export const NBD_OPTIONS_MAX = 1024;
/** From the connection to the choice of an export. A person may type them. */
export const NBD_HANDSHAKE_TIMEOUT_MS = 30_000;
/** When there may be no more connections, one that has said nothing for so long makes way. */
export const NBD_IDLE_GRACE_MS = 1000;
/**
 * While others wait for memory for long requests, who holds some has to send, or read, so much in
 * so long: a client that is stopped would keep it for ever. After a goodbye anything will do: of
 * megabytes in the kernel's buffer nothing is seen until it is empty.
 */
export const NBD_STALL_BYTES = 1024 * 1024;
export const NBD_STALL_TIMEOUT_MS = 30_000;
/** How often waiting requests are looked at: pages to ask for again, time limits. */
export const NBD_TICK_MS = 100;
/** A node that was stopped, or whose machine was, does not take that time for the others'. */
export const NBD_TICK_MS_MAX = 500;
/**
 * What a request does before others have their turn, in units of a page that is looked up: one that
 * is flushed is two, one that is read eight, one that is written sixteen. A millisecond or two.
 */
export const NBD_SLICE = 4096;
/** Of a connection among very many. */
export const NBD_SLICE_MIN = 256;
/** Extents, and pages looked at, of one reply to BLOCK_STATUS: a client asks for the rest. */
export const NBD_EXTENTS_MAX = 1024;
export const NBD_STATUS_PAGES_MAX = 4096;
/** Pages that one CACHE brings closer. */
export const NBD_CACHE_PAGES_MAX = 1024;
/** Pages that are fetched ahead of a read that goes by even steps, at most, and that are kept. */
export const NBD_PREFETCH_AHEAD_MAX = 128;
export const NBD_PREFETCH_PAGES = 512;
/** Everything must have been full for so long before a write is refused: news comes once a second. */
export const NBD_FULL_MS = 2000;
/** How long a request waits for the cluster: longer than a failover, shorter than a kernel waits. */
export const NBD_IO_TIMEOUT_MS_DEFAULT = 30_000;
/** Of what there is: an operator has time to add a lender. */
export const NBD_WARN_AT_PERCENT_DEFAULT = 80;
/** Below the mark by so much it is forgotten that it was passed. */
export const NBD_WARN_HYSTERESIS_PERCENT = 5;

// Log, and what a process writes to its standard streams.

/** A line is cut after so many characters: what peers say of themselves is in some of them. */
export const LOG_LINE_LENGTH_MAX = 2000;
/** Lines of one kind about one thing: so many at once, then one in each period. */
export const LOG_SOURCE_BURST = 20;
export const LOG_SOURCE_PERIOD_MS = 60_000;
/** Lines of one kind, whatever they are about: what a cluster of 128 says when it starts. */
export const LOG_KIND_BURST = 128;
export const LOG_KIND_PERIOD_MS = 5000;
/** Things and kinds that are told apart. Those that are new beyond that are counted as one. */
export const LOG_SOURCES_MAX = 512;
export const LOG_KINDS_MAX = 128;
/** What was left out is said so long after the first of it. */
export const LOG_SUMMARY_MS = 60_000;
/** Waits for a reader that stands still: half a minute of a busy log. */
export const OUTPUT_QUEUE_BYTES_MAX = 256 * 1024;
/** What is less than a warning takes no more of it, so that there is room for what is. */
export const OUTPUT_QUIET_BYTES_MAX = 192 * 1024;
/** PIPE_BUF: a pipe takes so much as a whole, so that lines of two writers never mix. */
export const OUTPUT_CHUNK_BYTES = 4096;
/** Between two looks whether a reader goes on. */
export const OUTPUT_RETRY_MS = 20;
/** When a process ends, so long a reader has for what is queued. */
export const OUTPUT_END_MS = 500;

// HTTP door.

/** Connections at once: a few systems that watch, with a few each. With more the oldest idle goes. */
export const HTTP_CONNECTIONS_MAX = 32;
/** Of the head of a request, and of its first line. A browser with many cookies sends 4 KiB. */
export const HTTP_HEAD_BYTES_MAX = 8192;
export const HTTP_LINE_BYTES_MAX = 1024;
/** What is kept of a connection that sends requests before it has its answers. */
export const HTTP_INPUT_BYTES = 2 * HTTP_HEAD_BYTES_MAX;
/** From the connection, or the first byte, to the end of the head. */
export const HTTP_HEAD_TIMEOUT_MS = 10_000;
/** Between two requests: monitoring that asks once a minute keeps its connection. */
export const HTTP_IDLE_TIMEOUT_MS = 120_000;
/** An answer has to be taken whole in so long. */
export const HTTP_SEND_TIMEOUT_MS = 30_000;
/** After the last answer: how long the other side has to close. */
export const HTTP_LINGER_MS = 1000;
/** Of answers that have not been taken, over all connections; past it the answer is 503. */
export const HTTP_UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/**
 * What the texts of counters may take of the node's one thread: so much at once, and then that part
 * of the time. Whoever asks more often gets the text of before.
 */
export const HTTP_TEXT_BURST_MS = 250;
export const HTTP_TEXT_SHARE = 0.05;

// Settings of a node (node/config.ts). What the original had is in the reference, sections 4 to 6.

/** About 30,000 pages: enough to see everything happen, little enough to start many nodes. */
export const MEMORY_BYTES_DEFAULT = 64 * 1024 * 1024;
/** 256 frames. With fewer the marks, and frames under way, leave nothing to store pages in. */
export const MEMORY_BYTES_MIN = 1024 * 1024;
/** 2^26 frames: a table of them with 32 bytes each still fits one region. */
export const MEMORY_BYTES_MAX = FRAME_BYTES * 2 ** 26;
/** How long pages of a dead node are kept: it may be cut off, and somebody has to look after it. */
export const FOREIGN_GRACE_MS_DEFAULT = 10 * 60 * 1000;
/** The highest quota: as many pages as a signed word counts, which is no limit in practice. */
export const QUOTA_PAGES_MAX = 2 ** 31 - 1;
/**
 * A node that is said to have left may object for so long: the news may be of an earlier boot. Some
 * rounds of gossip, with losses.
 */
export const LEFT_GRACE_MS = 10_000;
/**
 * Of nodes that do not gossip: one that needs a link kept says its offer after so long, so that
 * the link counts as used; and a peer without a link for so long is dead: gossip takes as long.
 */
export const OFFER_REFRESH_MS = 10_000;
export const PEER_DEAD_MS = 5000;
/**
 * A node that stops, and does not gossip, waits so long for links to those that keep its pages: a
 * dial on a local network takes a hundredth of it.
 */
export const FAREWELL_MS = 1000;
/** How long moving pages away may take: 1 GiB at a tenth of what a slow network does. */
export const DRAIN_TIMEOUT_MS_DEFAULT = 60_000;
/** What a memory server lends unless told otherwise. */
export const SERVER_MEMORY_BYTES_DEFAULT = 1024 * 1024 * 1024;
/** Addresses of one client door. Each is a listening socket. */
export const CLIENT_ADDRESSES_MAX = 16;
/** Where pages begin to move away, and where that ends: a tenth of the memory goes at a time. */
export const HIGH_MARK_PERCENT_DEFAULT = 90;
export const LOW_MARK_PERCENT_DEFAULT = 80;
/** The original's trickle was 100 frames of each kind a second. Off here: the marks do the work. */
export const TRICKLE_FRAMES_DEFAULT = 0;
export const TRICKLE_FRAMES_MAX = 65_536;
export const TRICKLE_PERIOD_MS_DEFAULT = 1000;
export const TRICKLE_FIRST_MS_DEFAULT = 60_000;
/** How long a put waits for frames while pages move away: a slow batch, not a whole deadline. */
export const PUT_WAIT_MS_DEFAULT = 1000;
/** Deadline of a request to a peer: 1000 times the round trip of a busy local network. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 2000;
/** Selfshrink, the original's numbers (reference 5.7). */
export const SELFSHRINK_INTERVAL_MS_DEFAULT = 5000;
export const SELFSHRINK_HYSTERESIS_DEFAULT = 20;
export const SELFSHRINK_INERTIA_DEFAULT = 3;
/** All that can be under way: the share above decides alone. */
export const SELFSHRINK_PAGES_DEFAULT = FETCHES_MAX;
/** Of hysteresis and inertia: far past any use, near enough that a slip of the finger is seen. */
export const SELFSHRINK_COUNT_MAX = 10_000;
/** A file of settings: all that there are take a thousandth of it. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
/** Timers that an operator sets: at most a day, since those of the runtime end at 24.8 days. */
export const SETTING_MS_MIN = 1;
export const SETTING_MS_MAX = 24 * 60 * 60 * 1000;

assert(FRAME_BYTES % CHUNK_BYTES === 0);
assert(OUTPUT_QUIET_BYTES_MAX < OUTPUT_QUEUE_BYTES_MAX);
assert(2 * PUSH_PULL_MEMBERS_MAX * 1024 + USER_STATE_BYTES_MAX <= GOSSIP_STREAM_BYTES_MAX);
assert(GOSSIP_STREAM_BYTES_MAX < GOSSIP_HELD_BYTES_MAX);
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
assert(HOST_LOOK_MS <= LEND_GROW_MS && LEND_GROW_MS < LEND_CALM_MS);
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
assert(HTTP_LINE_BYTES_MAX < HTTP_HEAD_BYTES_MAX && HTTP_HEAD_BYTES_MAX < HTTP_INPUT_BYTES);
