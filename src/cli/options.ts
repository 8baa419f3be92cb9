/**
 * Options: a command line that was checked. One type for each command, and their union, which
 * main.ts dispatches on.
 */
import type { Address } from "../net/address.ts";
import type { NodeConfig } from "../node/config.ts";
import type { RenewStep } from "../security/renew-key.ts";
import type { SwapOffOptions, SwapOnOptions } from "./swap/swap-steps.ts";

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

export interface KeygenOptions {
  /** Null: standard output. */
  readonly outPath: string | null;
  readonly days: number;
  /** The file whose certificate is exchanged, and the step; null: the key of a new cluster. */
  readonly renew: { readonly path: string; readonly step: RenewStep } | null;
}

/** A node that runs, and what it takes to talk to it. */
export interface DoorOptions {
  readonly client: Address;
  readonly keyPath: string | null;
}

export interface StatusOptions extends DoorOptions {
  readonly json: boolean;
}

export interface StatsOptions extends StatusOptions {
  /** Whether to say what each counter counts. */
  readonly explain: boolean;
}

export interface GetOptions extends DoorOptions {
  /** Null: all of them. */
  readonly knob: string | null;
}

export const KEY_ACTIONS = ["list", "add", "use", "remove", "reload"] as const;
export type KeyAction = (typeof KEY_ACTIONS)[number];

export interface KeyOptions extends DoorOptions {
  readonly action: KeyAction;
  /** Base64 to add, null for a new one; a fingerprint to use or remove. */
  readonly key: string | null;
}

export interface DrainOptions extends DoorOptions {
  readonly drainTimeoutMs: number;
}

export interface SetOptions extends DoorOptions {
  readonly knob: string;
  readonly value: string;
}

export const SWAP_ACTIONS = ["on", "off", "status"] as const;

export type SwapOptions =
  | ({ readonly action: "on" } & SwapOnOptions)
  | ({ readonly action: "off" } & SwapOffOptions)
  | { readonly action: "status" };

/** By command: the options of each. */
export interface CommandOptions {
  readonly node: NodeConfig;
  readonly server: NodeConfig;
  readonly stress: StressOptions;
  readonly status: StatusOptions;
  readonly stats: StatsOptions;
  readonly get: GetOptions;
  readonly set: SetOptions;
  readonly drain: DrainOptions;
  readonly keygen: KeygenOptions;
  readonly key: KeyOptions;
  readonly swap: SwapOptions;
  readonly version: Readonly<Record<string, never>>;
}

export type CommandName = keyof CommandOptions;

/** A command with its options, checked. */
export type Invocation<C extends CommandName = CommandName> = {
  [K in C]: { readonly command: K; readonly options: CommandOptions[K] };
}[C];

/** A request for help, about one command or about all. */
export interface HelpRequest {
  readonly command: "help";
  readonly about: CommandName | null;
}
