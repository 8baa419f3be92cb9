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
import { NBD_SLICE, NBD_WORK_KEEP_BYTES, PAGE_BYTES } from "../core/limits.ts";
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
import type { NbdPrefetch } from "./prefetch.ts";
import { UNITS } from "./units.ts";
import { type NbdWork, NbdWorks } from "./work.ts";

/** A token is work * TOKEN_STEP + page of it: 32 MiB that begin within a page are one more. */
const TOKEN_STEP = 16_384;
/** Works that have a slice before others have their turn, and pages of those that wait in line. */
const WORKS_PER_TURN = 4;
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
  giveLong: (byteCount: number) => void;
  ioTimeoutMs: () => number;
}

export class NbdRunner implements GetSink {
  private readonly parts: RunnerParts;
  private readonly works: NbdWorks;
  /** Changes that wait for frames, and for nothing else. */
  private readonly parked = new Set<NbdWork>();
  private readonly due: NbdWork[] = [];
  private isSoon = false;
  private readonly onSoon = (): void => this.runTurn();

  constructor(parts: RunnerParts) {
    this.parts = parts;
    this.works = new NbdWorks((work) => this.free(work));
    parts.ramster.onRoom(() => this.goOnWithParked());
  }

  /** Requests that wait, those included whose replies leave from their buffers. */
  get count(): number {
    return this.works.count;
  }

  /** Whether changes wait for frames: others have to wait behind them. */
  get isCrowded(): boolean {
    return this.parked.size > 0;
  }

  /** A read that is not done: of long ones, and of those with a page that is away. */
  read(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const work = this.take(connection, exp, request);
    const byteCount = READ_HEADER_BYTES_MAX + work.pageCount * PAGE_BYTES;
    work.makeRoom(byteCount);
    work.at = READ_HEADER_BYTES_MAX + (request.offset - work.first * PAGE_BYTES);
    work.end = work.at + request.byteCount;
    this.run(work);
  }

  /** A change that is done up to the page `next`. */
  change(connection: NbdConnection, exp: NbdExport, request: Request, next: number): void {
    const work = this.take(connection, exp, request);
    work.next = next;
    if (request.type === COMMAND.WRITE) this.keepData(connection, work, request);
    if (this.isOfAll(work, exp)) work.next = 0;
    if (exp.changes.add(work)) this.run(work);
  }

  /** GetSink: a page that was away, or that it cannot be had. */
  onGet(token: number, status: Status): void {
    const work = this.works.at(Math.floor(token / TOKEN_STEP));
    assert(work.waiting > 0, "page for a request that does not wait");
    work.waiting -= 1;
    const isRead = work.type === COMMAND.READ;
    this.got(work, isRead ? work.first + (token % TOKEN_STEP) : work.next, status);
    this.run(work);
  }

  /** It has waited for older changes, or has had its slice: others have their turn first. */
  later(work: NbdWork): void {
    if (work.isDue) return;
    work.isDue = true;
    this.due.push(work);
    this.soon();
  }

  /**
   * Called now and then: what is to be asked for again, and what has waited too long. `lostMs`:
   * time since the last call in which this node did not run, and none of it could be answered.
   */
  tick(lostMs: number): void {
    if (this.count === 0) return;
    const now = this.parts.clock.now();
    for (const work of this.works.unanswered()) {
      work.deadlineMs += lostMs;
      const isIdle = work.elders > 0 || this.parked.has(work);
      if (isIdle && now >= work.deadlineMs) this.finish(work, ERRNO.EIO);
      else if (work.again.length > 0) this.askAgain(work, now);
    }
    this.goOnWithParked();
  }

  /** The client is gone: nobody wants to know. */
  drop(connection: NbdConnection): void {
    for (const work of this.works.unanswered()) {
      if (work.connection === connection) this.abandon(work);
    }
  }

  /** The node stops: each request that waits is answered. */
  stop(): void {
    for (const work of this.works.unanswered()) {
      this.answer(work, ERRNO.ESHUTDOWN);
      this.abandon(work);
    }
  }

  private take(connection: NbdConnection, exp: NbdExport, request: Request): NbdWork {
    const work = this.works.take(connection, exp, request);
    work.startMs = this.parts.clock.now();
    work.deadlineMs = work.startMs + this.parts.ioTimeoutMs();
    this.parts.counters.nbd_requests_waited += 1;
    return work;
  }

  /** What is to be written outlives the call. */
  private keepData(connection: NbdConnection, work: NbdWork, request: Request): void {
    work.at = 0;
    if (connection.input.giveAway()) {
      work.freeBytes();
      work.bytes = request.bytes;
      return;
    }
    const { byteCount } = request;
    work.makeRoom(byteCount);
    this.parts.memory.copy(work.bytes, 0, request.bytes, request.at, byteCount);
  }

  private run(work: NbdWork): void {
    if (work.connection === null) {
      if (work.waiting === 0) this.free(work);
    } else if (work.type === COMMAND.READ) this.runRead(work);
    else this.runChange(work, work.export);
  }

  private runRead(work: NbdWork): void {
    let units = NBD_SLICE;
    while (work.next <= work.last && work.error === ERRNO.OK) {
      if (work.waiting >= FETCHES_PER_READ) return;
      if (units <= 0) return this.later(work);
      units -= UNITS.READ;
      work.next += 1;
      this.ask(work, work.next - 1);
    }
    if (work.waiting > 0 || (work.again.length > 0 && work.error === ERRNO.OK)) return;
    this.finish(work, work.error);
  }

  private runChange(work: NbdWork, exp: NbdExport | null): void {
    assert(exp !== null);
    if (this.isOfAll(work, exp)) return this.freeAll(work, exp);
    const { pages } = this.parts;
    let units: number = NBD_SLICE;
    while (work.next <= work.last) {
      if (work.error !== ERRNO.OK) return this.finish(work, work.error);
      if (work.waiting > 0 || work.again.length > 0) return;
      if (units <= 0) return this.later(work);
      if (work.frees && this.skipBlank(work, exp)) {
        units -= UNITS.LOOK;
        continue;
      }
      if (work.type === COMMAND.WRITE && this.isCrowded && !this.parked.has(work)) {
        this.parked.add(work);
        return;
      }
      const step = pages.change(exp, work, work.next, work.hasEdge ? work.edge : null);
      if (step === STEP.NO_FRAME) {
        this.parked.add(work);
        return;
      }
      if (step === STEP.FAILED) return this.finish(work, pages.error);
      if (step === STEP.AWAY) {
        this.parked.delete(work); // What it waits for now is nobody else's concern.
        this.ask(work, work.next);
      } else {
        work.next += 1;
        work.hasEdge = false;
        units -= step === STEP.NOTHING ? UNITS.LOOK : work.frees ? UNITS.FREE : UNITS.WRITE;
      }
    }
    if (work.frees) exp.written.forget(work.firstWhole, work.endOfWhole);
    this.finish(work, ERRNO.OK);
  }

  /** Passes over what was never written. @returns whether there was any of it. */
  private skipBlank(work: NbdWork, exp: NbdExport): boolean {
    const next = exp.written.blankUntil(work.next, work.last + 1);
    if (next === work.next) return false;
    work.next = next;
    return true;
  }

  /** Object by object, from the last one down, as the original invalidates an area. */
  private freeAll(work: NbdWork, exp: NbdExport): void {
    let units: number = NBD_SLICE;
    while (work.next < OBJECTS_PER_EXPORT && exp.pool.pageCount > 0) {
      if (units <= 0) return this.later(work);
      const before = exp.pool.pageCount;
      this.parts.pages.freeObject(exp, OBJECTS_PER_EXPORT - 1 - work.next);
      units -= UNITS.FREE * (before - exp.pool.pageCount) + UNITS.LOOK;
      work.next += 1;
    }
    exp.written.forget(0, exp.pageCount);
    this.finish(work, ERRNO.OK);
  }

  private isOfAll(work: NbdWork, exp: NbdExport): boolean {
    return work.frees && work.offset === 0 && work.byteCount === exp.byteCount;
  }

  /** Gets a page: into its place in the reply, or, of a change, what its edge held. */
  private ask(work: NbdWork, page: number): void {
    const { export: exp } = work;
    assert(exp !== null);
    const isRead = work.type === COMMAND.READ;
    if (!isRead && work.edge.byteLength === 0) work.edge = new Uint8Array(PAGE_BYTES);
    const target = isRead ? work.bytes : work.edge;
    const at = isRead ? placeOf(work, page) : 0;
    if (isRead && this.parts.prefetch.take(exp, page, target, at)) {
      this.got(work, page, STATUS.OK);
      return;
    }
    // A change, which may be 4 GiB long, waits for one page at a time: the next one.
    const place = isRead ? page - work.first : 0;
    assert(place < TOKEN_STEP);
    const token = work.number * TOKEN_STEP + place;
    const status = this.parts.ramster.get(exp.at(page), -1, target, at, this, token);
    if (status === STATUS.PENDING) work.waiting += 1;
    else this.got(work, page, status);
  }

  private got(work: NbdWork, page: number, status: Status): void {
    const isRead = work.type === COMMAND.READ;
    switch (status) {
      case STATUS.OK:
        if (isRead) this.parts.counters.frontswap_loads += 1;
        else work.hasEdge = true;
        return;
      case STATUS.NOT_FOUND:
        if (isRead) {
          const at = placeOf(work, page);
          work.bytes.fill(0, at, at + PAGE_BYTES);
        } else {
          work.edge.fill(0);
          work.hasEdge = true;
        }
        return;
      case STATUS.UNREACHABLE:
      case STATUS.NO_ROOM: // Too many wait for pages.
        work.again.push(page);
        return;
      default:
        work.error = errnoOf(status);
    }
  }

  private askAgain(work: NbdWork, now: number): void {
    const pages = work.again.splice(0);
    if (now >= work.deadlineMs) work.error = ERRNO.EIO;
    else for (const page of pages) this.ask(work, page);
    this.run(work);
  }

  private goOnWithParked(): void {
    let pages = 0;
    for (const work of this.parked) {
      if (pages >= PARKED_PAGES_PER_TURN) return this.soon();
      if (work.isDue) continue;
      const { next } = work;
      this.run(work);
      if (this.parked.has(work) && work.next === next) return;
      pages += work.next - next;
    }
  }

  private soon(): void {
    if (this.isSoon) return;
    this.isSoon = true;
    this.parts.clock.soon(this.onSoon);
  }

  private runTurn(): void {
    this.isSoon = false;
    for (const work of this.due.splice(0, WORKS_PER_TURN)) {
      if (!work.isDue) continue;
      work.isDue = false;
      if (work.connection !== null) this.run(work);
    }
    this.goOnWithParked();
    if (this.due.length > 0) this.soon();
  }

  private finish(work: NbdWork, error: Errno): void {
    const isRead = work.type === COMMAND.READ;
    const { latencies } = this.parts.ramster;
    const ms = this.parts.clock.now() - work.startMs;
    (isRead ? latencies.remote_get : latencies.put).add(ms);
    const isLeaving = this.answer(work, error);
    this.leave(work);
    if (!isLeaving && work.waiting === 0) this.free(work);
  }

  /** @returns whether the reply leaves from the work's buffer, which is then not free yet. */
  private answer(work: NbdWork, error: Errno): boolean {
    const { connection } = work;
    assert(connection !== null);
    work.connection = null;
    if (error !== ERRNO.OK) this.parts.counters.nbd_errors += 1;
    if (error === ERRNO.ENOSPC) this.parts.counters.nbd_enospc += 1;
    const hasData = work.type === COMMAND.READ && error === ERRNO.OK;
    if (!hasData) connection.replies.empty(work, error);
    const isLeaving = hasData && this.answerRead(work, connection);
    connection.release(work.cost);
    return isLeaving;
  }

  private answerRead(work: NbdWork, connection: NbdConnection): boolean {
    const { output, replies } = connection;
    const headerBytes = replies.readHeaderBytes;
    if (work.byteCount <= NBD_WORK_KEEP_BYTES) {
      output.reserve(headerBytes + work.byteCount);
      replies.writeReadHeader(output.view, output.tail, work);
      const at = output.tail + headerBytes;
      this.parts.memory.copy(output.bytes, at, work.bytes, work.at, work.byteCount);
      output.commit(headerBytes + work.byteCount);
      return false;
    }
    work.at -= headerBytes;
    replies.writeReadHeader(new DataView(work.bytes.buffer), work.at, work);
    output.addWhole(work);
    return true;
  }

  /** Its client has gone, or has its answer: it waits for nothing any more. */
  private abandon(work: NbdWork): void {
    work.connection = null;
    this.leave(work);
    if (work.waiting === 0) this.free(work);
  }

  /** Others have their turn on its pages. */
  private leave(work: NbdWork): void {
    this.parked.delete(work);
    work.export?.changes.leave(work);
  }

  private free(work: NbdWork): void {
    const { longBytes } = work;
    this.works.give(work);
    if (longBytes > 0) this.parts.giveLong(longBytes);
  }
}

/** Of a page of a read, in its buffer. */
function placeOf(work: NbdWork, page: number): number {
  return READ_HEADER_BYTES_MAX + (page - work.first) * PAGE_BYTES;
}
