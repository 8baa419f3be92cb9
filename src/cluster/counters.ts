/** Counters of membership. */
export class ClusterCounters {
  packets_sent = 0;
  packets_received = 0;
  packet_bytes_sent = 0;
  packet_bytes_received = 0;
  /** Malformed, not authentic, of another cluster. */
  packets_refused = 0;
  /** Parts of datagrams that were read otherwise. */
  messages_unread = 0;
  streams_opened = 0;
  streams_accepted = 0;
  streams_refused = 0;
  stream_bytes_sent = 0;
  stream_bytes_received = 0;
  probes = 0;
  probes_failed = 0;
  indirect_probes = 0;
  /** Answered over a stream and not by datagrams: a firewall in between. */
  probes_by_stream = 0;
  push_pulls = 0;
  push_pulls_failed = 0;
  /** Members of push/pulls that were read otherwise, and those that were too many for one. */
  members_unread = 0;
  suspicions = 0;
  deaths = 0;
  /** How often this node was thought dead and objected. */
  refutes = 0;
  name_conflicts = 0;
  /** News of members past the table. */
  members_refused = 0;
  /** News of members whose versions do not fit. */
  members_unfit = 0;
}
