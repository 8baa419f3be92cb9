/** The public list of the package: `import { connect } from "ramster"`. */

export { type ErrorCode, RamsterError } from "../core/errors.ts";
export type { Oid } from "../core/handle.ts";
export {
  type Client,
  type ConnectOptions,
  connect,
  type LendingStats,
  type MemberStats,
  type NodeStats,
  type PeerStats,
  type PoolOptions,
  type RepairStats,
  type SpillStats,
} from "./client.ts";
export { PageError } from "./errors.ts";
export type { GetOptions, PageKey, Pool, PutEntry, PutResult } from "./pool.ts";
