/**
 * PendingRequest: one request that could not be answered at once. It waits for pages that are away,
 * for a frame, for an older change of its pages, or for its next slice of work. PendingRequests:
 * all of them.
 *
 * Objects and small buffers are used again for later requests.
 *
 * Not here: what is done for them (runner.ts), the layout of their buffers
 * (src/nbd/kept-request.ts).
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import {
  NBD_CONNECTION_BYTES_MAX,
  NBD_PENDING_BYTES,
  NBD_PENDING_KEEP_BYTES,
  NBD_PENDING_KEEP_BYTES_MAX,
  NBD_PENDING_MAX,
  PAGE_BYTES,
} from "../core/limits.ts";
import type { NbdConnection } from "../nbd/connection.ts";
import { KeptRequest } from "../nbd/kept-request.ts";
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";
import { firstPage, lastPage } from "./byte-range.ts";
import type { NbdExport } from "./export.ts";
import type { PageRange } from "./range-locks.ts";

const NOTHING = new Uint8Array(0);

/** Who works on pending requests. */
export interface PendingRequestOwner {
  /** It has waited for older changes of its pages and may run now. */
  onUnblocked(pending: PendingRequest): void;
  /** Its reply, which was sent from its buffer, is on its way. */
  onSent(pending: PendingRequest): void;
}

export class PendingRequest extends KeptRequest implements PageRange {
  readonly number: number;
  /** Null once it is answered, or its client has gone. */
  connection: NbdConnection | null = null;
  export: NbdExport | null = null;
  /** Its pages are `first` to `last`. Those before `next` are done, or have been asked for. */
  first = 0;
  last = 0;
  next = 0;
  /** Gets that have not returned yet. */
  waiting = 0;
  /** Pages to ask for again, because no holder answered. */
  retryPages: number[] = [];
  error: Errno = ERRNO.OK;
  startMs = 0;
  deadlineMs = 0;
  /** Older changes of its pages: it waits until there are none. */
  blockers = 0;
  /** What the page that it changes in part held, once that is fetched. */
  edge: Uint8Array = NOTHING;
  hasEdge = false;
  /** It waits for its next slice. */
  isDue = false;
  private readonly owner: PendingRequestOwner;

  constructor(number: number, owner: PendingRequestOwner) {
    super();
    this.number = number;
    this.owner = owner;
  }

  get pageCount(): number {
    return this.last - this.first + 1;
  }

  /** Bytes of its buffers. */
  get bufferBytes(): number {
    return this.bytes.byteLength + this.edge.byteLength;
  }

  /** Whether its whole pages are freed instead of written. */
  get frees(): boolean {
    if (this.type !== COMMAND.TRIM && this.type !== COMMAND.WRITE_ZEROES) return false;
    return (this.flags & COMMAND_FLAG.NO_HOLE) === 0;
  }

  onUnblocked(): void {
    this.owner.onUnblocked(this);
  }

  override onSent(): void {
    this.owner.onSent(this);
  }
}

export class PendingRequests {
  private readonly all: PendingRequest[] = [];
  private readonly free: PendingRequest[] = [];
  private readonly owner: PendingRequestOwner;
  /** Bytes of the buffers of those that are free. */
  private freeBytes = 0;

  constructor(owner: PendingRequestOwner) {
    this.owner = owner;
  }

  get count(): number {
    return this.all.length - this.free.length;
  }

  at(number: number): PendingRequest {
    const pending = this.all[number];
    assert(pending !== undefined);
    return pending;
  }

  unanswered(): PendingRequest[] {
    return this.all.filter((pending) => pending.connection !== null);
  }

  /** Makes the request a pending one, which its connection keeps. */
  take(connection: NbdConnection, exp: NbdExport, request: Request): PendingRequest {
    let pending = this.free.pop();
    if (pending === undefined) {
      assert(this.all.length < NBD_PENDING_MAX); // Ensured by NBD_CONNECTION_BYTES_MAX.
      pending = new PendingRequest(this.all.length, this.owner);
      this.all.push(pending);
    }
    this.freeBytes -= pending.bufferBytes;
    pending.connection = connection;
    pending.export = exp;
    pending.first = firstPage(request);
    pending.last = lastPage(request);
    pending.next = pending.first;
    pending.error = ERRNO.OK;
    connection.keep(pending, request, costOf(request, exp));
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
    if (this.freeBytes + pending.bufferBytes > NBD_PENDING_KEEP_BYTES_MAX) {
      pending.freeBytes();
      freeBuffer(pending.edge);
      pending.edge = NOTHING;
    }
    this.freeBytes += pending.bufferBytes;
    this.free.push(pending);
  }
}

/** What the request costs its connection while it is pending. */
function costOf(request: Request, exp: NbdExport): number {
  const cost = Math.max(PAGE_BYTES, request.dataBytes, request.replyBytes) + NBD_PENDING_BYTES;
  // All that it may have: the connection gets no other request until this one is answered.
  const isAlone = request.type !== COMMAND.READ && exp.locks.isFull;
  return isAlone ? Math.max(cost, NBD_CONNECTION_BYTES_MAX) : cost;
}
