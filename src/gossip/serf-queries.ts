/**
 * Queries of Serf, and what answers them (hashicorp/serf, messages.go and internal_query.go).
 *
 *     query     id 4 | msgpack        gossiped to all
 *     response  id 5 | msgpack        from each to the member that asks: an acknowledgement, or
 *                                     an answer with a message of its own in it
 *     relay     id 9 | msgpack | a message, for the member at the address in front of it
 *
 * Queries whose names begin with "_serf_" are for the agents themselves, not for who runs them.
 */
import { FOREIGN_NAME_BYTES_MAX, PACKET_BYTES_MAX } from "../core/limits.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields, msgpackEnd, shortest, textOf } from "./msgpack.ts";
import { type LTime, SERF } from "./serf-messages.ts";

export const INTERNAL_QUERY_PREFIX = "_serf_";

const QUERY_FLAG = { ACK: 1, NO_BROADCAST: 2 } as const;
const FILTER = { NODE: 0, TAG: 1 } as const;
const IP_BYTES_MAX = 16;
const PORT_MAX = 65_535;

/** Only who passes all filters of a query answers it. */
export type Filter =
  | { readonly kind: "nodes"; readonly names: readonly string[] }
  /** `expression`: a regular expression of Go's. */
  | { readonly kind: "tag"; readonly tag: string; readonly expression: string }
  /** A filter of a later version, which no member passes. */
  | { readonly kind: "unknown" };

export interface Query {
  readonly ltime: LTime;
  readonly id: number;
  /** Who asks. */
  readonly addr: Uint8Array;
  readonly port: number;
  readonly source: string;
  readonly filters: readonly Filter[];
  readonly wantsAck: boolean;
  /** Whether it travels on. */
  readonly isBroadcast: boolean;
  /** How many members each answer goes through beside the direct way. */
  readonly relays: number;
  readonly name: string;
  readonly payload: Uint8Array;
}

/** The answer to a query; null payload: the acknowledgement. */
export interface QueryResponse {
  readonly ltime: LTime;
  readonly id: number;
  readonly from: string;
  readonly payload: Uint8Array | null;
}

export interface Relay {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly message: Uint8Array;
}

/** Throws WireError BAD_FRAME, as all here that read. */
export function decodeQuery(body: Uint8Array): Query {
  const fields = new Fields(decodeMsgpack(body));
  const flags = fields.count("Flags");
  return {
    ltime: fields.u64("LTime"),
    id: fields.count("ID"),
    addr: fields.bytes("Addr", IP_BYTES_MAX),
    port: fields.count("Port", PORT_MAX),
    source: fields.text("SourceNode", FOREIGN_NAME_BYTES_MAX),
    filters: fields.list("Filters").map(decodeFilter),
    wantsAck: (flags & QUERY_FLAG.ACK) !== 0,
    isBroadcast: (flags & QUERY_FLAG.NO_BROADCAST) === 0,
    relays: fields.count("RelayFactor", 255),
    name: fields.text("Name", PACKET_BYTES_MAX),
    payload: fields.bytes("Payload", PACKET_BYTES_MAX),
  };
}

function decodeFilter(value: unknown): Filter {
  if (!(value instanceof Uint8Array)) return { kind: "unknown" };
  const body = value.subarray(1);
  switch (value[0]) {
    case FILTER.NODE: {
      const names = decodeMsgpack(body);
      if (!Array.isArray(names)) return { kind: "unknown" };
      return { kind: "nodes", names: names.map((name) => textOf(name, "Filters")) };
    }
    case FILTER.TAG: {
      const fields = new Fields(decodeMsgpack(body));
      const tag = fields.text("Tag", PACKET_BYTES_MAX);
      return { kind: "tag", tag, expression: fields.text("Expr", PACKET_BYTES_MAX) };
    }
    default:
      return { kind: "unknown" };
  }
}

export function encodeQueryResponse({ ltime, id, from, payload }: QueryResponse): Uint8Array {
  const flags = payload === null ? QUERY_FLAG.ACK : 0;
  const fields = { LTime: shortest(ltime), ID: id, From: from, Flags: flags, Payload: payload };
  return withId(SERF.QUERY_RESPONSE, encodeMsgpack(fields));
}

/** `message`: a whole one of Serf. */
export function encodeRelay({ addr, port, message }: Relay, name: string): Uint8Array {
  const address = { IP: addr, Port: port, Zone: "" };
  const header = encodeMsgpack({ DestAddr: address, DestName: name });
  const bytes = new Uint8Array(header.byteLength + message.byteLength);
  bytes.set(header);
  bytes.set(message, header.byteLength);
  return withId(SERF.RELAY, bytes);
}

export function decodeRelay(body: Uint8Array): Relay {
  const end = msgpackEnd(body, 0);
  const header = new Fields(decodeMsgpack(body.subarray(0, Math.max(0, end))));
  const address = header.inner("DestAddr");
  const addr = address.bytes("IP", IP_BYTES_MAX);
  return { addr, port: address.count("Port", PORT_MAX), message: body.subarray(end) };
}

/** The key that a query about keys is for; empty when it lists them. */
export function decodeKeyRequest(payload: Uint8Array): Uint8Array {
  return new Fields(decodeMsgpack(payload.subarray(1))).bytes("Key", PACKET_BYTES_MAX);
}

/** Whether it was done; `message` says why not. `keys`: base64, the one that encrypts first. */
export function encodeKeyResponse(answer: {
  readonly done: boolean;
  readonly message: string;
  readonly keys: readonly string[];
}): Uint8Array {
  const { done, message, keys } = answer;
  const fields = { Result: done, Message: message, Keys: keys, PrimaryKey: keys[0] ?? "" };
  return withId(SERF.KEY_RESPONSE, encodeMsgpack(fields));
}

/** What is known of a member whose name two claim; null: nothing. `status`: SERF_STATUS. */
export function encodeConflictResponse(
  member: {
    readonly name: string;
    readonly addr: Uint8Array;
    readonly port: number;
    readonly tags: ReadonlyMap<string, string>;
    readonly status: number;
    readonly vsn: readonly [number, number, number, number, number, number];
  } | null,
): Uint8Array {
  if (member === null) return withId(SERF.CONFLICT_RESPONSE, encodeMsgpack(null));
  const { name, addr, port, tags, status, vsn } = member;
  const fields = {
    Name: name,
    Addr: addr,
    Port: port,
    Tags: Object.fromEntries(tags),
    Status: status,
    ProtocolMin: vsn[0],
    ProtocolMax: vsn[1],
    ProtocolCur: vsn[2],
    DelegateMin: vsn[3],
    DelegateMax: vsn[4],
    DelegateCur: vsn[5],
  };
  return withId(SERF.CONFLICT_RESPONSE, encodeMsgpack(fields));
}
