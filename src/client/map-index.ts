/**
 * The keys of a RemoteMap, since a node lists no pages. They are in buckets, by their hash. Each
 * bucket is a record that lists its keys:
 *
 *     place 0 | place 1      the record with the higher sequence counts
 *
 * A change writes the place with the lower one. If that is refused, the other is still there.
 *
 * Changes of one RemoteMap to one bucket follow each other. Those of two are not aware of each
 * other: of two keys that are added to a bucket at the same moment one may be missing. Such a key
 * can be read, and only listing leaves it out. A key that is listed may have no value.
 */
import type { Refusal } from "./errors.ts";
import { oidOf, type ResolvedKey } from "./keys.ts";
import {
  dropRest,
  type MapRecord,
  newRecord,
  putRest,
  readRecord,
  readValue,
} from "./map-record.ts";
import type { Pool } from "./pool.ts";
import type { CallOptions } from "./signal.ts";

export const BUCKETS = 256;
/** All keys of one bucket: with their buckets full, a map has 16 GiB of keys. */
const BUCKET_BYTES_MAX = 64 * 1024 * 1024;

/** What is known of a bucket. */
export interface Bucket {
  readonly number: number;
  readonly keys: ReadonlySet<string>;
  /** The record that counts, and the one that the next change replaces. */
  readonly current: Placed | null;
  readonly older: Placed | null;
}

interface Placed {
  readonly place: 0 | 1;
  readonly record: MapRecord;
}

export class MapIndex {
  private readonly pool: Pool;
  private readonly turns = new Map<number, Promise<unknown>>();

  constructor(pool: Pool) {
    this.pool = pool;
  }

  /** Does one thing after the other with a bucket, in the order of the calls. */
  inTurn<T>(bucket: number, work: () => Promise<T>): Promise<T> {
    const done = (this.turns.get(bucket) ?? Promise.resolve()).then(work);
    const settled = done.catch(() => null); // The caller handles it.
    this.turns.set(bucket, settled);
    void settled.then(() => {
      if (this.turns.get(bucket) === settled) this.turns.delete(bucket);
    });
    return done;
  }

  /** The pages of a bucket. They are read together with others, and then given to `read`. */
  places(bucket: number): [ResolvedKey, ResolvedKey] {
    const oid = oidOf("ramster map bucket", keyOf(bucket));
    return [
      { oid, index: 0 },
      { oid, index: 1 },
    ];
  }

  async read(
    bucket: number,
    pages: ReadonlyArray<Uint8Array | null | "lost" | undefined>,
    options: CallOptions,
  ): Promise<Bucket> {
    const placed: Placed[] = [];
    for (const place of [0, 1] as const) {
      const page = pages[place];
      if (!(page instanceof Uint8Array)) continue;
      const record = readRecord(page, keyOf(bucket), BUCKET_BYTES_MAX);
      if (record !== null) placed.push({ place, record });
    }
    placed.sort((one, other) => other.record.sequence - one.record.sequence);
    for (const current of placed) {
      const bytes = await readValue(this.pool, current.record, options);
      if (typeof bytes === "string") continue; // It was replaced meanwhile, or a page has vanished.
      const older = placed.find((it) => it !== current) ?? null;
      return { number: bucket, keys: new Set(decodeKeys(bytes)), current, older };
    }
    return { number: bucket, keys: new Set(), current: null, older: null };
  }

  /** Replaces the keys of a bucket. @returns why that was refused, or null. */
  async write(
    { number, current, older }: Bucket,
    keys: Iterable<string>,
    options: CallOptions,
  ): Promise<Refusal | null> {
    const { pool } = this;
    const value = encodeKeys(keys);
    if (value.byteLength > BUCKET_BYTES_MAX) return "index_full";
    const sequence = (current?.record.sequence ?? 0) + 1;
    const record = newRecord(keyOf(number), value, sequence);
    const place = current?.place === 0 ? 1 : 0;
    let refusal = await putRest(pool, record, value, options);
    if (refusal === null) {
      const at = this.places(number)[place];
      const result = await pool.put(at, record.page, options);
      refusal = result.stored ? null : result.reason;
    }
    if (refusal !== null) await dropRest(pool, record, options);
    if (older !== null) await dropRest(pool, older.record, options);
    return refusal;
  }
}

function keyOf(bucket: number): Uint8Array {
  return new Uint8Array([bucket]);
}

/** Each key: its length as u16, and its UTF-8. */
function encodeKeys(keys: Iterable<string>): Uint8Array {
  const encoder = new TextEncoder();
  const all = Array.from(keys, (key) => encoder.encode(key));
  const byteCount = all.reduce((sum, { byteLength }) => sum + 2 + byteLength, 0);
  const bytes = new Uint8Array(byteCount);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const key of all) {
    view.setUint16(at, key.byteLength);
    bytes.set(key, at + 2);
    at += 2 + key.byteLength;
  }
  return bytes;
}

function decodeKeys(bytes: Uint8Array): string[] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // A key may begin with one.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keys: string[] = [];
  for (let at = 0; at + 2 <= bytes.byteLength; ) {
    const end = at + 2 + view.getUint16(at);
    if (end > bytes.byteLength) break;
    keys.push(decoder.decode(bytes.subarray(at + 2, end)));
    at = end;
  }
  return keys;
}
