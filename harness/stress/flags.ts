/** The flags of `ramster stress`, in the order of the help. */
import type { FlagGroup } from "../../src/cli/flag-spec.ts";
import { settingFlag } from "../../src/cli/setting-flags.ts";
import { formatDuration, formatSize } from "../../src/core/units.ts";
import {
  STRESS_CHAOS_MS_DEFAULT,
  STRESS_DURATION_MS_DEFAULT,
  STRESS_LOSS_PERCENT_MAX,
  STRESS_MEMORY_BYTES_DEFAULT,
  STRESS_NODES_DEFAULT,
  STRESS_WORKING_SET_RATIO,
} from "./limits.ts";
import { CHAOS_KINDS, STRESS_DATA_KINDS, TOPOLOGIES } from "./options.ts";

/** All flags except `connect` itself and those that it allows: nodes that run cannot use them. */
export const CLUSTER_FLAGS: FlagGroup = {
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

export const LOAD_FLAGS: FlagGroup = {
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

export const REPORT_FLAGS: FlagGroup = {
  title: "The report",
  flags: [
    { name: "json", value: "FILE", help: "also write the report as JSON" },
    { name: "verbose", value: null, help: "show the logs of the nodes" },
  ],
};
