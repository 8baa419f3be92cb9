/**
 * NbdPages: changes one page of an export, as far as that can be done at once.
 *
 * To write a part of a page, the old page is read first: it must be here, or be passed in (`old`).
 * A page that is trimmed only in part stays as it is.
 *
 * Not here: what happens when the old page is away or no frame is free (runner.ts).
 */
import { PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno } from "../nbd/protocol.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { ByteRange } from "./byte-range.ts";
import type { NbdCounters } from "./counters.ts";
import { errnoOf } from "./errors.ts";
import type { NbdExport } from "./export.ts";
import type { ReadFailures } from "./read-failures.ts";
import type { SpaceMonitor } from "./space-monitor.ts";

/** What became of one page. */
export const STEP = {
  /** Stored, or freed. */
  DONE: 0,
  /** There was nothing to free. */
  NOTHING: 1,
  /** The old page is needed, and is away. */
  AWAY: 2,
  NO_FRAME: 3,
  /** See `error`. */
  FAILED: 4,
} as const;
export type Step = (typeof STEP)[keyof typeof STEP];

/** A request that changes pages, pending or not. */
export interface Change extends ByteRange {
  readonly type: number;
  readonly flags: number;
  /** The data of a WRITE: `bytes` from `at`. */
  readonly bytes: Uint8Array;
  readonly at: number;
}

export interface PagesParts {
  readonly memory: Memory;
  readonly ramster: Ramster;
  readonly counters: NbdCounters;
  readonly space: SpaceMonitor;
  readonly readFailures: ReadFailures;
}

export class NbdPages {
  /** Why the last step failed. */
  error: Errno = ERRNO.OK;
  private readonly memory: Memory;
  private readonly ramster: Ramster;
  private readonly counters: NbdCounters;
  private readonly space: SpaceMonitor;
  private readonly readFailures: ReadFailures;
  /** A page that is written in part: as it was, and as it will be. */
  private readonly before = new Uint8Array(PAGE_BYTES);
  private readonly after = new Uint8Array(PAGE_BYTES);
  private readonly zeros = new Uint8Array(PAGE_BYTES);

  constructor(parts: PagesParts) {
    this.memory = parts.memory;
    this.ramster = parts.ramster;
    this.counters = parts.counters;
    this.space = parts.space;
    this.readFailures = parts.readFailures;
  }

  /** Applies the change to the page. `old`: the old page, if it was away and has been fetched. */
  change(exp: NbdExport, change: Change, page: number, old: Uint8Array | null): Step {
    const start = page * PAGE_BYTES;
    const from = Math.max(change.offset, start);
    const to = Math.min(change.offset + change.byteCount, start + PAGE_BYTES);
    const isWhole = to - from === PAGE_BYTES;
    const isWrite = change.type === COMMAND.WRITE;
    const frees = !isWrite && (change.flags & COMMAND_FLAG.NO_HOLE) === 0;
    if (frees && isWhole) return this.free(exp, page);
    // Trimming a part of a page frees nothing: not worth a fetch, nor a frame.
    if (change.type === COMMAND.TRIM) return STEP.NOTHING;
    if (frees && !this.isThere(exp, page)) return STEP.NOTHING;
    if (!this.space.mayPut()) return STEP.NO_FRAME;
    if (isWhole && !isWrite) return this.put(exp, page, this.zeros, 0);
    if (isWhole) return this.put(exp, page, change.bytes, change.at + (start - change.offset));
    const { before, after } = this;
    if (old === null) {
      const status = this.ramster.get(exp.handleOf(page), -1, before, 0, null, 0);
      if (status === STATUS.PENDING) return STEP.AWAY;
      if (status === STATUS.NOT_FOUND) before.fill(0);
      else if (status !== STATUS.OK) {
        this.readFailures.add(exp.name, status, 1);
        return this.failed(errnoOf(status));
      }
    } else this.memory.copy(before, 0, old, 0, PAGE_BYTES);
    this.memory.copy(after, 0, before, 0, PAGE_BYTES);
    if (isWrite) {
      const sourceAt = change.at + (from - change.offset);
      this.memory.copy(after, from - start, change.bytes, sourceAt, to - from);
    } else after.fill(0, from - start, to - start);
    return this.putPart(exp, page);
  }

  /** Frees all pages of an object, here and at their holders. */
  freeObject(exp: NbdExport, number: number): void {
    const before = exp.pool.pageCount;
    this.ramster.flushObject(exp.handleOfObject(number));
    this.counters.frontswap_invalidates += before - exp.pool.pageCount;
  }

  isThere(exp: NbdExport, page: number): boolean {
    return this.ramster.devicePages.has(exp.handleOf(page));
  }

  private free(exp: NbdExport, page: number): Step {
    if (this.ramster.flushPage(exp.handleOf(page)) !== STATUS.OK) return STEP.NOTHING;
    this.counters.frontswap_invalidates += 1;
    return STEP.DONE;
  }

  private put(exp: NbdExport, page: number, bytes: Uint8Array, at: number): Step {
    exp.allocation.mark(page);
    const countBefore = exp.pool.pageCount;
    const status = this.ramster.put(exp.handleOf(page), bytes, at);
    if (status === STATUS.OK) return this.stored();
    // A refused put leaves no page, which would read as zeros. So a refused overwrite is a loss.
    if (exp.pool.pageCount < countBefore) this.ramster.devicePages.lose(exp.handleOf(page));
    return this.refused(status);
  }

  /**
   * Puts `after` in place of `before`. If there is no room for `after`, the page stays as it was:
   * the request has no business with the rest of it.
   */
  private putPart(exp: NbdExport, page: number): Step {
    const { ramster, before } = this;
    if (ramster.hasRoom || !this.isThere(exp, page)) return this.put(exp, page, this.after, 0);
    // A put frees the copies at holders first, and there would be no room here to restore it.
    if (ramster.devicePages.versionAway(exp.handleOf(page)) !== 0)
      return this.refused(STATUS.NO_ROOM);
    const status = ramster.put(exp.handleOf(page), this.after, 0);
    if (status === STATUS.OK) return this.stored();
    // The old page fits where it was.
    if (ramster.put(exp.handleOf(page), before, 0) !== STATUS.OK)
      ramster.devicePages.lose(exp.handleOf(page));
    return this.refused(status);
  }

  private stored(): Step {
    this.counters.frontswap_succ_stores += 1;
    return STEP.DONE;
  }

  private refused(status: Status): Step {
    this.counters.frontswap_failed_stores += 1;
    if (status === STATUS.NO_ROOM) this.space.onRefused();
    return this.failed(errnoOf(status));
  }

  private failed(error: Errno): Step {
    this.error = error;
    return STEP.FAILED;
  }
}
