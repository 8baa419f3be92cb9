/**
 * NbdIo: what the requests of the NBD door do to the pages of an export.
 *
 *     read    pages that are here are decompressed straight into the reply
 *     write   whole pages are stored straight from the received bytes; a page that is written in
 *             part is read first
 *     trim    whole pages are freed, here and at their holders; parts of pages stay
 *
 * What cannot be done in the same call becomes a pending request of NbdRunner.
 *
 * A page that is lost reads as EIO, never as other bytes. That includes a page whose overwrite was
 * refused, because the old page is gone by then.
 *
 * Not here: connections (nbd-door.ts), bytes of the protocol (src/nbd).
 */
import { unreachable } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import {
  NBD_CACHE_PAGES_MAX,
  NBD_EXTENTS_MAX,
  NBD_GATHER_BYTES,
  NBD_SLICE,
  NBD_STATUS_PAGES_MAX,
  PAGE_BYTES,
} from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import type { NbdConnection } from "../nbd/connection.ts";
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno, STATE } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { firstPage, lastPage } from "./byte-range.ts";
import type { NbdCounters } from "./counters.ts";
import { countError, errnoOf } from "./errors.ts";
import type { NbdExport } from "./export.ts";
import { type NbdPages, STEP } from "./pages.ts";
import type { NbdPrefetch } from "./prefetch.ts";
import type { ReadFailures } from "./read-failures.ts";
import type { NbdRunner } from "./runner.ts";
import { UNITS, unitsOf } from "./units.ts";

/** Pages of the longest change that is done in one go. */
const CHANGE_PAGES_MAX = NBD_SLICE / UNITS.WRITE;

export interface IoParts {
  readonly clock: Clock;
  readonly ramster: Ramster;
  readonly counters: NbdCounters;
  readonly pages: NbdPages;
  readonly runner: NbdRunner;
  readonly prefetch: NbdPrefetch;
  readonly readFailures: ReadFailures;
}

export class NbdIo {
  private readonly parts: IoParts;

  constructor(parts: IoParts) {
    this.parts = parts;
  }

  /** Answers a valid request, or makes it a pending one. */
  serve(connection: NbdConnection, exp: NbdExport, request: Request): void {
    this.parts.counters.nbd_requests += 1;
    connection.spend(unitsOf(request));
    // A flush has nothing to wait for: a write is answered once it is stored.
    if (request.type === COMMAND.FLUSH || request.byteCount === 0) {
      return connection.replies.empty(request, ERRNO.OK);
    }
    switch (request.type) {
      case COMMAND.READ:
        return this.read(connection, exp, request);
      case COMMAND.WRITE:
      case COMMAND.TRIM:
      case COMMAND.WRITE_ZEROES:
        return this.change(connection, exp, request);
      case COMMAND.CACHE:
        return this.cache(connection, exp, request);
      case COMMAND.BLOCK_STATUS:
        return this.blockStatus(connection, exp, request);
      default:
        return unreachable(request.type as never);
    }
  }

  private read(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const { clock, ramster, runner, prefetch } = this.parts;
    const startMs = clock.now();
    const first = firstPage(request);
    const count = lastPage(request) - first + 1;
    if (request.byteCount > NBD_GATHER_BYTES) return runner.read(connection, exp, request);
    if (this.readNow(connection, exp, request, first, count)) {
      const ms = clock.now() - startMs;
      ramster.latencies.local_get.add(ms);
      exp.latencies.read.add(ms);
    } else runner.read(connection, exp, request);
    prefetch.onRead(exp, first, count);
  }

  /** @returns false when a page is away, and nothing was answered. */
  private readNow(
    connection: NbdConnection,
    exp: NbdExport,
    request: Request,
    first: number,
    count: number,
  ): boolean {
    const { ramster, prefetch, counters } = this.parts;
    const { replies } = connection;
    const target = replies.beginRead(count * PAGE_BYTES);
    let missing = 0;
    for (let i = 0; i < count; i += 1) {
      const { bytes } = target;
      const at = target.at + i * PAGE_BYTES;
      const status = ramster.get(exp.handleOf(first + i), -1, bytes, at, null, 0);
      if (status === STATUS.OK) continue;
      if (status === STATUS.PENDING) {
        if (prefetch.take(exp, first + i, bytes, at)) continue;
        return false;
      }
      if (status !== STATUS.NOT_FOUND) {
        this.parts.readFailures.add(exp.name, status, 1);
        this.answer(connection, request, errnoOf(status));
        return true;
      }
      bytes.fill(0, at, at + PAGE_BYTES);
      missing += 1;
    }
    counters.frontswap_loads += count - missing;
    if (missing === count && replies.hole(request)) return true;
    replies.finishRead(request, request.offset - first * PAGE_BYTES);
    return true;
  }

  private change(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const { clock, ramster, pages, runner } = this.parts;
    const startMs = clock.now();
    const last = lastPage(request);
    let page = firstPage(request);
    const isShort = last - page < CHANGE_PAGES_MAX;
    if (isShort && exp.locks.isEmpty && !runner.hasParked) {
      for (; page <= last; page += 1) {
        const step = pages.change(exp, request, page, null);
        if (step === STEP.FAILED) return this.answer(connection, request, pages.error);
        if (step === STEP.AWAY || step === STEP.NO_FRAME) break;
      }
    }
    if (page <= last) return runner.change(connection, exp, request, page);
    connection.replies.empty(request, ERRNO.OK);
    const ms = clock.now() - startMs;
    ramster.latencies.put.add(ms);
    exp.latencies.write.add(ms);
  }

  /** A hint: pages that are away begin to come home, as far as there is room. */
  private cache(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const first = firstPage(request);
    const last = Math.min(lastPage(request), first + NBD_CACHE_PAGES_MAX - 1);
    for (let page = first; page <= last; page += 1) {
      this.parts.ramster.devicePages.bringCloser(exp.handleOf(page));
    }
    this.answer(connection, request, ERRNO.OK);
  }

  /** Extents of at most NBD_STATUS_PAGES_MAX pages: the client asks for the rest. */
  private blockStatus(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const end = request.offset + request.byteCount;
    const isOne = request.has(COMMAND_FLAG.REQ_ONE);
    const extents: number[] = [];
    let at = request.offset;
    let start = at;
    let state: number | null = null;
    const endPage = lastPage(request) + 1;
    for (let looked = 0; at < end && looked < NBD_STATUS_PAGES_MAX; looked += 1) {
      const page = Math.floor(at / PAGE_BYTES);
      const allocatedAt = exp.allocation.nextAllocated(page, endPage);
      const isHole = allocatedAt > page || !this.parts.pages.isThere(exp, page);
      const next = isHole ? STATE.HOLE | STATE.ZERO : 0;
      state ??= next;
      if (next !== state) {
        extents.push(at - start, state);
        if (isOne || extents.length >= 2 * NBD_EXTENTS_MAX) break;
        start = at;
        state = next;
      }
      at = Math.min(end, Math.max(allocatedAt, page + 1) * PAGE_BYTES);
    }
    if (extents.length === 0 || (!isOne && extents.length < 2 * NBD_EXTENTS_MAX)) {
      extents.push(at - start, state ?? 0);
    }
    connection.replies.blockStatus(request, extents);
  }

  private answer(connection: NbdConnection, request: Request, error: Errno): void {
    countError(this.parts.counters, error);
    connection.replies.empty(request, error);
  }
}
