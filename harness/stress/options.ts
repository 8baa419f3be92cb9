/** The options of a stress run: the command line of `ramster stress`, checked. */
import type { LocalNode } from "../../src/cli/local-nodes.ts";
import type { Address, TcpAddress } from "../../src/net/address.ts";
import type { NodeConfig } from "../../src/node/config.ts";

export const TOPOLOGIES = ["auto", "server", "ring", "pair", "symmetric"] as const;
/**
 * Topology: the nodes to which each node sends pages. "auto": clients to the server with most room.
 * "server": each client to one server. "ring": each node to the next. "pair", "symmetric": one
 * way or both ways between two nodes. See topology.ts.
 */
export type Topology = (typeof TOPOLOGIES)[number];

/** Whether some of the nodes only lend. */
export function hasServers(topology: Topology): boolean {
  return topology === "auto" || topology === "server";
}

export const STRESS_DATA_KINDS = ["mixed", "random", "zero"] as const;
/** Sources of page contents. */
export type StressData =
  | { readonly kind: (typeof STRESS_DATA_KINDS)[number] }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "pid"; readonly pid: number };

export const CHAOS_KINDS = ["kill", "pause", "cut", "slow", "restart", "rolling"] as const;
/** Disturbances of holders under load; "rolling" restarts all nodes in order. */
export type ChaosKind = (typeof CHAOS_KINDS)[number];

export interface StressOptions {
  /** Processes to start; 0 when `connect` names running nodes. */
  readonly nodes: number;
  /** Number of memory servers among them; 0 in topologies without servers. */
  readonly servers: number;
  readonly topology: Topology;
  /** Remote copies of each page. */
  readonly replicas: NodeConfig["replicas"];
  readonly placement: NodeConfig["placement"];
  readonly order: NodeConfig["order"];
  /** Pages are encrypted before they leave. */
  readonly seal: boolean;
  /** Bytes of each node's file for pages that no lender takes; null: no file. */
  readonly spillBytes: number | null;
  /** Frames of a node for its own pages. */
  readonly memoryBytes: number;
  /** Pages that each node is loaded with. */
  readonly workingSetBytes: number;
  readonly durationMs: number;
  readonly mix: { readonly put: number; readonly get: number; readonly flush: number };
  readonly data: StressData;
  /** Null: the run chooses a seed and prints it. */
  readonly seed: number | null;
  readonly jsonPath: string | null;
  readonly htmlPath: string | null;
  /** Client doors of running nodes; empty when the run starts its own. */
  readonly connect: ReadonlyArray<Address | LocalNode>;
  /** Gossip addresses of a running cluster, which one node joins. Empty: none does. */
  readonly join: readonly TcpAddress[];
  /** Key file for client doors on TCP, and of the cluster of `join`. */
  readonly keyPath: string | null;
  /** Nodes that are started use no key. */
  readonly insecure: boolean;
  /** Percent of traffic between nodes; the header of relay.ts describes its effect on TCP. */
  readonly lossPercent: number;
  /** Delay of traffic between nodes, one way. */
  readonly delayMs: number;
  /** Empty: no disturbances. */
  readonly chaos: readonly ChaosKind[];
  /** From the end of one disturbance to the start of the next. */
  readonly chaosEveryMs: number;
  readonly verbose: boolean;
}
