/**
 * PendingRequest: one NBD request that could not be answered at once. It waits for pages that are
 * away, for frames, for an older change of its pages, or for its next slice. PendingRequests: all
 * of them.
 *
 *     buffer of a read:    | room for the header | page | page | ...     the reply leaves from it
 *     buffer of a write:   | what is to be written |
 *
 * Objects and small buffers are kept for the next.
 *
 * Not here: what is done (io.ts).
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import {
  NBD_CONNECTION_BYTES_MAX,
  NBD_LARGE_BYTES,
  NBD_PENDING_BYTES,
  NBD_PENDING_KEEP_BYTES,
  NBD_PENDING_KEEP_BYTES_MAX,
  NBD_PENDING_MAX,
  PAGE_BYTES,
} from "../core/limits.ts";
import type { NbdConnection } from "../nbd/connection.ts";
import type { WholeReply } from "../nbd/output.ts";
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";
import type { NbdExport } from "./export.ts";

const NOTHING = new Uint8Array(0);

export class PendingRequest implements WholeReply {
  readonly number: number;
  /** Null once the client has gone, or has its answer. */
  connection: NbdConnection | null = null;
  export: NbdExport | null = null;
  flags = 0;
  type = 0;
  cookieHi = 0;
  cookieLo = 0;
  offset = 0;
  byteCount = 0;
  /** Data is at `bytes[at]`, and ends at `end`. */
  bytes: Uint8Array = NOTHING;
  at = 0;
  end = 0;
  /** Pages from `first` to `last`, of which those before `next` are done, or asked for. */
  first = 0;
  last = 0;
  next = 0;
  /** Gets under way. */
  waiting = 0;
  /** Pages to ask for again: their holders did not answer. */
  retryPages: number[] = [];
  error: Errno = ERRNO.OK;
  startMs = 0;
  deadlineMs = 0;
  /** Change: it waits while there are any. */
  blockers = 0;
  /** What the page at the edge held, once it has come. */
  edge: Uint8Array = NOTHING;
  hasEdge = false;
  /** What it costs its connection, and of the memory for long requests. */
  cost = 0;
  largeBytes = 0;
  /** Its next slice is due. */
  isDue = false;
  private readonly onFree: (pending: PendingRequest) => void;

  constructor(number: number, onFree: (pending: PendingRequest) => void) {
    this.number = number;
    this.onFree = onFree;
  }

  get pageCount(): number {
    return this.last - this.first + 1;
  }

  get offsetHi(): number {
    return Math.floor(this.offset / 0x1_0000_0000);
  }

  get offsetLo(): number {
    return this.offset >>> 0;
  }

  /** Of its buffers. */
  get keptBytes(): number {
    return this.bytes.byteLength + this.edge.byteLength;
  }

  /** Of its buffer, whose contents are lost if it was too short. */
  makeRoom(byteCount: number): void {
    if (this.bytes.byteLength >= byteCount) return;
    this.freeBytes();
    this.bytes = new Uint8Array(byteCount);
  }

  freeBytes(): void {
    freeBuffer(this.bytes);
    this.bytes = NOTHING;
  }

  /** Pages that it has all of: from `firstWhole` up to `endOfWhole`, if that is more. */
  get firstWhole(): number {
    return Math.ceil(this.offset / PAGE_BYTES);
  }

  get endOfWhole(): number {
    return Math.floor((this.offset + this.byteCount) / PAGE_BYTES);
  }

  /** Whether whole pages of it are freed, and not written. */
  get frees(): boolean {
    if (this.type !== COMMAND.TRIM && this.type !== COMMAND.WRITE_ZEROES) return false;
    return (this.flags & COMMAND_FLAG.NO_HOLE) === 0;
  }

  /** WholeReply: the buffer is free. */
  onWritten(): void {
    this.onFree(this);
  }
}

export class PendingRequests {
  private readonly all: PendingRequest[] = [];
  private readonly free: PendingRequest[] = [];
  private readonly onFree: (pending: PendingRequest) => void;
  private bytesKept = 0;

  /** `onFree`: a reply that left from the request's buffer is on its way. */
  constructor(onFree: (pending: PendingRequest) => void) {
    this.onFree = onFree;
  }

  get count(): number {
    return this.all.length - this.free.length;
  }

  at(number: number): PendingRequest {
    const pending = this.all[number];
    assert(pending !== undefined);
    return pending;
  }

  /** Those that are not answered yet. */
  unanswered(): PendingRequest[] {
    return this.all.filter((pending) => pending.connection !== null);
  }

  /** One for the request, which its connection keeps. The buffer is the caller's business. */
  take(connection: NbdConnection, exp: NbdExport, request: Request): PendingRequest {
    let pending = this.free.pop();
    if (pending === undefined) {
      assert(this.all.length < NBD_PENDING_MAX); // What connections may keep sees to that.
      pending = new PendingRequest(this.all.length, this.onFree);
      this.all.push(pending);
    }
    this.bytesKept -= pending.keptBytes;
    pending.connection = connection;
    pending.export = exp;
    pending.flags = request.flags;
    pending.type = request.type;
    pending.cookieHi = request.cookieHi;
    pending.cookieLo = request.cookieLo;
    pending.offset = request.offset;
    pending.byteCount = request.byteCount;
    pending.first = Math.floor(request.offset / PAGE_BYTES);
    pending.last = Math.floor((request.offset + request.byteCount - 1) / PAGE_BYTES);
    pending.next = pending.first;
    pending.error = ERRNO.OK;
    pending.cost = Math.max(PAGE_BYTES, request.dataBytes, request.replyBytes) + NBD_PENDING_BYTES;
    const dataBytes = request.dataBytes + request.replyBytes;
    pending.largeBytes = dataBytes > NBD_LARGE_BYTES ? dataBytes : 0;
    // Its connection has no other until it is answered.
    if (pending.type !== COMMAND.READ && exp.locks.isFull) {
      pending.cost = Math.max(pending.cost, NBD_CONNECTION_BYTES_MAX);
    }
    connection.keep(pending.cost);
    return pending;
  }

  give(pending: PendingRequest): void {
    assert(pending.export !== null && pending.waiting === 0);
    pending.connection = null;
    pending.export = null;
    pending.isDue = false;
    pending.hasEdge = false;
    pending.retryPages.length = 0;
    if (pending.bytes.byteLength > NBD_PENDING_KEEP_BYTES) pending.freeBytes();
    if (this.bytesKept + pending.keptBytes > NBD_PENDING_KEEP_BYTES_MAX) {
      pending.freeBytes();
      freeBuffer(pending.edge);
      pending.edge = NOTHING;
    }
    this.bytesKept += pending.keptBytes;
    this.free.push(pending);
  }
}
