/** What a stress run is asked to do: the command line of `ramster stress`, checked. */
import type { Address } from "../../src/net/address.ts";
import type { NodeConfig } from "../../src/node/config.ts";

export const TOPOLOGIES = ["auto", "server", "ring", "pair", "symmetric"] as const;
/**
 * Who sends pages to whom in a stress run: clients to the server that has most room, each to one
 * server, each node to the next, two nodes to each other; or all of them lend, and each sends to
 * another one.
 */
export type Topology = (typeof TOPOLOGIES)[number];

/** Whether some of the nodes only lend. */
export function hasServers(topology: Topology): boolean {
  return topology === "auto" || topology === "server";
}

export const STRESS_DATA_KINDS = ["mixed", "random", "zero"] as const;
/** Where stress takes its pages from. */
export type StressData =
  | { readonly kind: (typeof STRESS_DATA_KINDS)[number] }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "pid"; readonly pid: number };

export const CHAOS_KINDS = ["kill", "pause", "cut", "slow", "restart", "rolling"] as const;
/** What is done to holders while a run is loaded; "rolling" goes over all nodes in order. */
export type ChaosKind = (typeof CHAOS_KINDS)[number];

export interface StressOptions {
  /** Processes to start; 0 when `connect` names nodes that run already. */
  readonly nodes: number;
  /** How many of them are memory servers; 0 in topologies without. */
  readonly servers: number;
  readonly topology: Topology;
  /** Remote copies of each page. */
  readonly replicas: NodeConfig["replicas"];
  /** Pages are encrypted before they leave. */
  readonly seal: boolean;
  /** Of a file of each node for what no lender takes; null: none. */
  readonly spillBytes: number | null;
  /** Frames of a node for its own pages. */
  readonly memoryBytes: number;
  /** Pages that each node is loaded with. */
  readonly workingSetBytes: number;
  readonly durationMs: number;
  readonly mix: { readonly put: number; readonly get: number; readonly flush: number };
  readonly data: StressData;
  /** Null: any, chosen and printed by the run. */
  readonly seed: number | null;
  readonly jsonPath: string | null;
  /** Client doors of running nodes; empty when the run starts its own. */
  readonly connect: readonly Address[];
  /** Of those nodes, for TCP addresses. */
  readonly keyPath: string | null;
  /** Nodes that are started talk in clear. */
  readonly insecure: boolean;
  /** Of what goes from node to node, in percent; the relay's header says what TCP makes of it. */
  readonly lossPercent: number;
  /** What goes from node to node takes so long, each way. */
  readonly delayMs: number;
  /** Empty: they are left alone. */
  readonly chaos: readonly ChaosKind[];
  /** From the end of one trouble to the next one. */
  readonly chaosEveryMs: number;
  readonly verbose: boolean;
}
