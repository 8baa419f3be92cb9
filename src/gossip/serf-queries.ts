/**
 * Queries of Serf, and their answers (hashicorp/serf, messages.go and internal_query.go).
 *
 *     query     id 4 | msgpack        gossiped to all members
 *     response  id 5 | msgpack        from each member to the asking one: an acknowledgement, or
 *                                     an answer with a message in it
 *     relay     id 9 | msgpack | a message, for the member at the address in the msgpack
 *
 * Queries whose names begin with "_serf_" are answered by the agents themselves.
 */
import { FOREIGN_NAME_BYTES_MAX, PACKET_BYTES_MAX } from "../core/limits.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields, msgpackEnd, shortest, textOf } from "./msgpack.ts";
import { type LTime, SERF } from "./serf-messages.ts";

export const INTERNAL_QUERY_PREFIX = "_serf_";

const QUERY_FLAG = { ACK: 1, NO_BROADCAST: 2 } as const;
const FILTER = { NODE: 0, TAG: 1 } as const;
const NANOSECONDS_PER_MS = 1_000_000n;
const IP_BYTES_MAX = 16;
const PORT_MAX = 65_535;
/** 32 bytes in base64. */
const KEY_CHARS_MAX = 44;

/** A member answers a query only if it passes all filters. */
export type Filter =
  | { readonly kind: "nodes"; readonly names: readonly string[] }
  /** `expression`: a regular expression in Go's syntax. */
  | { readonly kind: "tag"; readonly tag: string; readonly expression: string }
  /** A filter of a later version: no member passes it. */
  | { readonly kind: "unknown" };

export interface Query {
  readonly ltime: LTime;
  readonly id: number;
  /** The asking member. */
  readonly addr: Uint8Array;
  readonly port: number;
  readonly source: string;
  readonly filters: readonly Filter[];
  readonly wantsAck: boolean;
  /** Whether it is gossiped further. */
  readonly isBroadcast: boolean;
  /** How many members relay each answer, beside the direct way. */
  readonly relays: number;
  readonly name: string;
  readonly payload: Uint8Array;
}

/** The answer to a query. A null payload is the acknowledgement. */
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

/** Throws WireError BAD_FRAME, as every decoder here does. */
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

/** Without filters. `timeoutMs`: how long the asking member waits. */
export function encodeQuery(query: Query, timeoutMs: number): Uint8Array {
  const { ltime, id, addr, port, source, name, payload } = query;
  const flags =
    (query.wantsAck ? QUERY_FLAG.ACK : 0) | (query.isBroadcast ? 0 : QUERY_FLAG.NO_BROADCAST);
  const fields = {
    LTime: shortest(ltime),
    ID: id,
    Addr: addr,
    Port: port,
    SourceNode: source,
    Filters: null,
    Flags: flags,
    RelayFactor: query.relays,
    Timeout: shortest(BigInt(timeoutMs) * NANOSECONDS_PER_MS),
    Name: name,
    Payload: payload,
  };
  return withId(SERF.QUERY, encodeMsgpack(fields));
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

export function decodeQueryResponse(body: Uint8Array): QueryResponse {
  const fields = new Fields(decodeMsgpack(body));
  const isAck = (fields.count("Flags") & QUERY_FLAG.ACK) !== 0;
  return {
    ltime: fields.u64("LTime"),
    id: fields.count("ID"),
    from: fields.text("From", FOREIGN_NAME_BYTES_MAX),
    payload: isAck ? null : fields.bytes("Payload", PACKET_BYTES_MAX),
  };
}

/** `message`: a whole message of Serf. */
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

/** The key in a query about keys. Empty in a query that lists them. */
export function decodeKeyRequest(payload: Uint8Array): Uint8Array {
  return new Fields(decodeMsgpack(payload.subarray(1))).bytes("Key", PACKET_BYTES_MAX);
}

/** `key` empty: the keys are to be listed. */
export function encodeKeyRequest(key: Uint8Array): Uint8Array {
  return withId(SERF.KEY_REQUEST, encodeMsgpack({ Key: key }));
}

/** A member's answer to a query about keys. */
export interface KeyAnswer {
  readonly done: boolean;
  /** Why it was not done. */
  readonly message: string;
  /** In base64. The key that encrypts is the first. */
  readonly keys: readonly string[];
  /** The fingerprints of the keys in its key file. Null: not known, as of an agent of Serf. */
  readonly inFile: readonly string[] | null;
}

/** Agents of Serf ignore KeyFile, which they do not know. */
export function encodeKeyResponse({ done, message, keys, inFile }: KeyAnswer): Uint8Array {
  const fields = { Result: done, Message: message, Keys: keys, PrimaryKey: keys[0] ?? "" };
  return withId(SERF.KEY_RESPONSE, encodeMsgpack({ ...fields, KeyFile: inFile ?? undefined }));
}

export function decodeKeyResponse(payload: Uint8Array): KeyAnswer {
  const fields = new Fields(decodeMsgpack(payload.subarray(1)));
  const listOf = (name: string) => fields.list(name).map((key) => textOf(key, name));
  const primary = fields.text("PrimaryKey", KEY_CHARS_MAX);
  const keys = listOf("Keys");
  return {
    done: fields.flag("Result"),
    message: fields.text("Message", PACKET_BYTES_MAX),
    keys: primary === "" ? keys : [primary, ...keys.filter((key) => key !== primary)],
    inFile: fields.has("KeyFile") ? listOf("KeyFile") : null,
  };
}

/** What this node knows of a member whose name two nodes claim. Null: the name is unknown. */
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
