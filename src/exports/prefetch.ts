/**
 * NbdPrefetch: fetches pages that are away and will probably be read next. It starts when reads
 * mostly advance by a constant step (trend.ts), and keeps the pages for a moment.
 *
 *     slot:  FREE -> FETCHING -> READY -> reused for another page; wasted if nobody read it
 *
 * The window grows while prefetched pages are read, and shrinks while they are not. A ready page
 * counts only while the index still has the version that was fetched, so writers need not know of
 * it.
 *
 * A read of a page that is still being fetched shares that fetch and counts as a hit.
 */
import { assert } from "../core/assert.ts";
import { NBD_PREFETCH_AHEAD_MAX, NBD_PREFETCH_PAGES, PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { GetSink } from "../ramster/repatriate/waiters.ts";
import type { NbdCounters } from "./counters.ts";
import type { NbdExport } from "./export.ts";
import type { Trend } from "./trend.ts";

const FREE = 0;
const FETCHING = 1;
const READY = 2;

export class NbdPrefetch implements GetSink {
  private readonly memory: Memory;
  private readonly ramster: Ramster;
  private readonly counters: NbdCounters;
  /** Allocated with the first page. */
  private bytes = new Uint8Array(0);
  private readonly states = new Uint8Array(NBD_PREFETCH_PAGES);
  /** Whether somebody read the page. */
  private readonly isRead = new Uint8Array(NBD_PREFETCH_PAGES);
  private readonly keys = new Float64Array(NBD_PREFETCH_PAGES);
  private readonly versions = new Float64Array(NBD_PREFETCH_PAGES);
  private readonly slots = new Map<number, number>();
  /** The slot that is reused next. */
  private hand = 0;

  constructor(parts: { memory: Memory; ramster: Ramster; counters: NbdCounters }) {
    this.memory = parts.memory;
    this.ramster = parts.ramster;
    this.counters = parts.counters;
  }

  /** A read of `count` pages from `first` on has been started. */
  onRead(exp: NbdExport, first: number, count: number): void {
    if (this.ramster.counters.remote_pers_pages === 0) return;
    const { trend } = exp;
    trend.add(first);
    const step = trend.find();
    if (step === 0) return;
    const reads = Math.ceil(this.windowOf(trend, count) / count);
    trend.follow(step, count);
    // Many fetches at once cost little more than one: wait until half of them have been read.
    if (2 * trend.ahead >= reads) return;
    while (trend.ahead < reads) {
      const from = first + step * (trend.ahead + 1);
      for (let page = from; page < from + count; page += 1) {
        if (page < 0 || page >= exp.pageCount || !this.fetch(exp, page)) return;
      }
      trend.ahead += 1;
    }
  }

  /** How many pages to prefetch: doubled while they are read, quartered while they are not. */
  private windowOf(trend: Trend, count: number): number {
    const grown = trend.hits > 0 ? 2 * trend.window : trend.window >>> 2;
    trend.window = Math.min(NBD_PREFETCH_AHEAD_MAX, Math.max(count, grown));
    trend.hits = 0;
    return trend.window;
  }

  /** Copies the page, which is away, to `target[at]` if it is ready. @returns whether it was. */
  take(exp: NbdExport, page: number, target: Uint8Array, at: number): boolean {
    const slot = this.slots.get(exp.keyOf(page));
    if (slot === undefined) return false;
    if (this.ramster.devicePages.versionAway(exp.handleOf(page)) !== this.versions[slot])
      return false;
    if (this.isRead[slot] === 0) {
      this.isRead[slot] = 1;
      this.counters.nbd_prefetch_hits += 1;
      exp.trend.hits += 1;
    }
    if (this.states[slot] !== READY) return false;
    this.memory.copy(target, at, this.bytes, slot * PAGE_BYTES, PAGE_BYTES);
    return true;
  }

  /** GetSink: a prefetched page, or why it cannot be had. */
  onGet(token: number, status: Status): void {
    assert(this.states[token] === FETCHING);
    if (status === STATUS.OK) this.states[token] = READY;
    else this.free(token);
  }

  /** @returns false when no slot is free. */
  private fetch(exp: NbdExport, page: number): boolean {
    const key = exp.keyOf(page);
    const version = this.ramster.devicePages.versionAway(exp.handleOf(page));
    if (version === 0) return true; // It is here already, or was never written.
    const known = this.slots.get(key);
    if (known !== undefined) {
      if (this.versions[known] === version) return true;
      if (this.states[known] === FETCHING) return true;
      this.free(known);
    }
    const slot = this.hand;
    if (this.states[slot] === FETCHING) return false; // All slots are being fetched.
    this.hand = (slot + 1) % NBD_PREFETCH_PAGES;
    this.free(slot);
    if (this.bytes.byteLength === 0) this.bytes = new Uint8Array(NBD_PREFETCH_PAGES * PAGE_BYTES);
    this.states[slot] = FETCHING;
    this.isRead[slot] = 0;
    this.keys[slot] = key;
    this.versions[slot] = version;
    this.slots.set(key, slot);
    this.counters.nbd_prefetches += 1;
    const at = slot * PAGE_BYTES;
    const status = this.ramster.get(exp.handleOf(page), -1, this.bytes, at, this, slot);
    if (status !== STATUS.PENDING) this.onGet(slot, status);
    return true;
  }

  private free(slot: number): void {
    const state = this.states[slot];
    if (state === FREE) return;
    if (this.isRead[slot] === 0) this.counters.nbd_prefetch_wasted += 1;
    this.states[slot] = FREE;
    this.slots.delete(this.keys[slot] ?? 0);
  }
}
