/** Settings of Ramster: the part of a node's configuration that concerns its own pages. */
import type { ColdSettings } from "../cold/cold-tier.ts";
import type { ZcacheOptions } from "../zcache/zcache.ts";
import type { Replicas, Target } from "./holders/lenders.ts";
import type { SelfshrinkSettings } from "./policy.ts";
import type { RemotifySettings } from "./remotify/remotify.ts";

export interface TrickleSettings {
  /** Frames of each kind in each period. 0: none. The original has 100. */
  frames: number;
  periodMs: number;
  /** The time before the first period. */
  firstMs: number;
}

export interface RamsterSettings extends ZcacheOptions, RemotifySettings, ColdSettings {
  requestTimeoutMs: number;
  /** Where pages go from the start. */
  target: Target;
  /** Remote copies of each persistent page. */
  replicas: Replicas;
  /** Whether a copy on the disk replaces one in a missing zone. */
  replicasOnDisk: boolean;
  /** The size of the file on the disk. Ignored without a disk. */
  spillBytes: number;
  trickle: TrickleSettings;
  selfshrink: SelfshrinkSettings;
}
