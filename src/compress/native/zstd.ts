/**
 * zstd: codecs on the system's libzstd, at level 1, with and without a dictionary.
 *
 * A zpage is one frame of RFC 8878 without its magic number, and a page always fits one block:
 *
 *      0            1        2                   2 or 4            block header: 24 bits
 *      | descriptor | window | dictionary number | block header |  content        last, type, bytes
 *        0, 1 or 2            0, 1 or 2 bytes        3 bytes
 *
 * Every frame that the library gets to see was checked against that first (`isOneBlock`). So a
 * zpage is refused unread when it is cut off, followed by other bytes, or of several blocks. The
 * size of the content is not in the frame: the output has room for one page and no more.
 *
 * A dictionary has a number of its owner's choice, so that two bytes in a zpage are enough to find
 * it. libzstd refuses a zpage when the number is not that of the dictionary.
 *
 * The contexts are made once: 72 KiB to compress, 94 KiB to decompress. A dictionary of 64 KiB
 * takes 110 and 91 KiB more.
 *
 * Not here: when a dictionary is trained, and how long its zpages live.
 */
import { FFIType, type Pointer, ptr } from "bun:ffi";
import { assert } from "../../core/assert.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import { Addresses } from "../../memory/addresses.ts";
import { assertRange } from "../../memory/heap-memory.ts";
import { CODEC, type Codec, codecName } from "../codec.ts";
import { type Libc, noLibrary, openLibrary } from "./open-library.ts";

const LEVEL = 1;

/** ZSTD_cParameter and ZSTD_dParameter of zstd.h. The format is an experimental parameter. */
const PARAMETER = {
  LEVEL: 100,
  CONTENT_SIZE: 200,
  CHECKSUM: 201,
  DICTIONARY_NUMBER: 202,
  COMPRESSED_FORMAT: 10,
  DECOMPRESSED_FORMAT: 1000,
} as const;
const FORMAT_MAGICLESS = 1;

/** ZSTD_compressBound of zstd.h, for a page. A longer zpage is refused unread. */
export const ZSTD_ZPAGE_BYTES_MAX = PAGE_BYTES + (PAGE_BYTES >> 8) + ((131_072 - PAGE_BYTES) >> 11);

/** The longest dictionary. More bring nothing: a page is small. */
export const DICTIONARY_BYTES_MAX = 128 * 1024;
/** In front of a dictionary: ZSTD_MAGIC_DICTIONARY of zstd.h, then its number. */
const DICTIONARY_MAGIC = 0xec30_a437;
const DICTIONARY_NUMBER_AT = 4;
export const DICTIONARY_NUMBER_MAX = 65_535;

const BLOCK_HEADER_BYTES = 3;
const BLOCK_TYPE = { REPEATED_BYTE: 1, RESERVED: 3 } as const;

// Sizes are returned. Errors are negative: -1 .. -120 of zstd_errors.h.
const COMPRESS = { args: ["ptr", "ptr", "u64", "ptr", "u64"], returns: FFIType.i64_fast } as const;
const FREE = { args: ["ptr"], returns: FFIType.i64_fast } as const;
const MAKE = { args: [], returns: "ptr" } as const;
const SET = { args: ["ptr", "i32", "i32"], returns: FFIType.i64_fast } as const;

const FUNCTIONS = {
  ZSTD_versionString: { args: [], returns: "cstring" },
  ZSTD_createCCtx: MAKE,
  ZSTD_createDCtx: MAKE,
  ZSTD_freeCCtx: FREE,
  ZSTD_freeDCtx: FREE,
  ZSTD_CCtx_setParameter: SET,
  ZSTD_DCtx_setParameter: SET,
  ZSTD_compress2: COMPRESS,
  ZSTD_decompressDCtx: COMPRESS,
  ZSTD_createCDict: { args: ["ptr", "u64", "i32"], returns: "ptr" },
  ZSTD_createDDict: { args: ["ptr", "u64"], returns: "ptr" },
  ZSTD_freeCDict: FREE,
  ZSTD_freeDDict: FREE,
  ZSTD_CCtx_refCDict: { args: ["ptr", "ptr"], returns: FFIType.i64_fast },
  ZSTD_DCtx_refDDict: { args: ["ptr", "ptr"], returns: FFIType.i64_fast },
  ZDICT_trainFromBuffer: { args: ["ptr", "u64", "ptr", "ptr", "u32"], returns: FFIType.i64_fast },
} as const;

function openZstd(path: string) {
  return openLibrary(path, FUNCTIONS);
}

/** The name of the library in the system's directories. */
export const ZSTD_LIBRARY = "libzstd.so.1";

/** libzstd, opened once. Its codecs share nothing but the functions. */
export class ZstdLibrary {
  /** "libzstd 1.5.4". */
  readonly name: string;
  readonly functions: ReturnType<typeof openZstd>["library"];
  readonly libc: Libc;

  /** `path` is absolute. Throws NOT_SUPPORTED when it is no libzstd. */
  constructor(path: string) {
    const { library, libc } = openZstd(path);
    this.functions = library;
    this.libc = libc;
    this.name = `libzstd ${library.ZSTD_versionString()}`;
  }

  /**
   * Trains a dictionary from whole pages, in about 0.3 ms a page: not on the thread that serves.
   *
   * @returns null when the pages are too few, or too much alike, for one.
   */
  train(pages: Uint8Array, dictionaryBytes: number): Uint8Array | null {
    const count = pages.byteLength / PAGE_BYTES;
    assert(Number.isInteger(count) && dictionaryBytes <= DICTIONARY_BYTES_MAX);
    if (count === 0) return null;
    const { ZDICT_trainFromBuffer } = this.functions;
    const sizes = new BigUint64Array(count).fill(BigInt(PAGE_BYTES));
    const dictionary = new Uint8Array(dictionaryBytes);
    const to = ptr(dictionary);
    const length = ZDICT_trainFromBuffer(to, dictionaryBytes, ptr(pages), ptr(sizes), count);
    return length < 0 ? null : dictionary.slice(0, Number(length));
  }
}

/** The contexts of one codec, and the way of a page through them. */
class ZstdContexts {
  readonly library: ZstdLibrary;
  readonly compressing: Pointer;
  readonly decompressing: Pointer;
  private readonly addresses = new Addresses();
  private readonly output = new Uint8Array(2 * PAGE_BYTES);
  private readonly outputAt = ptr(this.output);

  constructor(library: ZstdLibrary) {
    const { functions } = library;
    const compressing = functions.ZSTD_createCCtx() as Pointer | null;
    const decompressing = functions.ZSTD_createDCtx() as Pointer | null;
    if (compressing === null || decompressing === null) throw noLibrary("libzstd has no memory");
    this.library = library;
    this.compressing = compressing;
    this.decompressing = decompressing;
    for (const [parameter, value] of [
      [PARAMETER.LEVEL, LEVEL],
      [PARAMETER.CONTENT_SIZE, 0],
      [PARAMETER.CHECKSUM, 0],
      [PARAMETER.DICTIONARY_NUMBER, 1],
      [PARAMETER.COMPRESSED_FORMAT, FORMAT_MAGICLESS],
    ] as const) {
      this.check(functions.ZSTD_CCtx_setParameter(compressing, parameter, value));
    }
    const { DECOMPRESSED_FORMAT } = PARAMETER;
    this.check(
      functions.ZSTD_DCtx_setParameter(decompressing, DECOMPRESSED_FORMAT, FORMAT_MAGICLESS),
    );
  }

  /** Throws NOT_SUPPORTED when the library refused. */
  check(result: number | bigint): void {
    if (result >= 0) return;
    throw noLibrary(`${this.library.name} refuses its parameters`);
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    assertRange(source.byteLength, sourceOffset, PAGE_BYTES);
    const { addresses, outputAt } = this;
    const { functions, libc } = this.library;
    const from = (addresses.of(source) + sourceOffset) as Pointer;
    const isDirect = targetBytesMax >= ZSTD_ZPAGE_BYTES_MAX;
    if (isDirect) assertRange(target.byteLength, targetOffset, ZSTD_ZPAGE_BYTES_MAX);
    const direct = isDirect ? ((addresses.of(target) + targetOffset) as Pointer) : outputAt;
    // Always with room for all: a zpage must not depend on the room that there was for it.
    const result = functions.ZSTD_compress2(
      this.compressing,
      direct,
      ZSTD_ZPAGE_BYTES_MAX,
      from,
      PAGE_BYTES,
    );
    if (result < 0) return 0;
    const byteCount = Number(result);
    if (isDirect) return byteCount;
    if (byteCount > targetBytesMax) return 0;
    assertRange(target.byteLength, targetOffset, byteCount);
    libc.memcpy((addresses.of(target) + targetOffset) as Pointer, outputAt, byteCount);
    return byteCount;
  }

  /** The zpage is a frame of one block. */
  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    assertRange(source.byteLength, sourceOffset, sourceBytes);
    assertRange(target.byteLength, targetOffset, PAGE_BYTES);
    const { addresses, outputAt } = this;
    const { functions, libc } = this.library;
    const from = (addresses.of(source) + sourceOffset) as Pointer;
    const result = functions.ZSTD_decompressDCtx(
      this.decompressing,
      outputAt,
      PAGE_BYTES,
      from,
      sourceBytes,
    );
    if (Number(result) !== PAGE_BYTES) return false;
    libc.memcpy((addresses.of(target) + targetOffset) as Pointer, outputAt, PAGE_BYTES);
    return true;
  }

  close(): void {
    this.library.functions.ZSTD_freeCCtx(this.compressing);
    this.library.functions.ZSTD_freeDCtx(this.decompressing);
  }
}

/** Without a dictionary. See Codec. */
export class Zstd implements Codec {
  readonly id = CODEC.ZSTD;
  readonly name = codecName(CODEC.ZSTD);
  readonly library: string;
  private readonly contexts: ZstdContexts;

  constructor(library: ZstdLibrary) {
    this.library = library.name;
    this.contexts = new ZstdContexts(library);
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    return this.contexts.compress(source, sourceOffset, target, targetOffset, targetBytesMax);
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    if (!isOneBlock(source, sourceOffset, sourceBytes, 0)) return false;
    return this.contexts.decompress(source, sourceOffset, sourceBytes, target, targetOffset);
  }

  /** Frees the contexts. No call may follow. */
  close(): void {
    this.contexts.close();
  }
}

interface Dictionary {
  readonly compressing: Pointer;
  readonly decompressing: Pointer;
}

/**
 * With dictionaries: one is selected to compress, and the number in a zpage says which decompresses
 * it. See Codec.
 */
export class ZstdWithDictionaries implements Codec {
  readonly id = CODEC.ZSTD_DICTIONARY;
  readonly name = codecName(CODEC.ZSTD_DICTIONARY);
  readonly library: string;
  private readonly zstd: ZstdLibrary;
  private readonly contexts: ZstdContexts;
  private readonly dictionaries = new Map<number, Dictionary>();
  /** The number of the dictionary that compresses; 0: none. */
  private selected = 0;
  /** The number of the dictionary that decompressed last; 0: none. */
  private referenced = 0;

  constructor(library: ZstdLibrary) {
    this.zstd = library;
    this.library = library.name;
    this.contexts = new ZstdContexts(library);
  }

  /**
   * Adds a trained dictionary under an unused number, 1 .. DICTIONARY_NUMBER_MAX.
   *
   * @returns false when the bytes are no dictionary.
   */
  add(number: number, bytes: Uint8Array): boolean {
    assert(number >= 1 && number <= DICTIONARY_NUMBER_MAX && !this.dictionaries.has(number));
    if (bytes.byteLength < DICTIONARY_NUMBER_AT + 4) return false;
    if (bytes.byteLength > DICTIONARY_BYTES_MAX) return false;
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    if (view.getUint32(0, true) !== DICTIONARY_MAGIC) return false;
    view.setUint32(DICTIONARY_NUMBER_AT, number, true);
    const { functions } = this.zstd;
    const { byteLength } = copy;
    // libzstd copies the bytes.
    const compressing = functions.ZSTD_createCDict(ptr(copy), byteLength, LEVEL) as Pointer | null;
    const decompressing = functions.ZSTD_createDDict(ptr(copy), byteLength) as Pointer | null;
    if (compressing === null || decompressing === null) {
      if (compressing !== null) functions.ZSTD_freeCDict(compressing);
      if (decompressing !== null) functions.ZSTD_freeDDict(decompressing);
      return false;
    }
    this.dictionaries.set(number, { compressing, decompressing });
    return true;
  }

  /** Frees a dictionary. Its zpages can no longer be decompressed. */
  remove(number: number): void {
    const dictionary = this.dictionaries.get(number);
    assert(dictionary !== undefined, "there is no such dictionary");
    const { functions } = this.zstd;
    if (this.selected === number) {
      this.contexts.check(functions.ZSTD_CCtx_refCDict(this.contexts.compressing, null));
      this.selected = 0;
    }
    if (this.referenced === number) {
      this.contexts.check(functions.ZSTD_DCtx_refDDict(this.contexts.decompressing, null));
      this.referenced = 0;
    }
    this.dictionaries.delete(number);
    functions.ZSTD_freeCDict(dictionary.compressing);
    functions.ZSTD_freeDDict(dictionary.decompressing);
  }

  /** From now on pages are compressed with this dictionary. */
  select(number: number): void {
    const dictionary = this.dictionaries.get(number);
    assert(dictionary !== undefined, "there is no such dictionary");
    const { functions } = this.zstd;
    const { compressing } = this.contexts;
    this.contexts.check(functions.ZSTD_CCtx_refCDict(compressing, dictionary.compressing));
    this.selected = number;
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    assert(this.selected !== 0, "no dictionary is selected");
    return this.contexts.compress(source, sourceOffset, target, targetOffset, targetBytesMax);
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    const number = dictionaryNumberOf(source, sourceOffset, sourceBytes);
    if (number === 0) return false;
    if (!isOneBlock(source, sourceOffset, sourceBytes, number > 0xff ? 2 : 1)) return false;
    if (number !== this.referenced && !this.reference(number)) return false;
    return this.contexts.decompress(source, sourceOffset, sourceBytes, target, targetOffset);
  }

  /** @returns whether there is such a dictionary. */
  private reference(number: number): boolean {
    const dictionary = this.dictionaries.get(number);
    if (dictionary === undefined) return false;
    const { functions } = this.zstd;
    const { decompressing } = this.contexts;
    this.contexts.check(functions.ZSTD_DCtx_refDDict(decompressing, dictionary.decompressing));
    this.referenced = number;
    return true;
  }

  /** Frees the dictionaries and the contexts. No call may follow. */
  close(): void {
    for (const number of [...this.dictionaries.keys()]) this.remove(number);
    this.contexts.close();
  }
}

/**
 * The number of the dictionary that a zpage was compressed with; 0: the bytes are no such zpage, or
 * it was compressed without.
 */
export function dictionaryNumberOf(source: Uint8Array, at: number, byteCount: number): number {
  if (byteCount < 4) return 0;
  const descriptor = source[at] ?? 0;
  const low = source[at + 2] ?? 0;
  if (descriptor === 1) return low;
  // libzstd writes a number below 256 in one byte: another spelling is none of ours.
  const number = low | ((source[at + 3] ?? 0) << 8);
  return descriptor === 2 && number > 0xff ? number : 0;
}

/** Whether the bytes are a whole frame of one block, with a dictionary number of that size. */
function isOneBlock(
  source: Uint8Array,
  at: number,
  byteCount: number,
  numberBytes: number,
): boolean {
  const headerBytes = 2 + numberBytes;
  if (byteCount <= headerBytes + BLOCK_HEADER_BYTES) return false;
  if (byteCount > ZSTD_ZPAGE_BYTES_MAX || source[at] !== numberBytes) return false;
  const block = at + headerBytes;
  const header =
    (source[block] ?? 0) | ((source[block + 1] ?? 0) << 8) | ((source[block + 2] ?? 0) << 16);
  const isLast = (header & 1) === 1;
  const type = (header >> 1) & 3;
  const contentBytes = type === BLOCK_TYPE.REPEATED_BYTE ? 1 : header >> 3;
  if (!isLast || type === BLOCK_TYPE.RESERVED) return false;
  return headerBytes + BLOCK_HEADER_BYTES + contentBytes === byteCount;
}
