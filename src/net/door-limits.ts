/**
 * DoorLimits: how many connections each door accepts. Together the doors leave descriptors for
 * links to peers, for the spill file and for the runtime. At the limit of descriptors the runtime
 * would spin in accept(2) and serve nobody. So the limit must never be reached.
 *
 * The runtime raises the soft limit to the hard limit when it starts.
 */
import {
  DESCRIPTORS_RESERVED,
  HANDSHAKES_MAX,
  NBD_HANDSHAKES_MAX,
} from "../core/admission-limits.ts";
import { CLIENTS_MAX, GOSSIP_STREAMS_MAX, NBD_CONNECTIONS_MAX, NODES_MAX } from "../core/limits.ts";

export interface DoorLimits {
  /** Unidentified connections. The peer port has as many, and the client door has as many. */
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

/** Strangers and known members have as many slots each (admission.ts). */
const DESCRIPTORS_WANTED =
  NODES_MAX +
  CLIENTS_MAX +
  2 * (2 * HANDSHAKES_MAX) +
  2 * GOSSIP_STREAMS_MAX +
  2 * NBD_HANDSHAKES_MAX +
  NBD_CONNECTIONS_MAX;

/** With too few descriptors each door gets its share of them, and at least one connection. */
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
