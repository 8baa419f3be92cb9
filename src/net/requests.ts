/**
 * Requests: the requests of one channel that wait for a reply, with their sinks and deadlines.
 *
 *     free --take--> waiting --reply, close--> free
 *                       \--deadline--> abandoned --late reply, close--> free
 *
 * A request number is the slot plus a generation in the high bits. It is never 0, and is not used
 * again until the generations wrap. The slot of a request that timed out stays taken until its
 * reply comes. So a late reply, which is ignored, differs from a reply to no request. The latter is
 * a protocol violation.
 *
 * Invariants:
 *   1. Each sink gets the outcome of each of its requests exactly once: reply, TIMED_OUT or DIED.
 *   2. replyBytes is the sum over all slots taken; `take` keeps it at REPLY_BYTES_OUTSTANDING_MAX.
 *
 * Each channel has one table of typed arrays, so a request allocates nothing. It is created with
 * the first request, since many channels make none, and freed with the channel.
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import { REPLY_BYTES_OUTSTANDING_MAX, REQUESTS_OUTSTANDING_MAX } from "../core/limits.ts";
import type { Frame } from "../wire/framer.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";

/** Gets the outcome of a request, once. `context` is the value that was passed with it. */
export interface ReplySink {
  /** The reply, valid during the call only. */
  onReply(context: number, reply: Frame): void;
  /** There is no reply, and `transportStatus` says why. The request may still have been served. */
  onFailure(context: number, transportStatus: number): void;
}

const SLOT_MASK = REQUESTS_OUTSTANDING_MAX - 1;
const GENERATION_STEP = REQUESTS_OUTSTANDING_MAX;

// States of a slot.
const FREE = 0;
const WAITING = 1;
const ABANDONED = 2;

export class Requests {
  waitingCount = 0;
  abandonedCount = 0;
  replyBytes = 0;
  private numbers = new Uint32Array(0);
  private states = new Uint8Array(0);
  private types = new Uint8Array(0);
  private contexts = new Float64Array(0);
  private deadlines = new Float64Array(0);
  private replySizes = new Int32Array(0);
  private counts = new Int32Array(0);
  private sinks: Array<ReplySink | null> = [];
  /** A stack of free slots. */
  private free = new Int32Array(0);
  private freeCount = REQUESTS_OUTSTANDING_MAX;
  /** No deadline is earlier than this. */
  private deadlineMin = Infinity;

  private makeTable(): void {
    const count = REQUESTS_OUTSTANDING_MAX;
    this.numbers = new Uint32Array(count).map((_, slot) => slot); // Never 0: see take.
    this.states = new Uint8Array(count);
    this.types = new Uint8Array(count);
    this.contexts = new Float64Array(count);
    this.deadlines = new Float64Array(count);
    this.replySizes = new Int32Array(count);
    this.counts = new Int32Array(count);
    this.sinks = new Array(count).fill(null);
    this.free = new Int32Array(count).map((_, slot) => SLOT_MASK - slot);
  }

  /** Frees the table. No request may be waiting, and none is taken afterwards. */
  close(): void {
    assert(this.waitingCount === 0);
    const { numbers, states, types, contexts, deadlines, replySizes, counts, free } = this;
    for (const column of [numbers, states, types, contexts, deadlines, replySizes, counts, free]) {
      freeBuffer(column);
    }
    this.freeCount = 0;
  }

  /** @returns the request number, or 0 when the table or the window of replies is full. */
  take(
    type: number,
    count: number,
    replyBytesMax: number,
    sink: ReplySink,
    context: number,
    deadlineMs: number,
  ): number {
    if (this.freeCount === 0) return 0;
    // A reply longer than the window is allowed when no other is expected.
    const replyBytes = this.replyBytes + replyBytesMax;
    if (replyBytes > REPLY_BYTES_OUTSTANDING_MAX && this.replyBytes > 0) return 0;
    if (this.states.length === 0) this.makeTable();
    this.freeCount -= 1;
    const slot = this.free[this.freeCount] ?? 0;
    let number = ((this.numbers[slot] ?? 0) + GENERATION_STEP) >>> 0;
    // Generations wrap. Generation 0 is skipped, since it contains number 0.
    if (number < GENERATION_STEP) number += GENERATION_STEP;
    this.numbers[slot] = number;
    this.states[slot] = WAITING;
    this.types[slot] = type;
    this.contexts[slot] = context;
    this.deadlines[slot] = deadlineMs;
    this.replySizes[slot] = replyBytesMax;
    this.counts[slot] = count;
    this.sinks[slot] = sink;
    this.replyBytes = replyBytes;
    this.waitingCount += 1;
    if (deadlineMs < this.deadlineMin) this.deadlineMin = deadlineMs;
    return number;
  }

  /** Whether `number` of this type waits for a reply, timed out or not. */
  isExpected(number: number, type: number): boolean {
    const slot = number & SLOT_MASK;
    return this.numbers[slot] === number && this.states[slot] !== FREE && this.types[slot] === type;
  }

  /** How many entries the request has. A successful reply has as many. */
  countOf(number: number): number {
    return this.counts[number & SLOT_MASK] ?? 0;
  }

  /** Whether the request has timed out, so that its reply is ignored. */
  isAbandoned(number: number): boolean {
    return this.states[number & SLOT_MASK] === ABANDONED;
  }

  /** Frees the slot of an abandoned request. */
  forget(number: number): void {
    const slot = number & SLOT_MASK;
    assert(this.states[slot] === ABANDONED);
    this.abandonedCount -= 1;
    this.give(slot);
  }

  /** Frees the slot of a waiting request, and calls its sink. */
  complete(number: number, reply: Frame): void {
    const slot = number & SLOT_MASK;
    assert(this.states[slot] === WAITING);
    const sink = this.sinks[slot];
    const context = this.contexts[slot] ?? 0;
    assert(sink !== null && sink !== undefined);
    this.waitingCount -= 1;
    this.give(slot); // Freed first, since the sink may make a request at once.
    if (reply.transportStatus === TRANSPORT_STATUS.NONE) sink.onReply(context, reply);
    else sink.onFailure(context, reply.transportStatus);
  }

  /** Fails requests past their deadline with TIMED_OUT. @returns how many. */
  expire(nowMs: number): number {
    if (nowMs < this.deadlineMin) return 0;
    let expired = 0;
    // Sinks may make new requests meanwhile. `take` includes these in the new minimum.
    this.deadlineMin = Infinity;
    for (let slot = 0; slot < this.states.length; slot += 1) {
      if (this.states[slot] !== WAITING) continue;
      const deadlineMs = this.deadlines[slot] ?? 0;
      if (deadlineMs > nowMs) {
        if (deadlineMs < this.deadlineMin) this.deadlineMin = deadlineMs;
        continue;
      }
      this.states[slot] = ABANDONED;
      this.waitingCount -= 1;
      this.abandonedCount += 1;
      expired += 1;
      this.fail(slot, TRANSPORT_STATUS.TIMED_OUT);
    }
    return expired;
  }

  /** Fails all waiting requests and empties the table. Nothing may be taken meanwhile. */
  failAll(transportStatus: number): void {
    for (let slot = 0; slot < this.states.length; slot += 1) {
      const state = this.states[slot];
      if (state === FREE) continue;
      if (state === ABANDONED) {
        this.abandonedCount -= 1;
        this.give(slot);
        continue;
      }
      const sink = this.sinks[slot];
      const context = this.contexts[slot] ?? 0;
      this.waitingCount -= 1;
      this.give(slot);
      sink?.onFailure(context, transportStatus);
    }
    assert(this.waitingCount === 0 && this.abandonedCount === 0 && this.replyBytes === 0);
  }

  private fail(slot: number, transportStatus: number): void {
    const sink = this.sinks[slot];
    this.sinks[slot] = null;
    sink?.onFailure(this.contexts[slot] ?? 0, transportStatus);
  }

  private give(slot: number): void {
    this.states[slot] = FREE;
    this.sinks[slot] = null;
    this.replyBytes -= this.replySizes[slot] ?? 0;
    this.free[this.freeCount] = slot;
    this.freeCount += 1;
  }
}
