/**
 * Transport status, the first of the two statuses of a reply: whether the request reached a
 * handler. It is `sys_status` in docs/original.md, "Messages and ports". The second is the
 * handler's answer (core/status.ts).
 *
 * Only the first three are sent. The others are conclusions of one side.
 */
export const TRANSPORT_STATUS = {
  NONE: 0,
  /** The other side has no handler for this type of request. */
  NO_HANDLER: 1,
  /** The request is longer, or has more entries, than the other side accepts. */
  OVERFLOW: 2,
  /** The link closed before the reply came. The request may have been served. */
  DIED: 3,
  /** No reply before the deadline. The request may have been served, or be served later. */
  TIMED_OUT: 4,
  /** There was no link. */
  NOT_CONNECTED: 5,
} as const;

/** The highest that may be on the wire. */
export const TRANSPORT_STATUS_WIRE_MAX = TRANSPORT_STATUS.OVERFLOW;

const NAMES: readonly string[] = Object.keys(TRANSPORT_STATUS).map((name) => name.toLowerCase());

export function transportStatusName(status: number): string {
  return NAMES[status] ?? `transport_status_${status}`;
}
