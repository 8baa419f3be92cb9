/**
 * DictionaryModel: a codec with dictionaries that every machine has. Its zpages are those of the
 * runtime's zstd, made unreadable without their dictionary:
 *
 *     | number of the dictionary, 2 bytes | zpage of zstd XOR the dictionary, over and over |
 */
import { BunZstd } from "../../src/compress/bun-zstd.ts";
import { CODEC, type Codec } from "../../src/compress/codec.ts";
import { assert } from "../../src/core/assert.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";

const NUMBER_BYTES = 2;

export class DictionaryModel implements Codec {
  readonly id = CODEC.ZSTD_DICTIONARY;
  readonly name = "model";
  readonly library = null;
  /** The number of the dictionary that compresses. */
  selected = 0;
  private readonly dictionaries = new Map<number, Uint8Array>();
  private readonly zstd = new BunZstd();
  private readonly zpage = new Uint8Array(2 * PAGE_BYTES);

  add(number: number, dictionary: Uint8Array): void {
    assert(!this.dictionaries.has(number) && dictionary.byteLength > 0);
    this.dictionaries.set(number, dictionary);
  }

  remove(number: number): void {
    assert(this.dictionaries.delete(number), "there is no such dictionary");
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    const { zpage, selected } = this;
    const key = this.dictionaries.get(selected);
    assert(key !== undefined, "no dictionary is selected");
    const room = targetBytesMax - NUMBER_BYTES;
    const byteCount = this.zstd.compress(source, sourceOffset, zpage, 0, room);
    if (byteCount === 0) return 0;
    target[targetOffset] = selected >> 8;
    target[targetOffset + 1] = selected & 0xff;
    for (let i = 0; i < byteCount; i += 1) {
      target[targetOffset + NUMBER_BYTES + i] = (zpage[i] ?? 0) ^ (key[i % key.byteLength] ?? 0);
    }
    return NUMBER_BYTES + byteCount;
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    const { zpage } = this;
    const number = ((source[sourceOffset] ?? 0) << 8) | (source[sourceOffset + 1] ?? 0);
    const key = this.dictionaries.get(number);
    const byteCount = sourceBytes - NUMBER_BYTES;
    if (key === undefined || byteCount < 1) return false;
    for (let i = 0; i < byteCount; i += 1) {
      const byte = source[sourceOffset + NUMBER_BYTES + i] ?? 0;
      zpage[i] = byte ^ (key[i % key.byteLength] ?? 0);
    }
    return this.zstd.decompress(zpage, 0, byteCount, target, targetOffset);
  }
}
