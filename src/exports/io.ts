/**
 * NbdIo: what the requests of the NBD door do to the pages of an export.
 *
 *     read    pages that are here go straight into the reply
 *     write   whole pages go straight from what was received into the store; of a part of a page
 *             the old page is read first
 *     trim    whole pages are freed, here and where they are; parts of pages stay
 *
 * What cannot be done in the same call goes on in NbdRunner.
 *
 * A page that is lost is EIO and never other bytes: also one whose put was refused, since what it
 * held is gone.
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
import type { NbdCounters } from "./counters.ts";
import { errnoOf } from "./errors.ts";
import type { NbdExport } from "./export.ts";
import { type NbdPages, STEP } from "./pages.ts";
import type { NbdPrefetch } from "./prefetch.ts";
import type { NbdRunner } from "./runner.ts";
import { UNITS, unitsOf } from "./units.ts";

/** Pages of a change that is done in one go. */
const CHANGE_PAGES_MAX = NBD_SLICE / UNITS.WRITE;

export class NbdIo {
  private readonly clock: Clock;
  private readonly ramster: Ramster;
  private readonly counters: NbdCounters;
  private readonly pages: NbdPages;
  private readonly runner: NbdRunner;
  private readonly prefetch: NbdPrefetch;

  constructor(parts: {
    clock: Clock;
    ramster: Ramster;
    counters: NbdCounters;
    pages: NbdPages;
    runner: NbdRunner;
    prefetch: NbdPrefetch;
  }) {
    this.clock = parts.clock;
    this.ramster = parts.ramster;
    this.counters = parts.counters;
    this.pages = parts.pages;
    this.runner = parts.runner;
    this.prefetch = parts.prefetch;
  }

  /** A valid request: answers it, or has it go on. */
  serve(connection: NbdConnection, exp: NbdExport, request: Request): void {
    this.counters.nbd_requests += 1;
    connection.spend(unitsOf(request));
    // A flush has nothing to wait for: what was answered is stored.
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
    const startMs = this.clock.now();
    const isLong = request.byteCount > NBD_GATHER_BYTES;
    if (isLong || !this.readNow(connection, exp, request)) {
      this.runner.read(connection, exp, request);
    } else this.ramster.latencies.local_get.add(this.clock.now() - startMs);
    const first = Math.floor(request.offset / PAGE_BYTES);
    const last = Math.floor((request.offset + request.byteCount - 1) / PAGE_BYTES);
    if (!isLong) this.prefetch.onRead(exp, first, last - first + 1);
  }

  /** @returns false when a page of it is away, and nothing was answered. */
  private readNow(connection: NbdConnection, exp: NbdExport, request: Request): boolean {
    const { output, replies } = connection;
    const first = Math.floor(request.offset / PAGE_BYTES);
    const count = Math.floor((request.offset + request.byteCount - 1) / PAGE_BYTES) - first + 1;
    const headerBytes = replies.readHeaderBytes;
    output.reserve(headerBytes + count * PAGE_BYTES);
    const dataAt = output.tail + headerBytes;
    let missing = 0;
    for (let i = 0; i < count; i += 1) {
      const at = dataAt + i * PAGE_BYTES;
      const status = this.ramster.get(exp.at(first + i), -1, output.bytes, at, null, 0);
      if (status === STATUS.OK) continue;
      if (status === STATUS.PENDING) {
        if (this.prefetch.take(exp, first + i, output.bytes, at)) continue;
        return false;
      }
      if (status !== STATUS.NOT_FOUND) {
        this.answer(connection, request, errnoOf(status));
        return true;
      }
      output.bytes.fill(0, at, at + PAGE_BYTES);
      missing += 1;
    }
    this.counters.frontswap_loads += count - missing;
    if (missing === count && replies.isStructured && !request.has(COMMAND_FLAG.DF)) {
      replies.hole(request);
      return true;
    }
    const from = dataAt + (request.offset - first * PAGE_BYTES);
    if (from > dataAt) output.bytes.copyWithin(dataAt, from, from + request.byteCount);
    replies.writeReadHeader(output.view, output.tail, request);
    output.commit(headerBytes + request.byteCount);
    return true;
  }

  private change(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const startMs = this.clock.now();
    const first = Math.floor(request.offset / PAGE_BYTES);
    const last = Math.floor((request.offset + request.byteCount - 1) / PAGE_BYTES);
    let page = first;
    const isShort = last - first < CHANGE_PAGES_MAX;
    if (isShort && exp.locks.isEmpty && !this.runner.isCrowded) {
      for (; page <= last; page += 1) {
        const step = this.pages.change(exp, request, page, null);
        if (step === STEP.FAILED) return this.answer(connection, request, this.pages.error);
        if (step === STEP.AWAY || step === STEP.NO_FRAME) break;
      }
    }
    if (page <= last) return this.runner.change(connection, exp, request, page);
    connection.replies.empty(request, ERRNO.OK);
    this.ramster.latencies.put.add(this.clock.now() - startMs);
  }

  /** A hint: what is away begins to come home, as far as there is room. */
  private cache(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const first = Math.floor(request.offset / PAGE_BYTES);
    const last = Math.floor((request.offset + request.byteCount - 1) / PAGE_BYTES);
    for (let page = first; page <= last && page - first < NBD_CACHE_PAGES_MAX; page += 1) {
      this.ramster.devicePages.bringCloser(exp.at(page));
    }
    this.answer(connection, request, ERRNO.OK);
  }

  /** As far as it was looked; the client asks for the rest. */
  private blockStatus(connection: NbdConnection, exp: NbdExport, request: Request): void {
    const end = request.offset + request.byteCount;
    const isOne = request.has(COMMAND_FLAG.REQ_ONE);
    const extents: number[] = [];
    let at = request.offset;
    let start = at;
    let state: number | null = null;
    const endPage = Math.ceil(end / PAGE_BYTES);
    for (let looked = 0; at < end && looked < NBD_STATUS_PAGES_MAX; looked += 1) {
      const page = Math.floor(at / PAGE_BYTES);
      const blankUntil = exp.allocation.nextAllocated(page, endPage);
      const isBlank = blankUntil > page || !this.pages.isThere(exp, page);
      const next = isBlank ? STATE.HOLE | STATE.ZERO : 0;
      state ??= next;
      if (next !== state) {
        extents.push(at - start, state);
        if (isOne || extents.length >= 2 * NBD_EXTENTS_MAX) break;
        start = at;
        state = next;
      }
      at = Math.min(end, Math.max(blankUntil, page + 1) * PAGE_BYTES);
    }
    if (extents.length === 0 || (!isOne && extents.length < 2 * NBD_EXTENTS_MAX)) {
      extents.push(at - start, state ?? 0);
    }
    connection.replies.blockStatus(request, extents);
  }

  private answer(connection: NbdConnection, request: Request, error: Errno): void {
    if (error !== ERRNO.OK) this.counters.nbd_errors += 1;
    if (error === ERRNO.ENOSPC) this.counters.nbd_enospc += 1;
    connection.replies.empty(request, error);
  }
}
