/**
 * Native lz4: the codec `lz4` on the system's liblz4. Its zpages are those of lz4-wasm in another
 * order of matches: each decompresses what the other has compressed.
 *
 * Pages go through an output of its own, because liblz4 leaves bytes behind when it fails:
 *
 *     compress     page -> target, where a block of any length fits, else page -> output -> target
 *     decompress   zpage -> output -> target
 *
 * What the functions of lz4.h promise:
 *   - LZ4_compress_fast_extState works in a state of ours, 16 KiB, and allocates nothing. It stops
 *     and returns 0 when the block would be longer than the target.
 *   - LZ4_decompress_safe reads and writes inside of the bounds it is given, whatever the bytes.
 *   - The format forbids an offset of zero, and versions differ in what they make of it. So the
 *     output is cleared first, and no bytes of an earlier page can show.
 *
 * Not here: which file is liblz4 (memory/system-library.ts), and whether it works (check.ts).
 */
import { type Pointer, ptr } from "bun:ffi";
import { assert } from "../../core/assert.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import { Addresses } from "../../memory/addresses.ts";
import { assertRange } from "../../memory/heap-memory.ts";
import { CODEC, type Codec, codecName } from "../codec.ts";
import { LZ4_BLOCK_BYTES_MAX } from "../lz4.ts";
import { type Libc, noLibrary, openLibrary } from "./open-library.ts";

/** The default of lz4.h: the best compression of LZ4_compress_fast. */
const ACCELERATION = 1;

/** An LZ4_stream_t holds pointers. */
const STATE_ALIGNMENT = 8;

const STATE_BYTES_MAX = 1024 * 1024;

const FUNCTIONS = {
  LZ4_compress_fast_extState: {
    args: ["ptr", "ptr", "ptr", "i32", "i32", "i32"],
    returns: "i32",
  },
  LZ4_decompress_safe: { args: ["ptr", "ptr", "i32", "i32"], returns: "i32" },
  LZ4_sizeofState: { args: [], returns: "i32" },
  LZ4_versionString: { args: [], returns: "cstring" },
} as const;

/** The name of the library in the system's directories. */
export const LZ4_LIBRARY = "liblz4.so.1";

export class NativeLz4 implements Codec {
  readonly id = CODEC.LZ4;
  readonly name = codecName(CODEC.LZ4);
  readonly library: string;
  readonly path: string;
  private readonly lz4: ReturnType<typeof openLibrary<typeof FUNCTIONS>>["library"];
  private readonly libc: Libc;
  private readonly addresses = new Addresses();
  private readonly state: Uint8Array;
  private readonly stateAt: Pointer;
  /** Longer than a block, so that Bun keeps it outside of the collected heap. */
  private readonly output = new Uint8Array(2 * PAGE_BYTES);
  private readonly outputAt: Pointer;

  /** `path` is absolute. Throws NOT_SUPPORTED when it is no liblz4. */
  constructor(path: string) {
    const { library, libc } = openLibrary(path, FUNCTIONS);
    this.path = path;
    this.lz4 = library;
    this.libc = libc;
    this.library = `liblz4 ${library.LZ4_versionString()}`;
    const stateBytes = library.LZ4_sizeofState();
    if (stateBytes < PAGE_BYTES || stateBytes > STATE_BYTES_MAX) {
      throw noLibrary(`${path}: LZ4_sizeofState() is ${stateBytes}`);
    }
    this.state = new Uint8Array(stateBytes);
    this.stateAt = ptr(this.state);
    this.outputAt = ptr(this.output);
    assert(this.stateAt % STATE_ALIGNMENT === 0);
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    assertRange(source.byteLength, sourceOffset, PAGE_BYTES);
    const from = (this.addresses.of(source) + sourceOffset) as Pointer;
    if (targetBytesMax >= LZ4_BLOCK_BYTES_MAX) {
      assertRange(target.byteLength, targetOffset, LZ4_BLOCK_BYTES_MAX);
      const to = (this.addresses.of(target) + targetOffset) as Pointer;
      return this.compressAt(from, to, LZ4_BLOCK_BYTES_MAX);
    }
    const byteCount = this.compressAt(from, this.outputAt, targetBytesMax);
    if (byteCount === 0) return 0;
    assertRange(target.byteLength, targetOffset, byteCount);
    const to = (this.addresses.of(target) + targetOffset) as Pointer;
    this.libc.memcpy(to, this.outputAt, byteCount);
    return byteCount;
  }

  private compressAt(from: Pointer, to: Pointer, bytesMax: number): number {
    return this.lz4.LZ4_compress_fast_extState(
      this.stateAt,
      from,
      to,
      PAGE_BYTES,
      bytesMax,
      ACCELERATION,
    );
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    if (sourceBytes < 1 || sourceBytes > LZ4_BLOCK_BYTES_MAX) return false;
    assertRange(source.byteLength, sourceOffset, sourceBytes);
    assertRange(target.byteLength, targetOffset, PAGE_BYTES);
    const from = (this.addresses.of(source) + sourceOffset) as Pointer;
    const { outputAt } = this;
    this.libc.memset(outputAt, 0, PAGE_BYTES);
    const byteCount = this.lz4.LZ4_decompress_safe(from, outputAt, sourceBytes, PAGE_BYTES);
    if (byteCount !== PAGE_BYTES) return false;
    const to = (this.addresses.of(target) + targetOffset) as Pointer;
    this.libc.memcpy(to, outputAt, PAGE_BYTES);
    return true;
  }
}
