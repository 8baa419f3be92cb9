/**
 * NbdRunner: requests of the NBD door that wait for something.
 *
 *     an older change has one of its pages --> waits until that is done --> runs slice by slice
 *     a page is away  --> fetched; asked for again for as long as no holder answers
 *     no frame        --> parked, first come first served, until there is one
 *
 * Each request is answered once. It fails with EIO when --io-timeout is over, and with ENOSPC when
 * memory, lenders and disk are full.
 *
 * Not here: what can be done at once (io.ts), headers and sending (src/nbd).
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { NBD_SLICE, PAGE_BYTES } from "../core/limits.ts";
import { STATUS, type Status } from "../core/status.ts";
import type { NbdConnection } from "../nbd/connection.ts";
import { COMMAND, ERRNO, type Errno } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { GetSink } from "../ramster/repatriate/waiters.ts";
import { firstWholePage, wholePagesEnd } from "./byte-range.ts";
import type { NbdCounters } from "./counters.ts";
import { countError, errnoOf } from "./errors.ts";
import { type NbdExport, OBJECTS_PER_EXPORT } from "./export.ts";
import { type NbdPages, STEP } from "./pages.ts";
import {
  type PendingRequest,
  type PendingRequestOwner,
  PendingRequests,
} from "./pending-request.ts";
import type { NbdPrefetch } from "./prefetch.ts";
import type { ReadFailures } from "./read-failures.ts";
import { UNITS } from "./units.ts";

/** A token is request number * TOKEN_STEP + page: 32 MiB that begin within a page are one more. */
const TOKEN_STEP = 16_384;
/** Requests that get a slice before others have their turn, and pages of parked requests. */
const REQUESTS_PER_TURN = 4;
const PARKED_PAGES_PER_TURN = 512;
/** Pages of one read that are fetched at once. */
const FETCHES_PER_READ = 1024;

export interface RunnerParts {
  readonly clock: Clock;
  readonly ramster: Ramster;
  readonly counters: NbdCounters;
  readonly pages: NbdPages;
  readonly prefetch: NbdPrefetch;
  readonly readFailures: ReadFailures;
  /** Memory of a large request is free again. */
  readonly releaseLarge: (byteCount: number) => void;
  readonly ioTimeoutMs: () => number;
}

export class NbdRunner implements GetSink, PendingRequestOwner {
  private readonly parts: RunnerParts;
  private readonly requests: PendingRequests;
  /** Changes that wait for frames, and for nothing else. */
  private readonly parked = new Set<PendingRequest>();
  /** Requests that wait for their next slice. */
  private readonly due: PendingRequest[] = [];
  private isTurnScheduled = false;
  private readonly runScheduledTurn = (): void => this.runTurn();

  constructor(parts: RunnerParts) {
    this.parts = parts;
    this.requests = new PendingRequests(this);
    parts.ramster.onRoom(() => this.runParked());
  }

  /** Pending requests, and answered ones whose reply is still sent from their buffer. */
  get count(): number {
    return this.requests.count;
  }

  /** Whether changes wait for frames: later ones have to wait behind them. */
  get hasParked(): boolean {
    return this.parked.size > 0;
  }

  /** A read that is long, or has a page that is away. */
  read(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const pending = this.take(connection, exp, request);
    const skippedBytes = request.offset - pending.first * PAGE_BYTES;
    pending.prepareRead(pending.pageCount * PAGE_BYTES, skippedBytes);
    this.run(pending);
  }

  /** A change whose pages before `next` are done. */
  change(connection: NbdConnection, exp: NbdExport, request: Request, next: number): void {
    const pending = this.take(connection, exp, request);
    pending.next = freesAll(pending, exp) ? 0 : next;
    if (exp.locks.acquire(pending)) this.run(pending);
  }

  /** GetSink: a page that was away, or why it cannot be had. */
  onGet(token: number, status: Status): void {
    const pending = this.requests.at(Math.floor(token / TOKEN_STEP));
    assert(pending.waiting > 0, "page for a request that does not wait");
    pending.waiting -= 1;
    const isRead = pending.type === COMMAND.READ;
    this.onPage(pending, isRead ? pending.first + (token % TOKEN_STEP) : pending.next, status);
    this.run(pending);
  }

  /** PendingRequestOwner. */
  onUnblocked(pending: PendingRequest): void {
    this.schedule(pending);
  }

  /** PendingRequestOwner. */
  onSent(pending: PendingRequest): void {
    this.free(pending);
  }

  /**
   * Called every NBD_TICK_MS: retries, and time limits. `lostMs`: time since the last call in which
   * this process did not run, so that nothing could be answered.
   */
  tick(lostMs: number): void {
    if (this.count === 0) return;
    const now = this.parts.clock.now();
    for (const pending of this.requests.unanswered()) {
      pending.deadlineMs += lostMs;
      const isIdle = pending.blockers > 0 || this.parked.has(pending);
      if (isIdle && now >= pending.deadlineMs) this.finish(pending, ERRNO.EIO);
      else if (pending.retryPages.length > 0) this.retry(pending, now);
    }
    this.runParked();
  }

  /** The client is gone: its requests need no answer. */
  drop(connection: NbdConnection): void {
    for (const pending of this.requests.unanswered()) {
      if (pending.connection === connection) this.abandon(pending);
    }
  }

  /** The node stops: each pending request is answered. */
  stop(): void {
    for (const pending of this.requests.unanswered()) {
      this.answer(pending, ERRNO.ESHUTDOWN);
      this.abandon(pending);
    }
  }

  private take(connection: NbdConnection, exp: NbdExport, request: Request): PendingRequest {
    const pending = this.requests.take(connection, exp, request);
    pending.startMs = this.parts.clock.now();
    pending.deadlineMs = pending.startMs + this.parts.ioTimeoutMs();
    this.parts.counters.nbd_requests_waited += 1;
    return pending;
  }

  private run(pending: PendingRequest): void {
    if (pending.connection === null) {
      if (pending.waiting === 0) this.free(pending);
    } else if (pending.type === COMMAND.READ) this.runRead(pending);
    else this.runChange(pending, pending.export);
  }

  private runRead(pending: PendingRequest): void {
    let units = NBD_SLICE;
    while (pending.next <= pending.last && pending.error === ERRNO.OK) {
      if (pending.waiting >= FETCHES_PER_READ) return;
      if (units <= 0) return this.schedule(pending);
      units -= UNITS.READ;
      pending.next += 1;
      this.ask(pending, pending.next - 1);
    }
    const hasRetries = pending.retryPages.length > 0 && pending.error === ERRNO.OK;
    if (pending.waiting === 0 && !hasRetries) this.finish(pending, pending.error);
  }

  private runChange(pending: PendingRequest, exp: NbdExport | null): void {
    assert(exp !== null);
    if (freesAll(pending, exp)) return this.freeAll(pending, exp);
    const { pages } = this.parts;
    let units: number = NBD_SLICE;
    while (pending.next <= pending.last) {
      if (pending.error !== ERRNO.OK) return this.finish(pending, pending.error);
      if (pending.waiting > 0 || pending.retryPages.length > 0) return;
      if (units <= 0) return this.schedule(pending);
      if (pending.frees && skipUnallocated(pending, exp)) {
        units -= UNITS.LOOK;
        continue;
      }
      if (pending.type === COMMAND.WRITE && this.hasParked && !this.parked.has(pending)) {
        this.parked.add(pending);
        return;
      }
      const step = pages.change(exp, pending, pending.next, pending.hasEdge ? pending.edge : null);
      if (step === STEP.NO_FRAME) {
        this.parked.add(pending);
        return;
      }
      if (step === STEP.FAILED) return this.finish(pending, pages.error);
      if (step === STEP.AWAY) {
        this.parked.delete(pending); // It waits for a page now: others need not wait behind it.
        this.ask(pending, pending.next);
      } else {
        pending.next += 1;
        pending.hasEdge = false;
        units -= step === STEP.NOTHING ? UNITS.LOOK : pending.frees ? UNITS.FREE : UNITS.WRITE;
      }
    }
    if (pending.frees) exp.allocation.clear(firstWholePage(pending), wholePagesEnd(pending));
    this.finish(pending, ERRNO.OK);
  }

  /** Object by object, from the last one down, as the original invalidates an area. */
  private freeAll(pending: PendingRequest, exp: NbdExport): void {
    let units: number = NBD_SLICE;
    while (pending.next < OBJECTS_PER_EXPORT && exp.pool.pageCount > 0) {
      if (units <= 0) return this.schedule(pending);
      const before = exp.pool.pageCount;
      this.parts.pages.freeObject(exp, OBJECTS_PER_EXPORT - 1 - pending.next);
      units -= UNITS.FREE * (before - exp.pool.pageCount) + UNITS.LOOK;
      pending.next += 1;
    }
    exp.allocation.clear(0, exp.pageCount);
    this.finish(pending, ERRNO.OK);
  }

  /** Gets a page: of a read into its reply, of a change into `edge`. */
  private ask(pending: PendingRequest, page: number): void {
    const { export: exp } = pending;
    assert(exp !== null);
    const isRead = pending.type === COMMAND.READ;
    if (!isRead && pending.edge.byteLength === 0) pending.edge = new Uint8Array(PAGE_BYTES);
    const target = isRead ? pending.bytes : pending.edge;
    const at = isRead ? targetOf(pending, page) : 0;
    if (isRead && this.parts.prefetch.take(exp, page, target, at)) {
      this.onPage(pending, page, STATUS.OK);
      return;
    }
    // A change may be 4 GiB long. It waits for one page at a time: the next one.
    const pageOfRead = isRead ? page - pending.first : 0;
    assert(pageOfRead < TOKEN_STEP);
    const token = pending.number * TOKEN_STEP + pageOfRead;
    const status = this.parts.ramster.get(exp.handleOf(page), -1, target, at, this, token);
    if (status === STATUS.PENDING) pending.waiting += 1;
    else this.onPage(pending, page, status);
  }

  private onPage(pending: PendingRequest, page: number, status: Status): void {
    const isRead = pending.type === COMMAND.READ;
    switch (status) {
      case STATUS.OK:
        if (isRead) this.parts.counters.frontswap_loads += 1;
        else pending.hasEdge = true;
        return;
      case STATUS.NOT_FOUND:
        if (isRead) {
          const at = targetOf(pending, page);
          pending.bytes.fill(0, at, at + PAGE_BYTES);
        } else {
          pending.edge.fill(0);
          pending.hasEdge = true;
        }
        return;
      case STATUS.UNREACHABLE:
      case STATUS.NO_ROOM: // Too many gets wait for pages.
        pending.retryPages.push(page);
        return;
      default:
        this.failed(pending, status, 1);
    }
  }

  private failed(pending: PendingRequest, status: Status, pageCount: number): void {
    pending.error = errnoOf(status);
    this.parts.readFailures.add(pending.export?.name ?? "", status, pageCount);
  }

  private retry(pending: PendingRequest, now: number): void {
    const pages = pending.retryPages.splice(0);
    if (now >= pending.deadlineMs) this.failed(pending, STATUS.UNREACHABLE, pages.length);
    else for (const page of pages) this.ask(pending, page);
    this.run(pending);
  }

  /** It runs in a later turn, so that others have theirs first. */
  private schedule(pending: PendingRequest): void {
    if (pending.isDue) return;
    pending.isDue = true;
    this.due.push(pending);
    this.scheduleTurn();
  }

  private scheduleTurn(): void {
    if (this.isTurnScheduled) return;
    this.isTurnScheduled = true;
    this.parts.clock.soon(this.runScheduledTurn);
  }

  private runTurn(): void {
    this.isTurnScheduled = false;
    for (const pending of this.due.splice(0, REQUESTS_PER_TURN)) {
      if (!pending.isDue) continue;
      pending.isDue = false;
      if (pending.connection !== null) this.run(pending);
    }
    this.runParked();
    if (this.due.length > 0) this.scheduleTurn();
  }

  private runParked(): void {
    let pages = 0;
    for (const pending of this.parked) {
      if (pages >= PARKED_PAGES_PER_TURN) return this.scheduleTurn();
      if (pending.isDue) continue;
      const { next } = pending;
      this.run(pending);
      if (this.parked.has(pending) && pending.next === next) return;
      pages += pending.next - next;
    }
  }

  private finish(pending: PendingRequest, error: Errno): void {
    const isRead = pending.type === COMMAND.READ;
    const { latencies } = this.parts.ramster;
    const ms = this.parts.clock.now() - pending.startMs;
    (isRead ? latencies.remote_get : latencies.put).add(ms);
    pending.export?.latencies[isRead ? "read" : "write"].add(ms);
    const isBufferInUse = this.answer(pending, error);
    this.unlock(pending);
    if (!isBufferInUse && pending.waiting === 0) this.free(pending);
  }

  /** @returns whether the reply is sent from the request's buffer: `onSent` follows. */
  private answer(pending: PendingRequest, error: Errno): boolean {
    const { connection } = pending;
    assert(connection !== null);
    pending.connection = null;
    countError(this.parts.counters, error);
    return connection.finish(pending, error);
  }

  /** It is answered, or its client has gone: it waits for nothing any more. */
  private abandon(pending: PendingRequest): void {
    pending.connection = null;
    this.unlock(pending);
    if (pending.waiting === 0) this.free(pending);
  }

  /** Changes that waited for this one may run. */
  private unlock(pending: PendingRequest): void {
    this.parked.delete(pending);
    pending.export?.locks.release(pending);
  }

  private free(pending: PendingRequest): void {
    const { largeBytes } = pending;
    this.requests.give(pending);
    if (largeBytes > 0) this.parts.releaseLarge(largeBytes);
  }
}

/** Where a page of a read goes in its buffer. */
function targetOf(pending: PendingRequest, page: number): number {
  return pending.dataAt + (page - pending.first) * PAGE_BYTES;
}

function freesAll(pending: PendingRequest, exp: NbdExport): boolean {
  return pending.frees && pending.offset === 0 && pending.byteCount === exp.byteCount;
}

/** Skips pages that were never written. @returns whether there were any. */
function skipUnallocated(pending: PendingRequest, exp: NbdExport): boolean {
  const next = exp.allocation.nextAllocated(pending.next, pending.last + 1);
  if (next === pending.next) return false;
  pending.next = next;
  return true;
}
