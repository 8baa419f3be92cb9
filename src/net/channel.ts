/**
 * Channel: framed messages with request numbers over one stream. Peer links, the client door and
 * the client library all speak through it.
 *
 *     begin > body written in place > commit --> [ URGENT lane ] --\
 *                                            \-> [ BULK lane   ] ---> gathered writes --> stream
 *     stream --> framer --> reply:   table of requests --> its sink, once
 *                      \--> request: handler, or held back while replies pile up
 *
 * Lanes: gets, replies and control go in URGENT, puts and flushes in BULK. URGENT frames overtake
 * BULK frames at frame boundaries; within a lane order is strict.
 *
 * Bounded both ways: `begin` says no over LANE_BYTES_MAX; commitRequest says no when the table of
 * requests or the window of replies is full; while more than OUTPUT_PAUSE_BYTES of replies wait,
 * requests that have been read are held back and the stream is paused. Replies are not held back:
 * serving them makes no output.
 *
 * States: OPENING until the stream is connected, OPEN, ENDING from a goodbye of ours until the
 * stream is gone (what comes in is dropped), CLOSED. Whatever ends it, every outstanding request is
 * completed with DIED, then onClosed is called, and onGone when the stream is gone and no timer is
 * left; each once.
 *
 * A request or a reply allocates nothing: bodies are written in place, the table is typed arrays,
 * writes are by offset.
 *
 * Not here: handshake, keepalive, who the other side is (link.ts); byte layouts (src/wire).
 */
import { assert } from "../core/assert.ts";
import { type BufferPool, NO_BUFFER } from "../core/buffer-pool.ts";
import { freeBuffer } from "../core/buffers.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { WireError } from "../core/errors.ts";
import {
  BODY_BYTES_MAX,
  CLIENT_LONG_BYTES,
  DEADLINE_TICK_MS,
  GATHER_BYTES,
  GOODBYE_TIMEOUT_MS,
  GREETING_BODY_BYTES_MAX,
  HEADER_BYTES,
  LANE_BYTES_MAX,
  OUTPUT_PAUSE_BYTES,
  OUTPUT_RESUME_BYTES,
  REQUESTS_ABANDONED_MAX,
} from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { type Frame, Framer, type FrameSink } from "../wire/framer.ts";
import { FLAG_REPLY, HEADER, writeHeader } from "../wire/header.ts";
import { GOODBYE, invalidReply, invalidRequest, MESSAGE, replyBytesMax } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import type { LinkCounters } from "./counters.ts";
import { HeldFrames } from "./held-frames.ts";
import { Lane } from "./lane.ts";
import { type ReplySink, Requests } from "./requests.ts";
import type { Stream, StreamEvents } from "./transport.ts";

export type { ReplySink } from "./requests.ts";

export const LANE = { URGENT: 0, BULK: 1 } as const;
export type LaneId = (typeof LANE)[keyof typeof LANE];

/** What a channel tells whoever made it. */
export interface ChannelHandler {
  /** The stream is connected: the first message may go out. */
  onOpen(channel: Channel): void;
  /**
   * A request of the other side, well formed. `frame` is good during the call only. When
   * `frame.request` is not 0, exactly one commitReply or replyFailed is owed, now or later. A reply
   * made during the call always finds room in the urgent lane.
   */
  onRequest(channel: Channel, frame: Frame): void;
  /** There may be room again after `begin` or `commitRequest` said no. */
  onRoom(channel: Channel): void;
  /**
   * Nothing can be sent or will arrive any more, and all outstanding requests have been completed.
   */
  onClosed(channel: Channel, reason: string): void;
  /** A request has to wait: the other side takes no replies, or there are no buffers. */
  onHeld?(channel: Channel): void;
  /** The stream is gone too, and no timer is left. Comes last. */
  onGone(channel: Channel): void;
}

/** States, in this order only. */
const OPENING = 0;
const OPEN = 1;
const ENDING = 2;
const CLOSED = 3;

/** In bytes of UTF-8: one line that a person reads. */
const GOODBYE_REASON_BYTES_MAX = 1000;

export class Channel implements StreamEvents, FrameSink {
  /**
   * Where the body goes: `bytes` or `view` from `at`. Good between `begin` and the commit that
   * follows.
   */
  bytes: Uint8Array = NO_BUFFER.bytes;
  view: DataView = NO_BUFFER.view;
  at = 0;
  /** The other side as the stream names it, for logs. */
  remote = "";
  /** Moves whenever there is a sign of life from the other side, and when that was. */
  progress = 0;
  heardAtMs = 0;
  /** Moves with each message that is asked of the other side or of this one, but KEEPALIVE. */
  uses = 0;
  /** May be replaced once it is known whose channel this is. */
  counters: LinkCounters;
  /** Bytes that have come and gone. */
  movedBytes = 0;
  private readonly clock: Clock;
  private readonly handler: ChannelHandler;
  private readonly pool: BufferPool;
  private readonly urgent: Lane;
  private readonly bulk: Lane;
  private readonly requests = new Requests();
  private readonly framer: Framer;
  private readonly held: HeldFrames;
  private stream: Stream | null = null;
  private state: number = OPENING;
  /** The lane between `begin` and its commit. */
  private building: Lane | null = null;
  private bodyBytesLimit = 0;
  /** The stream took less than it was given: nothing goes out before onDrain. */
  private isBlocked = false;
  /** Reading is paused since replies pile up. */
  private isPaused = false;
  /** Within onData, at the end of which everything is written out. */
  private isReceiving = false;
  private isServingHeld = false;
  /** How often the handler asked for requests to be held back and has not released them. */
  private holdCount = 0;
  private isFlushScheduled = false;
  private wantsRoom = false;
  private deadlineTimer: TimerId | null = null;
  private goodbyeTimer: TimerId | null = null;
  // Made once: a closure a call would be an allocation a call.
  private readonly flushSoon = (): void => this.onSoon();
  private readonly deadlineTick = (): void => this.onDeadlineTick();
  private readonly heldSoon = (): void => this.serveHeld();
  private readonly poolRoom = (): void => this.clock.soon(this.heldSoon);

  constructor(
    env: { clock: Clock; memory: Memory; pool: BufferPool },
    handler: ChannelHandler,
    counters: LinkCounters,
  ) {
    this.clock = env.clock;
    this.handler = handler;
    this.counters = counters;
    const { memory, pool } = env;
    this.pool = pool;
    this.urgent = new Lane(pool);
    this.bulk = new Lane(pool);
    this.framer = new Framer(this, memory, pool);
    this.held = new HeldFrames({ onFrame: (frame) => this.serve(frame) }, memory, pool);
  }

  get isOpen(): boolean {
    return this.state === OPEN;
  }

  /** Requests of ours that wait for a reply. */
  get outstandingCount(): number {
    return this.requests.waitingCount;
  }

  /** Bytes that the stream has not taken yet. */
  get pendingBytes(): number {
    return this.urgent.pendingBytes + this.bulk.pendingBytes;
  }

  /** Whether buffers are taken until the other side sends the rest, or takes what it asked for. */
  get isOwed(): boolean {
    return this.isBlocked || (this.framer.isWithin && !this.isPaused);
  }

  /** Nobody knows who the other side is: only a short message may come, until `setGreeted`. */
  expectGreeting(): void {
    this.framer.bodyBytesMax = GREETING_BODY_BYTES_MAX;
  }

  setGreeted(): void {
    this.framer.bodyBytesMax = BODY_BYTES_MAX;
  }

  // Sending.

  /**
   * Makes room for a message with a body of at most `bodyBytesMax`, to be written at `bytes[at]` or
   * `view` at `at`. A `begin` without a commit is forgotten by the next one.
   *
   * @returns false when the lane is over its bound or the channel is not open; onRoom tells when to
   * try again.
   */
  begin(lane: LaneId, bodyBytesMax: number): boolean {
    assert(bodyBytesMax <= BODY_BYTES_MAX);
    if (this.state !== OPEN) return false;
    const target = lane === LANE.URGENT ? this.urgent : this.bulk;
    if (!target.reserve(HEADER_BYTES + bodyBytesMax)) {
      this.wantsRoom = true;
      return false;
    }
    this.building = target;
    this.bodyBytesLimit = bodyBytesMax;
    this.bytes = target.bytes;
    this.view = target.view;
    this.at = target.tail + HEADER_BYTES;
    return true;
  }

  /**
   * Sends the request whose body was written. `sink` is told of its end exactly once, and never
   * during this call.
   *
   * @returns the request number, or 0 when nothing was sent: the table of requests or the window of
   * replies is full, or the channel has closed since `begin`.
   */
  commitRequest(
    type: number,
    count: number,
    bodyBytes: number,
    sink: ReplySink,
    context: number,
    timeoutMs: number,
  ): number {
    if (this.state !== OPEN) return 0;
    const deadlineMs = this.clock.now() + timeoutMs;
    const replyBytes = replyBytesMax(type, count);
    const number = this.requests.take(type, count, replyBytes, sink, context, deadlineMs);
    if (number === 0) {
      this.wantsRoom = true;
      return 0;
    }
    if (type !== MESSAGE.KEEPALIVE) this.uses += 1;
    this.commit(type, bodyBytes, number, 0, 0, 0, count);
    this.armDeadlines();
    return number;
  }

  /** Sends the message whose body was written, which has no reply. */
  commitNotice(type: number, bodyBytes: number): void {
    if (this.state !== OPEN) return;
    this.uses += 1;
    this.commit(type, bodyBytes, 0, 0, 0, 0, 0);
  }

  /**
   * Sends the reply whose body was written. Nothing happens when the request expects none, or the
   * channel has closed.
   */
  commitReply(
    type: number,
    request: number,
    handlerStatus: number,
    count: number,
    bodyBytes: number,
  ): void {
    if (this.state !== OPEN || request === 0) return;
    this.commit(type, bodyBytes, request, FLAG_REPLY, 0, handlerStatus, count);
  }

  /**
   * For a handler that cannot take more yet: holds back the requests that come from now on, and
   * stops reading once there is one, until `releaseRequests`, which serves them in order.
   */
  holdRequests(): void {
    this.holdCount += 1;
  }

  releaseRequests(): void {
    assert(this.holdCount > 0);
    this.holdCount -= 1;
    this.serveHeld();
  }

  /** Replies that the request did not reach a handler: NO_HANDLER or OVERFLOW. */
  replyFailed(frame: Frame, transportStatus: number): void {
    const { request, type } = frame;
    if (request === 0 || !this.begin(LANE.URGENT, 0)) return;
    this.commit(type, 0, request, FLAG_REPLY, transportStatus, 0, 0);
  }

  /** Writes out what waits, as far as the stream takes it. The end of the turn does it anyway. */
  flush(): void {
    if (this.isBlocked || this.stream === null || this.state === CLOSED) return;
    const { urgent, bulk } = this;
    // A BULK frame that went out in part has to be finished before anything may overtake.
    const unfinished = bulk.frameEnd() - bulk.head;
    if (unfinished > 0 && !this.writeOut(bulk, unfinished)) return;
    if (urgent.pendingBytes > 0 && !this.writeOut(urgent, urgent.pendingBytes)) return;
    if (bulk.pendingBytes > 0 && !this.writeOut(bulk, bulk.pendingBytes)) return;
    if (this.state === ENDING) this.stream.end();
  }

  // Closing.

  /**
   * Tells the other side why, and closes: what waits in the urgent lane still goes out, BULK does
   * not.
   */
  goodbye(code: number, reason: string): void {
    if (this.state === OPENING) this.terminate(reason);
    if (this.state !== OPEN) return;
    if (this.begin(LANE.URGENT, 1 + GOODBYE_REASON_BYTES_MAX)) {
      const { bytes, at } = this;
      const room = bytes.subarray(at + 1, at + 1 + GOODBYE_REASON_BYTES_MAX);
      const { written } = new TextEncoder().encodeInto(reason, room);
      bytes[at] = code;
      this.commitNotice(MESSAGE.GOODBYE, 1 + written);
    }
    this.close(reason);
  }

  /** Closes without a word: the other side has said goodbye, or would not understand one. */
  close(reason: string): void {
    if (this.state === OPENING) this.terminate(reason);
    if (this.state !== OPEN) return;
    this.bulk.dropUnsent();
    this.state = ENDING;
    this.goodbyeTimer = this.clock.after(GOODBYE_TIMEOUT_MS, () => this.stream?.terminate());
    this.wrapUp(reason);
    this.flush();
  }

  /** Closes at once, whatever is on its way. */
  terminate(reason: string): void {
    const { stream } = this;
    this.finish(reason);
    stream?.terminate();
  }

  /** Bytes of the other side broke the protocol: says so and closes. */
  malformed(reason: string): void {
    if (this.state !== OPEN) return;
    this.counters.malformed += 1;
    this.goodbye(GOODBYE.MALFORMED, reason);
  }

  // Stream events.

  /** The stream, before it is open: so that `terminate` gives up a connect in progress. */
  attach(stream: Stream): void {
    this.stream = stream;
    this.remote = stream.remote;
  }

  onOpen(stream: Stream): void {
    if (this.state !== OPENING) return stream.terminate();
    this.attach(stream);
    this.state = OPEN;
    this.handler.onOpen(this);
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.counters.bytes_received += chunk.byteLength;
    this.heard();
    this.movedBytes += chunk.byteLength;
    if (this.state !== OPEN) return freeBuffer(chunk);
    this.isReceiving = true;
    try {
      this.framer.push(chunk);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.malformed(error.message);
    } finally {
      this.isReceiving = false;
      this.forgetBegun();
    }
    freeBuffer(chunk);
    if (this.pool.isOverflowing) this.goodbye(GOODBYE.BUSY, "no memory for more requests");
    this.flush();
    this.tellRoom();
  }

  onDrain(_stream: Stream): void {
    const wasBlocked = this.isBlocked;
    const sentBefore = this.counters.bytes_sent;
    this.isBlocked = false;
    this.flush();
    // While reading is paused nothing can be heard; that the other side takes what was stuck is a
    // sign of life, too.
    if (wasBlocked && this.counters.bytes_sent > sentBefore) this.heard();
    this.serveHeld();
    this.tellRoom();
  }

  private heard(): void {
    this.progress += 1;
    this.heardAtMs = this.clock.now();
  }

  onClose(_stream: Stream, reason: string): void {
    this.finish(reason);
  }

  // Frames.

  /** Frame events; called by the framer. */
  onFrame(frame: Frame): void {
    if (this.state !== OPEN) return; // Closed by an earlier frame of the same chunk.
    this.counters.messages_received += 1;
    if ((frame.flags & FLAG_REPLY) !== 0) return this.onReply(frame);
    if (this.held.count > 0 || this.mustHold(frame.view, frame.at)) this.hold(frame);
    else this.serve(frame);
  }

  private onReply(frame: Frame): void {
    const { request, type } = frame;
    if (!this.requests.isExpected(request, type)) {
      this.malformed(`reply of type ${type} to request ${request}, which was not made`);
      return;
    }
    const invalid = invalidReply(frame);
    if (invalid !== null) return this.malformed(invalid);
    const succeeded = (frame.transportStatus | frame.handlerStatus) === 0;
    if (succeeded && frame.count !== this.requests.countOf(request)) {
      const asked = this.requests.countOf(request);
      return this.malformed(`reply with ${frame.count} entries to a request with ${asked}`);
    }
    if (this.requests.isAbandoned(request)) {
      this.counters.replies_late += 1;
      this.requests.forget(request);
    } else {
      this.requests.complete(request, frame);
    }
  }

  private serve(frame: Frame): void {
    if (this.state !== OPEN) return;
    const invalid = invalidRequest(frame);
    if (frame.type !== MESSAGE.KEEPALIVE) this.uses += 1;
    if (invalid === null) this.handler.onRequest(this, frame);
    else this.malformed(invalid);
  }

  /** `view` at `at`: the header of a request. */
  private mustHold(view: DataView, at: number): boolean {
    if (this.holdCount > 0 || this.urgent.pendingBytes > OUTPUT_PAUSE_BYTES) return true;
    // Who does not take what it has asked for gets no more while others may need the memory.
    const isGreedy = this.isBlocked && this.pool.isBusy;
    if (!this.pool.isFull && !isGreedy) return false;
    const reply = replyBytesMax(view.getUint8(at + HEADER.TYPE), view.getUint32(at + HEADER.COUNT));
    if (view.getUint32(at + HEADER.BODY_BYTES) + reply <= CLIENT_LONG_BYTES) return false;
    this.pool.whenRoom(this.poolRoom);
    return true;
  }

  private hold(frame: Frame): void {
    this.counters.requests_held += 1;
    this.handler.onHeld?.(this);
    if (!this.held.push(frame)) {
      this.malformed(`more than ${LANE_BYTES_MAX} bytes of requests while no reply is taken`);
    } else if (!this.isPaused) {
      this.isPaused = true;
      this.stream?.pause();
    }
  }

  /** Goes on with the requests that were held back, once enough of the replies is out. */
  private serveHeld(): void {
    if (!this.isPaused || this.isServingHeld || this.holdCount > 0) return;
    if (this.urgent.pendingBytes > OUTPUT_RESUME_BYTES) return;
    this.isServingHeld = true;
    const { held } = this;
    while (held.count > 0 && !this.mustHold(held.nextView, held.nextAt)) held.serveNext();
    this.isServingHeld = false;
    this.flush();
    if (this.held.count > 0 || this.holdCount > 0 || this.state !== OPEN) return;
    this.isPaused = false;
    this.stream?.resume();
  }

  // Output.

  private commit(
    type: number,
    bodyBytes: number,
    request: number,
    flags: number,
    transportStatus: number,
    handlerStatus: number,
    count: number,
  ): void {
    const lane = this.building;
    assert(lane !== null && lane.tail + HEADER_BYTES === this.at, "commit without begin");
    assert(bodyBytes <= this.bodyBytesLimit, "body longer than begin was told");
    this.building = null;
    const { view, tail } = lane;
    writeHeader(view, tail, type, bodyBytes, request, flags, transportStatus, handlerStatus, count);
    lane.append(HEADER_BYTES + bodyBytes);
    this.counters.messages_sent += 1;
    if (this.isBlocked) return;
    if (this.pendingBytes >= GATHER_BYTES) {
      this.flush();
    } else if (!this.isReceiving && !this.isFlushScheduled) {
      this.isFlushScheduled = true;
      this.clock.soon(this.flushSoon);
    }
  }

  /** A message that was begun while a chunk was read, and never sent, needs no buffer. */
  private forgetBegun(): void {
    const { building } = this;
    this.building = null;
    if (building !== null && building.pendingBytes === 0) building.close();
  }

  private onSoon(): void {
    this.isFlushScheduled = false;
    this.flush();
  }

  /** @returns whether the stream took all of it. */
  private writeOut(lane: Lane, byteCount: number): boolean {
    const taken = this.stream?.write(lane.bytes, lane.head, byteCount) ?? 0;
    lane.sent(taken);
    this.counters.bytes_sent += taken;
    this.movedBytes += taken;
    this.isBlocked = taken < byteCount;
    return !this.isBlocked;
  }

  private tellRoom(): void {
    if (!this.wantsRoom || this.state !== OPEN) return;
    const busiest = Math.max(this.urgent.pendingBytes, this.bulk.pendingBytes);
    if (busiest > LANE_BYTES_MAX / 2) return;
    this.wantsRoom = false;
    this.handler.onRoom(this);
  }

  // Deadlines and the end.

  private armDeadlines(): void {
    if (this.deadlineTimer !== null) return;
    this.deadlineTimer = this.clock.after(DEADLINE_TICK_MS, this.deadlineTick);
  }

  private onDeadlineTick(): void {
    this.deadlineTimer = null;
    this.counters.requests_timed_out += this.requests.expire(this.clock.now());
    if (this.state !== OPEN) return;
    if (this.requests.abandonedCount > REQUESTS_ABANDONED_MAX) {
      const reason = `${this.requests.abandonedCount} requests have no reply`;
      return this.goodbye(GOODBYE.NO_REPLIES, reason);
    }
    if (this.requests.waitingCount > 0) this.armDeadlines();
  }

  /** The stream is gone, or as good as gone. */
  private finish(reason: string): void {
    if (this.state === CLOSED) return;
    const isWrappedUp = this.state === ENDING;
    this.state = CLOSED;
    if (this.goodbyeTimer !== null) this.clock.cancel(this.goodbyeTimer);
    this.goodbyeTimer = null;
    if (!isWrappedUp) this.wrapUp(reason);
    this.stream = null;
    this.requests.close();
    this.urgent.close();
    this.bulk.close();
    this.handler.onGone(this);
  }

  /** Completes every outstanding request and tells the handler. */
  private wrapUp(reason: string): void {
    if (this.deadlineTimer !== null) this.clock.cancel(this.deadlineTimer);
    this.deadlineTimer = null;
    // Whoever began a message may still write it.
    this.building?.abandon();
    this.building = null;
    this.pool.leave(this.poolRoom);
    this.held.clear();
    this.framer.close();
    this.counters.requests_died += this.requests.waitingCount;
    this.requests.failAll(TRANSPORT_STATUS.DIED);
    this.handler.onClosed(this, reason);
  }
}
