/**
 * Messages of memberlist's protocol (hashicorp/memberlist, net.go and state.go; protocol versions 2
 * to 5) as this program sees them. Ids are memberlist's: ids are added, never reused.
 *
 * A message is one byte of id and a msgpack map, whose keys are the field names of memberlist's Go
 * structs. body.ts knows the bytes; this file has only the types.
 *
 * Not here: what the messages mean for who is alive (src/cluster).
 */

/** The first byte of every message. */
export const GOSSIP = {
  PING: 0,
  INDIRECT_PING: 1,
  ACK: 2,
  SUSPECT: 3,
  ALIVE: 4,
  DEAD: 5,
  PUSH_PULL: 6,
  COMPOUND: 7,
  USER: 8,
  COMPRESS: 9,
  ENCRYPT: 10,
  NACK: 11,
  HAS_CRC: 12,
  ERR: 13,
  HAS_LABEL: 244,
} as const;

/** The state of a member in a push/pull. */
export const MEMBER_STATE = { ALIVE: 0, SUSPECT: 1, DEAD: 2, LEFT: 3 } as const;
export type MemberState = (typeof MEMBER_STATE)[keyof typeof MEMBER_STATE];

/** memberlist's Vsn: pmin, pmax, pcur (protocol), dmin, dmax, dcur (delegate). */
export type Versions = readonly [number, number, number, number, number, number];

export interface Ping {
  readonly kind: "ping";
  readonly seq: number;
  /** The member that is probed: no other node at its address answers. "" from old versions. */
  readonly node: string;
  /** Where to answer. Without it (old versions) the answer goes to the sender of the packet. */
  readonly sourceAddr: Uint8Array;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

export interface IndirectPing {
  readonly kind: "indirect-ping";
  readonly seq: number;
  /** IPv4 (4 bytes) or IPv6 (16 bytes). */
  readonly target: Uint8Array;
  readonly port: number;
  readonly node: string;
  /** Whether a nack is expected when the target does not answer. */
  readonly nack: boolean;
  readonly sourceAddr: Uint8Array;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

export interface Ack {
  readonly kind: "ack";
  readonly seq: number;
  readonly payload: Uint8Array;
}

export interface Nack {
  readonly kind: "nack";
  readonly seq: number;
}

export interface Suspect {
  readonly kind: "suspect";
  readonly incarnation: number;
  readonly node: string;
  /** The member that suspects. */
  readonly from: string;
}

export interface Alive {
  readonly kind: "alive";
  readonly incarnation: number;
  readonly node: string;
  readonly addr: Uint8Array;
  readonly port: number;
  /** Serf's tags: at most META_BYTES_MAX. */
  readonly meta: Uint8Array;
  readonly vsn: Versions;
}

export interface Dead {
  readonly kind: "dead";
  readonly incarnation: number;
  readonly node: string;
  /** The member that reports the death; the node itself when it leaves. */
  readonly from: string;
}

/** A message of the layer above, Serf. */
export interface User {
  readonly kind: "user";
  readonly bytes: Uint8Array;
}

export interface PushPullMember {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly incarnation: number;
  readonly state: MemberState;
  readonly vsn: Versions;
}

/** The whole state of a member, over a stream. */
export interface PushPull {
  readonly kind: "push-pull";
  readonly members: readonly PushPullMember[];
  /** The state of the layer above: Serf's push/pull, or empty. */
  readonly userState: Uint8Array;
  /** Whether the sender joins. False in its regular exchanges. */
  readonly join: boolean;
}

/** The answer over a stream to a request that was refused, with the reason. */
export interface ErrorReply {
  readonly kind: "error";
  readonly error: string;
}

/** The messages in packets. */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User;
/** The messages on streams: fallback ping and its ack, push/pull, reliable user messages. */
export type StreamMessage = Ping | Ack | PushPull | User | ErrorReply;
