/**
 * Fetches: the pages whose bytes are being brought back. Each has a row until its last ask has
 * ended. While a fetch is under way, the record of its page is in transit and points here.
 *
 *     fetch --+-- ask 0 of a holder     asks of one holder wait in a queue, and are then linked in
 *             +-- ask 1 of another      the message that they went in (asks.ts)
 *             +-- waiter, waiter, ...   (waiters.ts)
 *
 * The record of a page in transit has the row of its fetch in place of its copies. So the rows are
 * kept (core/journal.ts): a successor reads the copies there.
 *
 * An ask is a number: fetch * COPIES_MAX + index. Not here: what is done with it (repatriate.ts).
 */
import type { Handle } from "../../core/handle.ts";
import { COPIES_MAX, FETCHES_MAX } from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { Table } from "../../core/table.ts";
import { type Copies, copyAt, copyCount, hasCopy, NO_COPIES, withoutCopy } from "../copies.ts";

// Words of a row. The table uses word 0 while the row is free.
const IS_LIVE = 1;
const PAGE = 2;
const VERSION_HI = 3;
const VERSION_LO = 4;
const HANDLE = 5; // Eight words. With the handle, getters are served again when the page is gone.
const COPIES = 13;
const UNTRIED = 14;
const WAITER_FIRST = 15;
const WAITER_LAST = 16;
const DEADLINE = 17;
const PATIENCE = 18;
const FLAGS = 19;
const ASKED = 20;
const OPEN = 21;
const FROM = 22;
const ASK_NEXT = 23; // One word for each ask, as for the words below.
const ASK_NODE = ASK_NEXT + COPIES_MAX;
const ASK_SENT = ASK_NODE + COPIES_MAX;
const WORDS_PER_FETCH = ASK_SENT + COPIES_MAX;

/** Why a page is fetched, apart from waiting getters, and what happened to it meanwhile. */
export const FETCH_FLAG = {
  /** To bring it home. */
  HOMEWARD: 1,
  /** To make another copy of it. */
  REPAIR: 2,
  /** A holder that was asked may have the page, but did not answer. */
  AWAY: 4,
  /** Another holder got a copy meanwhile. */
  COPIED: 8,
  /** Only the copy on the disk is read, to check that it is good. */
  DISK_ONLY: 16,
} as const;

export class Fetches {
  private readonly rows: Table;

  constructor(memory: Memory) {
    const shape = { rowCountMax: FETCHES_MAX, wordsPerRow: WORDS_PER_FETCH };
    this.rows = new Table(memory, { ...shape, name: "fetches" });
  }

  get count(): number {
    return this.rows.rowCount;
  }

  /** One past the highest row in use: rows from 1 on may be fetches. */
  get end(): number {
    return this.rows.rowEnd;
  }

  /** @returns a new fetch of the page without asks, or 0 when there is no row. */
  add(page: number, copies: Copies, version: number, handle: Handle, deadlineMs: number): number {
    const { rows } = this;
    const fetch = rows.take();
    if (fetch === 0) return 0;
    rows.set(fetch, IS_LIVE, 1);
    rows.set(fetch, PAGE, page);
    rows.set(fetch, VERSION_HI, Math.floor(version / 4294967296));
    rows.set(fetch, VERSION_LO, version | 0);
    this.storeHandle(fetch, handle);
    rows.set(fetch, COPIES, copies);
    rows.set(fetch, UNTRIED, copies);
    rows.set(fetch, WAITER_FIRST, 0);
    rows.set(fetch, WAITER_LAST, 0);
    rows.set(fetch, DEADLINE, deadlineMs);
    rows.set(fetch, FLAGS, 0);
    rows.set(fetch, ASKED, 0);
    rows.set(fetch, OPEN, 0);
    return fetch;
  }

  /** The fetch has ended. Its row stays until all its asks have ended. */
  finish(fetch: number): void {
    this.rows.set(fetch, IS_LIVE, 0);
    this.giveIfUnused(fetch);
  }

  /** Whether the fetch is still under way. */
  isLive(fetch: number): boolean {
    return this.rows.get(fetch, IS_LIVE) === 1;
  }

  /** The page of the fetch. 0: it has left the index, or was replaced. */
  page(fetch: number): number {
    return this.rows.get(fetch, PAGE);
  }

  /** The id of the pool that its page belongs to, or belonged to. */
  pool(fetch: number): number {
    return this.rows.get(fetch, HANDLE + 7);
  }

  detach(fetch: number): void {
    this.rows.set(fetch, PAGE, 0);
  }

  version(fetch: number): number {
    return this.rows.get(fetch, VERSION_HI) * 4294967296 + (this.rows.get(fetch, VERSION_LO) >>> 0);
  }

  /**
   * The copies of the page. Its record has no room for them meanwhile. After a restore also those
   * of the predecessor's fetches, until there is a new one. 0: there is no such row.
   */
  copies(fetch: number): Copies {
    return fetch > 0 && fetch <= FETCHES_MAX ? this.rows.get(fetch, COPIES) : NO_COPIES;
  }

  /** Holders without a copy need not be asked any more. */
  setCopies(fetch: number, copies: Copies): void {
    const before = this.copies(fetch);
    for (let i = 0; i < copyCount(copies); i += 1) {
      if (!hasCopy(before, copyAt(copies, i))) this.set(fetch, FETCH_FLAG.COPIED);
    }
    let untried = this.untried(fetch);
    for (let i = 0; i < copyCount(before); i += 1) {
      const node = copyAt(before, i);
      if (!hasCopy(copies, node)) untried = withoutCopy(untried, node);
    }
    this.setUntried(fetch, untried);
    this.rows.set(fetch, COPIES, copies);
  }

  /** The holders that were not asked yet. */
  untried(fetch: number): Copies {
    return this.rows.get(fetch, UNTRIED);
  }

  setUntried(fetch: number, copies: Copies): void {
    this.rows.set(fetch, UNTRIED, copies);
  }

  hasUntried(fetch: number): boolean {
    return this.untried(fetch) !== NO_COPIES;
  }

  has(fetch: number, flag: number): boolean {
    return (this.rows.get(fetch, FLAGS) & flag) !== 0;
  }

  set(fetch: number, flag: number): void {
    this.rows.set(fetch, FLAGS, this.rows.get(fetch, FLAGS) | flag);
  }

  /** The holder that gives its copy up. For repair. */
  from(fetch: number): number {
    return this.rows.get(fetch, FROM);
  }

  setFrom(fetch: number, node: number): void {
    this.rows.set(fetch, FROM, node);
  }

  waiterFirst(fetch: number): number {
    return this.rows.get(fetch, WAITER_FIRST);
  }

  waiterLast(fetch: number): number {
    return this.rows.get(fetch, WAITER_LAST);
  }

  addWaiter(fetch: number, waiter: number): void {
    if (this.waiterFirst(fetch) === 0) this.rows.set(fetch, WAITER_FIRST, waiter);
    this.rows.set(fetch, WAITER_LAST, waiter);
  }

  /** In milliseconds that wrap, so only differences to other such times are meaningful. */
  deadline(fetch: number): number {
    return this.rows.get(fetch, DEADLINE);
  }

  /** When the next holder is asked, if none has answered by then. */
  patience(fetch: number): number {
    return this.rows.get(fetch, PATIENCE);
  }

  setPatience(fetch: number, untilMs: number): void {
    this.rows.set(fetch, PATIENCE, untilMs);
  }

  // Asks.

  /** Adds an ask to `node`. The holders `untried` are left. @returns the ask. */
  addAsk(fetch: number, node: number, untried: Copies): number {
    const { rows } = this;
    const index = rows.get(fetch, ASKED);
    rows.set(fetch, ASKED, index + 1);
    rows.set(fetch, OPEN, rows.get(fetch, OPEN) + 1);
    rows.set(fetch, UNTRIED, untried);
    rows.set(fetch, ASK_NODE + index, node);
    return fetch * COPIES_MAX + index;
  }

  /**
   * The ask was answered, or never will be. @returns whether other asks of its fetch are still
   * open.
   */
  endAsk(ask: number): boolean {
    const fetch = fetchOf(ask);
    const open = this.rows.get(fetch, OPEN) - 1;
    this.rows.set(fetch, OPEN, open);
    if (!this.isLive(fetch)) this.giveIfUnused(fetch);
    return open > 0;
  }

  askNode(ask: number): number {
    return this.rows.get(fetchOf(ask), ASK_NODE + (ask % COPIES_MAX));
  }

  /** The next ask of the same queue or message, or 0. */
  nextAsk(ask: number): number {
    return this.rows.get(fetchOf(ask), ASK_NEXT + (ask % COPIES_MAX));
  }

  setNextAsk(ask: number, next: number): void {
    this.rows.set(fetchOf(ask), ASK_NEXT + (ask % COPIES_MAX), next);
  }

  /** When the message that begins with this ask was sent, in microseconds that wrap. */
  askSentUs(ask: number): number {
    return this.rows.get(fetchOf(ask), ASK_SENT + (ask % COPIES_MAX));
  }

  setAskSentUs(ask: number, sentUs: number): void {
    this.rows.set(fetchOf(ask), ASK_SENT + (ask % COPIES_MAX), sentUs);
  }

  close(): void {
    this.rows.close();
  }

  readHandle(fetch: number, handle: Handle): void {
    const { rows } = this;
    handle.oid0hi = rows.get(fetch, HANDLE);
    handle.oid0lo = rows.get(fetch, HANDLE + 1);
    handle.oid1hi = rows.get(fetch, HANDLE + 2);
    handle.oid1lo = rows.get(fetch, HANDLE + 3);
    handle.oid2hi = rows.get(fetch, HANDLE + 4);
    handle.oid2lo = rows.get(fetch, HANDLE + 5);
    handle.index = rows.get(fetch, HANDLE + 6) >>> 0;
    handle.pool = rows.get(fetch, HANDLE + 7);
  }

  private storeHandle(fetch: number, handle: Handle): void {
    const { rows } = this;
    rows.set(fetch, HANDLE, handle.oid0hi);
    rows.set(fetch, HANDLE + 1, handle.oid0lo);
    rows.set(fetch, HANDLE + 2, handle.oid1hi);
    rows.set(fetch, HANDLE + 3, handle.oid1lo);
    rows.set(fetch, HANDLE + 4, handle.oid2hi);
    rows.set(fetch, HANDLE + 5, handle.oid2lo);
    rows.set(fetch, HANDLE + 6, handle.index | 0);
    rows.set(fetch, HANDLE + 7, handle.pool);
  }

  private giveIfUnused(fetch: number): void {
    if (this.rows.get(fetch, OPEN) === 0) this.rows.give(fetch);
  }
}

export function fetchOf(ask: number): number {
  return Math.floor(ask / COPIES_MAX);
}
