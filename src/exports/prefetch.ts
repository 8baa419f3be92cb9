/**
 * NbdPrefetch: pages that are away and will be read next: fetched when most reads go by even steps
 * (trend.ts), after the read that was asked for, and kept for a moment.
 *
 *     slot:  free -> asked for -> there -> given up for another page: a waste if nobody read it
 *
 * How far ahead grows while what was fetched is read, and shrinks when it is not. A page that is
 * there counts only while the index still has the version that was fetched: whoever writes it need
 * not know of it here.
 *
 * A read of a page that is still on its way shares its fetch, as any two reads do, and counts as
 * one that was of use.
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
const ASKED = 1;
const THERE = 2;

export class NbdPrefetch implements GetSink {
  private readonly memory: Memory;
  private readonly ramster: Ramster;
  private readonly counters: NbdCounters;
  /** Made with the first page. */
  private bytes = new Uint8Array(0);
  private readonly states = new Uint8Array(NBD_PREFETCH_PAGES);
  /** Whether somebody wanted it. */
  private readonly isRead = new Uint8Array(NBD_PREFETCH_PAGES);
  private readonly keys = new Float64Array(NBD_PREFETCH_PAGES);
  private readonly versions = new Float64Array(NBD_PREFETCH_PAGES);
  private readonly slots = new Map<number, number>();
  /** The slot that is next to be used again. */
  private hand = 0;

  constructor(parts: { memory: Memory; ramster: Ramster; counters: NbdCounters }) {
    this.memory = parts.memory;
    this.ramster = parts.ramster;
    this.counters = parts.counters;
  }

  /** A read of so many pages from `first` on, which has been asked for. */
  onRead(exp: NbdExport, first: number, count: number): void {
    if (this.ramster.counters.remote_pers_pages === 0) return;
    const { trend } = exp;
    trend.add(first);
    const step = trend.find();
    if (step === 0) return;
    const reads = Math.ceil(this.windowOf(trend, count) / count);
    trend.follow(step, count);
    // Many at once cost little more than one: only when half of them have been read.
    if (2 * trend.ahead >= reads) return;
    while (trend.ahead < reads) {
      const from = first + step * (trend.ahead + 1);
      for (let page = from; page < from + count; page += 1) {
        if (page < 0 || page >= exp.pageCount || !this.ask(exp, page)) return;
      }
      trend.ahead += 1;
    }
  }

  /** How many pages ahead: more while they are read, and soon few when they are not. */
  private windowOf(trend: Trend, count: number): number {
    const grown = trend.hits > 0 ? 2 * trend.window : trend.window >>> 2;
    trend.window = Math.min(NBD_PREFETCH_AHEAD_MAX, Math.max(count, grown));
    trend.hits = 0;
    return trend.window;
  }

  /** Copies the page, which is away, to `target[at]`, if it is there. @returns whether it was. */
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
    if (this.states[slot] !== THERE) return false;
    this.memory.copy(target, at, this.bytes, slot * PAGE_BYTES, PAGE_BYTES);
    return true;
  }

  /** GetSink: a page that was asked for ahead, or not to be had. */
  onGet(token: number, status: Status): void {
    assert(this.states[token] === ASKED);
    if (status === STATUS.OK) this.states[token] = THERE;
    else this.free(token);
  }

  /** @returns false when there is no slot for it. */
  private ask(exp: NbdExport, page: number): boolean {
    const key = exp.keyOf(page);
    const version = this.ramster.devicePages.versionAway(exp.handleOf(page));
    if (version === 0) return true; // It is here, or nowhere.
    const known = this.slots.get(key);
    if (known !== undefined) {
      if (this.versions[known] === version) return true;
      if (this.states[known] === ASKED) return true;
      this.free(known);
    }
    const slot = this.hand;
    if (this.states[slot] === ASKED) return false; // All of them are on their way.
    this.hand = (slot + 1) % NBD_PREFETCH_PAGES;
    this.free(slot);
    if (this.bytes.byteLength === 0) this.bytes = new Uint8Array(NBD_PREFETCH_PAGES * PAGE_BYTES);
    this.states[slot] = ASKED;
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
