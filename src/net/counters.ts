/** Counters of the links to one peer, over all its connections. Only ever counted up. */
export class LinkCounters {
  bytes_sent = 0;
  bytes_received = 0;
  messages_sent = 0;
  messages_received = 0;
  /** No reply before the deadline. */
  requests_timed_out = 0;
  /** Outstanding when the link went. */
  requests_died = 0;
  /** Came after their request had timed out, and were ignored. */
  replies_late = 0;
  /** Requests that waited because the other side does not take its replies. */
  requests_held = 0;
  /** Bytes that broke the protocol; each closed its link. */
  malformed = 0;
  keepalives_sent = 0;
  /** Links closed because nothing was heard. */
  idle_timeouts = 0;
  dials = 0;
  dials_failed = 0;
  /** Handshakes that either side refused. */
  handshakes_refused = 0;
  /** Links given up for the other of two dialled at once. */
  duplicates_closed = 0;
  links_up = 0;
  links_down = 0;

  /** Names to values, for reports. */
  snapshot(): Record<string, number> {
    return Object.fromEntries(Object.entries(this));
  }

  /** Adds what was counted before it was known whose link it is. */
  add(other: LinkCounters): void {
    const mine: Record<string, number> = this.snapshot();
    for (const [name, value] of Object.entries(other)) mine[name] = (mine[name] ?? 0) + value;
    Object.assign(this, mine);
  }
}
