/**
 * DoorLimits: how many connections each door takes, so that all of them together leave descriptors
 * for links to peers, for the spill file and for what the runtime needs. At the limit of
 * descriptors the runtime spins in accept(2) and serves nobody, so it is never reached.
 *
 * The runtime raises the soft limit to the hard one when it starts.
 */
import {
  DESCRIPTORS_RESERVED,
  HANDSHAKES_MAX,
  NBD_HANDSHAKES_MAX,
} from "../core/admission-limits.ts";
import { CLIENTS_MAX, GOSSIP_STREAMS_MAX, NBD_CONNECTIONS_MAX, NODES_MAX } from "../core/limits.ts";

export interface DoorLimits {
  /** Connections that have not said who they are: at the peer port, and at the client door. */
  readonly handshakes: number;
  readonly clients: number;
  readonly gossipStreams: number;
  readonly nbdHandshakes: number;
  readonly nbdConnections: number;
}

export const DOOR_LIMITS: DoorLimits = {
  handshakes: HANDSHAKES_MAX,
  clients: CLIENTS_MAX,
  gossipStreams: GOSSIP_STREAMS_MAX,
  nbdHandshakes: NBD_HANDSHAKES_MAX,
  nbdConnections: NBD_CONNECTIONS_MAX,
};

/** Strangers and known members have as many places each: see admission.ts. */
const DESCRIPTORS_WANTED =
  NODES_MAX +
  CLIENTS_MAX +
  2 * (2 * HANDSHAKES_MAX) +
  2 * GOSSIP_STREAMS_MAX +
  2 * NBD_HANDSHAKES_MAX +
  NBD_CONNECTIONS_MAX;

/** With fewer descriptors than all doors want each has its part, and one at least. */
export function doorLimits(descriptors: number): DoorLimits {
  const part = Math.max(0, (descriptors - DESCRIPTORS_RESERVED) / DESCRIPTORS_WANTED);
  if (part >= 1) return DOOR_LIMITS;
  const of = (most: number): number => Math.max(1, Math.floor(most * part));
  return {
    handshakes: of(DOOR_LIMITS.handshakes),
    clients: of(DOOR_LIMITS.clients),
    gossipStreams: of(DOOR_LIMITS.gossipStreams),
    nbdHandshakes: of(DOOR_LIMITS.nbdHandshakes),
    nbdConnections: of(DOOR_LIMITS.nbdConnections),
  };
}
