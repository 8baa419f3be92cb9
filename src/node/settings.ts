/**
 * Settings: the table of everything about a node that a person can set, with one row for each
 * setting.
 *
 *     flags --> src/cli/setting-flags.ts       files --> src/cli/config-file.ts, ramster-conf.ts
 *     types, defaults and bounds --> config.ts
 *     ramster get, ramster set --> knobs.ts    the help --> src/cli/help.ts
 *
 * All of these read the table, so a new setting takes one row and the code that uses it. A row that
 * may change while the node runs (`live`) also needs an entry in live-settings.ts. The compiler
 * checks that.
 *
 * Rows are in the order of the help. Defaults come with their reasons, mostly from core/limits.ts.
 *
 * Not here: what can only be read or set while a node runs, such as `draining` (controls.ts).
 */
import { PRESETS } from "../cluster/settings.ts";
import {
  CLIENTS_MAX,
  COPIES_MAX,
  DRAIN_TIMEOUT_MS_DEFAULT,
  FETCHES_MAX,
  FOREIGN_GRACE_MS_DEFAULT,
  GOSSIP_PORT_DEFAULT,
  HIGH_MARK_PERCENT_DEFAULT,
  IDLE_MS_DEFAULT,
  KEEPALIVE_MS_DEFAULT,
  LOW_MARK_PERCENT_DEFAULT,
  MEMORY_BYTES_DEFAULT,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  NBD_IO_TIMEOUT_MS_DEFAULT,
  NBD_WARN_AT_PERCENT_DEFAULT,
  NODES_MAX,
  PAGE_BYTES,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  PERS_ZPAGE_MEAN_BYTES_DEFAULT,
  PUT_WAIT_MS_DEFAULT,
  QUOTA_PAGES_MAX,
  REDIAL_MS_MAX,
  REDIAL_MS_MIN,
  REQUEST_TIMEOUT_MS_DEFAULT,
  RESERVE_BYTES_MAX_DEFAULT,
  RESERVE_PERCENT_DEFAULT,
  SELFSHRINK_COUNT_MAX,
  SELFSHRINK_HYSTERESIS_DEFAULT,
  SELFSHRINK_INERTIA_DEFAULT,
  SELFSHRINK_INTERVAL_MS_DEFAULT,
  SELFSHRINK_PAGES_DEFAULT,
  SERVER_MEMORY_BYTES_DEFAULT,
  SETTING_MS_MAX,
  SETTING_MS_MIN,
  SPILL_BYTES_MAX,
  SPILL_BYTES_MIN,
  TRICKLE_FIRST_MS_DEFAULT,
  TRICKLE_FRAMES_DEFAULT,
  TRICKLE_FRAMES_MAX,
  TRICKLE_PERIOD_MS_DEFAULT,
  UNUSED_MS_DEFAULT,
  ZPAGE_BYTES_MAX,
} from "../core/limits.ts";
import { LOG_AREAS, LOG_LEVELS } from "../core/log-line.ts";
import { formatSize } from "../core/units.ts";
import { DEAD_TIMEOUT_MS_DEFAULT, DEVICE_TIMEOUT_MS_DEFAULT } from "../exports/kernel-devices.ts";
import { ORDERS, PLACEMENTS } from "../placement/placement.ts";
import { rowsOf, type Setting } from "./setting.ts";
import * as types from "./setting-types.ts";
import { SWAP_SETTINGS } from "./swap-mode.ts";

/** How a node compresses: src/cli/codecs.ts. */
const CODECS = ["auto", "native", "wasm", "raw"] as const;
/** How cold pages are compressed again: src/cold. */
const COLD_CODECS = ["zstd", "none"] as const;
/** What the setting was called before there were two codecs for lz4. */
const CODECS_EARLIER = { lz4: "auto" } as const;

/** The forms of the log. */
const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const NETWORK_NAMES = Object.keys(PRESETS).sort() as (keyof typeof PRESETS)[];

const TIME = { min: SETTING_MS_MIN, max: SETTING_MS_MAX };
/** The kernel counts whole seconds. */
const SECONDS = { min: 1000, max: SETTING_MS_MAX };
const TIME_OR_0 = { ...TIME, min: 0 };
const MEMORY = { min: MEMORY_BYTES_MIN, max: MEMORY_BYTES_MAX };

const who = rowsOf("Who it is");
const where = rowsOf("Where it is");
const cluster = rowsOf("The cluster");
const security = rowsOf("Security");
const nodeSecurity = rowsOf("Security", "node");
const memory = rowsOf("Memory");
const nodeMemory = rowsOf("Memory", "node");
const disk = rowsOf("Disk", "node");
const devices = rowsOf("Block devices", "node");
const compression = rowsOf("Compression", "node");
const moving = rowsOf("Moving pages", "node");
const links = rowsOf("Links to other nodes");
const logging = rowsOf("Log");

export const SETTINGS = {
  // Identity.

  /** 0 .. NODES_MAX - 1, and unique in the cluster. Null: the node takes a free number. */
  number: who(types.count({ min: 0, max: NODES_MAX - 1 }), {
    flag: "number",
    default: null,
    defaultNote: "a free one",
    conf: "node.number",
    help: `number in the cluster, 0 .. ${NODES_MAX - 1}; no two nodes share one`,
  }),
  name: who(types.NAME, {
    flag: "name",
    default: "",
    defaultNote: "the host name",
    conf: "node.name",
    help: "name in the cluster, which no other node has",
  }),
  cluster: who(types.NAME, {
    flag: "cluster",
    default: "ramster",
    conf: "cluster.name",
    help: "name of the cluster; nodes of another one are refused",
  }),

  // Addresses.

  /** Port 0 takes any free port. */
  listen: where(types.tcp(), {
    flag: "listen",
    default: { kind: "tcp", host: "127.0.0.1", port: 7777 },
    help: "address for other nodes; port 0 takes a free one",
  }),
  peers: where(types.PEERS, {
    flag: "peers",
    default: [],
    live: true,
    help: "other nodes, named by hand: number and address of each",
  }),
  /** Where programs and commands connect. Null: the command line chooses a place (local-nodes.ts). */
  clients: where(types.CLIENT_ADDRESSES, {
    flag: "client",
    default: null,
    defaultNote: "a socket with the name of the node in /run/ramster",
    help: "addresses for programs and commands: unix:PATH or tcp:HOST:PORT, or none",
  }),
  /** The bound is lower when the process may not open as many files: src/net/door-limits.ts. */
  maxClients: where(types.count({ min: 1, max: CLIENTS_MAX }), {
    flag: "max-clients",
    default: CLIENTS_MAX,
    live: true,
    help: "most programs that may be connected at once",
  }),
  /** Where monitoring connects. Null: nowhere. */
  http: where(types.tcp(), {
    flag: "http",
    default: null,
    defaultNote: "none",
    help: "address for monitoring: /metrics, /status.json, /healthz, /readyz",
  }),

  // The cluster.

  /** HOST:PORT of nodes that are already in the cluster. One that answers is enough. */
  seeds: cluster(types.TCP_ADDRESSES, {
    flag: "join",
    default: [],
    help: "gossip addresses of nodes in the cluster; one that answers is enough",
  }),
  /** How long seeds are tried at the start. Null: until one answers. */
  joinTimeoutMs: cluster(types.duration(TIME), {
    flag: "join-timeout",
    default: null,
    defaultNote: "none, it keeps trying",
    help: "exit with 3 if none of --join has answered by then",
  }),
  /** Where the node gossips. Null: it does not gossip, and all peers are named by hand. */
  gossip: cluster(types.TCP_OR_NONE, {
    flag: "gossip",
    default: null,
    defaultNote: `port ${GOSSIP_PORT_DEFAULT}; none with --peers`,
    help: "address for gossip with other nodes, over UDP and TCP",
  }),
  /** Nodes of one zone may fail together. Null: the zone is the host of the node. */
  zone: cluster(types.NAME, {
    flag: "zone",
    default: null,
    defaultNote: "its host",
    help: "nodes that may fail together; copies of a page go to different zones",
  }),
  /** The preset of gossip timing (src/cluster/settings.ts). */
  network: cluster(types.choice(NETWORK_NAMES), {
    flag: "network",
    default: "lan",
    help: "preset of gossip timing: one room, one machine, far apart",
  }),
  /** Replaces single values of the preset of `network`. */
  gossipTuning: cluster(types.GOSSIP_TUNING, {
    flag: "gossip-tune",
    default: {},
    help: "replaces one gossip setting of --network, such as probe-interval=1s",
  }),
  /** The address where others reach `listen`. Null: the same address. */
  advertise: cluster(types.tcp(), {
    flag: "advertise",
    default: null,
    defaultNote: "the same",
    help: "where others reach --listen, if that is elsewhere",
  }),
  /** The IP address where others reach `gossip`. Null: the same address. */
  gossipAdvertise: cluster(types.tcp("IP:PORT"), {
    flag: "gossip-advertise",
    default: null,
    defaultNote: "the same",
    help: "where others reach --gossip, if that is elsewhere",
  }),
  /** A label in clear at the front of all gossip, or "". Gossip with another label is ignored. */
  gossipLabel: cluster(types.TEXT, {
    flag: "gossip-label",
    default: "",
    defaultNote: "none",
    help: "gossip with another label is ignored; Serf has none",
  }),

  // Security.

  /** The key file of the cluster. Null: connections are not secured. */
  keyPath: security(types.path(), {
    flag: "key",
    default: null,
    defaultNote: "none, not secured",
    help: "key file of the cluster, made by ramster keygen",
  }),
  /** Whether other machines may connect without a key. */
  insecure: security(types.PRESENCE, {
    flag: "insecure",
    default: false,
    help: "let other machines connect without a key; they can read and write pages",
  }),
  /**
   * Whether pages that move away are encrypted, so that holders can neither read nor forge them.
   */
  seal: nodeSecurity(types.PRESENCE, {
    flag: "seal",
    default: false,
    help: "encrypt pages that move away: holders can neither read nor forge them",
  }),

  // Memory.

  /** Memory for the node's own pages. 0 on a server. */
  memoryBytes: nodeMemory(types.size(MEMORY), {
    flag: "memory",
    default: MEMORY_BYTES_DEFAULT,
    help: "memory for its own pages, at least 1MiB",
  }),
  /** Memory for pages of other nodes. With 0 the node lends nothing. */
  lendBytes: memory(types.lentSize({ ...MEMORY, min: 0 }), {
    flag: "lend",
    default: 0,
    help: "memory for pages of other nodes; 0 lends nothing",
    onServer: {
      flag: "memory",
      type: types.size(MEMORY),
      default: SERVER_MEMORY_BYTES_DEFAULT,
      help: "memory for pages of other nodes, at least 1MiB",
    },
  }),
  placement: memory(types.choice(PLACEMENTS), {
    flag: "placement",
    default: "blocks",
    help: "how zpages share frames: blocks, as many as fit; zbud, two a frame as in the original",
  }),
  order: memory(types.choice(ORDERS), {
    flag: "order",
    default: "lru",
    help: "pages that leave first: lru, least recently used; fifo, first stored (always with zbud)",
  }),
  /** The most pages held for one other node, counted as 4 KiB each. Null: as many as fit. */
  quotaBytes: memory(types.pages({ min: 0, max: QUOTA_PAGES_MAX * PAGE_BYTES }), {
    flag: "quota",
    default: null,
    defaultNote: "as many as fit",
    live: true,
    help: "most pages to keep for one other node, counted as 4KiB each",
  }),
  /** Memory that stays available to the machine. The node lends no more than the rest. */
  reserve: memory(types.RESERVE, {
    flag: "reserve",
    default: "auto",
    live: true,
    help: `memory that stays available to the machine; auto: ${RESERVE_PERCENT_DEFAULT}%, at most ${formatSize(RESERVE_BYTES_MAX_DEFAULT)}`,
  }),
  /** How long pages of a dead node are kept for it. */
  foreignGraceMs: memory(types.duration(TIME_OR_0), {
    flag: "foreign-grace",
    default: FOREIGN_GRACE_MS_DEFAULT,
    live: true,
    help: "how long to keep the pages of a node that died",
  }),
  /** How long a stop may take to move pages of other nodes away. 0: they are not moved. */
  drainTimeoutMs: memory(types.duration(TIME_OR_0), {
    flag: "drain-timeout",
    default: DRAIN_TIMEOUT_MS_DEFAULT,
    live: true,
    help: "how long a stop may take to move pages of other nodes away; its own pages are discarded",
  }),
  /** Where pages go when the memory is full. "auto": to lenders with much room. */
  target: nodeMemory(types.target({ min: 0, max: NODES_MAX - 1 }), {
    flag: "target",
    default: "auto",
    live: true,
    original: "remote_target_nodenum",
    help: "where its own pages go: to any lender with room, to one node, nowhere",
  }),
  /** Remote copies of each persistent page. */
  replicas: nodeMemory(types.replicas({ min: 1, max: COPIES_MAX }), {
    flag: "replicas",
    default: "auto",
    live: true,
    help: "copies of a page that is away; auto: 2 if lenders of two zones are alive",
  }),
  /** Whether the node may hold the swap of its own kernel: src/node/swap-mode.ts. */
  swap: nodeMemory(
    { ...types.choice(SWAP_SETTINGS), bare: "on" },
    {
      flag: "swap",
      default: "off",
      defaultNote: "on with --export, else off",
      help: "lock memory, to hold the swap of its own kernel; strict: exit unless memory can be locked; --no-swap: off",
    },
  ),
  highMarkPercent: nodeMemory(types.percent({ min: 1, max: 100 }), {
    flag: "high-mark",
    default: HIGH_MARK_PERCENT_DEFAULT,
    live: true,
    help: "percent of --memory above which pages are moved away",
  }),
  lowMarkPercent: nodeMemory(types.percent({ min: 0, max: 100 }), {
    flag: "low-mark",
    default: LOW_MARK_PERCENT_DEFAULT,
    live: true,
    help: "percent of --memory at which moving away stops",
  }),

  /** A folder on tmpfs that pages are kept in, or KEEP_AUTO. Null: they end with the process. */
  keepPath: nodeMemory(types.KEEP, {
    flag: "keep",
    default: null,
    defaultNote: "off: pages end with the process",
    help: "keep pages on tmpfs, so that they outlive a crash of the node; auto: in a folder of its own",
  }),
  standby: nodeMemory(types.choice(types.STANDBY_SETTINGS), {
    flag: "standby",
    default: "auto",
    defaultNote: "on in swap mode with --keep",
    help: "have a second process that takes over at once when the node crashes",
  }),

  // Disk.

  /**
   * Where pages go that no lender takes: a new file, or a directory for one. Null: there is no
   * disk. `spillBytes` must be given as well.
   */
  spillPath: disk(types.path("FILE|DIR"), {
    flag: "spill",
    default: null,
    defaultNote: "none",
    help: "for pages that no lender takes: a new file, or a directory for one",
  }),
  spillBytes: disk(types.size({ min: SPILL_BYTES_MIN, max: SPILL_BYTES_MAX }), {
    flag: "spill-size",
    default: null,
    defaultNote: "none",
    help: "most bytes in that file, at least 1MiB",
  }),
  /** Whether a copy on that disk replaces one in a missing zone. */
  replicasOnDisk: disk(types.PRESENCE, {
    flag: "replicas-on-disk",
    default: false,
    help: "a copy on this disk replaces one in a missing zone",
  }),

  // Block devices.

  nbd: devices(types.ADDRESSES, {
    flag: "nbd",
    default: [],
    help: "addresses that serve devices with the NBD protocol: unix:PATH or HOST:PORT",
  }),
  exports: devices(types.EXPORTS, {
    flag: "export",
    default: [],
    help: "name and size of each device; all together can hold almost 256GiB",
  }),
  /** How long a request of a block device waits for the cluster before it fails. */
  ioTimeoutMs: devices(types.duration(TIME), {
    flag: "io-timeout",
    default: NBD_IO_TIMEOUT_MS_DEFAULT,
    live: true,
    help: "how long a request of a device waits for the cluster before it fails",
  }),
  /** Time-outs of the devices that the node attaches: see KernelDevices. */
  deviceTimeoutMs: devices(types.duration(SECONDS), {
    flag: "device-timeout",
    default: DEVICE_TIMEOUT_MS_DEFAULT,
    help: "with --keep: how long the kernel waits for a request of a device before it sends it again",
  }),
  deadTimeoutMs: devices(types.duration(SECONDS), {
    flag: "dead-timeout",
    default: DEAD_TIMEOUT_MS_DEFAULT,
    help: "with --keep: how long the kernel waits for another node when this one has died",
  }),
  /** Percent of the space for pages. Above it a warning is logged. */
  warnAtPercent: devices(types.percent({ min: 1, max: 100 }), {
    flag: "warn-at",
    default: NBD_WARN_AT_PERCENT_DEFAULT,
    live: true,
    help: "percent of the space for pages above which a warning is logged",
  }),

  // Compression.

  codec: compression(types.choice(CODECS, CODECS_EARLIER), {
    flag: "codec",
    default: "auto",
    help: "lz4 by liblz4 of this machine or by lz4-wasm; auto: liblz4 if it works; raw: none",
  }),
  coldCodec: compression(types.choice(COLD_CODECS), {
    flag: "cold-codec",
    default: "zstd",
    help: "zstd: compress pages that are not used again, to fewer bytes; none: leave them",
  }),
  /** Of the time of one core. */
  coldSharePercent: compression(types.percent({ min: 1, max: 100 }), {
    flag: "cold-share",
    default: 25,
    live: true,
    help: "percent of a core that compressing cold pages again may take",
  }),
  persZpageBytesMax: compression(types.bytes({ min: 1, max: ZPAGE_BYTES_MAX }), {
    flag: "pers-zpage-max",
    default: PERS_ZPAGE_BYTES_MAX_DEFAULT,
    live: true,
    original: "zv_max_zsize",
    help: "a persistent page that compresses to more is refused",
  }),
  persZpageMeanBytes: compression(types.bytes({ min: 1, max: ZPAGE_BYTES_MAX }), {
    flag: "pers-zpage-mean",
    default: PERS_ZPAGE_MEAN_BYTES_DEFAULT,
    live: true,
    original: "zv_max_mean_zsize",
    help: "a larger zpage is taken only while the mean of all is below this",
  }),

  // Moving pages.

  remotifyPers: moving(types.ON_OFF, {
    flag: "remotify-pers",
    default: true,
    live: true,
    original: "pers_remotify_enable",
    help: "move persistent pages away",
  }),
  remotifyEph: moving(types.ON_OFF, {
    flag: "remotify-eph",
    default: false,
    live: true,
    original: "eph_remotify_enable",
    help: "move ephemeral pages away",
  }),
  putWaitMs: moving(types.duration(TIME_OR_0), {
    flag: "put-wait",
    default: PUT_WAIT_MS_DEFAULT,
    live: true,
    help: "how long a put may wait while pages are moved away",
  }),
  /** Frames of each kind that move away in each period. 0: none. */
  trickleFrames: moving(types.count({ min: 0, max: TRICKLE_FRAMES_MAX }, "FRAMES"), {
    flag: "trickle",
    default: TRICKLE_FRAMES_DEFAULT,
    live: true,
    liveName: "remotify_trickle_frames",
    help: "frames of each kind to move a period without pressure; 0: none",
  }),
  tricklePeriodMs: moving(types.duration(TIME), {
    flag: "trickle-period",
    default: TRICKLE_PERIOD_MS_DEFAULT,
    help: "period of --trickle",
  }),
  trickleFirstMs: moving(types.duration(TIME_OR_0), {
    flag: "trickle-first",
    default: TRICKLE_FIRST_MS_DEFAULT,
    help: "time from the start to the first period",
  }),
  selfshrink: moving(types.ON_OFF, {
    flag: "selfshrink",
    default: true,
    live: true,
    help: "bring pages home while the node is idle",
  }),
  selfshrinkIntervalMs: moving(types.duration(TIME), {
    flag: "selfshrink-interval",
    default: SELFSHRINK_INTERVAL_MS_DEFAULT,
    live: true,
    help: "time between two checks of selfshrink",
  }),
  selfshrinkHysteresis: moving(types.count({ min: 1, max: SELFSHRINK_COUNT_MAX }), {
    flag: "selfshrink-hysteresis",
    default: SELFSHRINK_HYSTERESIS_DEFAULT,
    live: true,
    help: "a check brings home one part in N of the remote pages",
  }),
  selfshrinkInertia: moving(types.count({ min: 0, max: SELFSHRINK_COUNT_MAX }), {
    flag: "selfshrink-inertia",
    default: SELFSHRINK_INERTIA_DEFAULT,
    live: true,
    help: "quiet checks before selfshrink begins",
  }),
  /** The most pages that come home at a time. */
  selfshrinkPages: moving(types.count({ min: 1, max: FETCHES_MAX }), {
    flag: "selfshrink-pages",
    default: SELFSHRINK_PAGES_DEFAULT,
    live: true,
    help: "most pages that a check brings home",
  }),

  // Links to other nodes.

  requestTimeoutMs: links(types.duration(TIME), {
    flag: "request-timeout",
    default: REQUEST_TIMEOUT_MS_DEFAULT,
    help: "deadline of a request",
  }),
  keepaliveMs: links(types.duration(TIME), {
    flag: "keepalive",
    default: KEEPALIVE_MS_DEFAULT,
    live: true,
    original: "keepalive_delay_ms",
    conf: "cluster.keepalive_delay_ms",
    help: "a link that is silent for this long is probed",
  }),
  idleMs: links(types.duration(TIME), {
    flag: "idle",
    default: IDLE_MS_DEFAULT,
    live: true,
    original: "idle_timeout_ms",
    conf: "cluster.idle_timeout_ms",
    help: "a link that is silent for this long is closed",
  }),
  /** A link that carries no page for this long is closed. */
  unusedMs: links(types.duration(TIME), {
    flag: "unused",
    default: UNUSED_MS_DEFAULT,
    live: true,
    help: "a link that carries no page for this long is closed until it is needed",
  }),
  /** The longest wait between two attempts to dial a peer. */
  reconnectMs: links(types.duration({ ...TIME, min: REDIAL_MS_MIN }), {
    flag: "reconnect",
    default: REDIAL_MS_MAX,
    live: true,
    original: "reconnect_delay_ms",
    conf: "cluster.reconnect_delay_ms",
    help: "longest wait between two attempts to connect",
  }),

  // Log.

  /** The level of each area. Later entries override earlier ones. */
  log: logging(types.LOG_AREA_LEVELS, {
    flag: "log",
    default: [],
    defaultNote: "info",
    live: true,
    help: `levels ${LOG_LEVELS.join(", ")} of areas ${LOG_AREAS.join(", ")}`,
  }),
  logFormat: logging(types.choice(LOG_FORMATS), {
    flag: "log-format",
    default: "text",
    help: "form of the lines on standard error",
  }),
};

type Table = typeof SETTINGS;
export type SettingKey = keyof Table;

/** The value of every setting. */
export type SettingValues = {
  readonly [K in SettingKey]: Table[K] extends Setting<infer T> ? T : never;
};

/** The settings that may change while the node runs. */
export type LiveKey = {
  [K in SettingKey]: Table[K] extends { readonly live: true } ? K : never;
}[SettingKey];
