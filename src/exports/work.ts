/**
 * NbdWork: one NBD request that could not be answered at once: it waits for pages that are away,
 * for frames, for an older request on its pages, or for its next slice. And NbdWorks: all of them.
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
  NBD_LONG_BYTES,
  NBD_WORK_BYTES,
  NBD_WORK_KEEP_BYTES,
  NBD_WORKS_KEEP_BYTES,
  NBD_WORKS_MAX,
  PAGE_BYTES,
} from "../core/limits.ts";
import type { NbdConnection } from "../nbd/connection.ts";
import type { WholeReply } from "../nbd/output.ts";
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";
import type { NbdExport } from "./export.ts";

const NOTHING = new Uint8Array(0);

export class NbdWork implements WholeReply {
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
  again: number[] = [];
  error: Errno = ERRNO.OK;
  startMs = 0;
  deadlineMs = 0;
  /** Change: it waits while there are any. */
  elders = 0;
  /** What the page at the edge held, once it has come. */
  edge: Uint8Array = NOTHING;
  hasEdge = false;
  /** What it costs its connection, and of the memory for long requests. */
  cost = 0;
  longBytes = 0;
  /** Its next slice is due. */
  isDue = false;
  private readonly onFree: (work: NbdWork) => void;

  constructor(number: number, onFree: (work: NbdWork) => void) {
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

export class NbdWorks {
  private readonly all: NbdWork[] = [];
  private readonly free: NbdWork[] = [];
  private readonly onFree: (work: NbdWork) => void;
  private bytesKept = 0;

  /** `onFree`: a reply that left from the work's buffer is on its way. */
  constructor(onFree: (work: NbdWork) => void) {
    this.onFree = onFree;
  }

  get count(): number {
    return this.all.length - this.free.length;
  }

  at(number: number): NbdWork {
    const work = this.all[number];
    assert(work !== undefined);
    return work;
  }

  /** Those that are not answered yet. */
  unanswered(): NbdWork[] {
    return this.all.filter((work) => work.connection !== null);
  }

  /** One for the request, which its connection keeps. The buffer is the caller's business. */
  take(connection: NbdConnection, exp: NbdExport, request: Request): NbdWork {
    let work = this.free.pop();
    if (work === undefined) {
      assert(this.all.length < NBD_WORKS_MAX); // What connections may keep sees to that.
      work = new NbdWork(this.all.length, this.onFree);
      this.all.push(work);
    }
    this.bytesKept -= work.keptBytes;
    work.connection = connection;
    work.export = exp;
    work.flags = request.flags;
    work.type = request.type;
    work.cookieHi = request.cookieHi;
    work.cookieLo = request.cookieLo;
    work.offset = request.offset;
    work.byteCount = request.byteCount;
    work.first = Math.floor(request.offset / PAGE_BYTES);
    work.last = Math.floor((request.offset + request.byteCount - 1) / PAGE_BYTES);
    work.next = work.first;
    work.error = ERRNO.OK;
    work.cost = Math.max(PAGE_BYTES, request.dataBytes, request.replyBytes) + NBD_WORK_BYTES;
    const dataBytes = request.dataBytes + request.replyBytes;
    work.longBytes = dataBytes > NBD_LONG_BYTES ? dataBytes : 0;
    // Its connection has no other until it is answered.
    if (work.type !== COMMAND.READ && exp.changes.isFull) {
      work.cost = Math.max(work.cost, NBD_CONNECTION_BYTES_MAX);
    }
    connection.keep(work.cost);
    return work;
  }

  give(work: NbdWork): void {
    assert(work.export !== null && work.waiting === 0);
    work.connection = null;
    work.export = null;
    work.isDue = false;
    work.hasEdge = false;
    work.again.length = 0;
    if (work.bytes.byteLength > NBD_WORK_KEEP_BYTES) work.freeBytes();
    if (this.bytesKept + work.keptBytes > NBD_WORKS_KEEP_BYTES) {
      work.freeBytes();
      freeBuffer(work.edge);
      work.edge = NOTHING;
    }
    this.bytesKept += work.keptBytes;
    this.free.push(work);
  }
}
