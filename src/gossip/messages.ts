/**
 * Messages of memberlist's protocol (hashicorp/memberlist, net.go and state.go; protocol versions 2
 * to 5) as this program sees them. Ids are memberlist's and are only ever added.
 *
 * A body travels as msgpack, a map from the field names of memberlist's Go structs to values, after
 * one byte of id. Which bytes those are is body.ts's business; here are only the shapes.
 *
 * Not here: what they mean for who is alive (src/cluster).
 */

/** First byte of every message. */
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

/** State of a member as it travels in a push/pull. */
export const MEMBER_STATE = { ALIVE: 0, SUSPECT: 1, DEAD: 2, LEFT: 3 } as const;
export type MemberState = (typeof MEMBER_STATE)[keyof typeof MEMBER_STATE];

/** Vsn of memberlist: pmin, pmax, pcur (protocol), dmin, dmax, dcur (delegate). */
export type Versions = readonly [number, number, number, number, number, number];

export interface Ping {
  readonly kind: "ping";
  readonly seq: number;
  /** Whom it is meant for: another node at that address does not answer. "" from old versions. */
  readonly node: string;
  /** Where to answer; without them (old versions) the sender of the packet. */
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
  /** Whether a nack is expected when the target stays silent. */
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
  /** Who suspects. */
  readonly from: string;
}

export interface Alive {
  readonly kind: "alive";
  readonly incarnation: number;
  readonly node: string;
  readonly addr: Uint8Array;
  readonly port: number;
  /** At most META_BYTES_MAX; Serf's tags. */
  readonly meta: Uint8Array;
  readonly vsn: Versions;
}

export interface Dead {
  readonly kind: "dead";
  readonly incarnation: number;
  readonly node: string;
  /** Who says so; the node itself when it leaves. */
  readonly from: string;
}

/** Bytes for the layer above: Serf's messages. */
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

/** Whole state, over a stream. */
export interface PushPull {
  readonly kind: "push-pull";
  readonly members: readonly PushPullMember[];
  /** Bytes of the layer above: Serf's push/pull body, or empty. */
  readonly userState: Uint8Array;
  /** The sender is about to join, as opposed to its regular exchange. */
  readonly join: boolean;
}

/** An answer over a stream that says why there is no other. */
export interface ErrorReply {
  readonly kind: "error";
  readonly error: string;
}

/** What travels in packets. */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User;
/** What travels on streams: the fallback ping with its ack, push/pull, and reliable user bytes. */
export type StreamMessage = Ping | Ack | PushPull | User | ErrorReply;
