/**
 * zstd: codecs on the system's libzstd, at level 1, with and without a dictionary.
 *
 * A dictionary has a number of its owner's choice, so that two bytes in a zpage are enough to find
 * it. libzstd refuses a zpage when the number is not that of the dictionary.
 *
 * A dictionary of 64 KiB takes 91 KiB to decompress, and 110 KiB more to compress.
 *
 * Not here: the format of a zpage (zstd-frame.ts), when a dictionary is trained, and how long its
 * zpages live.
 */
import { type Pointer, ptr } from "bun:ffi";
import { assert } from "../../core/assert.ts";
import { CODEC, type Codec, codecName } from "../codec.ts";
import { dictionaryNumberOf, isOneBlock } from "../zstd-frame.ts";
import {
  DICTIONARY_BYTES_MAX,
  DICTIONARY_LEVEL,
  ZstdContexts,
  type ZstdLibrary,
} from "./zstd-library.ts";

/** In front of a dictionary: ZSTD_MAGIC_DICTIONARY of zstd.h, then its number. */
const DICTIONARY_MAGIC = 0xec30_a437;
const DICTIONARY_NUMBER_AT = 4;
export const DICTIONARY_NUMBER_MAX = 65_535;

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
  /** Null: it only decompresses. */
  readonly compressing: Pointer | null;
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
  private readonly compresses: boolean;
  private readonly dictionaries = new Map<number, Dictionary>();
  /** The number of the dictionary that compresses; 0: none. */
  private selected = 0;
  /** The number of the dictionary that decompressed last; 0: none. */
  private referenced = 0;

  /** `compresses` false: dictionaries take less than half of the memory, and only decompress. */
  constructor(library: ZstdLibrary, { compresses = true }: { compresses?: boolean } = {}) {
    this.zstd = library;
    this.library = library.name;
    this.contexts = new ZstdContexts(library);
    this.compresses = compresses;
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
    const decompressing = functions.ZSTD_createDDict(ptr(copy), byteLength) as Pointer | null;
    if (decompressing === null) return false;
    let compressing: Pointer | null = null;
    if (this.compresses) {
      compressing = functions.ZSTD_createCDict(
        ptr(copy),
        byteLength,
        DICTIONARY_LEVEL,
      ) as Pointer | null;
      if (compressing === null) {
        functions.ZSTD_freeDDict(decompressing);
        return false;
      }
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
    if (dictionary.compressing !== null) functions.ZSTD_freeCDict(dictionary.compressing);
    functions.ZSTD_freeDDict(dictionary.decompressing);
  }

  /** From now on pages are compressed with this dictionary. */
  select(number: number): void {
    if (number === this.selected) return;
    const dictionary = this.dictionaries.get(number);
    assert(dictionary !== undefined, "there is no such dictionary");
    assert(dictionary.compressing !== null, "the dictionaries only decompress");
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
