/**
 * libzstd of the system: its functions, the training of a dictionary, and the contexts in which
 * pages are compressed and decompressed.
 *
 * Contexts are made once. The one that decompresses takes 94 KiB, and the one that compresses 72
 * KiB from its first page on.
 *
 * Not here: the codecs (zstd.ts), which file is libzstd (memory/system-library.ts), and whether it
 * works (check.ts).
 */
import { FFIType, type Pointer, ptr } from "bun:ffi";
import { assert } from "../../core/assert.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import { Addresses } from "../../memory/addresses.ts";
import { assertRange } from "../../memory/heap-memory.ts";
import { ZSTD_ZPAGE_BYTES_MAX } from "../zstd-frame.ts";
import { type Libc, noLibrary, openLibrary } from "./open-library.ts";

const LEVEL = 1;
/**
 * Of dictionaries. libzstd takes the parameters of a level for the size of the dictionary, not for
 * that of a page. Those of level 2 are what level 1 has for a page (ZSTD_defaultCParameters). With
 * level 1 matches have 6 bytes at least, and zpages get up to 10 percent longer in the same time.
 */
export const DICTIONARY_LEVEL = 2;

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

/** The longest dictionary. More bring nothing: a page is small. */
export const DICTIONARY_BYTES_MAX = 128 * 1024;

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
  readonly path: string;
  readonly functions: ReturnType<typeof openZstd>["library"];
  readonly libc: Libc;

  /** `path` is absolute. Throws NOT_SUPPORTED when it is no libzstd. */
  constructor(path: string) {
    const { library, libc } = openZstd(path);
    this.functions = library;
    this.libc = libc;
    this.path = path;
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
export class ZstdContexts {
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
