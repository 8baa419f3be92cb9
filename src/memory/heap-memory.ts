/**
 * Memory on plain ArrayBuffers: for systems without bun:ffi, and for the simulator. It behaves like
 * ffi-memory.ts, with two exceptions. `release` only writes zeros, so that touched memory stays
 * resident until the region is closed. Nothing is pinned.
 *
 * An ArrayBuffer has at most 4 GiB. So a region is cut into pieces of PIECE_BYTES, which are made
 * when they are first written.
 */
import { assert } from "../core/assert.ts";
import { RamsterError } from "../core/errors.ts";
import { BYTES_PER_MIB, FRAME_BYTES, REGION_WORDS_BYTES_MAX } from "../core/limits.ts";
import type { Kept, Memory, Region } from "../core/memory.ts";

/** 16 MiB: an idle node stays small, and pieces are few. */
const PIECE_BYTES = 16 * 1024 * 1024;

export class HeapMemory implements Memory {
  readonly journal = null;

  reserve(byteCount: number): Region {
    return new HeapRegion(new HeapBytes(byteCount), null);
  }

  copy(
    target: Uint8Array,
    targetOffset: number,
    source: Uint8Array,
    sourceOffset: number,
    byteCount: number,
  ): void {
    assertRange(target.byteLength, targetOffset, byteCount);
    assertRange(source.byteLength, sourceOffset, byteCount);
    target.set(source.subarray(sourceOffset, sourceOffset + byteCount), targetOffset);
  }
}

export function assertRange(available: number, offset: number, byteCount: number): void {
  assert(
    offset >= 0 && byteCount >= 0 && offset + byteCount <= available,
    "The range of the copy is outside of the region",
  );
}

/** Also thrown when the runtime has so little that it works without compiler and bun:ffi. */
export function noAddresses(byteCount: number, options?: { cause: unknown }): RamsterError {
  const mib = Math.ceil(byteCount / BYTES_PER_MIB);
  const how =
    "raise RLIMIT_AS and RLIMIT_DATA (ulimit -v, ulimit -d; LimitAS= and LimitDATA= of a unit), " +
    "or run sysctl vm.overcommit_memory=0 where it is 2";
  const what = `Cannot reserve ${mib}MiB of address space: ${how}`;
  return new RamsterError("NO_MEMORY", what, options);
}

/** The bytes of a region. Kept ones are those of several regions, one after the other. */
export class HeapBytes {
  readonly byteCount: number;
  pieces: Array<Uint8Array | undefined> = [];
  whole: Int32Array | null = null;

  constructor(byteCount: number) {
    assert(byteCount > 0 && byteCount % FRAME_BYTES === 0);
    this.byteCount = byteCount;
  }
}

export class HeapRegion implements Region {
  readonly byteCount: number;
  readonly kept: Kept | null;
  private bytes: HeapBytes;

  constructor(bytes: HeapBytes, kept: Kept | null) {
    this.byteCount = bytes.byteCount;
    this.bytes = bytes;
    this.kept = kept;
  }

  read(offset: number, target: Uint8Array, targetOffset: number, byteCount: number): void {
    assertRange(this.byteCount, offset, byteCount);
    assertRange(target.byteLength, targetOffset, byteCount);
    this.eachPiece(offset, byteCount, (piece, start, length, done) => {
      const at = targetOffset + done;
      if (piece === undefined) target.fill(0, at, at + length);
      else target.set(piece.subarray(start, start + length), at);
    });
  }

  write(offset: number, source: Uint8Array, sourceOffset: number, byteCount: number): void {
    assertRange(this.byteCount, offset, byteCount);
    assertRange(source.byteLength, sourceOffset, byteCount);
    const { whole } = this.bytes;
    if (whole !== null) {
      const from = source.subarray(sourceOffset, sourceOffset + byteCount);
      new Uint8Array(whole.buffer).set(from, offset);
      return;
    }
    let done = 0;
    while (done < byteCount) {
      const at = offset + done;
      const start = at % PIECE_BYTES;
      const length = Math.min(PIECE_BYTES - start, byteCount - done);
      const from = sourceOffset + done;
      this.pieceFor(at).set(source.subarray(from, from + length), start);
      done += length;
    }
  }

  move(from: number, to: number, byteCount: number): void {
    assert(Math.abs(from - to) >= byteCount, "The ranges of the move overlap");
    const bytes = new Uint8Array(byteCount);
    this.read(from, bytes, 0, byteCount);
    this.write(to, bytes, 0, byteCount);
  }

  words(): Int32Array {
    assert(this.byteCount <= REGION_WORDS_BYTES_MAX);
    const { bytes } = this;
    assert(bytes.pieces.length === 0, "words() must be called before the first write");
    bytes.whole ??= this.newWords();
    return bytes.whole;
  }

  private newWords(): Int32Array {
    try {
      return new Int32Array(this.byteCount / 4);
    } catch (error) {
      // The RangeError of the runtime has no details.
      throw noAddresses(this.byteCount, { cause: error });
    }
  }

  grow(byteCount: number): boolean {
    assertRange(this.byteCount, 0, byteCount);
    return true;
  }

  release(offset: number, byteCount: number): void {
    assertRange(this.byteCount, offset, byteCount);
    if (byteCount === this.byteCount) this.bytes.pieces = [];
    this.eachPiece(offset, byteCount, (piece, start, length) => {
      piece?.fill(0, start, start + length);
    });
  }

  close(): void {
    this.bytes = new HeapBytes(this.byteCount);
  }

  private eachPiece(
    offset: number,
    byteCount: number,
    visit: (piece: Uint8Array | undefined, start: number, length: number, done: number) => void,
  ): void {
    const { whole } = this.bytes;
    if (whole !== null) return visit(new Uint8Array(whole.buffer), offset, byteCount, 0);
    let done = 0;
    while (done < byteCount) {
      const at = offset + done;
      const start = at % PIECE_BYTES;
      const length = Math.min(PIECE_BYTES - start, byteCount - done);
      visit(this.bytes.pieces[Math.floor(at / PIECE_BYTES)], start, length, done);
      done += length;
    }
  }

  private pieceFor(offset: number): Uint8Array {
    const index = Math.floor(offset / PIECE_BYTES);
    const { pieces } = this.bytes;
    let piece = pieces[index];
    if (piece === undefined) {
      const start = index * PIECE_BYTES;
      piece = new Uint8Array(Math.min(PIECE_BYTES, this.byteCount - start));
      pieces[index] = piece;
    }
    return piece;
  }
}
