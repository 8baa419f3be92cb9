/**
 * Output: replies on their way to one client.
 *
 *     [ gathered: short replies, one behind the other ]   [ separate ] [ separate ] ...
 *
 * Short replies are written in place and leave together in one write. A long reply stays in the
 * buffer that it was made in. NBD allows replies in any order, so what is gathered goes first;
 * a separate reply that has begun is finished before anything else.
 *
 * Not here: bounds. The connection takes no request while too much waits here.
 */
import { freeBuffer } from "../core/buffers.ts";
import { NBD_OUTPUT_KEEP_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import type { Stream } from "../net/transport.ts";

/** A reply in a buffer of its own: `bytes` from `at` to `end`. */
export interface SeparateReply {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** What it uses of the memory for large requests. */
  readonly largeBytes: number;
  /** The operating system has all of it, or the stream is gone: the buffer is free again. */
  onSent(): void;
}

const NOTHING = new Uint8Array(0);
const NOTHING_VIEW = new DataView(NOTHING.buffer);
const FIRST_BYTES = 4096;

export class Output {
  /** Where a reply is written: `bytes` or `view` at `tail`, after `reserve`. */
  bytes: Uint8Array = NOTHING;
  view: DataView = NOTHING_VIEW;
  tail = 0;
  private readonly memory: Memory;
  private head = 0;
  private readonly separate: SeparateReply[] = [];
  private separateBytes = 0;
  /** How far the first separate reply has been sent; 0: not begun. */
  private sentTo = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Bytes that the stream has not taken yet. */
  get pendingBytes(): number {
    return this.tail - this.head + this.separateBytes;
  }

  get gatheredBytes(): number {
    return this.tail - this.head;
  }

  /** Whether a reply that waits here uses memory for large requests. */
  get hasLarge(): boolean {
    return this.separate.some((reply) => reply.largeBytes > 0);
  }

  /** Makes room for `byteCount` bytes at `tail`; `commit` adds those that were written. */
  reserve(byteCount: number): void {
    if (this.tail + byteCount <= this.bytes.byteLength) return;
    const pending = this.tail - this.head;
    let size = Math.max(FIRST_BYTES, this.bytes.byteLength);
    while (size < pending + byteCount) size *= 2;
    const before = this.bytes;
    // A little is moved to the front. For more than half, a new buffer avoids repeated moves.
    if (size > before.byteLength || pending > size / 2) this.bytes = new Uint8Array(size);
    if (this.bytes !== before) this.view = new DataView(this.bytes.buffer);
    if (pending > 0 && this.bytes !== before) {
      this.memory.copy(this.bytes, 0, before, this.head, pending);
    } else if (pending > 0) {
      this.bytes.copyWithin(0, this.head, this.tail);
    }
    if (this.bytes !== before) freeBuffer(before);
    this.head = 0;
    this.tail = pending;
  }

  commit(byteCount: number): void {
    this.tail += byteCount;
  }

  addSeparate(reply: SeparateReply): void {
    this.separate.push(reply);
    this.separateBytes += reply.end - reply.at;
  }

  /** Hands over as much as the stream takes. @returns whether nothing is left. */
  flush(stream: Stream): boolean {
    for (;;) {
      if (this.sentTo > 0 && !this.sendSeparate(stream)) return false;
      if (this.tail > this.head) {
        this.head += stream.write(this.bytes, this.head, this.tail - this.head);
        if (this.head < this.tail) return false;
        this.onEmptied();
      }
      const [next] = this.separate;
      if (next === undefined) return true;
      this.sentTo = next.at;
      if (!this.sendSeparate(stream)) return false;
    }
  }

  /** Gives up what waits: the stream is gone. */
  drop(): void {
    this.head = 0;
    this.tail = 0;
    this.trim();
    this.sentTo = 0;
    this.separateBytes = 0;
    for (const reply of this.separate.splice(0)) reply.onSent();
  }

  /** Frees the buffer of an idle client. */
  trim(): void {
    if (this.tail > this.head || this.bytes.byteLength === 0) return;
    freeBuffer(this.bytes);
    this.bytes = NOTHING;
    this.view = NOTHING_VIEW;
  }

  /** @returns whether all of the first separate reply is sent. */
  private sendSeparate(stream: Stream): boolean {
    const [reply] = this.separate;
    if (reply === undefined) return true;
    const taken = stream.write(reply.bytes, this.sentTo, reply.end - this.sentTo);
    this.sentTo += taken;
    this.separateBytes -= taken;
    if (this.sentTo < reply.end) return false;
    this.sentTo = 0;
    this.separate.shift();
    reply.onSent();
    return true;
  }

  private onEmptied(): void {
    this.head = 0;
    this.tail = 0;
    if (this.bytes.byteLength > NBD_OUTPUT_KEEP_BYTES) this.trim();
  }
}
