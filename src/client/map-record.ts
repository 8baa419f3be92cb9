/**
 * A record of a RemoteMap: the bytes of one value, on a first page and as many others as it takes.
 *
 *     first page, at a place that follows from the key:
 *      0   magic, u32             4   layout, u16          6   key bytes, u16
 *      8   value bytes, u64      16   rest oid, 24        40   sequence, u64
 *     48   check, 16             64   key | the value's first bytes
 *
 *     other pages: the object "rest oid", index 0, 1, ...: the rest of the value, then zeros
 *
 * The rest oid is random for every write, and so is the generation of a value. Two writes never
 * have a page in common, and putting the first page switches from one value to the next at once.
 * The check is over all before it, the key and the value: bytes of two values never pass as one.
 *
 * Pages are filled, sent and hashed a batch at a time, so that a long value does not stop the
 * program's other work.
 *
 * Not here: which keys there are (map-index.ts).
 */
import type { Oid } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { badArgument } from "./arguments.ts";
import { PageError, type Refusal } from "./errors.ts";
import { type ResolvedKey, readOid, type Sha256, sha256 } from "./keys.ts";
import type { Pool } from "./pool.ts";
import type { CallOptions } from "./signal.ts";

/** A longer key leaves too little of the first page to the value. */
export const MAP_KEY_BYTES_MAX = 1024;

/** "rmap" */
const MAGIC = 0x726d_6170;
const LAYOUT = 1;
const AT = { LAYOUT: 4, KEY_BYTES: 6, VALUE_BYTES: 8, REST: 16, SEQUENCE: 40, CHECK: 48 } as const;
const CHECK_BYTES = 16;
const FIRST_BYTES = AT.CHECK + CHECK_BYTES;
const OID_BYTES = 24;
/** Pages on their way at once: 4 MiB, four messages. */
const BATCH_COUNT = 1024;

export interface MapRecord {
  readonly page: Uint8Array;
  readonly valueBytes: number;
  /** The object of the other pages, and how many there are. */
  readonly rest: Oid;
  readonly restCount: number;
  /** Which of two records is the later one, where that matters. */
  readonly sequence: number;
  /** Where the value begins in the first page. */
  readonly valueAt: number;
}

/** A new record. Its first page lacks the check, which comes with `putRest`. */
export function newRecord(key: Uint8Array, value: Uint8Array, sequence = 0): MapRecord {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(AT.LAYOUT, LAYOUT);
  view.setUint16(AT.KEY_BYTES, key.byteLength);
  view.setBigUint64(AT.VALUE_BYTES, BigInt(value.byteLength));
  crypto.getRandomValues(page.subarray(AT.REST, AT.REST + OID_BYTES));
  view.setBigUint64(AT.SEQUENCE, BigInt(sequence));
  page.set(key, FIRST_BYTES);
  const valueAt = FIRST_BYTES + key.byteLength;
  page.set(value.subarray(0, PAGE_BYTES - valueAt), valueAt);
  return recordOf(page, value.byteLength, valueAt);
}

/** @returns null when the page is not the first one of a record of this key, or has too long a value. */
export function readRecord(
  page: Uint8Array,
  key: Uint8Array,
  valueBytesMax: number,
): MapRecord | null {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  if (view.getUint32(0) !== MAGIC || view.getUint16(AT.LAYOUT) !== LAYOUT) return null;
  const valueBytes = Number(view.getBigUint64(AT.VALUE_BYTES));
  if (view.getUint16(AT.KEY_BYTES) !== key.byteLength || valueBytes > valueBytesMax) return null;
  if (key.some((byte, i) => page[FIRST_BYTES + i] !== byte)) return null;
  return recordOf(page, valueBytes, FIRST_BYTES + key.byteLength);
}

function recordOf(page: Uint8Array, valueBytes: number, valueAt: number): MapRecord {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const restBytes = Math.max(0, valueBytes - (PAGE_BYTES - valueAt));
  return {
    page,
    valueBytes,
    valueAt,
    rest: readOid(page, AT.REST),
    restCount: Math.ceil(restBytes / PAGE_BYTES),
    sequence: Number(view.getBigUint64(AT.SEQUENCE)),
  };
}

/** What the check is over, up to the end of the first page. The rest of the value follows. */
function hashOfFirst({ page, valueAt, valueBytes }: MapRecord): Sha256 {
  const end = Math.min(PAGE_BYTES, valueAt + valueBytes);
  return sha256(page.subarray(0, AT.CHECK), page.subarray(FIRST_BYTES, end));
}

function checkOf(hash: Sha256): Uint8Array {
  return hash.digest().subarray(0, CHECK_BYTES);
}

/**
 * Puts all pages but the first, and completes that one with the check. @returns why one of them was
 * refused, or null.
 */
export async function putRest(
  pool: Pool,
  record: MapRecord,
  value: Uint8Array,
  options: CallOptions,
): Promise<Refusal | null> {
  const { page, rest, restCount, valueAt, valueBytes } = record;
  const start = PAGE_BYTES - valueAt;
  const hash = hashOfFirst(record);
  for (let from = 0; from < restCount; from += BATCH_COUNT) {
    if (value.byteLength !== valueBytes) {
      throw badArgument("Cannot set the value: its length has changed meanwhile");
    }
    const count = Math.min(BATCH_COUNT, restCount - from);
    const at = start + from * PAGE_BYTES;
    const part = value.subarray(at, at + count * PAGE_BYTES);
    hash.update(part);
    const entries = Array.from({ length: count }, (_, i) => {
      const bytes = part.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      return { oid: rest, index: from + i, page: wholePage(bytes) };
    });
    const results = await pool.putMany(entries, options);
    for (const result of results) if (!result.stored) return result.reason;
  }
  page.set(checkOf(hash), AT.CHECK);
  return null;
}

function wholePage(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength === PAGE_BYTES) return bytes;
  const page = new Uint8Array(PAGE_BYTES);
  page.set(bytes);
  return page;
}

/**
 * The value of a record. `missing`: one of its pages is not there. `damaged`: the bytes do not
 * belong together.
 */
export async function readValue(
  pool: Pool,
  record: MapRecord,
  options: CallOptions,
): Promise<Uint8Array | "missing" | "damaged"> {
  const { page, rest, restCount, valueAt, valueBytes } = record;
  const hash = hashOfFirst(record);
  const value = new Uint8Array(valueBytes);
  value.set(page.subarray(valueAt, valueAt + valueBytes));
  const start = PAGE_BYTES - valueAt;
  for (let from = 0; from < restCount; from += BATCH_COUNT) {
    const count = Math.min(BATCH_COUNT, restCount - from);
    const keys = Array.from({ length: count }, (_, i) => ({ oid: rest, index: from + i }));
    const pages = await pool.getMany(keys, { ...options, remove: "never" });
    for (const [i, bytes] of pages.entries()) {
      if (bytes === null) return "missing";
      const at = start + (from + i) * PAGE_BYTES;
      value.set(bytes.subarray(0, Math.min(PAGE_BYTES, valueBytes - at)), at);
    }
    const at = start + from * PAGE_BYTES;
    hash.update(value.subarray(at, at + count * PAGE_BYTES));
  }
  const isWhole = checkOf(hash).every((byte, i) => page[AT.CHECK + i] === byte);
  return isWhole ? value : "damaged";
}

/** Removes all pages but the first. */
export async function dropRest(
  pool: Pool,
  { rest, restCount }: MapRecord,
  options: CallOptions = {},
): Promise<void> {
  if (restCount > 0) await pool.flushObject(rest, options);
}

/** Gets pages where one that is lost is no failure. */
export async function peek(
  pool: Pool,
  keys: readonly ResolvedKey[],
  options: CallOptions,
): Promise<Array<Uint8Array | null | "lost">> {
  try {
    return await pool.getMany(keys, { ...options, remove: "never" });
  } catch (error) {
    if (!(error instanceof PageError)) throw error;
    const { results } = error;
    const known = results.filter((it) => it !== "unreachable");
    if (known.length < results.length) throw error;
    return known;
  }
}
