/** Counters of all connections with one peer. They never go down. */
export class LinkCounters {
  bytes_sent = 0;
  bytes_received = 0;
  messages_sent = 0;
  messages_received = 0;
  /** Requests without a reply before their deadline. */
  requests_timed_out = 0;
  /** Requests that were outstanding when the link closed. */
  requests_died = 0;
  /** Replies that came after their request had timed out, and were ignored. */
  replies_late = 0;
  /** Requests that were deferred because the other side did not take its replies. */
  requests_held = 0;
  /** Protocol violations; each closed its link. */
  malformed = 0;
  keepalives_sent = 0;
  /** Links closed because nothing was received. */
  idle_timeouts = 0;
  dials = 0;
  dials_failed = 0;
  /** Handshakes that either side refused. */
  handshakes_refused = 0;
  /** Links closed because both sides had dialled at once. */
  duplicates_closed = 0;
  links_up = 0;
  links_down = 0;

  /** Values by name, for reports. */
  snapshot(): Record<string, number> {
    return Object.fromEntries(Object.entries(this));
  }

  /** Adds what a connection counted before its peer was identified. */
  add(other: LinkCounters): void {
    const mine: Record<string, number> = this.snapshot();
    for (const [name, value] of Object.entries(other)) mine[name] = (mine[name] ?? 0) + value;
    Object.assign(this, mine);
  }
}
