/**
 * The flags of `ramster node` and `ramster server`, in the groups that the help shows. Their
 * commands are in flags.ts.
 */
import {
  COPIES_MAX,
  DRAIN_TIMEOUT_MS_DEFAULT,
  FOREIGN_GRACE_MS_DEFAULT,
  GOSSIP_PORT_DEFAULT,
  HIGH_MARK_PERCENT_DEFAULT,
  IDLE_MS_DEFAULT,
  KEEPALIVE_MS_DEFAULT,
  LOW_MARK_PERCENT_DEFAULT,
  MEMORY_BYTES_DEFAULT,
  NBD_IO_TIMEOUT_MS_DEFAULT,
  NBD_WARN_AT_PERCENT_DEFAULT,
  NODES_MAX,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  PERS_ZPAGE_MEAN_BYTES_DEFAULT,
  PUT_WAIT_MS_DEFAULT,
  REDIAL_MS_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
  RESERVE_BYTES_MAX_DEFAULT,
  RESERVE_PERCENT_DEFAULT,
  SELFSHRINK_HYSTERESIS_DEFAULT,
  SELFSHRINK_INERTIA_DEFAULT,
  SELFSHRINK_INTERVAL_MS_DEFAULT,
  SELFSHRINK_PAGES_DEFAULT,
  SERVER_MEMORY_BYTES_DEFAULT,
  TRICKLE_FIRST_MS_DEFAULT,
  TRICKLE_FRAMES_DEFAULT,
  TRICKLE_PERIOD_MS_DEFAULT,
  UNUSED_MS_DEFAULT,
} from "../core/limits.ts";
import { LOG_AREAS, LOG_LEVELS } from "../core/log-line.ts";
import { formatAddress } from "../net/address.ts";
import { CODEC_NAMES, LOG_FORMATS, NETWORK_NAMES, NODE_DEFAULTS } from "../node/config.ts";
import { SWAP_SETTINGS } from "../node/swap-mode.ts";
import type { FlagGroup, FlagSpec } from "./flag-spec.ts";
import { formatDuration, formatSize } from "./units.ts";

const SWITCH = "on|off";

export const IDENTITY: FlagGroup = {
  title: "Who it is",
  flags: [
    {
      name: "number",
      value: "N",
      defaultNote: "one that is free",
      help: `number in the cluster, 0 .. ${NODES_MAX - 1}, its own for each node`,
    },
    { name: "name", value: "NAME", defaultNote: "the host name", help: "name in reports" },
    {
      name: "config",
      value: "FILE",
      defaultNote: "none",
      help: "TOML with the names of these flags, or the original's ramster.conf",
    },
    {
      name: "cluster",
      value: "NAME",
      default: NODE_DEFAULTS.cluster,
      help: "nodes of another cluster are refused",
    },
  ],
};

export const CLIENT: FlagSpec = {
  name: "client",
  value: "ADDR,...",
  list: true,
  help: "where programs connect: unix:PATH or tcp:HOST:PORT",
};

export const ADDRESSES: FlagGroup = {
  title: "Where it is",
  flags: [
    {
      name: "listen",
      value: "HOST:PORT",
      default: formatAddress(NODE_DEFAULTS.listen),
      help: "where other nodes connect; port 0 takes a free one",
    },
    {
      name: "peers",
      value: "N@HOST:PORT,...",
      list: true,
      help: "the other nodes: number and address of each",
    },
    CLIENT,
    {
      name: "http",
      value: "HOST:PORT",
      defaultNote: "nowhere",
      help: "where monitoring asks: /metrics, /status.json, /healthz, /readyz",
    },
  ],
};

export const BLOCK_DEVICES: FlagGroup = {
  title: "Block devices",
  flags: [
    {
      name: "nbd",
      value: "ADDR,...",
      list: true,
      help: "where they are served with the NBD protocol: unix:PATH or HOST:PORT",
    },
    {
      name: "export",
      value: "NAME=SIZE,...",
      list: true,
      help: "what each is called, and how large it is; all of them can hold 256GiB",
    },
    {
      name: "io-timeout",
      value: "DURATION",
      default: formatDuration(NBD_IO_TIMEOUT_MS_DEFAULT),
      help: "how long a request waits for the cluster before it fails",
    },
    {
      name: "warn-at",
      value: "PERCENT",
      default: String(NBD_WARN_AT_PERCENT_DEFAULT),
      help: "of the memory and disk there is for pages; above it a warning is logged",
    },
  ],
};

export const CLUSTER: FlagGroup = {
  title: "The cluster",
  flags: [
    {
      name: "join",
      value: "HOST:PORT,...",
      list: true,
      help: "where nodes of the cluster gossip; one that lives is enough",
    },
    {
      name: "join-timeout",
      value: "DURATION",
      defaultNote: "none, it keeps trying",
      help: "ends with 3 when none of --join has answered by then",
    },
    {
      name: "gossip",
      value: "HOST:PORT|none",
      defaultNote: `port ${GOSSIP_PORT_DEFAULT}; none with --peers`,
      help: "where it gossips with the other nodes, over UDP and TCP",
    },
    {
      name: "zone",
      value: "NAME",
      defaultNote: "its host",
      help: "what it may fail together with: copies of a page go to different zones",
    },
    {
      name: "network",
      value: NETWORK_NAMES.join("|"),
      default: NODE_DEFAULTS.network,
      help: "what gossip is tuned to: one room, one machine, far apart",
    },
    {
      name: "gossip-tune",
      value: "NAME=VALUE,...",
      list: true,
      help: "one setting of gossip over that of --network, such as probe-interval=1s",
    },
    {
      name: "advertise",
      value: "HOST:PORT",
      defaultNote: "the same",
      help: "where others reach --listen, when that is elsewhere",
    },
    {
      name: "gossip-advertise",
      value: "IP:PORT",
      defaultNote: "the same",
      help: "where others reach --gossip, when that is elsewhere",
    },
    {
      name: "gossip-label",
      value: "TEXT",
      defaultNote: "none",
      help: "gossip with another label is not heard; Serf has none",
    },
  ],
};

export const LOG: FlagGroup = {
  title: "Log",
  flags: [
    {
      name: "log",
      value: "[AREA=]LEVEL,...",
      defaultNote: "info",
      list: true,
      help: `levels ${LOG_LEVELS.join(", ")} of areas ${LOG_AREAS.join(", ")}`,
    },
    {
      name: "log-format",
      value: LOG_FORMATS.join("|"),
      default: NODE_DEFAULTS.logFormat,
      help: "on standard error, a line an event",
    },
  ],
};

export const KEY: FlagSpec = {
  name: "key",
  value: "FILE",
  defaultNote: "nothing is secured",
  help: "the key of the cluster, as ramster keygen makes it",
};

export const SECURITY: FlagGroup = {
  title: "Security",
  flags: [
    KEY,
    {
      name: "insecure",
      value: null,
      help: "let other machines connect without a key: anybody there may read and write pages",
    },
  ],
};

export const NODE_SECURITY: FlagGroup = {
  title: SECURITY.title,
  flags: [
    ...SECURITY.flags,
    {
      name: "seal",
      value: null,
      help: "encrypt pages that leave: whoever keeps them can neither read nor forge them",
    },
  ],
};

export const DRAIN_TIMEOUT: FlagSpec = {
  name: "drain-timeout",
  value: "DURATION",
  default: formatDuration(DRAIN_TIMEOUT_MS_DEFAULT),
  help: "how long a stop may take to move pages of others away, less if nobody takes any; its own end with it",
};

const RESERVE_MOST = formatSize(RESERVE_BYTES_MAX_DEFAULT);

/** Of a node that lends. */
const LENDING: readonly FlagSpec[] = [
  {
    name: "quota",
    value: "SIZE",
    defaultNote: "what there is room for",
    help: "pages to hold for one other node, counted as 4KiB each",
  },
  {
    name: "reserve",
    value: "SIZE|PERCENT|auto",
    default: "auto",
    help: `what stays available to the machine itself; auto: ${RESERVE_PERCENT_DEFAULT}%, at most ${RESERVE_MOST}`,
  },
  {
    name: "foreign-grace",
    value: "DURATION",
    default: formatDuration(FOREIGN_GRACE_MS_DEFAULT),
    help: "how long pages of a node that died are kept for it",
  },
  DRAIN_TIMEOUT,
];

export const REPLICAS: FlagSpec = {
  name: "replicas",
  value: `auto|1..${COPIES_MAX}`,
  default: "auto",
  help: "copies of a page that is away; auto: 2 where lenders of two zones are alive",
};

export const NODE_MEMORY: FlagGroup = {
  title: "Memory",
  flags: [
    {
      name: "memory",
      value: "SIZE",
      default: formatSize(MEMORY_BYTES_DEFAULT),
      help: "for its own pages, at least 1MiB",
    },
    {
      name: "lend",
      value: "SIZE",
      default: "0",
      help: "for pages of other nodes; 0 lends nothing",
    },
    ...LENDING,
    {
      name: "target",
      value: "auto|N|none",
      default: "auto",
      help: "where its own pages go: to whoever lends and has room, to one node, nowhere",
    },
    REPLICAS,
    {
      name: "swap",
      value: SWAP_SETTINGS.join("|"),
      bare: "on",
      defaultNote: "on with --export, else off",
      help: "locked in memory, to hold the swap of its own kernel; strict: or it does not run; --no-swap: off",
    },
    {
      name: "high-mark",
      value: "PERCENT",
      default: String(HIGH_MARK_PERCENT_DEFAULT),
      help: "of --memory; above it pages are moved away",
    },
    {
      name: "low-mark",
      value: "PERCENT",
      default: String(LOW_MARK_PERCENT_DEFAULT),
      help: "of --memory; until it is reached",
    },
  ],
};

export const DISK: FlagGroup = {
  title: "Disk",
  flags: [
    {
      name: "spill",
      value: "FILE|DIR",
      defaultNote: "none",
      help: "where pages go that no lender takes: a new file, or one in a directory",
    },
    {
      name: "spill-size",
      value: "SIZE",
      defaultNote: "none",
      help: "how large that may become, at least 1MiB",
    },
    {
      name: "replicas-on-disk",
      value: null,
      help: "a copy there stands for a zone that is missing",
    },
  ],
};

export const SERVER_MEMORY: FlagGroup = {
  title: "Memory",
  flags: [
    {
      name: "memory",
      value: "SIZE",
      default: formatSize(SERVER_MEMORY_BYTES_DEFAULT),
      help: "for pages of other nodes, at least 1MiB",
    },
    ...LENDING,
  ],
};

export const COMPRESSION: FlagGroup = {
  title: "Compression",
  flags: [
    {
      name: "codec",
      value: CODEC_NAMES.join("|"),
      default: NODE_DEFAULTS.codec,
      help: "raw stores pages as they are",
    },
    {
      name: "pers-zpage-max",
      value: "BYTES",
      default: String(PERS_ZPAGE_BYTES_MAX_DEFAULT),
      help: "a persistent page that stays larger is refused",
    },
    {
      name: "pers-zpage-mean",
      value: "BYTES",
      default: String(PERS_ZPAGE_MEAN_BYTES_DEFAULT),
      help: "a larger one is taken only while the mean is below this",
    },
  ],
};

export const MOVING: FlagGroup = {
  title: "Moving pages",
  flags: [
    { name: "remotify-pers", value: SWITCH, default: "on", help: "move persistent pages away" },
    { name: "remotify-eph", value: SWITCH, default: "off", help: "move ephemeral pages away" },
    {
      name: "put-wait",
      value: "DURATION",
      default: formatDuration(PUT_WAIT_MS_DEFAULT),
      help: "how long a put may wait while pages move away",
    },
    {
      name: "trickle",
      value: "FRAMES",
      default: String(TRICKLE_FRAMES_DEFAULT),
      help: "frames of each kind to move a period without pressure; 0 is off",
    },
    {
      name: "trickle-period",
      value: "DURATION",
      default: formatDuration(TRICKLE_PERIOD_MS_DEFAULT),
      help: "period of --trickle",
    },
    {
      name: "trickle-first",
      value: "DURATION",
      default: formatDuration(TRICKLE_FIRST_MS_DEFAULT),
      help: "from the start to the first period",
    },
    {
      name: "selfshrink",
      value: SWITCH,
      default: "on",
      help: "bring pages home while the node is idle",
    },
    {
      name: "selfshrink-interval",
      value: "DURATION",
      default: formatDuration(SELFSHRINK_INTERVAL_MS_DEFAULT),
      help: "how often it looks",
    },
    {
      name: "selfshrink-hysteresis",
      value: "N",
      default: String(SELFSHRINK_HYSTERESIS_DEFAULT),
      help: "one part in N of what is away comes home at a time",
    },
    {
      name: "selfshrink-inertia",
      value: "N",
      default: String(SELFSHRINK_INERTIA_DEFAULT),
      help: "quiet intervals before the first",
    },
    {
      name: "selfshrink-pages",
      value: "N",
      default: String(SELFSHRINK_PAGES_DEFAULT),
      help: "pages that come home at a time, at most",
    },
  ],
};

export const LINKS: FlagGroup = {
  title: "Links to other nodes",
  flags: [
    {
      name: "request-timeout",
      value: "DURATION",
      default: formatDuration(REQUEST_TIMEOUT_MS_DEFAULT),
      help: "deadline of a request",
    },
    {
      name: "keepalive",
      value: "DURATION",
      default: formatDuration(KEEPALIVE_MS_DEFAULT),
      help: "a quiet link says that it lives this often",
    },
    {
      name: "idle",
      value: "DURATION",
      default: formatDuration(IDLE_MS_DEFAULT),
      help: "a link that hears nothing for so long is cut",
    },
    {
      name: "unused",
      value: "DURATION",
      default: formatDuration(UNUSED_MS_DEFAULT),
      help: "a link with no pages on it for so long is closed until it is needed",
    },
    {
      name: "reconnect",
      value: "DURATION",
      default: formatDuration(REDIAL_MS_MAX),
      help: "the longest wait between two attempts to connect",
    },
  ],
};
