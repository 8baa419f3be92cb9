/**
 * Flags: the table of every command and every flag, from which the parser and the help are made.
 *
 * Defaults are written as a person writes them and read by the same parsers as what a person
 * types, so the help cannot promise another default than the one in force. flags.test.ts holds
 * them against the limits.
 */
import {
  FOREIGN_GRACE_MS_DEFAULT,
  GOSSIP_PORT_DEFAULT,
  HIGH_MARK_PERCENT_DEFAULT,
  IDLE_MS_DEFAULT,
  KEEPALIVE_MS_DEFAULT,
  KEY_DAYS_DEFAULT,
  LOW_MARK_PERCENT_DEFAULT,
  MEMORY_BYTES_DEFAULT,
  NODES_MAX,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  PERS_ZPAGE_MEAN_BYTES_DEFAULT,
  PUT_WAIT_MS_DEFAULT,
  REDIAL_MS_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
  SELFSHRINK_HYSTERESIS_DEFAULT,
  SELFSHRINK_INERTIA_DEFAULT,
  SELFSHRINK_INTERVAL_MS_DEFAULT,
  SERVER_MEMORY_BYTES_DEFAULT,
  STRESS_DURATION_MS_DEFAULT,
  STRESS_LOSS_PERCENT_MAX,
  STRESS_MEMORY_BYTES_DEFAULT,
  STRESS_NODES_DEFAULT,
  STRESS_WORKING_SET_RATIO,
  TRICKLE_FIRST_MS_DEFAULT,
  TRICKLE_FRAMES_DEFAULT,
  TRICKLE_PERIOD_MS_DEFAULT,
} from "../core/limits.ts";
import { LOG_AREAS, LOG_LEVELS } from "../core/log.ts";
import { formatAddress } from "../net/address.ts";
import { CODEC_NAMES, LOG_FORMATS, NETWORK_NAMES, NODE_DEFAULTS } from "../node/config.ts";
import { type CommandName, STRESS_DATA_KINDS, TOPOLOGIES } from "./options.ts";
import { formatDuration, formatSize } from "./units.ts";

export interface FlagSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for its value in the help, or null for a switch. */
  readonly value: string | null;
  readonly help: string;
  /** The text that is used when the flag is not given. */
  readonly default?: string;
  /** Shown instead of `default` where that is not a fixed text. */
  readonly defaultNote?: string;
  readonly required?: boolean;
  /** A comma list, and the flag may be repeated. */
  readonly list?: boolean;
}

export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly FlagSpec[];
}

/** Of a command that takes words beside its flags. Those that are required come first. */
export interface ArgumentSpec {
  readonly name: string;
  readonly required: boolean;
  readonly help: string;
}

export interface CommandSpec {
  readonly name: CommandName;
  readonly summary: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly groups: readonly FlagGroup[];
  readonly examples: readonly string[];
}

const SWITCH = "on|off";

const IDENTITY: FlagGroup = {
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

const CLIENT: FlagSpec = {
  name: "client",
  value: "ADDR,...",
  list: true,
  help: "where programs connect: unix:PATH or tcp:HOST:PORT",
};

const ADDRESSES: FlagGroup = {
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

const CLUSTER: FlagGroup = {
  title: "The cluster",
  flags: [
    {
      name: "join",
      value: "HOST:PORT,...",
      list: true,
      help: "where nodes of the cluster gossip; one that lives is enough",
    },
    {
      name: "gossip",
      value: "HOST:PORT|none",
      defaultNote: `port ${GOSSIP_PORT_DEFAULT}; none with --peers`,
      help: "where it gossips with the other nodes, over UDP and TCP",
    },
    {
      name: "network",
      value: NETWORK_NAMES.join("|"),
      default: NODE_DEFAULTS.network,
      help: "what gossip is tuned to: one room, one machine, far apart",
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
      default: NODE_DEFAULTS.gossipLabel,
      help: "gossip with another label is not heard; Serf has none",
    },
  ],
};

const LOG: FlagGroup = {
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

const KEY: FlagSpec = {
  name: "key",
  value: "FILE",
  defaultNote: "nothing is secured",
  help: "the key of the cluster, as ramster keygen makes it",
};

const SECURITY: FlagGroup = {
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

/** Of a node that lends. */
const LENDING: readonly FlagSpec[] = [
  {
    name: "quota",
    value: "SIZE",
    defaultNote: "what there is room for",
    help: "pages to hold for one other node, counted as 4KiB each",
  },
  {
    name: "foreign-grace",
    value: "DURATION",
    default: formatDuration(FOREIGN_GRACE_MS_DEFAULT),
    help: "how long pages of a node that died are kept for it",
  },
];

const NODE_MEMORY: FlagGroup = {
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

const SERVER_MEMORY: FlagGroup = {
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

const COMPRESSION: FlagGroup = {
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

const MOVING: FlagGroup = {
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
  ],
};

const LINKS: FlagGroup = {
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
      name: "reconnect",
      value: "DURATION",
      default: formatDuration(REDIAL_MS_MAX),
      help: "the longest wait between two attempts to connect",
    },
  ],
};

const STRESS_CLUSTER: FlagGroup = {
  title: "The cluster",
  flags: [
    {
      name: "nodes",
      value: "N",
      default: String(STRESS_NODES_DEFAULT),
      help: "processes to start",
    },
    {
      name: "topology",
      value: TOPOLOGIES.join("|"),
      default: "auto",
      help: "who sends pages to whom",
    },
    {
      name: "servers",
      value: "M",
      defaultNote: "auto: a quarter of them, server: 1",
      help: "how many of the nodes are memory servers",
    },
    {
      name: "memory",
      value: "SIZE",
      defaultNote: `${formatSize(STRESS_MEMORY_BYTES_DEFAULT)}, less with many nodes`,
      help: "of each node for its own pages",
    },
    {
      name: "connect",
      value: "ADDR,...",
      list: true,
      help: "load nodes that already run, by their --client addresses",
    },
    { ...KEY, defaultNote: "a new one", help: "of nodes that already run, for tcp addresses" },
    { name: "insecure", value: null, help: "nodes talk in clear, to see what the key costs" },
    {
      name: "loss",
      value: "PERCENT",
      default: "0",
      help: `of what goes from node to node, at most ${STRESS_LOSS_PERCENT_MAX}`,
    },
    {
      name: "delay",
      value: "DURATION",
      default: "0ms",
      help: "that it takes from node to node, each way",
    },
  ],
};

const STRESS_LOAD: FlagGroup = {
  title: "The load",
  flags: [
    {
      name: "working-set",
      value: "SIZE",
      defaultNote: `${STRESS_WORKING_SET_RATIO} times --memory`,
      help: "pages that each node is loaded with",
    },
    {
      name: "duration",
      value: "DURATION",
      default: formatDuration(STRESS_DURATION_MS_DEFAULT),
      help: "how long to load, without start and stop",
    },
    { name: "mix", value: "PUT:GET:FLUSH", default: "40:50:10", help: "shares of the operations" },
    {
      name: "data",
      value: "FILE|pid:N|KIND",
      default: "mixed",
      help: `what the pages hold; KIND is ${STRESS_DATA_KINDS.join(", ")}`,
    },
    { name: "seed", value: "N", defaultNote: "any", help: "repeats a run" },
  ],
};

const STRESS_REPORT: FlagGroup = {
  title: "The report",
  flags: [
    { name: "json", value: "FILE", help: "also write the report as JSON" },
    { name: "verbose", value: null, help: "show the logs of the nodes" },
  ],
};

/** A node that runs. */
const DOOR: readonly FlagSpec[] = [
  {
    ...CLIENT,
    value: "ADDR",
    list: false,
    required: true,
    help: "where the node lets programs in",
  },
  { ...KEY, defaultNote: "none, which does for unix sockets", help: "for tcp addresses" },
];

const JSON_FLAG: FlagSpec = { name: "json", value: null, help: "as JSON" };

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "node",
    summary: "Runs a node: keeps pages, and moves them away when memory is short",
    groups: [IDENTITY, ADDRESSES, CLUSTER, SECURITY, NODE_MEMORY, COMPRESSION, MOVING, LINKS, LOG],
    examples: [
      "ramster node --listen 10.0.0.2:7777 --join 10.0.0.1:7946 --key cluster.key --client unix:/run/ramster.sock",
      "ramster node --number 1 --peers 0@127.0.0.1:7777 --target 0 --memory 256MiB --lend 1GiB",
    ],
  },
  {
    name: "server",
    summary: "Runs a memory server: lends all of its memory to other nodes",
    groups: [IDENTITY, ADDRESSES, CLUSTER, SECURITY, SERVER_MEMORY, LINKS, LOG],
    examples: ["ramster server --listen 10.0.0.1:7777 --key cluster.key --memory 16GiB"],
  },
  {
    name: "stress",
    summary: "Starts a cluster on this machine, loads it, and checks every page",
    groups: [STRESS_CLUSTER, STRESS_LOAD, STRESS_REPORT],
    examples: [
      "ramster stress --nodes 8",
      "ramster stress --nodes 4 --topology ring --data pid:1234 --duration 1m --json report.json",
      "ramster stress --nodes 8 --loss 5 --delay 20ms",
      "ramster stress --connect unix:/run/ramster.sock --working-set 256MiB",
    ],
  },
  {
    name: "status",
    summary: "Shows the cluster as a running node sees it",
    groups: [{ title: "Flags", flags: [...DOOR, JSON_FLAG] }],
    examples: ["ramster status --client unix:/run/ramster.sock"],
  },
  {
    name: "stats",
    summary: "Shows the counters of a running node",
    groups: [{ title: "Flags", flags: [...DOOR, JSON_FLAG] }],
    examples: ["ramster stats --client unix:/run/ramster.sock --json"],
  },
  {
    name: "get",
    summary: "Shows what can be set on a running node, and its value",
    arguments: [{ name: "NAME", required: false, help: "one of them; all without it" }],
    groups: [{ title: "Flags", flags: DOOR }],
    examples: ["ramster get remote_target_nodenum --client unix:/run/ramster.sock"],
  },
  {
    name: "set",
    summary: "Sets something on a running node",
    arguments: [
      { name: "NAME", required: true, help: "what, see ramster get" },
      { name: "VALUE", required: true, help: "its new value" },
    ],
    groups: [{ title: "Flags", flags: DOOR }],
    examples: ["ramster set remote_target_nodenum auto --client unix:/run/ramster.sock"],
  },
  {
    name: "keygen",
    summary: "Makes the key of a cluster: one file, of which each node has a copy",
    groups: [
      {
        title: "Flags",
        flags: [
          {
            name: "out",
            value: "FILE",
            defaultNote: "standard output",
            help: "where to write it, readable for nobody else",
          },
          {
            name: "days",
            value: "N",
            default: String(KEY_DAYS_DEFAULT),
            help: "how long it is valid",
          },
        ],
      },
    ],
    examples: ["ramster keygen --out cluster.key"],
  },
  {
    name: "key",
    summary: "Exchanges the gossip keys of a running node: add, use, then remove",
    arguments: [
      { name: "ACTION", required: true, help: "list, add, use or remove" },
      { name: "KEY", required: false, help: "base64 to add, else a new one; or a fingerprint" },
    ],
    groups: [{ title: "Flags", flags: DOOR }],
    examples: [
      "ramster key add --client unix:/run/ramster.sock",
      "ramster key use 0123456789ab --client unix:/run/ramster.sock",
    ],
  },
  {
    name: "version",
    summary: "Shows the version of the program and of the protocol",
    groups: [],
    examples: [],
  },
];

/** All flags of a command, in the order of the help. */
export function flagsOf(command: CommandSpec): readonly FlagSpec[] {
  return command.groups.flatMap((group) => group.flags);
}
