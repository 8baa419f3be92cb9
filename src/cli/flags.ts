/**
 * Flags: the table of every command and every flag, from which the parser and the help are made.
 * Those that are settings of a node come from the table of settings (setting-flags.ts).
 *
 * Defaults are written as a person writes them and read by the same parsers as what a person
 * types, so the help cannot promise another default than the one in force.
 */
import { KEY_DAYS_DEFAULT, SWAP_PRIORITY_DEFAULT, SWAP_PRIORITY_MAX } from "../core/limits.ts";
import { formatDuration, formatSize } from "../core/units.ts";
import { RENEW_STEPS } from "../security/renew-key.ts";
import type { CommandSpec, FlagGroup, FlagSpec } from "./flag-spec.ts";
import { CHAOS_KINDS, STRESS_DATA_KINDS, TOPOLOGIES } from "./options.ts";
import { knobNames, settingFlag, settingGroups } from "./setting-flags.ts";
import {
  STRESS_CHAOS_MS_DEFAULT,
  STRESS_DURATION_MS_DEFAULT,
  STRESS_LOSS_PERCENT_MAX,
  STRESS_MEMORY_BYTES_DEFAULT,
  STRESS_NODES_DEFAULT,
  STRESS_WORKING_SET_RATIO,
} from "./stress-limits.ts";

/** All but those of `connect` are of no use to nodes that run already. */
export const STRESS_CLUSTER: FlagGroup = {
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
    settingFlag("replicas"),
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
    {
      ...settingFlag("keyPath"),
      defaultNote: "a new one",
      help: "of nodes that already run, for tcp addresses",
    },
    { name: "insecure", value: null, help: "nodes talk in clear, to see what the key costs" },
    {
      name: "seal",
      value: null,
      help: "nodes encrypt pages before they leave",
    },
    {
      name: "spill-size",
      value: "SIZE",
      defaultNote: "none",
      help: "of a file that each node has for what no lender takes",
    },
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
    {
      name: "chaos",
      value: "KIND,...",
      list: true,
      help: `what is done to lenders, or all, under load; KIND is ${CHAOS_KINDS.join(", ")}`,
    },
    {
      name: "chaos-every",
      value: "DURATION",
      default: formatDuration(STRESS_CHAOS_MS_DEFAULT),
      help: "from one to the next, when all copies are there again",
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

/** How to reach a running node. */
const DOOR: readonly FlagSpec[] = [
  {
    ...settingFlag("clients"),
    value: "ADDR",
    list: false,
    required: true,
    help: "client address of the node",
  },
  {
    ...settingFlag("keyPath"),
    defaultNote: "none; unix sockets need none",
    help: "key file, for tcp addresses",
  },
];

const JSON_FLAG: FlagSpec = { name: "json", value: null, help: "print JSON" };

const SWAP_FLAGS: readonly FlagSpec[] = [
  {
    name: "nbd",
    value: "ADDR",
    defaultNote: "none",
    help: "NBD address of the node: unix:PATH, or HOST:PORT without TLS",
  },
  { name: "export", value: "NAME", defaultNote: "none", help: "name of the export" },
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
];

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "node",
    summary: "Runs a node: keeps pages, and moves them away when memory is short",
    groups: settingGroups("node"),
    examples: [
      "ramster node --listen 10.0.0.2:7777 --join 10.0.0.1:7946 --key cluster.key --client unix:/run/ramster.sock",
      "ramster node --number 1 --peers 0@127.0.0.1:7777 --target 0 --memory 256MiB --lend 1GiB",
    ],
  },
  {
    name: "server",
    summary: "Runs a memory server: lends all of its memory to other nodes",
    groups: settingGroups("server"),
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
    groups: [
      {
        title: "Flags",
        flags: [
          ...DOOR,
          JSON_FLAG,
          { name: "explain", value: null, help: "with the unit and the meaning of each counter" },
        ],
      },
    ],
    examples: [
      "ramster stats --client unix:/run/ramster.sock --json",
      "ramster stats --client unix:/run/ramster.sock --explain",
    ],
  },
  {
    name: "get",
    summary: "Shows the settings of a running node",
    arguments: [
      {
        name: "NAME",
        required: false,
        help: "a name below, a flag of the node, or a counter; without it all below",
      },
    ],
    groups: [{ title: "Flags", flags: DOOR }],
    names: knobNames(),
    examples: ["ramster get remote_target_nodenum --client unix:/run/ramster.sock"],
  },
  {
    name: "set",
    summary: "Changes a setting of a running node",
    arguments: [
      { name: "NAME", required: true, help: "a name below, or its flag" },
      { name: "VALUE", required: true, help: "its new value" },
    ],
    groups: [{ title: "Flags", flags: DOOR }],
    names: knobNames(),
    examples: [
      "ramster set remote_target_nodenum auto --client unix:/run/ramster.sock",
      "ramster set idle 1m --client unix:/run/ramster.sock",
    ],
  },
  {
    name: "drain",
    summary: "Prepares a node to leave: moves pages of others away, its own home",
    groups: [
      {
        title: "Flags",
        flags: [
          ...DOOR,
          {
            ...settingFlag("drainTimeoutMs"),
            help: "how long to wait; pages go on moving after that",
          },
        ],
      },
    ],
    examples: ["ramster drain --client unix:/run/ramster.sock"],
  },
  {
    name: "keygen",
    summary: "Makes the key file of a cluster, which every node gets a copy of",
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
            defaultNote: "none",
            help: "step of --renew: trust a new certificate, use it, drop the old one",
          },
        ],
      },
    ],
    examples: [
      "ramster keygen --out cluster.key",
      "ramster keygen --renew cluster.key --step add --out both.key",
    ],
  },
  {
    name: "key",
    summary: "Replaces gossip keys of a running node, or rereads its key file",
    arguments: [
      { name: "ACTION", required: true, help: "list, add, use, remove or reload" },
      {
        name: "KEY",
        required: false,
        help: "base64 to add (default: a new key), or a fingerprint",
      },
    ],
    groups: [{ title: "Flags", flags: DOOR }],
    examples: [
      "ramster key add --client unix:/run/ramster.sock",
      "ramster key use 0123456789ab --client unix:/run/ramster.sock",
    ],
  },
  {
    name: "swap",
    summary: "Switches swap on an export of a node on or off",
    arguments: [{ name: "ACTION", required: true, help: "on, off or status" }],
    groups: [{ title: "Flags", flags: SWAP_FLAGS }],
    examples: [
      "ramster swap on --nbd unix:/run/ramster/nbd.sock --export swap",
      "ramster swap off --nbd unix:/run/ramster/nbd.sock --export swap",
      "ramster swap off --device /dev/nbd0",
    ],
  },
  {
    name: "version",
    summary: "Shows the version of the program and of the protocol",
    groups: [],
    examples: [],
  },
];
