/**
 * KeptRequest: a request that the handler answers later, and the buffer that it needs until then.
 *
 *     write    | data                                the handler stores it from `bytes[at]`
 *     read     | room for the header | data ...      the handler fills it from `dataAt` on
 *
 * A long reply is sent from this buffer, so its data is not copied again. The object and a small
 * buffer can be used for another request afterwards.
 *
 * Not here: when it is answered (NbdConnection.finish), what it does to pages (src/exports).
 */
import { freeBuffer } from "../core/buffers.ts";
import { NBD_PENDING_KEEP_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import type { Input } from "./input.ts";
import type { SeparateReply } from "./output.ts";
import { READ_HEADER_BYTES_MAX } from "./protocol.ts";
import type { Answered, Request } from "./request.ts";

const NOTHING = new Uint8Array(0);

export class KeptRequest implements Answered, SeparateReply {
  flags = 0;
  type = 0;
  cookieHi = 0;
  cookieLo = 0;
  offset = 0;
  byteCount = 0;
  /** Its data is at `bytes[at]`; that of a read ends at `end`. */
  bytes: Uint8Array = NOTHING;
  at = 0;
  end = 0;
  /** What it costs its connection until it is answered. */
  cost = 0;
  /** Its part of the memory for large requests: 0 if it is not large. */
  largeBytes = 0;

  get offsetHi(): number {
    return Math.floor(this.offset / 0x1_0000_0000);
  }

  get offsetLo(): number {
    return this.offset >>> 0;
  }

  /** Where the handler puts the data of a read. */
  get dataAt(): number {
    return READ_HEADER_BYTES_MAX;
  }

  /** Whether the reply to a read is short enough to be gathered with others. */
  get isShort(): boolean {
    return this.byteCount <= NBD_PENDING_KEEP_BYTES;
  }

  set(request: Request): void {
    this.flags = request.flags;
    this.type = request.type;
    this.cookieHi = request.cookieHi;
    this.cookieLo = request.cookieLo;
    this.offset = request.offset;
    this.byteCount = request.byteCount;
    this.largeBytes = request.largeBytes;
  }

  /**
   * Makes room for `dataBytes` bytes at `dataAt`. The reply is the requested bytes behind the first
   * `skippedBytes` of them.
   */
  prepareRead(dataBytes: number, skippedBytes: number): void {
    this.makeRoom(this.dataAt + dataBytes);
    this.at = this.dataAt + skippedBytes;
    this.end = this.at + this.byteCount;
  }

  /** Takes over the array that the written data was assembled in, or else copies the data. */
  keepData(request: Request, input: Input, memory: Memory): void {
    this.at = 0;
    if (input.giveAway()) {
      this.freeBytes();
      this.bytes = request.bytes;
      return;
    }
    this.makeRoom(request.byteCount);
    memory.copy(this.bytes, 0, request.bytes, request.at, request.byteCount);
  }

  freeBytes(): void {
    freeBuffer(this.bytes);
    this.bytes = NOTHING;
  }

  /** SeparateReply: the buffer is free again. */
  onSent(): void {}

  /** Replaces the buffer if it is too short: its bytes are lost then. */
  private makeRoom(byteCount: number): void {
    if (this.bytes.byteLength >= byteCount) return;
    this.freeBytes();
    this.bytes = new Uint8Array(byteCount);
  }
}
