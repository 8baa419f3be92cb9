/** Statuses of the store as errors of NBD: the one table, and how errors are counted. */
import { STATUS, type Status } from "../core/status.ts";
import { ERRNO, type Errno } from "../nbd/protocol.ts";
import type { NbdCounters } from "./counters.ts";

const ERRNOS: Readonly<Record<Status, Errno>> = {
  [STATUS.OK]: ERRNO.OK,
  // A put has this status when everything is full. A get that has it is retried.
  [STATUS.NO_ROOM]: ERRNO.ENOSPC,
  [STATUS.INDEX_FULL]: ERRNO.ENOSPC,
  [STATUS.POOLS_FULL]: ERRNO.ENOSPC,
  [STATUS.LOST]: ERRNO.EIO,
  [STATUS.CORRUPT]: ERRNO.EIO,
  [STATUS.UNREACHABLE]: ERRNO.EIO,
  [STATUS.FROZEN]: ERRNO.EIO,
  [STATUS.DISABLED]: ERRNO.EIO,
  // Never returned for the pool of an export.
  [STATUS.NOT_FOUND]: ERRNO.EIO,
  [STATUS.COMPRESS_POOR]: ERRNO.EIO,
  [STATUS.MEAN_COMPRESS_POOR]: ERRNO.EIO,
  [STATUS.UNKNOWN_POOL]: ERRNO.EIO,
  [STATUS.POOL_MISMATCH]: ERRNO.EIO,
  [STATUS.STALE]: ERRNO.EIO,
  [STATUS.BAD_REQUEST]: ERRNO.EIO,
  [STATUS.PENDING]: ERRNO.EIO,
};

export function errnoOf(status: Status): Errno {
  return ERRNOS[status];
}

/** Counts the outcome of a request, if it is an error. */
export function countError(counters: NbdCounters, error: Errno): void {
  if (error !== ERRNO.OK) counters.nbd_errors += 1;
  if (error === ERRNO.ENOSPC) counters.nbd_enospc += 1;
}
