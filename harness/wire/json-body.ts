/** Bodies of messages as JSON. Each layout has a codec on the readers and writers of src/wire. */

import { HANDLE_BYTES, Handle, type Oid } from "../../src/core/handle.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import { emptyZpage, type Zpage } from "../../src/core/zpage.ts";
import {
  PAGE_GET_ENTRY_BYTES,
  PAGE_PUT_ENTRY_BYTES,
  POOL_TOKEN_BYTES,
  readGetAndFree,
  writeGetAndFree,
} from "../../src/wire/client-entries.ts";
import type { Frame } from "../../src/wire/framer.ts";
import { decodeHello, encodeHello, HELLO_BYTES_MAX, type Hello } from "../../src/wire/handshake.ts";
import type { MessageName } from "../../src/wire/messages.ts";
import { OFFER_BYTES_MAX, type OfferBody, readOffer, writeOffer } from "../../src/wire/offer.ts";
import {
  AUDIT_BYTES,
  auditCount,
  FLUSH_ENTRY_BYTES,
  type FlushScope,
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  GRANT_BYTES,
  type Grant,
  PUT_ENTRY_BYTES,
  readAuditMoves,
  readAuditRow,
  readFlushScope,
  readFlushVersion,
  readGetReplyEntry,
  readGetVersion,
  readGrant,
  readPutEntry,
  readPutKind,
  writeAudit,
  writeFlushEntry,
  writeGetEntry,
  writeGetReplyEntry,
  writeGrant,
  writePutEntry,
} from "../../src/wire/peer-entries.ts";
import { formatHex, parseHex } from "./hex.ts";

/** Where a body is written. */
export interface Output {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
}

export interface BodyCodec<T> {
  decode(frame: Frame): T;
  bytesMax(body: T): number;
  /** @returns the length. */
  encode(body: T, output: Output): number;
}

/** A codec without the type of its body, for the tables below. */
function codec<T>(typed: BodyCodec<T>): BodyCodec<unknown> {
  return typed as BodyCodec<unknown>;
}

interface JsonHandle {
  readonly pool: number;
  readonly oid: readonly string[];
  readonly index: number;
}

interface JsonZpage {
  readonly version: number;
  readonly checksum: number;
  readonly codec: number;
  readonly zpage: string;
}

/** Text that is not UTF-8 is kept as its bytes. */
type JsonText = string | { readonly hex: string };

/** A body of entries of one size. */
function entries<T>(
  entryBytes: number,
  decodeEntry: (frame: Frame, at: number) => T,
  encodeEntry: (entry: T, output: Output) => void,
): BodyCodec<unknown> {
  return codec<T[]>({
    decode: (frame) =>
      Array.from({ length: frame.count }, (_, i) => {
        return decodeEntry(frame, frame.bodyAt + i * entryBytes);
      }),
    bytesMax: (body) => body.length * entryBytes,
    encode: (body, output) => {
      for (const [i, entry] of body.entries()) {
        encodeEntry(entry, { ...output, at: output.at + i * entryBytes });
      }
      return body.length * entryBytes;
    },
  });
}

/** A body of fixed size without entries. */
function fixed<T>(
  byteCount: number,
  decode: (view: DataView, at: number) => T,
  encode: (body: T, view: DataView, at: number) => void,
): BodyCodec<unknown> {
  return codec<T>({
    decode: (frame) => decode(frame.view, frame.bodyAt),
    bytesMax: () => byteCount,
    encode: (body, { view, at }) => {
      encode(body, view, at);
      return byteCount;
    },
  });
}

export const EMPTY_BODY = fixed<null>(
  0,
  () => null,
  () => {},
);

export const TEXT_BODY = codec<JsonText>({
  decode: (frame) => readText(frame, frame.bodyAt, frame.bodyBytes),
  bytesMax: (body) => textBytes(body).length,
  encode: (body, { bytes, at }) => writeBytes(bytes, at, textBytes(body)),
});

const HELLO = codec<Omit<Hello, "bootId"> & { readonly bootId: string }>({
  decode: (frame) => {
    const hello = decodeHello(frame.view, frame.bodyAt, frame.bodyBytes);
    return { ...hello, bootId: hexWord(hello.bootId) };
  },
  bytesMax: () => HELLO_BYTES_MAX,
  encode: (body, { view, at }) => encodeHello({ ...body, bootId: BigInt(body.bootId) }, view, at),
});

const GOODBYE = codec<{ readonly code: number; readonly reason: JsonText }>({
  decode: (frame) => ({
    code: frame.view.getUint8(frame.bodyAt),
    reason: readText(frame, frame.bodyAt + 1, frame.bodyBytes - 1),
  }),
  bytesMax: (body) => 1 + textBytes(body.reason).length,
  encode: (body, { bytes, at }) => {
    bytes[at] = body.code;
    return 1 + writeBytes(bytes, at + 1, textBytes(body.reason));
  },
});

const PUT = codec<Array<JsonZpage & { readonly handle: JsonHandle; readonly kind: number }>>({
  decode: (frame) => {
    const handle = new Handle();
    const zpage = emptyZpage();
    let at = frame.bodyAt;
    return Array.from({ length: frame.count }, () => {
      readPutEntry(frame.view, at, handle, zpage);
      const kind = readPutKind(frame.view, at);
      at += PUT_ENTRY_BYTES + zpage.zpageBytes;
      return { handle: jsonHandle(handle), kind, ...jsonZpage(frame, zpage, at) };
    });
  },
  bytesMax: (body) => body.length * (PUT_ENTRY_BYTES + PAGE_BYTES),
  encode: (body, { bytes, view, at }) => {
    let end = at;
    for (const { handle, version, checksum, codec, kind, zpage } of body) {
      const raw = parseHex(zpage);
      writePutEntry(view, end, handleOf(handle), version, checksum, raw.length, codec, kind);
      end += PUT_ENTRY_BYTES + writeBytes(bytes, end + PUT_ENTRY_BYTES, raw);
    }
    return end - at;
  },
});

const GET_REPLY = codec<Array<JsonZpage & { readonly status: number }>>({
  decode: (frame) => {
    const zpage = emptyZpage();
    let at = frame.bodyAt;
    return Array.from({ length: frame.count }, () => {
      const status = readGetReplyEntry(frame.view, at, zpage);
      at += GET_REPLY_ENTRY_BYTES + zpage.zpageBytes;
      return { status, ...jsonZpage(frame, zpage, at) };
    });
  },
  bytesMax: (body) => body.length * (GET_REPLY_ENTRY_BYTES + PAGE_BYTES),
  encode: (body, { bytes, view, at }) => {
    let end = at;
    for (const { version, checksum, codec, status, zpage } of body) {
      const raw = parseHex(zpage);
      writeGetReplyEntry(view, end, version, checksum, raw.length, codec, status);
      end += GET_REPLY_ENTRY_BYTES + writeBytes(bytes, end + GET_REPLY_ENTRY_BYTES, raw);
    }
    return end - at;
  },
});

interface JsonGet {
  readonly handle: JsonHandle;
  readonly version: number;
}

function readJsonGet(view: DataView, at: number): JsonGet {
  return { handle: readHandle(view, at), version: readGetVersion(view, at) };
}

function writeJsonGet({ handle, version }: JsonGet, view: DataView, at: number): void {
  writeGetEntry(view, at, handleOf(handle), version);
}

const GET = entries<JsonGet>(
  GET_ENTRY_BYTES,
  ({ view }, at) => readJsonGet(view, at),
  (entry, { view, at }) => writeJsonGet(entry, view, at),
);

const FLUSH = entries<{
  readonly handle: JsonHandle;
  readonly version: number;
  readonly scope: number;
}>(
  FLUSH_ENTRY_BYTES,
  ({ view }, at) => ({
    handle: readHandle(view, at),
    version: readFlushVersion(view, at),
    scope: readFlushScope(view, at),
  }),
  ({ handle, version, scope }, { view, at }) => {
    writeFlushEntry(view, at, handleOf(handle), version, scope as FlushScope);
  },
);

const STATUSES = entries<number>(
  1,
  ({ view }, at) => view.getUint8(at),
  (status, { view, at }) => view.setUint8(at, status),
);

const HANDLES = entries<JsonHandle>(
  HANDLE_BYTES,
  ({ view }, at) => readHandle(view, at),
  (handle, { view, at }) => handleOf(handle).write(view, at),
);

const PAGE_PUT = entries<{ readonly handle: JsonHandle; readonly page: string }>(
  PAGE_PUT_ENTRY_BYTES,
  ({ bytes, view }, at) => {
    const pageAt = at + HANDLE_BYTES;
    return {
      handle: readHandle(view, at),
      page: formatHex(bytes.subarray(pageAt, pageAt + PAGE_BYTES)),
    };
  },
  (entry, { bytes, view, at }) => {
    handleOf(entry.handle).write(view, at);
    writeBytes(bytes, at + HANDLE_BYTES, parseHex(entry.page));
  },
);

const PAGE_GET = entries<{ readonly handle: JsonHandle; readonly getAndFree: number }>(
  PAGE_GET_ENTRY_BYTES,
  ({ view }, at) => ({ handle: readHandle(view, at), getAndFree: readGetAndFree(view, at) }),
  (entry, { view, at }) => {
    handleOf(entry.handle).write(view, at);
    writeGetAndFree(view, at, entry.getAndFree);
  },
);

const PAGE_GET_REPLY = codec<Array<{ readonly status: number; readonly page: string | null }>>({
  decode: (frame) => {
    let pageAt = frame.bodyAt + frame.count;
    return Array.from({ length: frame.count }, (_, i) => {
      const status = frame.view.getUint8(frame.bodyAt + i);
      if (status !== STATUS.OK) return { status, page: null };
      pageAt += PAGE_BYTES;
      return { status, page: formatHex(frame.bytes.subarray(pageAt - PAGE_BYTES, pageAt)) };
    });
  },
  bytesMax: (body) => body.length * (1 + PAGE_BYTES),
  encode: (body, { bytes, at }) => {
    let end = at + body.length;
    for (const [i, { status, page }] of body.entries()) {
      bytes[at + i] = status;
      if (page !== null) end += writeBytes(bytes, end, parseHex(page));
    }
    return end - at;
  },
});

const NEW_POOL = fixed<{ readonly flags: number }>(
  4,
  (view, at) => ({ flags: view.getUint8(at) }),
  ({ flags }, view, at) => view.setUint32(at, flags << 24),
);

const POOL = fixed<{ readonly pool: number }>(
  4,
  (view, at) => ({ pool: view.getUint16(at) }),
  ({ pool }, view, at) => view.setUint32(at, pool << 16),
);

/** Hexadecimal digits. */
const POOL_TOKEN = fixed<string>(
  POOL_TOKEN_BYTES,
  (view, at) => readToken(view, at),
  (token, view, at) => writeToken(token, view, at),
);

const OPEN_POOL = fixed<{ readonly pool: number; readonly token: string }>(
  20,
  (view, at) => ({ pool: view.getUint16(at), token: readToken(view, at + 4) }),
  ({ pool, token }, view, at) => {
    view.setUint32(at, pool << 16);
    writeToken(token, view, at + 4);
  },
);

function readToken(view: DataView, at: number): string {
  return new Uint8Array(view.buffer, view.byteOffset + at, POOL_TOKEN_BYTES).toHex();
}

function writeToken(token: string, view: DataView, at: number): void {
  for (const [i, byte] of parseHex(token).entries()) view.setUint8(at + i, byte);
}

const KNOB_SET = codec<{ readonly name: JsonText; readonly value: JsonText }>({
  decode: (frame) => {
    const nameBytes = frame.view.getUint16(frame.bodyAt);
    const nameAt = frame.bodyAt + 2;
    return {
      name: readText(frame, nameAt, nameBytes),
      value: readText(frame, nameAt + nameBytes, frame.bodyBytes - 2 - nameBytes),
    };
  },
  bytesMax: ({ name, value }) => 2 + textBytes(name).length + textBytes(value).length,
  encode: ({ name, value }, { bytes, view, at }) => {
    const nameBytes = writeBytes(bytes, at + 2, textBytes(name));
    view.setUint16(at, nameBytes);
    return 2 + nameBytes + writeBytes(bytes, at + 2 + nameBytes, textBytes(value));
  },
});

const GRANT = fixed<Grant>(GRANT_BYTES, readGrant, (grant, view, at) => {
  writeGrant(view, at, grant);
});

const OFFER = codec<OfferBody>({
  decode: ({ view, bodyAt }) => readOffer(view, bodyAt),
  bytesMax: () => OFFER_BYTES_MAX,
  encode: (offer, { view, at }) => writeOffer(view, at, offer),
});

const AUDIT = fixed<number>(AUDIT_BYTES, readAuditRow, (row, view, at) => {
  writeAudit(view, at, row, 0);
});

const AUDIT_REPLY = codec<{
  readonly row: number;
  readonly moves: number;
  readonly pages: readonly JsonGet[];
}>({
  decode: (frame) => {
    const { view, bodyAt } = frame;
    const pages = Array.from({ length: auditCount(frame) }, (_, i) => {
      return readJsonGet(view, bodyAt + AUDIT_BYTES + i * GET_ENTRY_BYTES);
    });
    return { row: readAuditRow(view, bodyAt), moves: readAuditMoves(view, bodyAt), pages };
  },
  bytesMax: ({ pages }) => AUDIT_BYTES + pages.length * GET_ENTRY_BYTES,
  encode: ({ row, moves, pages }, { view, at }) => {
    writeAudit(view, at, row, moves);
    for (const [i, page] of pages.entries()) {
      writeJsonGet(page, view, at + AUDIT_BYTES + i * GET_ENTRY_BYTES);
    }
    return AUDIT_BYTES + pages.length * GET_ENTRY_BYTES;
  },
});

const EVENTS = fixed<number>(
  4,
  (view, at) => view.getUint32(at),
  (after, view, at) => view.setUint32(at, after),
);

export const REQUEST_BODIES: { readonly [name in MessageName]: BodyCodec<unknown> } = {
  HELLO,
  KEEPALIVE: EMPTY_BODY,
  GOODBYE,
  PUT,
  GET,
  FLUSH,
  GRANT,
  RECLAIM: GET,
  OFFER,
  AUDIT,
  NEW_POOL,
  DESTROY_POOL: POOL,
  FLUSH_POOL: POOL,
  PAGE_PUT,
  PAGE_GET,
  PAGE_FLUSH: HANDLES,
  OBJECT_FLUSH: HANDLES,
  STATS: EMPTY_BODY,
  KNOB_GET: TEXT_BODY,
  KNOB_SET,
  POOL_TOKEN: POOL,
  OPEN_POOL,
  EVENTS,
};

/** Codecs of successful replies. Null for a message without a reply. */
export const REPLY_BODIES: { readonly [name in MessageName]: BodyCodec<unknown> | null } = {
  HELLO,
  KEEPALIVE: EMPTY_BODY,
  GOODBYE: null,
  PUT: STATUSES,
  GET: GET_REPLY,
  FLUSH: STATUSES,
  GRANT: null,
  OFFER: null,
  RECLAIM: STATUSES,
  AUDIT: AUDIT_REPLY,
  NEW_POOL: POOL,
  DESTROY_POOL: EMPTY_BODY,
  FLUSH_POOL: EMPTY_BODY,
  PAGE_PUT: STATUSES,
  PAGE_GET: PAGE_GET_REPLY,
  PAGE_FLUSH: STATUSES,
  OBJECT_FLUSH: STATUSES,
  STATS: TEXT_BODY,
  KNOB_GET: TEXT_BODY,
  KNOB_SET: TEXT_BODY,
  POOL_TOKEN,
  OPEN_POOL: EMPTY_BODY,
  EVENTS: TEXT_BODY,
};

function jsonZpage(frame: Frame, zpage: Zpage, end: number): JsonZpage {
  const { version, checksum, codec, zpageBytes } = zpage;
  return {
    version,
    checksum,
    codec,
    zpage: formatHex(frame.bytes.subarray(end - zpageBytes, end)),
  };
}

function readHandle(view: DataView, at: number): JsonHandle {
  const handle = new Handle();
  handle.read(view, at);
  return jsonHandle(handle);
}

function jsonHandle(handle: Handle): JsonHandle {
  const word = (hi: number, lo: number): string => {
    return hexWord((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0));
  };
  const oid = [
    word(handle.oid0hi, handle.oid0lo),
    word(handle.oid1hi, handle.oid1lo),
    word(handle.oid2hi, handle.oid2lo),
  ];
  return { pool: handle.pool, oid, index: handle.index };
}

function handleOf({ pool, oid, index }: JsonHandle): Handle {
  const words = oid.map((word) => BigInt(word)) as unknown as Oid;
  return new Handle().set(pool, words, index);
}

function hexWord(word: bigint): string {
  return `0x${word.toString(16)}`;
}

function readText(frame: Frame, at: number, byteCount: number): JsonText {
  const bytes = frame.bytes.subarray(at, at + byteCount);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { hex: formatHex(bytes) }; // The text is not UTF-8. No other error is possible.
  }
}

function textBytes(text: JsonText): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : parseHex(text.hex);
}

function writeBytes(target: Uint8Array, at: number, bytes: Uint8Array): number {
  target.set(bytes, at);
  return bytes.length;
}
