/**
 * What Serf says on top of memberlist, as far as membership goes (hashicorp/serf, messages.go and
 * delegate.go): that a member leaves on purpose, that it is back, and what was said so far.
 *
 *     id, u8 | msgpack
 *
 * Times are Lamport times of Serf's own clock. Events and queries of Serf are for others: they are
 * skipped.
 */
import { MEMBER_NAME_BYTES_MAX } from "../core/limits.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields, textOf } from "./msgpack.ts";

export const SERF = { LEAVE: 0, JOIN: 1, PUSH_PULL: 2 } as const;

/** Lamport times are u64 there; past this they are no longer exact here, and refused. */
const LTIME_MAX = Number.MAX_SAFE_INTEGER;

/** A member leaves, or is there, as of this time. */
export interface Intent {
  readonly kind: "leave" | "join";
  readonly ltime: number;
  readonly node: string;
}

/** All that Serf tells in a push/pull. */
export interface SerfState {
  readonly ltime: number;
  /** When each member's status was last said. */
  readonly statusLTimes: ReadonlyMap<string, number>;
  readonly leftMembers: readonly string[];
}

export function encodeIntent({ kind, ltime, node }: Intent): Uint8Array {
  const fields = { LTime: ltime, Node: node };
  if (kind === "join") return withId(SERF.JOIN, encodeMsgpack(fields));
  return withId(SERF.LEAVE, encodeMsgpack({ ...fields, Prune: false }));
}

/** Null for what is no intent. Throws WireError BAD_FRAME when it is one that cannot be read. */
export function decodeIntent(message: Uint8Array): Intent | null {
  const id = message[0];
  if (id !== SERF.LEAVE && id !== SERF.JOIN) return null;
  const fields = new Fields(decodeMsgpack(message.subarray(1)));
  const kind = id === SERF.LEAVE ? "leave" : "join";
  const node = fields.text("Node", MEMBER_NAME_BYTES_MAX);
  return { kind, ltime: fields.count("LTime", LTIME_MAX), node };
}

export function encodeSerfState({ ltime, statusLTimes, leftMembers }: SerfState): Uint8Array {
  return withId(
    SERF.PUSH_PULL,
    encodeMsgpack({
      LTime: ltime,
      StatusLTimes: Object.fromEntries(statusLTimes),
      LeftMembers: leftMembers,
      EventLTime: 0,
      Events: null,
      QueryLTime: 0,
    }),
  );
}

/** Null for what is none. Throws WireError BAD_FRAME when it is one that cannot be read. */
export function decodeSerfState(userState: Uint8Array): SerfState | null {
  if (userState[0] !== SERF.PUSH_PULL) return null;
  const fields = new Fields(decodeMsgpack(userState.subarray(1)));
  const times = fields.entries("StatusLTimes").map(([name, time]) => {
    return [name, typeof time === "number" && time <= LTIME_MAX ? time : 0] as const;
  });
  return {
    ltime: fields.count("LTime", LTIME_MAX),
    statusLTimes: new Map(times),
    leftMembers: fields.list("LeftMembers").map((name) => textOf(name, "LeftMembers")),
  };
}
