/**
 * Virtual time: a Clock that moves only when a test runs it. Minutes of real timers take just the
 * time of their callbacks, which run in the same order every time.
 *
 * Callbacks of one instant run in the order of their requests. `soon` callbacks run before any
 * later timer, as at the end of a turn of the real loop.
 */
import { assert } from "../../src/core/assert.ts";
import type { Clock, TimerId } from "../../src/core/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly id: TimerId;
}

/** More callbacks without progress of time are a loop that feeds itself. */
const CALLBACKS_PER_INSTANT_MAX = 1_000_000;

export class SimClock implements Clock {
  private nowMs: number;
  private nextId = 1;
  /** A binary heap, earliest first. Cancelled timers stay in it until their time comes. */
  private readonly heap: Timer[] = [];
  /** Callbacks of timers that were not cancelled. */
  private readonly pending = new Map<TimerId, () => void>();
  private soonQueue: Array<() => void> = [];

  constructor(startMs = 0) {
    this.nowMs = startMs;
  }

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): TimerId {
    assert(delayMs >= 0 && Number.isFinite(delayMs), "a delay is finite and not negative");
    const timer: Timer = { atMs: this.nowMs + delayMs, id: this.nextId };
    this.nextId += 1;
    this.pending.set(timer.id, callback);
    this.insert(timer);
    return timer.id;
  }

  cancel(timer: TimerId): void {
    this.pending.delete(timer);
  }

  soon(callback: () => void): void {
    this.soonQueue.push(callback);
  }

  /** Timers and `soon` callbacks that wait: zero after a clean stop. */
  get pendingCount(): number {
    return this.pending.size + this.soonQueue.length;
  }

  /**
   * Runs the next callback, moving time on when nothing is due now. @returns false when there is
   * none.
   */
  step(): boolean {
    const callback = this.soonQueue.shift();
    if (callback !== undefined) {
      callback();
      return true;
    }
    const timer = this.earliest();
    if (timer === null) return false;
    this.removeFirst();
    const due = this.pending.get(timer.id);
    this.pending.delete(timer.id);
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    due?.();
    return true;
  }

  /** Runs everything due at the current instant, and what that makes due. Time does not move. */
  settle(): void {
    for (let i = 0; i < CALLBACKS_PER_INSTANT_MAX; i += 1) {
      const next = this.earliest();
      const isDue = this.soonQueue.length > 0 || (next !== null && next.atMs <= this.nowMs);
      if (!isDue) return;
      this.step();
    }
    assert(false, "callbacks without end at one instant");
  }

  /**
   * Runs everything due up to and including the instant `untilMs`, and stops there.
   */
  run(untilMs: number): void {
    for (;;) {
      this.settle();
      const next = this.earliest();
      if (next === null || next.atMs > untilMs) break;
      this.step();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /**
   * Runs until `condition` holds. @returns false when `withinMs` passed, or no callback is left.
   */
  runUntil(condition: () => boolean, withinMs: number): boolean {
    const limitMs = this.nowMs + withinMs;
    let instantMs = this.nowMs;
    let callbacks = 0;
    while (!condition()) {
      const next = this.earliest();
      const isIdle = this.soonQueue.length === 0;
      if (isIdle && (next === null || next.atMs > limitMs)) return false;
      this.step();
      callbacks = this.nowMs === instantMs ? callbacks + 1 : 0;
      instantMs = this.nowMs;
      assert(callbacks < CALLBACKS_PER_INSTANT_MAX, "callbacks without end at one instant");
    }
    return true;
  }

  /** The earliest timer that was not cancelled. */
  private earliest(): Timer | null {
    for (;;) {
      const first = this.heap[0];
      if (first === undefined) return null;
      if (this.pending.has(first.id)) return first;
      this.removeFirst();
    }
  }

  private insert(timer: Timer): void {
    this.heap.push(timer);
    let index = this.heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.isBefore(index, parent)) break;
      this.swap(index, parent);
      index = parent;
    }
  }

  private removeFirst(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    this.heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      let least = index;
      if (left < this.heap.length && this.isBefore(left, least)) least = left;
      if (left + 1 < this.heap.length && this.isBefore(left + 1, least)) least = left + 1;
      if (least === index) return;
      this.swap(index, least);
      index = least;
    }
  }

  private isBefore(a: number, b: number): boolean {
    const first = this.heap[a];
    const second = this.heap[b];
    assert(first !== undefined && second !== undefined);
    return first.atMs < second.atMs || (first.atMs === second.atMs && first.id < second.id);
  }

  private swap(a: number, b: number): void {
    const first = this.heap[a];
    const second = this.heap[b];
    assert(first !== undefined && second !== undefined);
    this.heap[a] = second;
    this.heap[b] = first;
  }
}
