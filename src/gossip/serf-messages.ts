/**
 * What Serf says on top of memberlist, as far as membership goes (hashicorp/serf, messages.go and
 * delegate.go): that a member leaves on purpose, that it is back, and what was said so far.
 *
 *     id, u8 | msgpack
 *
 * Times are Lamport times of Serf's own clock. Events and queries of Serf are for others: they are
 * skipped.
 */
import { FOREIGN_NAME_BYTES_MAX } from "../core/limits.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields, shortest, textOf, u64Of } from "./msgpack.ts";

export const SERF = { LEAVE: 0, JOIN: 1, PUSH_PULL: 2 } as const;

/** A time of Serf's Lamport clocks, u64. */
export type LTime = bigint;

/** A member leaves, or is there, as of this time. */
export interface Intent {
  readonly kind: "leave" | "join";
  readonly ltime: LTime;
  readonly node: string;
}

/** All that Serf tells in a push/pull. */
export interface SerfState {
  readonly ltime: LTime;
  /** When each member's status was last said. */
  readonly statusLTimes: ReadonlyMap<string, LTime>;
  readonly leftMembers: readonly string[];
}

export function encodeIntent({ kind, ltime, node }: Intent): Uint8Array {
  const fields = { LTime: shortest(ltime), Node: node };
  if (kind === "join") return withId(SERF.JOIN, encodeMsgpack(fields));
  return withId(SERF.LEAVE, encodeMsgpack({ ...fields, Prune: false }));
}

/** Null for what is no intent. Throws WireError BAD_FRAME when it is one that cannot be read. */
export function decodeIntent(message: Uint8Array): Intent | null {
  const id = message[0];
  if (id !== SERF.LEAVE && id !== SERF.JOIN) return null;
  const fields = new Fields(decodeMsgpack(message.subarray(1)));
  const kind = id === SERF.LEAVE ? "leave" : "join";
  const node = fields.text("Node", FOREIGN_NAME_BYTES_MAX);
  return { kind, ltime: fields.u64("LTime"), node };
}

export function encodeSerfState({ ltime, statusLTimes, leftMembers }: SerfState): Uint8Array {
  const times = [...statusLTimes].map(([name, time]) => [name, shortest(time)] as const);
  return withId(
    SERF.PUSH_PULL,
    encodeMsgpack({
      LTime: shortest(ltime),
      StatusLTimes: Object.fromEntries(times),
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
    return [name, u64Of(time) ?? 0n] as const;
  });
  return {
    ltime: fields.u64("LTime"),
    statusLTimes: new Map(times),
    leftMembers: fields.list("LeftMembers").map((name) => textOf(name, "LeftMembers")),
  };
}
