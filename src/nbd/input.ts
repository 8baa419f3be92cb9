/**
 * Input: the bytes of a stream as pieces of the requested length, however the chunks were cut.
 *
 *     chunks --> take(28): header --> take(length): data to be written --> take(28) ...
 *
 * A piece that came in one chunk stays there. One that spans chunks is assembled in a buffer.
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import { NBD_ASSEMBLY_KEEP_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";

const NOTHING = new Uint8Array(0);
const NOTHING_VIEW = new DataView(NOTHING.buffer);

export class Input {
  /** The last piece that was taken: `bytes` or `view` from `at`. Valid until the next `take`. */
  bytes: Uint8Array = NOTHING;
  view: DataView = NOTHING_VIEW;
  at = 0;
  private readonly memory: Memory;
  private readonly chunks: Uint8Array[] = [];
  private chunkView: DataView = NOTHING_VIEW;
  /** The last chunk that was read to its end: the piece may lie in it. */
  private spent: Uint8Array = NOTHING;
  /** How far the first chunk has been read. */
  private position = 0;
  private assembly: Uint8Array = NOTHING;
  /** Bytes of the current piece that are assembled, or skipped, so far. */
  private have = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Takes over the chunk. */
  push(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    if (this.chunks.length === 1) this.begin(chunk);
  }

  get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  /** @returns whether the piece is complete; else take the same again when more bytes have come. */
  take(byteCount: number): boolean {
    this.freeSpent();
    if (byteCount === 0) return this.takeNothing();
    const [chunk] = this.chunks;
    if (chunk === undefined) return false;
    if (this.have === 0 && chunk.byteLength - this.position >= byteCount) {
      this.bytes = chunk;
      this.view = this.chunkView;
      this.at = this.position;
      this.advance(chunk, byteCount);
      return true;
    }
    return this.assemble(byteCount);
  }

  /** The previous piece may lie in a chunk that is freed by now, so an empty one lies nowhere. */
  private takeNothing(): boolean {
    this.bytes = NOTHING;
    this.view = NOTHING_VIEW;
    this.at = 0;
    return true;
  }

  /** Skips bytes. @returns whether all of them have come; else skip the same again. */
  skip(byteCount: number): boolean {
    this.freeSpent();
    while (this.have < byteCount) {
      const [chunk] = this.chunks;
      if (chunk === undefined) return false;
      const count = Math.min(byteCount - this.have, chunk.byteLength - this.position);
      this.have += count;
      this.advance(chunk, count);
    }
    this.have = 0;
    return true;
  }

  /** @returns whether the piece fills an array of its own, which then belongs to the caller. */
  giveAway(): boolean {
    if (this.bytes !== this.assembly || this.assembly.byteLength <= NBD_ASSEMBLY_KEEP_BYTES) {
      return false;
    }
    this.assembly = NOTHING;
    return true;
  }

  /** The piece is not needed any more: frees what is not worth keeping. */
  release(): void {
    this.freeSpent();
    if (this.chunks.length > 0) return;
    if (this.assembly.byteLength > NBD_ASSEMBLY_KEEP_BYTES) this.trim();
    if (this.bytes === this.assembly) return;
    this.bytes = NOTHING;
    this.view = NOTHING_VIEW;
    this.chunkView = NOTHING_VIEW;
  }

  /** Frees the buffer of an idle client. */
  trim(): void {
    if (this.have > 0) return;
    freeBuffer(this.assembly);
    this.assembly = NOTHING;
    this.bytes = NOTHING;
    this.view = NOTHING_VIEW;
  }

  /** Frees everything: no more is read. */
  drop(): void {
    this.freeSpent();
    for (const chunk of this.chunks.splice(0)) freeBuffer(chunk);
    this.have = 0;
    this.trim();
  }

  private assemble(byteCount: number): boolean {
    if (this.have === 0) this.makeRoom(byteCount);
    while (this.have < byteCount) {
      const [chunk] = this.chunks;
      if (chunk === undefined) return false;
      const count = Math.min(byteCount - this.have, chunk.byteLength - this.position);
      this.memory.copy(this.assembly, this.have, chunk, this.position, count);
      this.have += count;
      this.advance(chunk, count);
    }
    this.have = 0;
    this.bytes = this.assembly;
    this.view = new DataView(this.bytes.buffer);
    this.at = 0;
    return true;
  }

  private makeRoom(byteCount: number): void {
    const isShort = this.assembly.byteLength < byteCount;
    const isLong = this.assembly.byteLength > NBD_ASSEMBLY_KEEP_BYTES;
    if (isShort || (isLong && byteCount <= NBD_ASSEMBLY_KEEP_BYTES)) {
      freeBuffer(this.assembly);
      this.assembly = new Uint8Array(byteCount);
    }
  }

  private advance(chunk: Uint8Array, byteCount: number): void {
    this.position += byteCount;
    assert(this.position <= chunk.byteLength);
    if (this.position < chunk.byteLength) return;
    this.chunks.shift();
    this.freeSpent();
    this.spent = chunk;
    const [next] = this.chunks;
    if (next !== undefined) this.begin(next);
  }

  private freeSpent(): void {
    freeBuffer(this.spent);
    this.spent = NOTHING;
  }

  private begin(chunk: Uint8Array): void {
    this.position = 0;
    this.chunkView = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}
