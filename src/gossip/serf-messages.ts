/**
 * Serf's messages on top of memberlist (hashicorp/serf, messages.go and delegate.go): a member
 * leaves or joins, a user event, and the state of a push/pull. Queries are in serf-queries.ts.
 *
 *     id, u8 | msgpack
 *
 * Times are those of Serf's three Lamport clocks: for members, events and queries.
 */
import { createHash } from "node:crypto";
import { FOREIGN_NAME_BYTES_MAX, PACKET_BYTES_MAX } from "../core/limits.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields, shortest, textOf, u64Of } from "./msgpack.ts";

export const SERF = {
  LEAVE: 0,
  JOIN: 1,
  PUSH_PULL: 2,
  USER_EVENT: 3,
  QUERY: 4,
  QUERY_RESPONSE: 5,
  CONFLICT_RESPONSE: 6,
  KEY_REQUEST: 7,
  KEY_RESPONSE: 8,
  RELAY: 9,
} as const;

/** 128 bits in base64. */
const DIGEST_CHARS = 22;

/** A time of Serf's Lamport clocks, u64. */
export type LTime = bigint;

/** A member leaves or joins at this time. */
export interface Intent {
  readonly kind: "leave" | "join";
  readonly ltime: LTime;
  readonly node: string;
  /** Whether the member that leaves is to be forgotten at once. */
  readonly prune: boolean;
}

/** An event that a user of Serf sends to all members. */
export interface UserEvent {
  readonly name: string;
  readonly payload: Uint8Array;
}

/** Serf's state in a push/pull. Each clock's time is the next one. */
export interface SerfState {
  readonly ltime: LTime;
  /** The time of the last status of each member. */
  readonly statusLTimes: ReadonlyMap<string, LTime>;
  readonly leftMembers: readonly string[];
  readonly eventLTime: LTime;
  readonly events: ReadonlyArray<readonly [LTime, readonly UserEvent[]]>;
  readonly queryLTime: LTime;
}

export function encodeIntent({ kind, ltime, node, prune }: Intent): Uint8Array {
  const fields = { LTime: shortest(ltime), Node: node };
  if (kind === "join") return withId(SERF.JOIN, encodeMsgpack(fields));
  return withId(SERF.LEAVE, encodeMsgpack({ ...fields, Prune: prune }));
}

/** The body of a LEAVE or JOIN. Throws WireError BAD_FRAME, as every decoder here does. */
export function decodeIntent(kind: Intent["kind"], body: Uint8Array): Intent {
  const fields = new Fields(decodeMsgpack(body));
  const node = fields.text("Node", FOREIGN_NAME_BYTES_MAX);
  return { kind, ltime: fields.u64("LTime"), node, prune: fields.flag("Prune") };
}

/** The body of a USER_EVENT. */
export function decodeUserEvent(body: Uint8Array): { ltime: LTime; event: UserEvent } {
  const fields = new Fields(decodeMsgpack(body));
  return { ltime: fields.u64("LTime"), event: eventOf(fields) };
}

/** Identifies an event by its name and payload. */
export function digestOf({ name, payload }: UserEvent): string {
  const hash = createHash("sha256").update(`${name.length} ${name}`).update(payload);
  return hash.digest("base64").slice(0, DIGEST_CHARS);
}

function eventOf(fields: Fields): UserEvent {
  return {
    name: fields.text("Name", PACKET_BYTES_MAX),
    payload: fields.bytes("Payload", PACKET_BYTES_MAX),
  };
}

export function encodeSerfState(state: SerfState): Uint8Array {
  const times = [...state.statusLTimes].map(([name, time]) => [name, shortest(time)] as const);
  const events = state.events.map(([ltime, entries]) => ({
    LTime: shortest(ltime),
    Events: entries.map(({ name, payload }) => ({ Name: name, Payload: payload })),
  }));
  return withId(
    SERF.PUSH_PULL,
    encodeMsgpack({
      LTime: shortest(state.ltime),
      StatusLTimes: Object.fromEntries(times),
      LeftMembers: state.leftMembers,
      EventLTime: shortest(state.eventLTime),
      Events: events,
      QueryLTime: shortest(state.queryLTime),
    }),
  );
}

/** Null when the user state is not Serf's. */
export function decodeSerfState(userState: Uint8Array): SerfState | null {
  if (userState[0] !== SERF.PUSH_PULL) return null;
  const fields = new Fields(decodeMsgpack(userState.subarray(1)));
  const times = fields.entries("StatusLTimes").map(([name, time]) => {
    return [name, u64Of(time) ?? 0n] as const;
  });
  // Serf sends its buffer as it is: null where no event came.
  const events = fields.list("Events").filter((it) => it !== null);
  return {
    ltime: fields.u64("LTime"),
    statusLTimes: new Map(times),
    leftMembers: fields.list("LeftMembers").map((name) => textOf(name, "LeftMembers")),
    eventLTime: fields.u64("EventLTime"),
    events: events.map((it) => {
      const at = new Fields(it);
      const entries = at.list("Events").map((event) => eventOf(new Fields(event)));
      return [at.u64("LTime"), entries] as const;
    }),
    queryLTime: fields.u64("QueryLTime"),
  };
}
