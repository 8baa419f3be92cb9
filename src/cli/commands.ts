/**
 * The commands of this folder, as tables of their flags. The parser and the help are made from
 * these tables. Flags for settings of a node come from the table of settings (setting-flags.ts).
 *
 * Defaults are written as a person types them, and read by the same parsers. So the help cannot
 * show another default than the one in force.
 */
import { KEY_DAYS_DEFAULT, SWAP_PRIORITY_DEFAULT, SWAP_PRIORITY_MAX } from "../core/limits.ts";
import { formatSize } from "../core/units.ts";
import type { NodeConfig } from "../node/config.ts";
import { RENEW_STEPS } from "../security/renew-key.ts";
import type { Command } from "./command.ts";
import { SHELLS } from "./completion/scripts.ts";
import type { FlagSpec } from "./flag-spec.ts";
import type {
  CompletionOptions,
  DrainOptions,
  EstimateOptions,
  GetOptions,
  KeygenOptions,
  KeyOptions,
  MonitorOptions,
  SetOptions,
  StatsOptions,
  StatusOptions,
  SwapOptions,
  TopOptions,
  UndrainOptions,
  VersionOptions,
} from "./options.ts";
import {
  readCompletion,
  readDrain,
  readEstimate,
  readGet,
  readKeyCommand,
  readKeygen,
  readMonitor,
  readNode,
  readServer,
  readSet,
  readStats,
  readStatus,
  readTop,
  readUndrain,
  readVersion,
} from "./read-options.ts";
import { knobNames, settableNames, settingFlag, settingGroups } from "./setting-flags.ts";
import {
  RATE_BYTES_DEFAULT,
  readSwap,
  STALE_PERCENT_DEFAULT,
  SWAP_ACTION_HELP,
} from "./swap/swap-args.ts";

/** The flags that say how to reach a running node. */
const DOOR: readonly FlagSpec[] = [
  {
    name: "client",
    value: "ADDR",
    defaultNote: "RAMSTER_CLIENT, or the only one",
    help: "client address of a node, or its name on this machine",
    variable: "RAMSTER_CLIENT",
  },
  {
    ...settingFlag("keyPath"),
    defaultNote: "RAMSTER_KEY; unix sockets need none",
    help: "key file, for tcp addresses",
    variable: "RAMSTER_KEY",
  },
];

const CHECK_FLAG: FlagSpec = {
  name: "check",
  value: null,
  help: "print the verdict alone; exit 0: all is well, 1: a warning, 2: critical, 3: no answer",
};
const JSON_FLAG: FlagSpec = { name: "json", value: null, help: "print JSON" };

const SWAP_FLAGS: readonly FlagSpec[] = [
  {
    name: "nbd",
    value: "ADDR",
    neededBy: "needed by on, and by off without --device",
    help: "NBD address of the node: unix:PATH, or HOST:PORT without TLS",
  },
  {
    name: "export",
    value: "NAME",
    neededBy: "needed by on, and by off without --device",
    help: "name of the export; rotate: of both; off: of one or more",
  },
  {
    name: "device",
    value: "/dev/nbdN",
    defaultNote: "on: a free one; off: that of --export",
    help: "nbd device of this machine",
  },
  {
    name: "priority",
    value: "N",
    default: String(SWAP_PRIORITY_DEFAULT),
    help: `swap priority, 0 .. ${SWAP_PRIORITY_MAX}; the kernel uses the highest first`,
  },
  {
    name: "force",
    value: null,
    help: "off: also when the memory that is available cannot hold the pages",
  },
  ...DOOR,
  {
    name: "stale",
    value: "PERCENT",
    default: `${STALE_PERCENT_DEFAULT}%`,
    help: "rotate: the part of the stored pages that must be stale",
  },
  {
    name: "rate",
    value: "SIZE",
    default: formatSize(RATE_BYTES_DEFAULT),
    help: "rotate: how much comes home in a second, at most",
  },
  JSON_FLAG,
];

export const node: Command<NodeConfig> = {
  name: "node",
  summary: "Runs a node: keeps pages, and moves them away when memory is short",
  groups: settingGroups("node"),
  examples: [
    "ramster node --listen 10.0.0.2:7777 --join 10.0.0.1:7946 --key cluster.key",
    "ramster node --number 1 --peers 0@127.0.0.1:7777 --target 0 --memory 256MiB --lend 1GiB",
  ],
  read: readNode,
  load: () => import("./node.ts"),
};

export const server: Command<NodeConfig> = {
  name: "server",
  summary: "Runs a memory server: lends all of its memory to other nodes",
  groups: settingGroups("server"),
  examples: ["ramster server --listen 10.0.0.1:7777 --key cluster.key --memory 16GiB"],
  read: readServer,
  load: () => import("./server.ts"),
};

export const status: Command<StatusOptions> = {
  name: "status",
  summary: "Shows the cluster as a running node sees it",
  groups: [{ title: "Flags", flags: [...DOOR, JSON_FLAG, CHECK_FLAG] }],
  examples: [
    "ramster status",
    "ramster status --check --client tcp:10.0.0.2:7780 --key cluster.key",
  ],
  read: readStatus,
  load: () => import("./status.ts"),
};

export const top: Command<TopOptions> = {
  name: "top",
  summary: "Shows what a running node and its cluster do, redrawn every second",
  groups: [
    {
      title: "Flags",
      flags: [
        ...DOOR,
        { ...JSON_FLAG, help: "print a line of JSON for each reading" },
        { name: "once", value: null, help: "print one reading, and end" },
        {
          name: "interval",
          value: "TIME",
          default: "1s",
          help: "time between two readings",
        },
      ],
    },
  ],
  examples: ["ramster top", "ramster top --once --json"],
  read: readTop,
  load: () => import("./top/top.ts"),
};

export const monitor: Command<MonitorOptions> = {
  name: "monitor",
  summary: "Prints the events of a running node and its cluster as they happen",
  groups: [
    {
      title: "Flags",
      flags: [
        ...DOOR,
        JSON_FLAG,
        { name: "once", value: null, help: "print the events that the node keeps, and end" },
        {
          name: "since",
          value: "TIME",
          defaultNote: "all that the node keeps",
          help: "how old the first event may be; 0s: only new ones",
        },
      ],
    },
  ],
  examples: ["ramster monitor", "ramster monitor --once --since 10m"],
  read: readMonitor,
  load: () => import("./monitor.ts"),
};

export const stats: Command<StatsOptions> = {
  name: "stats",
  summary: "Shows the counters of a running node",
  groups: [
    {
      title: "Flags",
      flags: [
        ...DOOR,
        JSON_FLAG,
        { name: "explain", value: null, help: "show the unit and the meaning of each counter" },
      ],
    },
  ],
  examples: ["ramster stats --json", "ramster stats --explain"],
  read: readStats,
  load: () => import("./stats.ts"),
};

export const get: Command<GetOptions> = {
  name: "get",
  summary: "Shows the settings of a running node",
  arguments: [
    {
      name: "NAME",
      required: false,
      help: "a name below, a flag of the node, or a counter; default: all below",
    },
  ],
  groups: [{ title: "Flags", flags: [...DOOR, JSON_FLAG] }],
  names: knobNames(),
  examples: ["ramster get remote_target_nodenum"],
  read: readGet,
  load: () => import("./get.ts"),
};

export const set: Command<SetOptions> = {
  name: "set",
  summary: "Changes a setting of a running node",
  arguments: [
    { name: "NAME", required: true, help: "a name below, or its flag" },
    { name: "VALUE", required: true, help: "its new value" },
  ],
  groups: [{ title: "Flags", flags: [...DOOR, JSON_FLAG] }],
  names: settableNames(),
  examples: ["ramster set remote_target_nodenum auto", "ramster set idle 1m"],
  read: readSet,
  load: () => import("./set.ts"),
};

export const drain: Command<DrainOptions> = {
  name: "drain",
  summary: "Prepares a node to leave: moves others' pages away, its own home",
  groups: [
    {
      title: "Flags",
      flags: [
        ...DOOR,
        {
          ...settingFlag("drainTimeoutMs"),
          help: "how long to wait; pages go on moving afterwards",
        },
        JSON_FLAG,
      ],
    },
  ],
  examples: ["ramster drain"],
  read: readDrain,
  load: () => import("./drain.ts"),
};

export const undrain: Command<UndrainOptions> = {
  name: "undrain",
  summary: "Ends the drain of a node: it lends again",
  groups: [{ title: "Flags", flags: [...DOOR, JSON_FLAG] }],
  examples: ["ramster undrain"],
  read: readUndrain,
  load: () => import("./undrain.ts"),
};

export const estimate: Command<EstimateOptions> = {
  name: "estimate",
  summary: "Estimates how many pages a frame would hold on this machine",
  groups: [
    {
      title: "Flags",
      flags: [
        { name: "pid", value: "N", defaultNote: "none", help: "from the memory of this process" },
        { name: "file", value: "FILE", defaultNote: "none", help: "from the pages of this file" },
        {
          name: "sample",
          value: null,
          help: "from the largest processes that may be read; root may read all",
        },
        JSON_FLAG,
      ],
    },
  ],
  examples: ["ramster estimate --sample", "ramster estimate --pid 4711 --json"],
  read: readEstimate,
  load: () => import("./estimate/estimate.ts"),
};

export const keygen: Command<KeygenOptions> = {
  name: "keygen",
  summary: "Makes the key file of a cluster; every node needs a copy",
  groups: [
    {
      title: "Flags",
      flags: [
        {
          name: "out",
          value: "FILE",
          defaultNote: "standard output",
          help: "file to write, readable by its owner alone",
        },
        {
          name: "days",
          value: "N",
          default: String(KEY_DAYS_DEFAULT),
          help: "days until it expires",
        },
        {
          name: "renew",
          value: "FILE",
          defaultNote: "a new cluster",
          help: "key file of a cluster whose certificate is replaced while it runs",
        },
        {
          name: "step",
          value: RENEW_STEPS.join("|"),
          neededBy: "needed by --renew",
          help: "step of --renew: trust a new certificate, use it, drop the old one",
        },
        {
          name: "pem",
          value: "DIR",
          defaultNote: "none",
          help: "make no key, but ca-cert.pem, client-cert.pem and client-key.pem for QEMU",
        },
        { name: "from", value: "FILE", neededBy: "needed by --pem", help: "key file for --pem" },
        JSON_FLAG,
      ],
    },
  ],
  examples: [
    "ramster keygen --out cluster.key",
    "ramster keygen --renew cluster.key --step add --out both.key",
    "ramster keygen --from cluster.key --pem pki",
  ],
  read: readKeygen,
  load: () => import("./keygen.ts"),
};

export const key: Command<KeyOptions> = {
  name: "key",
  summary: "Replaces the gossip key of a cluster, or the certificate of a running node",
  arguments: [
    { name: "ACTION", required: true, help: "one of the actions below" },
    {
      name: "KEY",
      required: false,
      help: "to add: base64, or the line that another add printed; else a fingerprint (default, of add and rotate: a new key)",
    },
  ],
  actions: [
    { name: "list", help: "shows the fingerprints of the gossip keys of one node." },
    {
      name: "rotate",
      help: "replaces the gossip key of all members, step by step. With KEY, goes on after a failure.",
    },
    { name: "add", help: "adds a key to one node, which decrypts with it." },
    { name: "use", help: "lets one node encrypt with a key that it has." },
    { name: "remove", help: "removes a key from one node." },
    { name: "reload", help: "lets one node read the certificate in its key file again." },
  ],
  groups: [
    {
      title: "Flags",
      flags: [
        ...DOOR,
        {
          name: "force",
          value: null,
          help: "rotate: also while members are dead, which are then cut off when they come back",
        },
        JSON_FLAG,
      ],
    },
  ],
  examples: ["ramster key rotate", "ramster key add", "ramster key use 0123456789ab"],
  read: readKeyCommand,
  load: () => import("./key-ring.ts"),
};

export const swap: Command<SwapOptions> = {
  name: "swap",
  summary: "Switches swap on an export of a node on or off",
  arguments: [{ name: "ACTION", required: true, help: "one of the actions below" }],
  actions: SWAP_ACTION_HELP,
  groups: [{ title: "Flags", flags: SWAP_FLAGS }],
  examples: [
    "ramster swap on --nbd unix:/run/ramster/nbd.sock --export swap",
    "ramster swap off --nbd unix:/run/ramster/nbd.sock --export swap",
    "ramster swap off --device /dev/nbd0",
    "ramster swap rotate --nbd unix:/run/ramster/nbd.sock --export swap,fresh",
    "ramster swap status",
  ],
  read: readSwap,
  load: () => import("./swap/swap.ts"),
};

export const completion: Command<CompletionOptions> = {
  name: "completion",
  summary: "Prints the script that completes command lines in bash, zsh or fish",
  arguments: [{ name: "SHELL", required: true, help: SHELLS.join(", "), words: SHELLS }],
  groups: [],
  examples: ['eval "$(ramster completion bash)"', "ramster completion fish | source"],
  read: readCompletion,
  load: () => import("./completion/completion.ts"),
};

export const version: Command<VersionOptions> = {
  name: "version",
  summary: "Shows the version of the program and of the protocol",
  groups: [{ title: "Flags", flags: [JSON_FLAG] }],
  examples: ["ramster version --json"],
  read: readVersion,
  load: () => import("./version.ts"),
};
