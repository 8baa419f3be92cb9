/**
 * Channel: framed messages with request numbers over one stream. It is used by peer links, the
 * client door and the client library.
 *
 *     begin > body written in place > commit --> [ URGENT lane ] --\
 *                                            \-> [ BULK lane   ] ---> gathered writes --> stream
 *     stream --> framer --> reply:   table of requests --> its sink, once
 *                      \--> request: handler, or deferred while replies pile up
 *
 * Lanes: gets, replies and control messages use URGENT, puts and flushes use BULK. URGENT frames
 * overtake BULK frames at frame boundaries. Within a lane the order is strict.
 *
 * Both directions are bounded. `begin` fails beyond LANE_BYTES_MAX. commitRequest fails when the
 * table of requests or the window of replies is full. While more than OUTPUT_PAUSE_BYTES of replies
 * wait, received requests are deferred and the stream is paused. Replies are never deferred, since
 * serving them makes no output.
 *
 * States: OPENING until the stream is connected, OPEN, ENDING from this side's goodbye until the
 * stream is closed, CLOSED. While ENDING, input is dropped. In the end, every outstanding request
 * completes with DIED, and onClosed is called. onGone follows when the stream is closed and no
 * timer is left.
 *
 * A request or a reply allocates nothing. Bodies are written in place, the table consists of typed
 * arrays, and writes are by offset.
 *
 * Not here: handshake, keepalive, identity of the other side (link.ts); byte layouts (src/wire).
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
import { DeferredFrames } from "./deferred-frames.ts";
import { Lane } from "./lane.ts";
import { type ReplySink, Requests } from "./requests.ts";
import type { Stream, StreamEvents } from "./transport.ts";

export type { ReplySink } from "./requests.ts";

export const LANE = { URGENT: 0, BULK: 1 } as const;
export type LaneId = (typeof LANE)[keyof typeof LANE];

/** Events of a channel. */
export interface ChannelHandler {
  /** The stream is connected, and messages can be sent. */
  onOpen(channel: Channel): void;
  /**
   * A valid request of the other side. `frame` is valid during the call only. If `frame.request` is
   * not 0, exactly one commitReply or replyFailed must follow, now or later. The urgent lane always
   * has room for a reply during the call.
   */
  onRequest(channel: Channel, frame: Frame): void;
  /** There may be room again after `begin` or `commitRequest` has failed. */
  onRoom(channel: Channel): void;
  /** Nothing can be sent or received any more. All outstanding requests have been completed. */
  onClosed(channel: Channel, reason: string): void;
  /**
   * A request is deferred because the other side takes no replies, or because buffers are short.
   */
  onDeferred?(channel: Channel): void;
  /** The stream is closed, and no timer is left. Called last. */
  onGone(channel: Channel): void;
}

/** The states follow each other in this order only. */
const OPENING = 0;
const OPEN = 1;
const ENDING = 2;
const CLOSED = 3;

/** Most bytes of UTF-8 in the reason of a goodbye, which is one line for a person. */
const GOODBYE_REASON_BYTES_MAX = 1000;

export class Channel implements StreamEvents, FrameSink {
  /** The body is written to `bytes` or `view`, from `at` on. Valid from `begin` to the commit. */
  bytes: Uint8Array = NO_BUFFER.bytes;
  view: DataView = NO_BUFFER.view;
  at = 0;
  /** Address of the other side, for logs. */
  remote = "";
  /** Counts signs of life of the other side. `heardAtMs` is the time of the last one. */
  progress = 0;
  heardAtMs = 0;
  /** Counts requests and notices in both directions, except KEEPALIVE. */
  uses = 0;
  /** Replaced by the peer's counters once the peer is identified. */
  counters: LinkCounters;
  /** Bytes received and sent. */
  movedBytes = 0;
  private readonly clock: Clock;
  private readonly handler: ChannelHandler;
  private readonly pool: BufferPool;
  private readonly urgent: Lane;
  private readonly bulk: Lane;
  private readonly requests = new Requests();
  private readonly framer: Framer;
  private readonly deferred: DeferredFrames;
  private stream: Stream | null = null;
  private state: number = OPENING;
  /** The lane of the message between `begin` and its commit. */
  private building: Lane | null = null;
  private bodyBytesLimit = 0;
  /** The stream is full, so nothing is sent before onDrain. */
  private isBlocked = false;
  /** Reading is paused because replies pile up. */
  private isPaused = false;
  /** The channel is within onData, which flushes at its end. */
  private isReceiving = false;
  private isServingDeferred = false;
  /** Calls of deferRequests that no resumeRequests has followed yet. */
  private deferCount = 0;
  private isFlushScheduled = false;
  private wantsRoom = false;
  private deadlineTimer: TimerId | null = null;
  private goodbyeTimer: TimerId | null = null;
  // Made once, since a closure for each call would be an allocation for each call.
  private readonly flushSoon = (): void => this.onSoon();
  private readonly deadlineTick = (): void => this.onDeadlineTick();
  private readonly serveDeferredSoon = (): void => this.serveDeferred();
  private readonly poolRoom = (): void => this.clock.soon(this.serveDeferredSoon);

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
    this.deferred = new DeferredFrames({ onFrame: (frame) => this.serve(frame) }, memory, pool);
  }

  get isOpen(): boolean {
    return this.state === OPEN;
  }

  /** How many requests of this side wait for a reply. */
  get outstandingCount(): number {
    return this.requests.waitingCount;
  }

  /** Bytes that the stream has not taken yet. */
  get pendingBytes(): number {
    return this.urgent.pendingBytes + this.bulk.pendingBytes;
  }

  /**
   * Whether buffers are in use until the other side sends the rest of a message, or takes replies.
   */
  get holdsBuffers(): boolean {
    return this.isBlocked || (this.framer.isWithin && !this.isPaused);
  }

  /** The other side is not identified yet. Only a short message is accepted until `setGreeted`. */
  expectGreeting(): void {
    this.framer.bodyBytesMax = GREETING_BODY_BYTES_MAX;
  }

  setGreeted(): void {
    this.framer.bodyBytesMax = BODY_BYTES_MAX;
  }

  // Sending.

  /**
   * Makes room for a message with a body of at most `bodyBytesMax` bytes, written to `bytes` or
   * `view` at `at`. A `begin` without a commit is void with the next `begin`.
   *
   * @returns false when the lane is full or the channel is not open; onRoom follows when there is
   * room.
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
   * Sends the request whose body was written. `sink` is called exactly once, never during this
   * call.
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

  /** Sends the message whose body was written. It has no reply. */
  commitNotice(type: number, bodyBytes: number): void {
    if (this.state !== OPEN) return;
    this.uses += 1;
    this.commit(type, bodyBytes, 0, 0, 0, 0, 0);
  }

  /**
   * Sends the reply whose body was written. Does nothing if the request expects no reply, or the
   * channel is closed.
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
   * For a handler that cannot take more requests yet. Requests are deferred from now on, until
   * `resumeRequests` serves them in order. The first deferred request stops reading.
   */
  deferRequests(): void {
    this.deferCount += 1;
  }

  resumeRequests(): void {
    assert(this.deferCount > 0);
    this.deferCount -= 1;
    this.serveDeferred();
  }

  /** Replies that the request reached no handler: NO_HANDLER or OVERFLOW. */
  replyFailed(frame: Frame, transportStatus: number): void {
    const { request, type } = frame;
    if (request === 0 || !this.begin(LANE.URGENT, 0)) return;
    this.commit(type, 0, request, FLAG_REPLY, transportStatus, 0, 0);
  }

  /** Sends as much as the stream takes. Also called at the end of each turn. */
  flush(): void {
    if (this.isBlocked || this.stream === null || this.state === CLOSED) return;
    const { urgent, bulk } = this;
    // A BULK frame that was sent in part must be finished before anything may overtake it.
    const unfinished = bulk.frameEnd() - bulk.head;
    if (unfinished > 0 && !this.writeOut(bulk, unfinished)) return;
    if (urgent.pendingBytes > 0 && !this.writeOut(urgent, urgent.pendingBytes)) return;
    if (bulk.pendingBytes > 0 && !this.writeOut(bulk, bulk.pendingBytes)) return;
    if (this.state === ENDING) this.stream.end();
  }

  // Closing.

  /** Tells the other side why, and closes. The URGENT lane is still sent, the BULK lane is not. */
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

  /** Closes without a goodbye, since the other side has sent one, or would not understand it. */
  close(reason: string): void {
    if (this.state === OPENING) this.terminate(reason);
    if (this.state !== OPEN) return;
    this.bulk.dropUnsent();
    this.state = ENDING;
    this.goodbyeTimer = this.clock.after(GOODBYE_TIMEOUT_MS, () => this.stream?.terminate());
    this.wrapUp(reason);
    this.flush();
  }

  /** Closes at once and drops unsent bytes. */
  terminate(reason: string): void {
    const { stream } = this;
    this.finish(reason);
    stream?.terminate();
  }

  /** The other side has violated the protocol. Tells it why, and closes. */
  malformed(reason: string): void {
    if (this.state !== OPEN) return;
    this.counters.malformed += 1;
    this.goodbye(GOODBYE.MALFORMED, reason);
  }

  // Stream events.

  /** Sets the stream before it is open, so that `terminate` can give up a connect in progress. */
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
    this.notifyRoom();
  }

  onDrain(_stream: Stream): void {
    const wasBlocked = this.isBlocked;
    const sentBefore = this.counters.bytes_sent;
    this.isBlocked = false;
    this.flush();
    // Nothing is received while reading is paused. The other side also shows that it lives by
    // taking bytes.
    if (wasBlocked && this.counters.bytes_sent > sentBefore) this.heard();
    this.serveDeferred();
    this.notifyRoom();
  }

  private heard(): void {
    this.progress += 1;
    this.heardAtMs = this.clock.now();
  }

  onClose(_stream: Stream, reason: string): void {
    this.finish(reason);
  }

  // Frames.

  /** Events of the framer. */
  onFrame(frame: Frame): void {
    if (this.state !== OPEN) return; // An earlier frame of the same chunk has closed the channel.
    this.counters.messages_received += 1;
    if ((frame.flags & FLAG_REPLY) !== 0) return this.onReply(frame);
    if (this.deferred.count > 0 || this.mustDefer(frame.view, frame.at)) this.defer(frame);
    else this.serve(frame);
  }

  private onReply(frame: Frame): void {
    const { request, type } = frame;
    if (!this.requests.isExpected(request, type)) {
      this.malformed(`reply of type ${type} to request ${request}, which does not exist`);
      return;
    }
    const invalid = invalidReply(frame);
    if (invalid !== null) return this.malformed(invalid);
    const succeeded = (frame.transportStatus | frame.handlerStatus) === 0;
    if (succeeded && frame.count !== this.requests.countOf(request)) {
      const expected = this.requests.countOf(request);
      return this.malformed(`reply with ${frame.count} entries to a request with ${expected}`);
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

  /** The header of a request is in `view` at `at`. */
  private mustDefer(view: DataView, at: number): boolean {
    if (this.deferCount > 0 || this.urgent.pendingBytes > OUTPUT_PAUSE_BYTES) return true;
    // A client that takes no replies gets no more of them while others may need the memory.
    const isGreedy = this.isBlocked && this.pool.isBusy;
    if (!this.pool.isFull && !isGreedy) return false;
    const reply = replyBytesMax(view.getUint8(at + HEADER.TYPE), view.getUint32(at + HEADER.COUNT));
    if (view.getUint32(at + HEADER.BODY_BYTES) + reply <= CLIENT_LONG_BYTES) return false;
    this.pool.whenRoom(this.poolRoom);
    return true;
  }

  private defer(frame: Frame): void {
    this.counters.requests_held += 1;
    this.handler.onDeferred?.(this);
    if (!this.deferred.push(frame)) {
      this.malformed(`more than ${LANE_BYTES_MAX} bytes of requests while no reply is taken`);
    } else if (!this.isPaused) {
      this.isPaused = true;
      this.stream?.pause();
    }
  }

  /** Serves deferred requests once enough of the replies is sent. */
  private serveDeferred(): void {
    if (!this.isPaused || this.isServingDeferred || this.deferCount > 0) return;
    if (this.urgent.pendingBytes > OUTPUT_RESUME_BYTES) return;
    this.isServingDeferred = true;
    const { deferred } = this;
    while (deferred.count > 0 && !this.mustDefer(deferred.nextView, deferred.nextAt)) {
      deferred.serveNext();
    }
    this.isServingDeferred = false;
    this.flush();
    if (this.deferred.count > 0 || this.deferCount > 0 || this.state !== OPEN) return;
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
    assert(bodyBytes <= this.bodyBytesLimit, "body longer than announced to begin");
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

  /** A message that was begun but not sent during onData needs no buffer. */
  private forgetBegun(): void {
    const { building } = this;
    this.building = null;
    if (building !== null && building.pendingBytes === 0) building.close();
  }

  private onSoon(): void {
    this.isFlushScheduled = false;
    this.flush();
  }

  /** @returns whether the stream took all bytes. */
  private writeOut(lane: Lane, byteCount: number): boolean {
    const taken = this.stream?.write(lane.bytes, lane.head, byteCount) ?? 0;
    lane.sent(taken);
    this.counters.bytes_sent += taken;
    this.movedBytes += taken;
    this.isBlocked = taken < byteCount;
    return !this.isBlocked;
  }

  private notifyRoom(): void {
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

  /** The stream is closed, or is about to be. */
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
    // A caller that has begun a message may still write it.
    this.building?.abandon();
    this.building = null;
    this.pool.leave(this.poolRoom);
    this.deferred.clear();
    this.framer.close();
    this.counters.requests_died += this.requests.waitingCount;
    this.requests.failAll(TRANSPORT_STATUS.DIED);
    this.handler.onClosed(this, reason);
  }
}
