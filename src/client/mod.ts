/** The public list of the package: `import { connect } from "@ramster/client"`. */

export { type ErrorCode, RamsterError } from "../core/errors.ts";
export type { Figure } from "../core/figure.ts";
export { FIGURES } from "../core/figures.ts";
export type { Oid } from "../core/handle.ts";
export type {
  Counters,
  Events,
  ExportStats,
  LendingStats,
  MemberStats,
  NodeStats,
  PeerStats,
  RepairStats,
  SpillStats,
} from "../wire/stats.ts";
export type { Client, ConnectOptions, PoolOptions } from "./client.ts";
export { PageError, type Refusal } from "./errors.ts";
export type { Key, ObjectKey, PageKey } from "./keys.ts";
export { connect } from "./on-node.ts";
export type { GetOptions, Pool, PutEntry, PutResult } from "./pool.ts";
export { type MapOptions, RemoteMap, type ValueCodec } from "./remote-map.ts";
export type { CallOptions, CallSignal } from "./signal.ts";
