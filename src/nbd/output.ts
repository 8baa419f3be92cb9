/**
 * Output: replies on their way to one client.
 *
 *     [ gathered: small replies, one behind the other ]   [ whole ] [ whole ] ...
 *
 * Small replies are written in place and leave together in one write. A long one stays in the
 * buffer that it was made in. Only whole replies are ever behind each other, so their order is
 * free: what is gathered goes first.
 *
 * Bounded by who fills it: a connection takes no request while too much waits here.
 */
import { freeBuffer } from "../core/buffers.ts";
import { NBD_OUTPUT_KEEP_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import type { Stream } from "../net/transport.ts";

/** A reply in a buffer of its own. */
export interface WholeReply {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** What it holds of the memory for long requests. */
  readonly largeBytes: number;
  /** It is in the hands of the operating system, or will never be: the buffer is free. */
  onWritten(): void;
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
  private readonly wholes: WholeReply[] = [];
  private wholesBytes = 0;
  /** How far the first of `wholes` has gone; 0: not begun. */
  private wholeAt = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Bytes that the stream has not taken yet. */
  get pendingBytes(): number {
    return this.tail - this.head + this.wholesBytes;
  }

  get gatheredBytes(): number {
    return this.tail - this.head;
  }

  /** Whether it holds memory for long requests. */
  get hasLarge(): boolean {
    return this.wholes.some((reply) => reply.largeBytes > 0);
  }

  /** Makes room for `byteCount` bytes at `tail`; `commit` adds those that were written. */
  reserve(byteCount: number): void {
    if (this.tail + byteCount <= this.bytes.byteLength) return;
    const pending = this.tail - this.head;
    let size = Math.max(FIRST_BYTES, this.bytes.byteLength);
    while (size < pending + byteCount) size *= 2;
    const before = this.bytes;
    // What is little moves to the front; else twice the space spares moving it time and again.
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

  addWhole(reply: WholeReply): void {
    this.wholes.push(reply);
    this.wholesBytes += reply.end - reply.at;
  }

  /** Hands over as much as the stream takes. @returns whether nothing is left. */
  flush(stream: Stream): boolean {
    for (;;) {
      if (this.wholeAt > 0 && !this.writeWhole(stream)) return false;
      if (this.tail > this.head) {
        this.head += stream.write(this.bytes, this.head, this.tail - this.head);
        if (this.head < this.tail) return false;
        this.emptied();
      }
      const [next] = this.wholes;
      if (next === undefined) return true;
      this.wholeAt = next.at;
      if (!this.writeWhole(stream)) return false;
    }
  }

  /** Gives up what waits: the stream is gone. */
  drop(): void {
    this.head = 0;
    this.tail = 0;
    this.trim();
    this.wholeAt = 0;
    this.wholesBytes = 0;
    for (const reply of this.wholes.splice(0)) reply.onWritten();
  }

  /** An idle client needs no buffer. */
  trim(): void {
    if (this.tail > this.head || this.bytes.byteLength === 0) return;
    freeBuffer(this.bytes);
    this.bytes = NOTHING;
    this.view = NOTHING_VIEW;
  }

  /** @returns whether all of it is gone. */
  private writeWhole(stream: Stream): boolean {
    const [reply] = this.wholes;
    if (reply === undefined) return true;
    const taken = stream.write(reply.bytes, this.wholeAt, reply.end - this.wholeAt);
    this.wholeAt += taken;
    this.wholesBytes -= taken;
    if (this.wholeAt < reply.end) return false;
    this.wholeAt = 0;
    this.wholes.shift();
    reply.onWritten();
    return true;
  }

  private emptied(): void {
    this.head = 0;
    this.tail = 0;
    if (this.bytes.byteLength > NBD_OUTPUT_KEEP_BYTES) this.trim();
  }
}
