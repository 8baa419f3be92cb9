/** Options: a checked command line, with one type for each command. */
import type { Address } from "../net/address.ts";
import type { RenewStep } from "../security/renew-key.ts";
import type { ShellName } from "./completion/scripts.ts";
import type { Subject } from "./estimate/page-sample.ts";
import type { LocalNode } from "./local-nodes.ts";
import type { SwapRotateOptions } from "./swap/swap-rotate.ts";
import type { SwapOffOptions, SwapOnOptions } from "./swap/swap-steps.ts";

export interface KeygenOptions {
  /** Null: standard output. */
  readonly outPath: string | null;
  readonly days: number;
  /** The file whose certificate is replaced, and the step. Null: make the key of a new cluster. */
  readonly renew: { readonly path: string; readonly step: RenewStep } | null;
  /** The key file whose certificate is written, and the folder for its files. Null: none is. */
  readonly pem: { readonly from: string; readonly folder: string } | null;
  readonly json: boolean;
}

export interface EstimateOptions {
  readonly subject: Subject;
  readonly json: boolean;
}

export interface CompletionOptions {
  readonly shell: ShellName;
}

/** A running node, and what is needed to connect to it. */
export interface DoorOptions {
  readonly client: Address | LocalNode;
  readonly keyPath: string | null;
}

export interface StatusOptions extends DoorOptions {
  readonly json: boolean;
  /** Whether to print the verdict alone, and end with its level. */
  readonly check: boolean;
}

export interface MonitorOptions extends DoorOptions {
  readonly json: boolean;
  /** Whether to print what the node keeps, and end. */
  readonly once: boolean;
  /** The age of the oldest event to print. Null: all that the node keeps. */
  readonly sinceMs: number | null;
}

export interface TopOptions extends DoorOptions {
  readonly json: boolean;
  /** Whether to show one reading, and end. */
  readonly once: boolean;
  /** The time between two readings. */
  readonly intervalMs: number;
}

export interface StatsOptions extends DoorOptions {
  readonly json: boolean;
  /** Whether to explain each counter. */
  readonly explain: boolean;
}

export interface VersionOptions {
  readonly json: boolean;
}

export interface GetOptions extends DoorOptions {
  readonly json: boolean;
  /** Null: all knobs. */
  readonly knob: string | null;
}

export const KEY_ACTIONS = ["list", "add", "use", "remove", "rotate", "reload"] as const;
export type KeyAction = (typeof KEY_ACTIONS)[number];

export interface KeyOptions extends DoorOptions {
  readonly json: boolean;
  readonly action: KeyAction;
  /** To add: base64, or null for a new key. Else a fingerprint: to rotate, null for a new key. */
  readonly key: string | null;
  /** To rotate although members are dead. */
  readonly force: boolean;
}

export interface UndrainOptions extends DoorOptions {
  readonly json: boolean;
}

export interface DrainOptions extends DoorOptions {
  readonly json: boolean;
  readonly drainTimeoutMs: number;
}

export interface SetOptions extends DoorOptions {
  readonly json: boolean;
  readonly knob: string;
  readonly value: string;
}

export const SWAP_ACTIONS = ["on", "off", "rotate", "status"] as const;

export type SwapAction =
  | ({ readonly action: "on" } & SwapOnOptions & Pick<DoorOptions, "client">)
  | ({ readonly action: "off" } & SwapOffOptions & Pick<DoorOptions, "client">)
  | ({ readonly action: "rotate" } & SwapRotateOptions & DoorOptions)
  | { readonly action: "status" };

export type SwapOptions = SwapAction & { readonly json: boolean };
