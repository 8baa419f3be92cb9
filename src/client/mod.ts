/** The public list of the package: `import { connect } from "ramster"`. */

export { type ErrorCode, RamsterError } from "../core/errors.ts";
export type { Figure } from "../core/figure.ts";
export { FIGURES } from "../core/figures.ts";
export type { Oid } from "../core/handle.ts";
export type {
  Counters,
  ExportStats,
  LendingStats,
  MemberStats,
  NodeStats,
  PeerStats,
  RepairStats,
  SpillStats,
} from "../wire/stats.ts";
export { type Client, type ConnectOptions, connect, type PoolOptions } from "./client.ts";
export { PageError } from "./errors.ts";
export type { GetOptions, PageKey, Pool, PutEntry, PutResult } from "./pool.ts";
