/**
 * Transport status, the first of the two statuses of a reply: did the request reach a handler?
 * It is `sys_status` of docs/original.md, "messages and ports". The second is the handler's answer
 * (core/status.ts).
 *
 * The first three travel; the others are what a side concludes by itself.
 */
export const TRANSPORT_STATUS = {
  NONE: 0,
  /** Nobody there knows this type of request. */
  NO_HANDLER: 1,
  /** The request is longer, or has more entries, than the other side takes. */
  OVERFLOW: 2,
  /** The link went before the reply came. The request may have been served. */
  DIED: 3,
  /** No reply before the deadline. The request may have been served, or still be. */
  TIMED_OUT: 4,
  /** There was no link to send it on. */
  NOT_CONNECTED: 5,
} as const;

/** The highest that may be on the wire. */
export const TRANSPORT_STATUS_WIRE_MAX = TRANSPORT_STATUS.OVERFLOW;

const NAMES: readonly string[] = Object.keys(TRANSPORT_STATUS).map((name) => name.toLowerCase());

export function transportStatusName(status: number): string {
  return NAMES[status] ?? `transport_status_${status}`;
}
