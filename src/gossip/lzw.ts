/**
 * LZW as memberlist uses it (Go's compress/lzw, LSB order, 8-bit literals). Codes have 9 to 12
 * bits, least significant bit first. Code 256 clears the table, code 257 ends.
 *
 * There is no encoder: what this program sends fits a datagram uncompressed.
 */
import { WireError } from "../core/errors.ts";

const CLEAR = 256;
const END = 257;
const WIDTH_MIN = 9;
const WIDTH_MAX = 12;
const CODES = 1 << WIDTH_MAX;
/** No code came before: the next code makes no new string. */
const NONE = -1;

/**
 * @returns the decompressed bytes, at most `bytesMax`. Throws WireError BAD_FRAME when there are
 * more, or `source` is cut short or malformed.
 */
export function decodeLzw(source: Uint8Array, bytesMax: number): Uint8Array {
  return new Decoder(source, bytesMax).run();
}

class Decoder {
  private readonly source: Uint8Array;
  private readonly bytesMax: number;
  /** A string is its prefix and one more byte. The prefix is always a lower code. */
  private readonly prefix = new Uint16Array(CODES);
  private readonly suffix = new Uint8Array(CODES);
  /** The bytes of a string, last byte first. */
  private readonly reversed = new Uint8Array(CODES);
  private target: Uint8Array;
  private length = 0;
  private at = 0;
  private bits = 0;
  private bitCount = 0;
  private width = WIDTH_MIN;
  /** The code that the next string gets. */
  private next = END;
  private last = NONE;

  constructor(source: Uint8Array, bytesMax: number) {
    this.source = source;
    this.bytesMax = bytesMax;
    this.target = new Uint8Array(Math.min(bytesMax, 4 * source.byteLength));
  }

  run(): Uint8Array {
    for (;;) {
      const code = this.readCode();
      if (code === END) return this.target.subarray(0, this.length);
      if (code === CLEAR) {
        this.width = WIDTH_MIN;
        this.next = END;
        this.last = NONE;
      } else {
        this.take(code);
      }
    }
  }

  private readCode(): number {
    while (this.bitCount < this.width) {
      const byte = this.source[this.at];
      if (byte === undefined) throw bad("it is cut short");
      this.bits |= byte << this.bitCount;
      this.bitCount += 8;
      this.at += 1;
    }
    const code = this.bits & ((1 << this.width) - 1);
    this.bits >>>= this.width;
    this.bitCount -= this.width;
    return code;
  }

  private take(code: number): void {
    if (code > this.next) throw bad("a code is not in the table");
    // A code that is not complete yet is the last string and the first byte of that.
    const unfinished = code === this.next && this.last !== NONE;
    const first = unfinished ? this.firstOf(this.last) : this.firstOf(code);
    this.writeString(unfinished ? this.last : code);
    if (unfinished) this.write(first);
    if (this.last !== NONE) {
      this.prefix[this.next] = this.last;
      this.suffix[this.next] = first;
    }
    this.last = code;
    this.next += 1;
    if (this.next < 1 << this.width) return;
    if (this.width < WIDTH_MAX) {
      this.width += 1;
    } else {
      this.last = NONE; // The table is full: no new strings until it is cleared.
      this.next -= 1;
    }
  }

  private firstOf(code: number): number {
    let walk = code;
    while (walk >= CLEAR) walk = this.prefix[walk] ?? 0;
    return walk;
  }

  private writeString(code: number): void {
    let count = 0;
    let walk = code;
    for (; walk >= CLEAR; walk = this.prefix[walk] ?? 0) {
      this.reversed[count] = this.suffix[walk] ?? 0;
      count += 1;
    }
    this.write(walk);
    for (; count > 0; count -= 1) this.write(this.reversed[count - 1] ?? 0);
  }

  private write(byte: number): void {
    if (this.length === this.target.byteLength) {
      if (this.length >= this.bytesMax) throw bad(`it has over ${this.bytesMax} bytes`);
      const grown = new Uint8Array(Math.min(this.bytesMax, 2 * this.length + 64));
      grown.set(this.target);
      this.target = grown;
    }
    this.target[this.length] = byte;
    this.length += 1;
  }
}

function bad(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot decompress gossip: ${reason}`);
}
