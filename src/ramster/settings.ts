/** Settings of Ramster: what a node's configuration says of its own pages. */
import type { ZcacheOptions } from "../zcache/zcache.ts";
import type { Replicas, Target } from "./holders/lenders.ts";
import type { SelfshrinkSettings } from "./policy.ts";
import type { RemotifySettings } from "./remotify/remotify.ts";

export interface TrickleSettings {
  /** Frames of each kind a period; 0: none. The original: 100. */
  frames: number;
  periodMs: number;
  /** Before the first period. */
  firstMs: number;
}

export interface RamsterSettings extends ZcacheOptions, RemotifySettings {
  requestTimeoutMs: number;
  /** Where pages go from the start. */
  target: Target;
  /** Remote copies of each persistent page. */
  replicas: Replicas;
  /** A copy on the disk replaces one for which there is no zone. */
  replicasOnDisk: boolean;
  /** Size of the file on the disk. Ignored without a disk. */
  spillBytes: number;
  trickle: TrickleSettings;
  selfshrink: SelfshrinkSettings;
}
