/**
 * Msgpack: bodies of gossip messages to fields and back, through @msgpack/msgpack.
 *
 * Go's codec writes byte slices and strings alike, as the "raw" of the first msgpack, and our
 * library writes them apart; both sides read either. So a field is bytes until its reader asks for
 * text. A field that is missing has Go's zero value, one that is not known is skipped.
 *
 * Everything a body declares is checked against the bytes that are there before memory is taken.
 */
import { Decoder, encode } from "@msgpack/msgpack";
import { WireError } from "../core/errors.ts";

/** Entries of any map or list in a body: Serf's status times have one for each member. */
const ENTRIES_MAX = 4096;
/** One value, where its reader has no other limit. */
const BYTES_MAX = 2 ** 20;
/** Maps within maps. The deepest body, Serf's push/pull, has four levels. */
const DEPTH_MAX = 8;

/** One body: a map from the names of a Go struct's fields. */
export class Fields {
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(values: unknown) {
    if (!isMap(values)) throw malformed("a body is no map");
    this.values = values;
  }

  /** A whole number, 0 .. `max`; 0 when it is missing. */
  count(name: string, max = 2 ** 32 - 1): number {
    const given = this.value(name) ?? 0;
    const value = typeof given === "bigint" ? Number(given) : given;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
      throw malformed(`${name} is no number from 0 to ${max}`);
    }
    return value;
  }

  /** 0 when it is missing. */
  float(name: string): number {
    const value = this.value(name) ?? 0;
    if (typeof value !== "number") throw malformed(`${name} is no number`);
    return value;
  }

  /** A whole number of 64 bits; 0 when it is missing. */
  u64(name: string): bigint {
    const value = u64Of(this.value(name) ?? 0);
    if (value === null) throw malformed(`${name} is no number from 0 to 2^64`);
    return value;
  }

  flag(name: string): boolean {
    const value = this.value(name) ?? false;
    if (typeof value !== "boolean") throw malformed(`${name} is neither true nor false`);
    return value;
  }

  /** At most `bytesMax` bytes; none when it is missing. */
  bytes(name: string, bytesMax: number): Uint8Array {
    const value = this.value(name) ?? EMPTY;
    if (!(value instanceof Uint8Array)) throw malformed(`${name} is not bytes`);
    if (value.byteLength > bytesMax) throw malformed(`${name} is over ${bytesMax} bytes`);
    return value;
  }

  /** UTF-8 of at most `bytesMax` bytes. */
  text(name: string, bytesMax: number): string {
    return textOf(this.bytes(name, bytesMax), name);
  }

  /** A map of fields; none when it is missing. */
  inner(name: string): Fields {
    return new Fields(this.value(name) ?? {});
  }

  /** A list; empty when it is missing. */
  list(name: string): readonly unknown[] {
    const value = this.value(name) ?? [];
    if (!Array.isArray(value)) throw malformed(`${name} is no list`);
    return value;
  }

  /** Names and values of a map; empty when it is missing. */
  entries(name: string): ReadonlyArray<readonly [string, unknown]> {
    const value = this.value(name) ?? {};
    if (!isMap(value)) throw malformed(`${name} is no map`);
    return Object.entries(value);
  }

  private value(name: string): unknown {
    return Object.hasOwn(this.values, name) ? this.values[name] : undefined;
  }
}

/**
 * Writes a value as msgpack. `undefined` fields are left out. A whole number past 32 bits must be a
 * bigint.
 */
export function encodeMsgpack(value: unknown): Uint8Array {
  return encode(value, { ignoreUndefined: true, useBigInt64: true });
}

/**
 * Reads the one value that `bytes` hold. A number of 64 bits comes as a bigint. Throws WireError
 * BAD_FRAME, also for a string of over `bytesMax` bytes.
 */
export function decodeMsgpack(bytes: Uint8Array, bytesMax = BYTES_MAX): unknown {
  const end = msgpackEnd(bytes, 0, bytesMax);
  if (end !== bytes.byteLength) throw malformed("a body is cut short, or is followed by more");
  const limits = { maxStrLength: bytesMax, maxBinLength: bytesMax, maxExtLength: 0 };
  const entries = { maxArrayLength: ENTRIES_MAX, maxMapLength: ENTRIES_MAX };
  const types = { rawStrings: true, useBigInt64: true };
  try {
    return new Decoder({ ...limits, ...entries, ...types }).decode(bytes);
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : "a body is no msgpack");
  }
}

/** A number of at most 64 bits as it was decoded; null for anything else. */
export function u64Of(value: unknown): bigint | null {
  if (typeof value === "bigint") return value < 0n ? null : value;
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? BigInt(value) : null;
}

/** As short as it can be written: Go's codec does so as well. */
export function shortest(value: bigint): number | bigint {
  return value < 2n ** 32n ? Number(value) : value;
}

/** Text in UTF-8, as `name` in errors. */
export function textOf(bytes: unknown, name: string): string {
  if (!(bytes instanceof Uint8Array)) throw malformed(`${name} is no text`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed(`${name} is no UTF-8`);
  }
}

/**
 * Where the value that begins at `start` ends, or -1 when that is not there yet. Nothing is
 * decoded: this is how values that follow each other on a stream are told apart. Throws WireError
 * BAD_FRAME.
 */
export function msgpackEnd(bytes: Uint8Array, start: number, bytesMax = BYTES_MAX): number {
  // How many values are still to come at each level.
  const open = [1];
  let at = start;
  while (open.length > 0) {
    const level = open.length - 1;
    if (open[level] === 0) {
      open.pop();
      continue;
    }
    open[level] = (open[level] ?? 0) - 1;
    const head = headAt(bytes, at, bytesMax);
    if (head === null) return -1;
    at += head.byteCount;
    if (at > bytes.byteLength) return -1;
    if (head.values === 0) continue;
    if (head.values > 2 * ENTRIES_MAX) throw malformed(`over ${ENTRIES_MAX} entries`);
    if (open.length === DEPTH_MAX) throw malformed(`over ${DEPTH_MAX} levels`);
    open.push(head.values);
  }
  return at;
}

interface Head {
  /** The value with what is in it, but for `values`. */
  byteCount: number;
  /** How many values follow that are part of it. */
  values: number;
}

/** The msgpack specification, section "Formats". Null when the head is cut short. */
function headAt(bytes: Uint8Array, at: number, bytesMax: number): Head | null {
  const byte = bytes[at];
  if (byte === undefined) return null;
  if (byte <= 0x7f || byte >= 0xe0) return { byteCount: 1, values: 0 };
  if (byte <= 0x8f) return { byteCount: 1, values: 2 * (byte & 0x0f) };
  if (byte <= 0x9f) return { byteCount: 1, values: byte & 0x0f };
  if (byte <= 0xbf) return { byteCount: 1 + (byte & 0x1f), values: 0 };
  const fixed = FIXED_BYTES[byte];
  if (fixed !== undefined) return { byteCount: fixed, values: 0 };
  const width = LENGTH_BYTES[byte];
  if (width === undefined) throw malformed(`byte 0x${byte.toString(16)} is no msgpack`);
  if (at + 1 + width > bytes.byteLength) return null;
  let length = 0;
  for (let i = 1; i <= width; i += 1) length = length * 256 + (bytes[at + i] ?? 0);
  if (byte >= 0xdc) return { byteCount: 1 + width, values: byte >= 0xde ? 2 * length : length };
  if (length > bytesMax) throw malformed(`${length} bytes in one value`);
  const typeBytes = byte >= 0xc7 && byte <= 0xc9 ? 1 : 0;
  return { byteCount: 1 + width + typeBytes + length, values: 0 };
}

/** Formats of one length: nil, bool, float, int, fixext. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  192: 1,
  194: 1,
  195: 1,
  202: 5,
  203: 9,
  204: 2,
  205: 3,
  206: 5,
  207: 9,
  208: 2,
  209: 3,
  210: 5,
  211: 9,
  212: 3,
  213: 4,
  214: 6,
  215: 10,
  216: 18,
};

/** How many bytes the length has: bin, ext, str, array, map. */
const LENGTH_BYTES: Readonly<Record<number, number>> = {
  196: 1,
  197: 2,
  198: 4,
  199: 1,
  200: 2,
  201: 4,
  217: 1,
  218: 2,
  219: 4,
  220: 2,
  221: 4,
  222: 2,
  223: 4,
};

const EMPTY = new Uint8Array(0);

function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}

function malformed(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read gossip: ${reason}`);
}
