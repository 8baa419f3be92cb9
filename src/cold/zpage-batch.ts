/**
 * ZpageBatch: zpages that are compressed again together, in memory that two threads can share.
 *
 *     input     zpage i at i * PAGE_BYTES, with its bytes, its codec, and the number of the
 *               dictionary for its output; 0: none
 *     output    its other encoding at i * PAGE_BYTES, with its bytes; 0: it has none
 *
 * An output is only used if it is enough shorter than its input to be worth the change.
 */
import { assert } from "../core/assert.ts";
import { PAGE_BYTES, ZPAGE_BYTES_MAX } from "../core/limits.ts";

/** Two zpages of a page, four words of 32 bits. */
const BYTES_PER_ZPAGE = 2 * PAGE_BYTES + 4 * 4;
/** An output saves at least this much. */
export const SAVED_BYTES_MIN = 64;

export class ZpageBatch {
  readonly capacity: number;
  buffer!: ArrayBufferLike;
  input!: Uint8Array;
  output!: Uint8Array;
  inputBytes!: Int32Array;
  /** Codec ids: src/compress/codec.ts. */
  inputCodecs!: Int32Array;
  dictionaries!: Int32Array;
  outputBytes!: Int32Array;
  /** How many inputs there are. */
  count = 0;

  /** Over a buffer of `ZpageBatch.byteCount(capacity)` bytes. */
  constructor(buffer: ArrayBufferLike, capacity: number) {
    this.capacity = capacity;
    this.moveTo(buffer);
  }

  /** In memory of its own, which another thread may share. */
  static make(capacity: number): ZpageBatch {
    return new ZpageBatch(new SharedArrayBuffer(ZpageBatch.byteCount(capacity)), capacity);
  }

  /** Goes on in another buffer, and leaves the zpages: another thread may still write to them. */
  moveTo(buffer: ArrayBufferLike): void {
    const { capacity } = this;
    assert(buffer.byteLength === ZpageBatch.byteCount(capacity));
    this.buffer = buffer;
    this.input = new Uint8Array(buffer, 0, capacity * PAGE_BYTES);
    this.output = new Uint8Array(buffer, capacity * PAGE_BYTES, capacity * PAGE_BYTES);
    const words = (index: number): Int32Array => {
      return new Int32Array(buffer, capacity * (2 * PAGE_BYTES + 4 * index), capacity);
    };
    this.inputBytes = words(0);
    this.inputCodecs = words(1);
    this.dictionaries = words(2);
    this.outputBytes = words(3);
    this.count = 0;
  }

  static byteCount(capacity: number): number {
    return capacity * BYTES_PER_ZPAGE;
  }

  /** Adds an input, of that codec. */
  add(zpage: Uint8Array, codec: number): void {
    const { count } = this;
    assert(count < this.capacity && zpage.byteLength <= PAGE_BYTES);
    this.input.set(zpage, count * PAGE_BYTES);
    this.inputBytes[count] = zpage.byteLength;
    this.inputCodecs[count] = codec;
    this.count += 1;
  }

  /** How long the output of zpage `i` may be. Below 1: it cannot be shorter by enough. */
  outputBytesMax(i: number): number {
    return Math.min((this.inputBytes[i] ?? 0) - SAVED_BYTES_MIN, ZPAGE_BYTES_MAX);
  }
}
