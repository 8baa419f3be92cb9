/**
 * Expected outcomes of an operation on pages: one closed table for the store, the wire (one
 * byte an entry) and the client library. Zero is success. Numbers are only ever added, never
 * reused, since they are part of the protocol.
 */
export const STATUS = {
  /** Stored, found or flushed. */
  OK: 0,
  /** Nothing is stored under the handle (for a get: a miss). */
  NOT_FOUND: 1,
  /** There is no free frame, and none that may be evicted. */
  NO_ROOM: 2,
  /** The page compresses to more than its kind may (docs/original.md, "Accept or refuse"). */
  COMPRESS_POOR: 3,
  /** The page compresses badly, and so does the whole store on average (the same section). */
  MEAN_COMPRESS_POOR: 4,
  /** The store is frozen: the put acted as a flush. */
  FROZEN: 5,
  UNKNOWN_POOL: 6,
  /** The pool exists, and is ephemeral instead of persistent, or the reverse. */
  POOL_MISMATCH: 7,
  /** No free pool slot. */
  POOLS_FULL: 8,
  /** The index has no free page or object record. */
  INDEX_FULL: 9,
  /** The bytes do not match their checksum. */
  CORRUPT: 10,
  /** A persistent page was accepted and has no copy left. This is an error, never a miss. */
  LOST: 11,
  /** The holder has a newer version and did nothing. */
  STALE: 12,
  /** This node lends nothing: it stores no pages for others. */
  DISABLED: 13,
  /** The request is well framed, and a field has a value that is not allowed. */
  BAD_REQUEST: 14,
  /** The page is remote, and its bytes come later. Never on the wire. */
  PENDING: 15,
  /**
   * The page is remote and no holder answers now. It is not lost: a later get may succeed.
   */
  UNREACHABLE: 16,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

const NAMES: readonly string[] = Object.keys(STATUS).map((name) => name.toLowerCase());

/** `"no_room"` for STATUS.NO_ROOM: the spelling in reports, counters and the client library. */
export function statusName(status: number): string {
  return NAMES[status] ?? `status_${status}`;
}
