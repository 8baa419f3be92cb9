/**
 * RemoteMap: a map from texts to values of any size, in a pool that it has for itself.
 *
 *     set    other pages of the value > first page, which switches to it > old pages away
 *     get    first page > other pages > check; once more if the value was replaced meanwhile
 *
 * A get gives a value that some set was given, whole, or nothing. A set that is refused leaves the
 * key without a value. When it rejects instead, the key has the old value, the new one or none.
 *
 * Maps of several clients may share the pool. Each set of the same key replaces the one before.
 * Pages of a set that never ended, or that raced with another of the same key, may stay until
 * `clear`: nobody reads them.
 *
 * Not here: the bytes (map-record.ts), and which keys there are (map-index.ts).
 */
import { RamsterError } from "../core/errors.ts";
import { badArgument, checkCallOptions, checkString, isBytes } from "./arguments.ts";
import type { Refusal } from "./errors.ts";
import { checkText, oidOf, type ResolvedKey } from "./keys.ts";
import { BUCKETS, type Bucket, MapIndex } from "./map-index.ts";
import {
  dropRest,
  MAP_KEY_BYTES_MAX,
  type MapRecord,
  newRecord,
  peek,
  putRest,
  readRecord,
  readValue,
} from "./map-record.ts";
import type { Pool, PutResult } from "./pool.ts";
import { type CallOptions, Signals } from "./signal.ts";

/** Makes bytes of values, and values of bytes. */
export interface ValueCodec<V> {
  encode(value: V): Uint8Array;
  decode(bytes: Uint8Array): V;
}

export interface MapOptions {
  /** A longer value is not taken. Default: 1 GiB. It is in memory as a whole. */
  valueBytesMax?: number | undefined;
}

/** A map of other values than bytes needs a codec. */
type OptionsOf<V> = [V] extends [Uint8Array]
  ? [options?: MapOptions & { codec?: ValueCodec<V> | undefined }]
  : [options: MapOptions & { codec: ValueCodec<V> }];

interface Entry {
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly first: ResolvedKey;
  readonly bucket: number;
}

const VALUE_BYTES_MAX_DEFAULT = 1024 * 1024 * 1024;
/** How often a get starts again because the value was replaced. */
const READS_MAX = 32;
/** Buckets that are read at once when keys are listed, and values at once for entries. */
const BUCKETS_AT_ONCE = 32;
const VALUES_AT_ONCE = 16;

const BYTES: ValueCodec<Uint8Array> = { encode: (value) => value, decode: (bytes) => bytes };

export class RemoteMap<K extends string = string, V = Uint8Array> implements AsyncIterable<[K, V]> {
  readonly pool: Pool;
  private readonly index: MapIndex;
  private readonly signals = new Signals();
  private readonly codec: ValueCodec<V>;
  private readonly valueBytesMax: number;

  /**
   * The map in `pool`: what is in it already, too. The pool is to be persistent, or values may
   * vanish at any time; with `storeWhole`, or values that hardly compress are refused.
   */
  constructor(pool: Pool, ...[options]: OptionsOf<V>) {
    this.pool = pool;
    this.index = new MapIndex(pool);
    this.codec = options?.codec ?? (BYTES as unknown as ValueCodec<V>);
    this.valueBytesMax = options?.valueBytesMax ?? VALUE_BYTES_MAX_DEFAULT;
  }

  /**
   * The value, or undefined. Throws PageError when a persistent page of it has no good copy in
   * reach, and RamsterError LOST when other bytes are at its place.
   */
  async get(key: K, options: CallOptions = {}): Promise<V | undefined> {
    const entry = entryOf(key);
    let seen: MapRecord | null = null;
    for (let reads = 0; reads < READS_MAX; reads += 1) {
      const page = await this.pool.get(entry.first, { ...options, remove: "never" });
      if (page === null) return undefined;
      const record = readRecord(page, entry.keyBytes, this.valueBytesMax);
      if (record === null) throw damaged(key);
      const value = await readValue(this.pool, record, options);
      if (typeof value !== "string") return this.codec.decode(value);
      if (seen !== null && isSame(record, seen)) {
        if (value === "damaged") throw damaged(key);
        await this.removeBroken(entry, record, options);
        return undefined;
      }
      seen = record;
    }
    throw new RamsterError("TIMED_OUT", `Cannot get ${show(key)}: it changes all the time`);
  }

  /** Whether the key has a value. One in a pool that is not persistent may vanish at once. */
  async has(key: K, options: CallOptions = {}): Promise<boolean> {
    const entry = entryOf(key);
    const page = await this.pool.get(entry.first, { ...options, remove: "never" });
    return page !== null && this.recordIn(page, entry) !== null;
  }

  /**
   * Stores the value. @returns why it was refused, if it was: the key has no value then. The bytes
   * of the value must not change before that.
   */
  async set(key: K, value: V, options: CallOptions = {}): Promise<PutResult> {
    const entry = entryOf(key);
    const bytes = this.codec.encode(value);
    if (!isBytes(bytes) || bytes.byteLength > this.valueBytesMax) {
      const what = `not a Uint8Array of at most ${this.valueBytesMax} bytes`;
      throw badArgument(`Cannot set ${show(key)}: ${what}`);
    }
    return this.inTurn(entry, options, () => this.setInTurn(entry, bytes, options));
  }

  /** Removes the value. @returns whether there was one. */
  async delete(key: K, options: CallOptions = {}): Promise<boolean> {
    const entry = entryOf(key);
    return this.inTurn(entry, options, async () => {
      const { old, bucket } = await this.look(entry, options);
      const [found = false] = await this.pool.flushPages([entry.first], options);
      if (old !== null) await dropRest(this.pool, old, options);
      if (bucket.keys.has(key)) await this.unlist(bucket, [key], options);
      return found;
    });
  }

  /** Removes everything from the pool. */
  clear(options?: CallOptions): Promise<void> {
    return this.pool.flush(options);
  }

  /** Counts the keys, which takes as long as listing them. */
  async size(options: CallOptions = {}): Promise<number> {
    let count = 0;
    for await (const keys of this.keysInParts(options)) count += keys.length;
    return count;
  }

  /** The keys that have a value, in no order. Those that are set or deleted meanwhile may be missing. */
  async *keys(options: CallOptions = {}): AsyncGenerator<K, void, undefined> {
    for await (const keys of this.keysInParts(options)) yield* keys;
  }

  async *values(options: CallOptions = {}): AsyncGenerator<V, void, undefined> {
    for await (const [, value] of this.entries(options)) yield value;
  }

  async *entries(options: CallOptions = {}): AsyncGenerator<[K, V], void, undefined> {
    for await (const keys of this.keysInParts(options)) {
      for (let from = 0; from < keys.length; from += VALUES_AT_ONCE) {
        const some = keys.slice(from, from + VALUES_AT_ONCE);
        const values = await Promise.all(some.map((key) => this.get(key, options)));
        for (const [i, key] of some.entries()) {
          const value = values[i];
          if (value !== undefined) yield [key, value];
        }
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<[K, V], void, undefined> {
    return this.entries();
  }

  private async setInTurn(
    entry: Entry,
    value: Uint8Array,
    options: CallOptions,
  ): Promise<PutResult> {
    const { pool } = this;
    const record = newRecord(entry.keyBytes, value);
    const prepared = await this.prepare(entry, record, value, options).catch((error: unknown) => {
      // The first page was not sent, so nobody reads the others.
      void dropRest(pool, record).catch(() => null);
      throw error;
    });
    const { old } = prepared;
    let { refusal } = prepared;
    if (refusal === null) {
      const result = await pool.put(entry.first, record.page, options);
      refusal = result.stored ? null : result.reason;
    } else {
      await pool.flushPages([entry.first], options);
    }
    if (refusal !== null) await dropRest(pool, record, options);
    if (old !== null) await dropRest(pool, old, options);
    return refusal === null ? { stored: true } : { stored: false, reason: refusal };
  }

  /** All that comes before the first page. */
  private async prepare(
    entry: Entry,
    record: MapRecord,
    value: Uint8Array,
    options: CallOptions,
  ): Promise<{ old: MapRecord | null; refusal: Refusal | null }> {
    const refusal = await putRest(this.pool, record, value, options);
    const { old, bucket } = await this.look(entry, options);
    if (refusal !== null || bucket.keys.has(entry.key)) return { old, refusal };
    const keys = [...bucket.keys, entry.key];
    return { old, refusal: await this.index.write(bucket, keys, options) };
  }

  /** The record that a change replaces, and the bucket of its key. One round trip, if that is short. */
  private async look(
    { first, bucket, ...entry }: Entry,
    options: CallOptions,
  ): Promise<{ old: MapRecord | null; bucket: Bucket }> {
    const places = this.index.places(bucket);
    const [page, ...pages] = await peek(this.pool, [first, ...places], options);
    const old =
      page instanceof Uint8Array ? this.recordIn(page, { ...entry, first, bucket }) : null;
    return { old, bucket: await this.index.read(bucket, pages, options) };
  }

  private recordIn(page: Uint8Array, { keyBytes }: Entry): MapRecord | null {
    return readRecord(page, keyBytes, this.valueBytesMax);
  }

  /** Removes a value whose pages have vanished, unless it was replaced meanwhile. */
  private async removeBroken(entry: Entry, broken: MapRecord, options: CallOptions): Promise<void> {
    await this.inTurn(entry, options, async () => {
      const [page] = await peek(this.pool, [entry.first], options);
      if (!(page instanceof Uint8Array)) return;
      const record = this.recordIn(page, entry);
      if (record === null || !isSame(record, broken)) return;
      await this.pool.flushPages([entry.first], options);
      await dropRest(this.pool, record, options);
    });
  }

  /** Keys with a value, a few buckets at a time. Takes keys without one from their bucket. */
  private async *keysInParts(options: CallOptions): AsyncGenerator<K[], void, undefined> {
    for (let from = 0; from < BUCKETS; from += BUCKETS_AT_ONCE) {
      const numbers = Array.from({ length: BUCKETS_AT_ONCE }, (_, i) => from + i);
      const buckets = await this.readBuckets(numbers, options);
      for (const bucket of buckets) {
        const keys = [...bucket.keys] as K[];
        const isThere = await this.areThere(keys, options);
        const gone = keys.filter((_, i) => isThere[i] !== true);
        if (gone.length > 0) await this.prune(bucket.number, gone, options);
        const found = keys.filter((_, i) => isThere[i] === true);
        if (found.length > 0) yield found;
      }
    }
  }

  private async readBuckets(numbers: readonly number[], options: CallOptions): Promise<Bucket[]> {
    const places = numbers.flatMap((number) => this.index.places(number));
    const pages = await peek(this.pool, places, options);
    return Promise.all(
      numbers.map((number, i) => {
        return this.index.read(number, pages.slice(2 * i, 2 * i + 2), options);
      }),
    );
  }

  private async areThere(keys: readonly K[], options: CallOptions): Promise<boolean[]> {
    const entries = keys.map(entryOf);
    const firsts = entries.map(({ first }) => first);
    const pages = await peek(this.pool, firsts, options);
    return pages.map((page) => page !== null);
  }

  private async prune(number: number, gone: readonly K[], options: CallOptions): Promise<void> {
    await this.index.inTurn(number, async () => {
      // A set may have given one of them a value meanwhile.
      const isThere = await this.areThere(gone, options);
      const still = gone.filter((_, i) => isThere[i] !== true);
      const [bucket] = await this.readBuckets([number], options);
      if (bucket !== undefined && still.length > 0) await this.unlist(bucket, still, options);
    });
  }

  /** A refusal changes nothing: the keys are listed, and have no value. */
  private async unlist(
    bucket: Bucket,
    gone: readonly string[],
    options: CallOptions,
  ): Promise<void> {
    const keys = [...bucket.keys].filter((key) => !gone.includes(key));
    await this.index.write(bucket, keys, options);
  }

  private inTurn<T>({ bucket }: Entry, options: CallOptions, work: () => Promise<T>): Promise<T> {
    checkCallOptions(options);
    const { signal } = options;
    return this.signals.unlessAborted(signal, () => {}, this.index.inTurn(bucket, work));
  }
}

function entryOf(key: string): Entry {
  checkString(key, "key");
  checkText(key);
  const keyBytes = new TextEncoder().encode(key);
  if (keyBytes.byteLength > MAP_KEY_BYTES_MAX) {
    const what = `${keyBytes.byteLength} bytes of UTF-8, at most ${MAP_KEY_BYTES_MAX}`;
    throw badArgument(`Cannot use key ${show(key)}: ${what}`);
  }
  const oid = oidOf("ramster map entry", keyBytes);
  return { key, keyBytes, first: { oid, index: 0 }, bucket: Number(oid[0] % BigInt(BUCKETS)) };
}

function isSame(one: MapRecord, other: MapRecord): boolean {
  return one.rest.every((word, i) => word === other.rest[i]);
}

function damaged(key: string): RamsterError {
  const what = "other bytes are at its place, or it is longer than valueBytesMax";
  return new RamsterError("LOST", `Cannot get ${show(key)}: ${what}`);
}

/** A key for a message. */
function show(key: string): string {
  const SHOWN = 60;
  return JSON.stringify(key.length > SHOWN ? `${key.slice(0, SHOWN)}...` : key);
}
