/** Failures of the client library that carry more than a code, and why a put may be refused. */
import { RamsterError } from "../core/errors.ts";
import { STATUS, statusName } from "../core/status.ts";
import { TRANSPORT_STATUS, transportStatusName } from "../wire/status.ts";

/**
 * A persistent page that was accepted cannot be read. Code LOST: it has no copy left. UNREACHABLE:
 * no holder answers now, and a later get may succeed. Never thrown for a miss.
 */
export class PageError extends RamsterError {
  override readonly name = "PageError";
  /** For getMany: the result of each key, in order, with the pages that were read. */
  readonly results: ReadonlyArray<Uint8Array | null | "lost" | "unreachable">;

  constructor(
    code: "LOST" | "UNREACHABLE",
    message: string,
    results: ReadonlyArray<Uint8Array | null | "lost" | "unreachable">,
  ) {
    super(code, message);
    this.results = results;
  }
}

/** Why a put was refused: names of the table of statuses. */
export type Refusal =
  /** There is no free memory, and none that may be evicted. */
  | "no_room"
  /** The page hardly compresses, and its pool does not store such pages whole. */
  | "compress_poor"
  /** The page compresses badly, and so does all that the node stores. */
  | "mean_compress_poor"
  /** The node is frozen. */
  | "frozen"
  /** The node's index is full. */
  | "index_full"
  /** A status that this version of the library does not know, or does not expect. */
  | "other";

const REFUSALS: ReadonlyMap<number, Refusal> = new Map<number, Refusal>([
  [STATUS.NO_ROOM, "no_room"],
  [STATUS.COMPRESS_POOR, "compress_poor"],
  [STATUS.MEAN_COMPRESS_POOR, "mean_compress_poor"],
  [STATUS.FROZEN, "frozen"],
  [STATUS.INDEX_FULL, "index_full"],
]);

export function refusalOf(status: number): Refusal {
  return REFUSALS.get(status) ?? "other";
}

/** `what`: such as `get pages of pool 3`. */
export function poolGone(what: string): RamsterError {
  const name = statusName(STATUS.UNKNOWN_POOL);
  const message = `Cannot ${what}: it was destroyed, or its node has restarted (${name})`;
  return new RamsterError("POOL_GONE", message);
}

export function closedError(reason: string): RamsterError {
  return new RamsterError("CLOSED", `Cannot reach the node: ${reason}`);
}

/** For a request that has no reply. */
export function failureOf(transportStatus: number): RamsterError {
  switch (transportStatus) {
    case TRANSPORT_STATUS.TIMED_OUT:
      return new RamsterError("TIMED_OUT", "Cannot get an answer from the node: timed out");
    case TRANSPORT_STATUS.NO_HANDLER:
      return new RamsterError("NOT_SUPPORTED", "Cannot ask this of the node: it does not know it");
    case TRANSPORT_STATUS.DIED:
      return closedError("it has closed");
    default:
      return closedError(transportStatusName(transportStatus));
  }
}
