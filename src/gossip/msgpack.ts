/**
 * Msgpack: the bodies of gossip messages to fields and back, through @msgpack/msgpack.
 *
 * Go's codec writes byte slices and strings alike, as the "raw" of early msgpack. Our library
 * writes them differently. Both sides read either, so a field is bytes until its reader asks for
 * text. A missing field has Go's zero value. An unknown field is skipped.
 *
 * Every declared length is checked against the bytes that are there before memory is taken.
 */
import { Decoder, encode } from "@msgpack/msgpack";
import { WireError } from "../core/errors.ts";

/** Entries of a map or list in a body: Serf's status times have one for each member. */
const ENTRIES_MAX = 4096;
/** Bytes of one value, where its reader has no other limit. */
const BYTES_MAX = 2 ** 20;
/** The buffer that an encoder starts with. Most messages fit; its default of 2 KiB took as long to
 * clear as the message to encode. */
const MESSAGE_BYTES = 128;
/** Nesting of maps. The deepest body, Serf's push/pull, has four levels. */
const DEPTH_MAX = 8;

/** One body: a map from the names of a Go struct's fields. */
export class Fields {
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(values: unknown) {
    if (!isMap(values)) throw malformed("a body is not a map");
    this.values = values;
  }

  /** A whole number, 0 .. `max`. 0 when it is missing. */
  count(name: string, max = 2 ** 32 - 1): number {
    const given = this.value(name) ?? 0;
    const value = typeof given === "bigint" ? Number(given) : given;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
      throw malformed(`${name} must be a whole number from 0 to ${max}`);
    }
    return value;
  }

  /** 0 when it is missing. */
  float(name: string): number {
    const value = this.value(name) ?? 0;
    if (typeof value !== "number") throw malformed(`${name} must be a number`);
    return value;
  }

  /** A whole number of 64 bits. 0 when it is missing. */
  u64(name: string): bigint {
    const value = u64Of(this.value(name) ?? 0);
    if (value === null) throw malformed(`${name} must be a whole number below 2^64`);
    return value;
  }

  flag(name: string): boolean {
    const value = this.value(name) ?? false;
    if (typeof value !== "boolean") throw malformed(`${name} must be true or false`);
    return value;
  }

  /** At most `bytesMax` bytes. Empty when it is missing. */
  bytes(name: string, bytesMax: number): Uint8Array {
    const value = this.value(name) ?? EMPTY;
    if (!(value instanceof Uint8Array)) throw malformed(`${name} must be bytes`);
    if (value.byteLength > bytesMax) throw malformed(`${name} has over ${bytesMax} bytes`);
    return value;
  }

  /** UTF-8 of at most `bytesMax` bytes. */
  text(name: string, bytesMax: number): string {
    return textOf(this.bytes(name, bytesMax), name);
  }

  /** A map of fields. Empty when it is missing. */
  inner(name: string): Fields {
    return new Fields(this.value(name) ?? {});
  }

  /** A list. Empty when it is missing. */
  list(name: string): readonly unknown[] {
    const value = this.value(name) ?? [];
    if (!Array.isArray(value)) throw malformed(`${name} must be a list`);
    return value;
  }

  /** The names and values of a map. Empty when it is missing. */
  entries(name: string): ReadonlyArray<readonly [string, unknown]> {
    const value = this.value(name) ?? {};
    if (!isMap(value)) throw malformed(`${name} must be a map`);
    return Object.entries(value);
  }

  has(name: string): boolean {
    return (this.value(name) ?? null) !== null;
  }

  private value(name: string): unknown {
    return Object.hasOwn(this.values, name) ? this.values[name] : undefined;
  }
}

/**
 * Writes a value as msgpack, without its `undefined` fields. A whole number past 32 bits must be a
 * bigint.
 */
export function encodeMsgpack(value: unknown): Uint8Array {
  const types = { ignoreUndefined: true, useBigInt64: true };
  return encode(value, { ...types, initialBufferSize: MESSAGE_BYTES });
}

/**
 * Reads the one value in `bytes`. A number of 64 bits becomes a bigint. Throws WireError BAD_FRAME,
 * also for a string of over `bytesMax` bytes.
 */
export function decodeMsgpack(bytes: Uint8Array, bytesMax = BYTES_MAX): unknown {
  const end = msgpackEnd(bytes, 0, bytesMax);
  if (end !== bytes.byteLength) throw malformed("a body is cut short, or has bytes after its end");
  const limits = { maxStrLength: bytesMax, maxBinLength: bytesMax, maxExtLength: 0 };
  const entries = { maxArrayLength: ENTRIES_MAX, maxMapLength: ENTRIES_MAX };
  const types = { rawStrings: true, useBigInt64: true };
  try {
    return new Decoder({ ...limits, ...entries, ...types }).decode(bytes);
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : "a body is not msgpack");
  }
}

/** A decoded whole number of at most 64 bits. Null for anything else. */
export function u64Of(value: unknown): bigint | null {
  if (typeof value === "bigint") return value < 0n ? null : value;
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? BigInt(value) : null;
}

/** The type that is encoded in the fewest bytes, as Go's codec does. */
export function shortest(value: bigint): number | bigint {
  return value < 2n ** 32n ? Number(value) : value;
}

/** Decodes UTF-8 text. Errors call it `name`. */
export function textOf(bytes: unknown, name: string): string {
  if (!(bytes instanceof Uint8Array)) throw malformed(`${name} must be text`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed(`${name} must be UTF-8`);
  }
}

/**
 * Where the value that begins at `start` ends, or -1 while it is incomplete. It is not decoded:
 * this finds the borders of consecutive values on a stream. Throws WireError BAD_FRAME.
 */
export function msgpackEnd(bytes: Uint8Array, start: number, bytesMax = BYTES_MAX): number {
  // By level: how many values are still to come.
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
    if (head.values > 2 * ENTRIES_MAX) throw malformed(`it has over ${ENTRIES_MAX} entries`);
    if (open.length === DEPTH_MAX) throw malformed(`it has over ${DEPTH_MAX} levels`);
    open.push(head.values);
  }
  return at;
}

interface Head {
  /** The bytes of the value, without those of `values`. */
  byteCount: number;
  /** How many of the values that follow are part of it. */
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
  if (width === undefined) throw malformed(`byte 0x${byte.toString(16)} is not msgpack`);
  if (at + 1 + width > bytes.byteLength) return null;
  let length = 0;
  for (let i = 1; i <= width; i += 1) length = length * 256 + (bytes[at + i] ?? 0);
  if (byte >= 0xdc) return { byteCount: 1 + width, values: byte >= 0xde ? 2 * length : length };
  if (length > bytesMax) throw malformed(`a value has ${length} bytes`);
  const typeBytes = byte >= 0xc7 && byte <= 0xc9 ? 1 : 0;
  return { byteCount: 1 + width + typeBytes + length, values: 0 };
}

/** By format byte: the bytes of nil, bool, float, int, fixext. */
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

/** By format byte: the bytes of the length of bin, ext, str, array, map. */
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
