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
      help: "which nodes send pages to which",
    },
    {
      name: "servers",
      value: "M",
      defaultNote: "auto: a quarter of them, server: 1",
      help: "how many of the nodes are memory servers",
    },
    settingFlag("replicas"),
    settingFlag("placement"),
    settingFlag("order"),
    {
      name: "memory",
      value: "SIZE",
      defaultNote: `${formatSize(STRESS_MEMORY_BYTES_DEFAULT)}, less with many nodes`,
      help: "memory of each node for its own pages",
    },
    {
      name: "connect",
      value: "ADDR,...",
      list: true,
      help: "load running nodes, by their --client addresses or their names on this machine",
    },
    {
      ...settingFlag("seeds"),
      help: "start one node that joins the running cluster at these gossip addresses, and load it",
    },
    {
      ...settingFlag("keyPath"),
      defaultNote: "a new one",
      help: "key file of the running cluster: with --join, and with --connect for tcp addresses",
    },
    {
      name: "insecure",
      value: null,
      help: "use no encryption between nodes, to measure its cost, or since --join has none",
    },
    {
      name: "seal",
      value: null,
      help: "nodes encrypt pages before they leave",
    },
    {
      name: "spill-size",
      value: "SIZE",
      defaultNote: "none",
      help: "file of each node for pages that no lender takes",
    },
    {
      name: "loss",
      value: "PERCENT",
      default: "0",
      help: `packet loss between nodes, at most ${STRESS_LOSS_PERCENT_MAX}`,
    },
    {
      name: "delay",
      value: "DURATION",
      default: "0ms",
      help: "added delay between nodes, each way",
    },
    {
      name: "chaos",
      value: "KIND,...",
      list: true,
      help: `faults of lenders, or of all nodes, under load; KIND is ${CHAOS_KINDS.join(", ")}`,
    },
    {
      name: "chaos-every",
      value: "DURATION",
      default: formatDuration(STRESS_CHAOS_MS_DEFAULT),
      help: "time between faults, once all copies are restored",
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
      help: "size of the pages that each node is loaded with",
    },
    {
      name: "duration",
      value: "DURATION",
      default: formatDuration(STRESS_DURATION_MS_DEFAULT),
      help: "how long to load, not counting start and stop",
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
    { name: "html", value: "FILE", help: "also write the report as HTML, with charts over time" },
    { name: "verbose", value: null, help: "show the logs of the nodes" },
  ],
};
