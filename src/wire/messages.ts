/**
 * The one table of messages: their numbers, who may send them, how long they may be, and what makes
 * a body invalid.
 *
 * Numbers are only ever added. A changed layout raises PROTOCOL_VERSION. Byte tables are in
 * PROTOCOL.md, one section a message. A request of an unknown type is not an invalid frame. The
 * reply to it has transport status NO_HANDLER.
 */
import { assert } from "../core/assert.ts";
import { HANDLE_BYTES } from "../core/handle.ts";
import {
  AUDIT_COUNT_MAX,
  BATCH_COUNT_MAX,
  BODY_BYTES_MAX,
  CLIENT_GET_COUNT_MAX,
  FETCH_BATCH_COUNT_MAX,
  FLUSH_BATCH_COUNT_MAX,
  NODES_MAX,
  PAGE_BYTES,
  RECLAIM_BATCH_COUNT_MAX,
  REMOTIFY_BATCH_COUNT_MAX,
} from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import {
  invalidHandlesBody,
  invalidKnobSetBody,
  invalidPageGetBody,
  invalidPageGetReplyBody,
  invalidPagePutBody,
  OPEN_POOL_BYTES,
  PAGE_GET_ENTRY_BYTES,
  PAGE_PUT_ENTRY_BYTES,
  POOL_TOKEN_BYTES,
} from "./client-entries.ts";
import type { Frame } from "./framer.ts";
import { HELLO_BYTES_MAX, invalidHelloBody } from "./handshake.ts";
import { invalidOfferBody, OFFER_BYTES_MAX } from "./offer.ts";
import {
  AUDIT_BYTES,
  FLUSH_ENTRY_BYTES,
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  GRANT_BYTES,
  invalidAuditBody,
  invalidAuditReplyBody,
  invalidFlushBody,
  invalidGetBody,
  invalidGetReplyBody,
  invalidGrantBody,
  invalidPutBody,
  PUT_ENTRY_BYTES,
} from "./peer-entries.ts";
import { TRANSPORT_STATUS } from "./status.ts";

export const MESSAGE = {
  HELLO: 1,
  KEEPALIVE: 2,
  GOODBYE: 3,
  PUT: 16,
  GET: 17,
  FLUSH: 18,
  GRANT: 19,
  RECLAIM: 20,
  OFFER: 21,
  AUDIT: 22,
  NEW_POOL: 32,
  DESTROY_POOL: 33,
  FLUSH_POOL: 34,
  PAGE_PUT: 35,
  PAGE_GET: 36,
  PAGE_FLUSH: 37,
  OBJECT_FLUSH: 38,
  STATS: 39,
  KNOB_GET: 40,
  KNOB_SET: 41,
  POOL_TOKEN: 42,
  OPEN_POOL: 43,
  EVENTS: 44,
} as const;

export type MessageName = keyof typeof MESSAGE;

/** Why a side closes: the code of GOODBYE, for programs. The text beside it is for people. */
export const GOODBYE = {
  /** The side stops. */
  STOPPING: 0,
  /** Received bytes that break the protocol. */
  MALFORMED: 1,
  /** The sides cannot work together, by their HELLO. */
  REFUSED: 2,
  /** There are two links between the same nodes, and this one is closed. */
  DUPLICATE: 3,
  /** Nothing was received for too long. */
  IDLE: 4,
  /** The peer was removed from the list. */
  REMOVED: 5,
  /** Too many requests of this side got no reply. */
  NO_REPLIES: 6,
  /** This side accepts no more connections now. */
  BUSY: 7,
  /** The link had no requests for long. It is dialled again when it is needed. */
  UNUSED: 8,
  /** The node ends. Its own pages and its foreign pages are gone. */
  LEFT: 9,
} as const;

/** A reason in one line, in UTF-8. */
const REASON_BYTES_MAX = 1024;
const GOODBYE_BYTES_MAX = 1 + REASON_BYTES_MAX;
/** Name and value. The longest value is the list of peers: NODES_MAX of them with 64 bytes each. */
export const KNOB_BYTES_MAX = (NODES_MAX + 1) * 64;
/** The value, or a reason that quotes name and value. */
const KNOB_REPLY_BYTES_MAX = 4 * KNOB_BYTES_MAX;
/** The number after which events are wanted. */
export const EVENTS_BYTES = 4;
/** The JSON of STATS, and of EVENTS. */
const STATS_BYTES_MAX = BODY_BYTES_MAX;

interface Shape {
  countMax: number;
  bodyBytesMax: number;
  /** Why a body within these bounds is invalid, or null. */
  invalid: (frame: Frame) => string | null;
}

interface MessageRow {
  request: Shape;
  /** The reply with handler status OK. Null: there is no reply. */
  reply: Shape | null;
  /**
   * The reply with another handler status: a reason. Empty for a batch, which has a status an
   * entry.
   */
  refusal: Shape;
  /** The longest reply to a request of `count` entries, whatever its status. */
  replyBytesOf: (count: number) => number;
}

const valid = (): null => null;

const EMPTY: Shape = { countMax: 0, bodyBytesMax: 0, invalid: valid };
const REASON: Shape = textShape(REASON_BYTES_MAX);
const POOL: Shape = poolShape(4);

/** A pool and its fields, of fixed length. */
function poolShape(bodyBytes: number): Shape {
  return {
    countMax: 0,
    bodyBytesMax: bodyBytes,
    invalid: (frame) => {
      if (frame.bodyBytes !== bodyBytes) return `body is not ${bodyBytes} bytes long`;
      return frame.view.getUint16(frame.bodyAt + 2) === 0 ? null : "reserved bytes";
    },
  };
}

function textShape(bodyBytesMax: number): Shape {
  return { countMax: 0, bodyBytesMax, invalid: valid };
}

function statuses(countMax: number): Shape {
  return {
    countMax,
    bodyBytesMax: countMax,
    invalid: (frame) => (frame.bodyBytes === frame.count ? null : "not one status an entry"),
  };
}

function batch(
  countMax: number,
  entryBytesMax: number,
  invalid: (frame: Frame) => string | null,
): Shape {
  return { countMax, bodyBytesMax: Math.min(countMax * entryBytesMax, BODY_BYTES_MAX), invalid };
}

const helloShape: Shape = {
  countMax: 0,
  bodyBytesMax: HELLO_BYTES_MAX,
  invalid: invalidHelloBody,
};
const goodbyeShape: Shape = {
  countMax: 0,
  bodyBytesMax: GOODBYE_BYTES_MAX,
  invalid: (frame) => (frame.bodyBytes >= 1 ? null : "no code"),
};
const grantShape: Shape = { countMax: 0, bodyBytesMax: GRANT_BYTES, invalid: invalidGrantBody };
const offerShape: Shape = {
  countMax: 0,
  bodyBytesMax: OFFER_BYTES_MAX,
  invalid: invalidOfferBody,
};
const newPoolShape: Shape = {
  ...POOL,
  invalid: (frame) => {
    if (frame.bodyBytes !== 4) return "body is not 4 bytes long";
    const word = frame.view.getUint32(frame.bodyAt);
    return (word & 0xfcffffff) === 0 ? null : "unknown flags or reserved bytes";
  },
};
const poolTokenShape: Shape = {
  countMax: 0,
  bodyBytesMax: POOL_TOKEN_BYTES,
  invalid: (frame) => {
    return frame.bodyBytes === POOL_TOKEN_BYTES
      ? null
      : `body is not ${POOL_TOKEN_BYTES} bytes long`;
  },
};
const eventsShape: Shape = {
  countMax: 0,
  bodyBytesMax: EVENTS_BYTES,
  invalid: (frame) => {
    return frame.bodyBytes === EVENTS_BYTES ? null : `body is not ${EVENTS_BYTES} bytes long`;
  },
};
const knobShape: Shape = textShape(KNOB_BYTES_MAX);
const knobReplyShape: Shape = textShape(KNOB_REPLY_BYTES_MAX);

const auditShape: Shape = {
  countMax: 0,
  bodyBytesMax: AUDIT_BYTES,
  invalid: invalidAuditBody,
};
const auditReplyShape: Shape = {
  countMax: 0,
  bodyBytesMax: AUDIT_BYTES + AUDIT_COUNT_MAX * GET_ENTRY_BYTES,
  invalid: invalidAuditReplyBody,
};

/** A message without a reply. */
function notice(request: Shape): MessageRow {
  return { request, reply: null, refusal: EMPTY, replyBytesOf: () => 0 };
}

/** A message with a reply of its own shape, or a reason. */
function single(request: Shape, reply: Shape, refusal: Shape = REASON): MessageRow {
  const bytesMax = Math.max(reply.bodyBytesMax, refusal.bodyBytesMax);
  return { request, reply, refusal, replyBytesOf: () => bytesMax };
}

/** A batch whose reply has a status an entry. */
function batchWithStatuses(request: Shape): MessageRow {
  const reply = statuses(request.countMax);
  return { request, reply, refusal: EMPTY, replyBytesOf: (count) => count };
}

/** A batch whose reply has more than a status an entry. */
function batchWithPages(request: Shape, reply: Shape, replyEntryBytes: number): MessageRow {
  return { request, reply, refusal: EMPTY, replyBytesOf: (count) => count * replyEntryBytes };
}

const GET_REPLY_BYTES = GET_REPLY_ENTRY_BYTES + PAGE_BYTES;
const PAGE_GET_REPLY_BYTES = 1 + PAGE_BYTES;

/** Messages that open and end every channel. */
const OF_ALL = {
  HELLO: single(helloShape, helloShape),
  KEEPALIVE: single(EMPTY, EMPTY, EMPTY),
  GOODBYE: notice(goodbyeShape),
};

/** Messages that nodes send to each other. */
const OF_PEERS = {
  PUT: batchWithStatuses(
    batch(REMOTIFY_BATCH_COUNT_MAX, PUT_ENTRY_BYTES + PAGE_BYTES, invalidPutBody),
  ),
  GET: batchWithPages(
    batch(FETCH_BATCH_COUNT_MAX, GET_ENTRY_BYTES, invalidGetBody),
    batch(FETCH_BATCH_COUNT_MAX, GET_REPLY_BYTES, invalidGetReplyBody),
    GET_REPLY_BYTES,
  ),
  FLUSH: batchWithStatuses(batch(FLUSH_BATCH_COUNT_MAX, FLUSH_ENTRY_BYTES, invalidFlushBody)),
  GRANT: notice(grantShape),
  RECLAIM: batchWithStatuses(batch(RECLAIM_BATCH_COUNT_MAX, GET_ENTRY_BYTES, invalidGetBody)),
  OFFER: notice(offerShape),
  AUDIT: single(auditShape, auditReplyShape),
};

/** Messages of programs to the client door. */
const OF_CLIENTS = {
  NEW_POOL: single(newPoolShape, POOL),
  DESTROY_POOL: single(POOL, EMPTY),
  FLUSH_POOL: single(POOL, EMPTY),
  PAGE_PUT: batchWithStatuses(
    batch(CLIENT_GET_COUNT_MAX, PAGE_PUT_ENTRY_BYTES, invalidPagePutBody),
  ),
  PAGE_GET: batchWithPages(
    batch(CLIENT_GET_COUNT_MAX, PAGE_GET_ENTRY_BYTES, invalidPageGetBody),
    batch(CLIENT_GET_COUNT_MAX, PAGE_GET_REPLY_BYTES, invalidPageGetReplyBody),
    PAGE_GET_REPLY_BYTES,
  ),
  PAGE_FLUSH: batchWithStatuses(batch(BATCH_COUNT_MAX, HANDLE_BYTES, invalidHandlesBody)),
  OBJECT_FLUSH: batchWithStatuses(batch(BATCH_COUNT_MAX, HANDLE_BYTES, invalidHandlesBody)),
  STATS: single(
    { ...EMPTY, countMax: BATCH_COUNT_MAX },
    { ...textShape(STATS_BYTES_MAX), countMax: BATCH_COUNT_MAX },
  ),
  KNOB_GET: single(knobShape, knobReplyShape, knobReplyShape),
  KNOB_SET: single({ ...knobShape, invalid: invalidKnobSetBody }, knobReplyShape, knobReplyShape),
  POOL_TOKEN: single(POOL, poolTokenShape),
  OPEN_POOL: single(poolShape(OPEN_POOL_BYTES), EMPTY),
  EVENTS: single(eventsShape, textShape(STATS_BYTES_MAX)),
};

const ROWS: { readonly [name in MessageName]: MessageRow } = {
  ...OF_ALL,
  ...OF_PEERS,
  ...OF_CLIENTS,
};

/** Rows by type, so that no search is needed. */
const BY_TYPE: ReadonlyArray<MessageRow | undefined> = byType(ROWS);
const NAMES: ReadonlyArray<MessageName | undefined> = byType(
  Object.fromEntries(Object.keys(MESSAGE).map((name) => [name, name])) as {
    [name in MessageName]: MessageName;
  },
);

for (const row of Object.values(ROWS)) {
  assert(row.request.countMax <= BATCH_COUNT_MAX);
  assert(row.replyBytesOf(row.request.countMax) <= BODY_BYTES_MAX);
}

/** `"PUT"`, or `"message 99"` for a type that is not defined. */
export function messageName(type: number): string {
  return NAMES[type] ?? `message ${type}`;
}

/** Whether nodes send it to each other, and nobody else does. */
export function isPeerMessage(type: number): boolean {
  const name = NAMES[type];
  return name !== undefined && name in OF_PEERS;
}

/** The longest body of a reply to a request of `count` entries. 0 when there is no reply. */
export function replyBytesMax(type: number, count: number): number {
  return BY_TYPE[type]?.replyBytesOf(count) ?? 0;
}

/**
 * Why a request is invalid, or null. An unknown type is not invalid: see the file's header.
 */
export function invalidRequest(frame: Frame): string | null {
  const row = BY_TYPE[frame.type];
  return row === undefined ? null : invalidBody(frame, row.request);
}

/** Why a reply is invalid, or null. */
export function invalidReply(frame: Frame): string | null {
  const row = BY_TYPE[frame.type];
  if (row === undefined || row.reply === null) {
    return `reply to ${messageName(frame.type)}, which has none`;
  }
  if (frame.transportStatus !== TRANSPORT_STATUS.NONE) return invalidBody(frame, EMPTY);
  return invalidBody(frame, frame.handlerStatus === STATUS.OK ? row.reply : row.refusal);
}

function invalidBody(frame: Frame, shape: Shape): string | null {
  const name = messageName(frame.type);
  if (frame.count > shape.countMax) {
    return `${name} with ${frame.count} entries: over ${shape.countMax}`;
  }
  if (frame.bodyBytes > shape.bodyBytesMax) {
    return `${name} with a body of ${frame.bodyBytes} bytes: over ${shape.bodyBytesMax}`;
  }
  const reason = shape.invalid(frame);
  return reason === null ? null : `${name}: ${reason}`;
}

function byType<T>(table: { readonly [name in MessageName]: T }): Array<T | undefined> {
  const rows: Array<T | undefined> = [];
  for (const [name, type] of Object.entries(MESSAGE)) rows[type] = table[name as MessageName];
  return rows;
}
