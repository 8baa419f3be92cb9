/**
 * NbdRunner: requests of the NBD door that wait for something.
 *
 *     blocked by an older change of its pages --> running, slice by slice
 *     running --> a page is away: fetched, and asked for again as long as no holder answers
 *     running --> no frame: parked, first come first served, until there is one
 *     running --> answered, once: done; EIO when --io-timeout is over; ENOSPC when all is full
 *
 * Not here: what can be done at once (io.ts).
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { NBD_PENDING_KEEP_BYTES, NBD_SLICE, PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import type { NbdConnection } from "../nbd/connection.ts";
import { COMMAND, ERRNO, type Errno } from "../nbd/protocol.ts";
import { READ_HEADER_BYTES_MAX } from "../nbd/replies.ts";
import type { Request } from "../nbd/request.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { GetSink } from "../ramster/repatriate/waiters.ts";
import type { NbdCounters } from "./counters.ts";
import { errnoOf } from "./errors.ts";
import { type NbdExport, OBJECTS_PER_EXPORT } from "./export.ts";
import { type NbdPages, STEP } from "./pages.ts";
import { type PendingRequest, PendingRequests } from "./pending-request.ts";
import type { NbdPrefetch } from "./prefetch.ts";
import { UNITS } from "./units.ts";

/** A token is request number * TOKEN_STEP + page: 32 MiB that begin within a page are one more. */
const TOKEN_STEP = 16_384;
/** Works that have a slice before others have their turn, and pages of those that wait in line. */
const REQUESTS_PER_TURN = 4;
const PARKED_PAGES_PER_TURN = 512;
/** Pages of one read that are fetched at once. */
const FETCHES_PER_READ = 1024;

export interface RunnerParts {
  memory: Memory;
  clock: Clock;
  ramster: Ramster;
  counters: NbdCounters;
  pages: NbdPages;
  prefetch: NbdPrefetch;
  /** Memory of a long request is free. */
  releaseLarge: (byteCount: number) => void;
  ioTimeoutMs: () => number;
}

export class NbdRunner implements GetSink {
  private readonly parts: RunnerParts;
  private readonly requests: PendingRequests;
  /** RangeLocks that wait for frames, and for nothing else. */
  private readonly parked = new Set<PendingRequest>();
  private readonly due: PendingRequest[] = [];
  private isSoon = false;
  private readonly onSoon = (): void => this.runTurn();

  constructor(parts: RunnerParts) {
    this.parts = parts;
    this.requests = new PendingRequests((pending) => this.free(pending));
    parts.ramster.onRoom(() => this.goOnWithParked());
  }

  /** Requests that wait, those included whose replies leave from their buffers. */
  get count(): number {
    return this.requests.count;
  }

  /** Whether changes wait for frames: others have to wait behind them. */
  get isCrowded(): boolean {
    return this.parked.size > 0;
  }

  /** A read that is not done: of long ones, and of those with a page that is away. */
  read(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const pending = this.take(connection, exp, request);
    const byteCount = READ_HEADER_BYTES_MAX + pending.pageCount * PAGE_BYTES;
    pending.makeRoom(byteCount);
    pending.at = READ_HEADER_BYTES_MAX + (request.offset - pending.first * PAGE_BYTES);
    pending.end = pending.at + request.byteCount;
    this.run(pending);
  }

  /** A change that is done up to the page `next`. */
  change(connection: NbdConnection, exp: NbdExport, request: Request, next: number): void {
    const pending = this.take(connection, exp, request);
    pending.next = next;
    if (request.type === COMMAND.WRITE) this.keepData(connection, pending, request);
    if (this.isOfAll(pending, exp)) pending.next = 0;
    if (exp.locks.acquire(pending)) this.run(pending);
  }

  /** GetSink: a page that was away, or that it cannot be had. */
  onGet(token: number, status: Status): void {
    const pending = this.requests.at(Math.floor(token / TOKEN_STEP));
    assert(pending.waiting > 0, "page for a request that does not wait");
    pending.waiting -= 1;
    const isRead = pending.type === COMMAND.READ;
    this.got(pending, isRead ? pending.first + (token % TOKEN_STEP) : pending.next, status);
    this.run(pending);
  }

  /** It has waited for older changes, or has had its slice: others have their turn first. */
  later(pending: PendingRequest): void {
    if (pending.isDue) return;
    pending.isDue = true;
    this.due.push(pending);
    this.soon();
  }

  /**
   * Called now and then: what is to be asked for again, and what has waited too long. `lostMs`:
   * time since the last call in which this node did not run, and none of it could be answered.
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
    this.goOnWithParked();
  }

  /** The client is gone: nobody wants to know. */
  drop(connection: NbdConnection): void {
    for (const pending of this.requests.unanswered()) {
      if (pending.connection === connection) this.abandon(pending);
    }
  }

  /** The node stops: each request that waits is answered. */
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

  /** What is to be written outlives the call. */
  private keepData(connection: NbdConnection, pending: PendingRequest, request: Request): void {
    pending.at = 0;
    if (connection.input.giveAway()) {
      pending.freeBytes();
      pending.bytes = request.bytes;
      return;
    }
    const { byteCount } = request;
    pending.makeRoom(byteCount);
    this.parts.memory.copy(pending.bytes, 0, request.bytes, request.at, byteCount);
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
      if (units <= 0) return this.later(pending);
      units -= UNITS.READ;
      pending.next += 1;
      this.ask(pending, pending.next - 1);
    }
    if (pending.waiting > 0 || (pending.retryPages.length > 0 && pending.error === ERRNO.OK))
      return;
    this.finish(pending, pending.error);
  }

  private runChange(pending: PendingRequest, exp: NbdExport | null): void {
    assert(exp !== null);
    if (this.isOfAll(pending, exp)) return this.freeAll(pending, exp);
    const { pages } = this.parts;
    let units: number = NBD_SLICE;
    while (pending.next <= pending.last) {
      if (pending.error !== ERRNO.OK) return this.finish(pending, pending.error);
      if (pending.waiting > 0 || pending.retryPages.length > 0) return;
      if (units <= 0) return this.later(pending);
      if (pending.frees && this.skipBlank(pending, exp)) {
        units -= UNITS.LOOK;
        continue;
      }
      if (pending.type === COMMAND.WRITE && this.isCrowded && !this.parked.has(pending)) {
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
        this.parked.delete(pending); // What it waits for now is nobody else's concern.
        this.ask(pending, pending.next);
      } else {
        pending.next += 1;
        pending.hasEdge = false;
        units -= step === STEP.NOTHING ? UNITS.LOOK : pending.frees ? UNITS.FREE : UNITS.WRITE;
      }
    }
    if (pending.frees) exp.allocation.clear(pending.firstWhole, pending.endOfWhole);
    this.finish(pending, ERRNO.OK);
  }

  /** Passes over what was never written. @returns whether there was any of it. */
  private skipBlank(pending: PendingRequest, exp: NbdExport): boolean {
    const next = exp.allocation.nextAllocated(pending.next, pending.last + 1);
    if (next === pending.next) return false;
    pending.next = next;
    return true;
  }

  /** Object by object, from the last one down, as the original invalidates an area. */
  private freeAll(pending: PendingRequest, exp: NbdExport): void {
    let units: number = NBD_SLICE;
    while (pending.next < OBJECTS_PER_EXPORT && exp.pool.pageCount > 0) {
      if (units <= 0) return this.later(pending);
      const before = exp.pool.pageCount;
      this.parts.pages.freeObject(exp, OBJECTS_PER_EXPORT - 1 - pending.next);
      units -= UNITS.FREE * (before - exp.pool.pageCount) + UNITS.LOOK;
      pending.next += 1;
    }
    exp.allocation.clear(0, exp.pageCount);
    this.finish(pending, ERRNO.OK);
  }

  private isOfAll(pending: PendingRequest, exp: NbdExport): boolean {
    return pending.frees && pending.offset === 0 && pending.byteCount === exp.byteCount;
  }

  /** Gets a page: into its place in the reply, or, of a change, what its edge held. */
  private ask(pending: PendingRequest, page: number): void {
    const { export: exp } = pending;
    assert(exp !== null);
    const isRead = pending.type === COMMAND.READ;
    if (!isRead && pending.edge.byteLength === 0) pending.edge = new Uint8Array(PAGE_BYTES);
    const target = isRead ? pending.bytes : pending.edge;
    const at = isRead ? placeOf(pending, page) : 0;
    if (isRead && this.parts.prefetch.take(exp, page, target, at)) {
      this.got(pending, page, STATUS.OK);
      return;
    }
    // A change, which may be 4 GiB long, waits for one page at a time: the next one.
    const place = isRead ? page - pending.first : 0;
    assert(place < TOKEN_STEP);
    const token = pending.number * TOKEN_STEP + place;
    const status = this.parts.ramster.get(exp.at(page), -1, target, at, this, token);
    if (status === STATUS.PENDING) pending.waiting += 1;
    else this.got(pending, page, status);
  }

  private got(pending: PendingRequest, page: number, status: Status): void {
    const isRead = pending.type === COMMAND.READ;
    switch (status) {
      case STATUS.OK:
        if (isRead) this.parts.counters.frontswap_loads += 1;
        else pending.hasEdge = true;
        return;
      case STATUS.NOT_FOUND:
        if (isRead) {
          const at = placeOf(pending, page);
          pending.bytes.fill(0, at, at + PAGE_BYTES);
        } else {
          pending.edge.fill(0);
          pending.hasEdge = true;
        }
        return;
      case STATUS.UNREACHABLE:
      case STATUS.NO_ROOM: // Too many wait for pages.
        pending.retryPages.push(page);
        return;
      default:
        pending.error = errnoOf(status);
    }
  }

  private retry(pending: PendingRequest, now: number): void {
    const pages = pending.retryPages.splice(0);
    if (now >= pending.deadlineMs) pending.error = ERRNO.EIO;
    else for (const page of pages) this.ask(pending, page);
    this.run(pending);
  }

  private goOnWithParked(): void {
    let pages = 0;
    for (const pending of this.parked) {
      if (pages >= PARKED_PAGES_PER_TURN) return this.soon();
      if (pending.isDue) continue;
      const { next } = pending;
      this.run(pending);
      if (this.parked.has(pending) && pending.next === next) return;
      pages += pending.next - next;
    }
  }

  private soon(): void {
    if (this.isSoon) return;
    this.isSoon = true;
    this.parts.clock.soon(this.onSoon);
  }

  private runTurn(): void {
    this.isSoon = false;
    for (const pending of this.due.splice(0, REQUESTS_PER_TURN)) {
      if (!pending.isDue) continue;
      pending.isDue = false;
      if (pending.connection !== null) this.run(pending);
    }
    this.goOnWithParked();
    if (this.due.length > 0) this.soon();
  }

  private finish(pending: PendingRequest, error: Errno): void {
    const isRead = pending.type === COMMAND.READ;
    const { latencies } = this.parts.ramster;
    const ms = this.parts.clock.now() - pending.startMs;
    (isRead ? latencies.remote_get : latencies.put).add(ms);
    const isLeaving = this.answer(pending, error);
    this.leave(pending);
    if (!isLeaving && pending.waiting === 0) this.free(pending);
  }

  /** @returns whether the reply leaves from the request's buffer, which is then not free yet. */
  private answer(pending: PendingRequest, error: Errno): boolean {
    const { connection } = pending;
    assert(connection !== null);
    pending.connection = null;
    if (error !== ERRNO.OK) this.parts.counters.nbd_errors += 1;
    if (error === ERRNO.ENOSPC) this.parts.counters.nbd_enospc += 1;
    const hasData = pending.type === COMMAND.READ && error === ERRNO.OK;
    if (!hasData) connection.replies.empty(pending, error);
    const isLeaving = hasData && this.answerRead(pending, connection);
    connection.release(pending.cost);
    return isLeaving;
  }

  private answerRead(pending: PendingRequest, connection: NbdConnection): boolean {
    const { output, replies } = connection;
    const headerBytes = replies.readHeaderBytes;
    if (pending.byteCount <= NBD_PENDING_KEEP_BYTES) {
      output.reserve(headerBytes + pending.byteCount);
      replies.writeReadHeader(output.view, output.tail, pending);
      const at = output.tail + headerBytes;
      this.parts.memory.copy(output.bytes, at, pending.bytes, pending.at, pending.byteCount);
      output.commit(headerBytes + pending.byteCount);
      return false;
    }
    pending.at -= headerBytes;
    replies.writeReadHeader(new DataView(pending.bytes.buffer), pending.at, pending);
    output.addWhole(pending);
    return true;
  }

  /** Its client has gone, or has its answer: it waits for nothing any more. */
  private abandon(pending: PendingRequest): void {
    pending.connection = null;
    this.leave(pending);
    if (pending.waiting === 0) this.free(pending);
  }

  /** Others have their turn on its pages. */
  private leave(pending: PendingRequest): void {
    this.parked.delete(pending);
    pending.export?.locks.release(pending);
  }

  private free(pending: PendingRequest): void {
    const { largeBytes } = pending;
    this.requests.give(pending);
    if (largeBytes > 0) this.parts.releaseLarge(largeBytes);
  }
}

/** Of a page of a read, in its buffer. */
function placeOf(pending: PendingRequest, page: number): number {
  return READ_HEADER_BYTES_MAX + (page - pending.first) * PAGE_BYTES;
}
