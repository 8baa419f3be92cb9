/**
 * Waiters: getters that wait for a remote page, in the order in which they came. Each has a row in
 * a table. The rows are linked by the fetch that they wait for. Sinks and targets are kept outside
 * the table.
 *
 * Not here: when the page comes (repatriate.ts).
 */
import { assert } from "../../core/assert.ts";
import type { Handle } from "../../core/handle.ts";
import { WAITERS_MAX } from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { STATUS, type Status } from "../../core/status.ts";
import { Table } from "../../core/table.ts";

/** A getter that waits for a page. With OK the page is in the target that was given. */
export interface GetSink {
  onGet(token: number, status: Status): void;
}

/**
 * get_and_free of docs/original.md, "tmem": never remove the page, remove it if its pool is
 * ephemeral, always remove it.
 */
export type GetAndFree = -1 | 0 | 1;

/** Serves a get again from the index: Ramster.get. */
export type RetryGet = (
  handle: Handle,
  getAndFree: GetAndFree,
  target: Uint8Array,
  at: number,
  sink: GetSink,
  token: number,
) => Status;

const NEXT = 0;
const TOKEN = 1;
const AT = 2;
const GET_AND_FREE = 3;
const WORDS_PER_WAITER = 4;

export class Waiters {
  private readonly rows: Table;
  private readonly sinks: Array<GetSink | null> = [];
  private readonly targets: Array<Uint8Array | null> = [];
  private readonly retryGet: RetryGet;

  constructor(memory: Memory, retryGet: RetryGet) {
    this.rows = new Table(memory, { rowCountMax: WAITERS_MAX, wordsPerRow: WORDS_PER_WAITER });
    this.retryGet = retryGet;
  }

  get hasRoom(): boolean {
    return this.rows.rowCount < WAITERS_MAX;
  }

  /** @returns the new waiter, the last of its fetch. There must be room. */
  add(
    getAndFree: GetAndFree,
    target: Uint8Array,
    at: number,
    sink: GetSink,
    token: number,
  ): number {
    const waiter = this.rows.take();
    assert(waiter !== 0);
    this.rows.set(waiter, NEXT, 0);
    this.rows.set(waiter, TOKEN, token);
    this.rows.set(waiter, AT, at);
    this.rows.set(waiter, GET_AND_FREE, getAndFree);
    this.sinks[waiter] = sink;
    this.targets[waiter] = target;
    return waiter;
  }

  /** The next waiter of the same fetch, or 0. */
  next(waiter: number): number {
    return this.rows.get(waiter, NEXT);
  }

  setNext(waiter: number, next: number): void {
    this.rows.set(waiter, NEXT, next);
  }

  /** The offset in its target for the page. */
  at(waiter: number): number {
    return this.rows.get(waiter, AT);
  }

  target(waiter: number): Uint8Array {
    const target = this.targets[waiter];
    assert(target !== undefined && target !== null);
    return target;
  }

  getAndFree(waiter: number): GetAndFree {
    return this.rows.get(waiter, GET_AND_FREE) as GetAndFree;
  }

  /** Ends the waiter with this status. @returns the next one. */
  end(waiter: number, status: Status): number {
    const next = this.next(waiter);
    const token = this.rows.get(waiter, TOKEN);
    const sink = this.forget(waiter);
    sink.onGet(token, status);
    return next;
  }

  /**
   * Serves the waiter again from the index. `handle` names the page until the sink is called, since
   * that may start another fetch. @returns the next one.
   */
  retry(waiter: number, handle: Handle): number {
    const next = this.next(waiter);
    const token = this.rows.get(waiter, TOKEN);
    const at = this.at(waiter);
    const getAndFree = this.getAndFree(waiter);
    const target = this.target(waiter);
    const sink = this.forget(waiter);
    const status = this.retryGet(handle, getAndFree, target, at, sink, token);
    if (status !== STATUS.PENDING) sink.onGet(token, status);
    return next;
  }

  close(): void {
    this.rows.close();
  }

  private forget(waiter: number): GetSink {
    const sink = this.sinks[waiter];
    assert(sink !== undefined && sink !== null);
    this.sinks[waiter] = null;
    this.targets[waiter] = null;
    this.rows.give(waiter);
    return sink;
  }
}
