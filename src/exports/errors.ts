/** Outcomes of the store as errors of NBD: the one table. */
import { STATUS, type Status } from "../core/status.ts";
import { ERRNO, type Errno } from "../nbd/protocol.ts";

const ERRNOS: Readonly<Record<Status, Errno>> = {
  [STATUS.OK]: ERRNO.OK,
  // Of a put: everything is full. Of a get it is asked again.
  [STATUS.NO_ROOM]: ERRNO.ENOSPC,
  [STATUS.INDEX_FULL]: ERRNO.ENOSPC,
  [STATUS.POOLS_FULL]: ERRNO.ENOSPC,
  [STATUS.LOST]: ERRNO.EIO,
  [STATUS.CORRUPT]: ERRNO.EIO,
  [STATUS.UNREACHABLE]: ERRNO.EIO,
  [STATUS.FROZEN]: ERRNO.EIO,
  [STATUS.DISABLED]: ERRNO.EIO,
  // What an export never gets from its own pool.
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
