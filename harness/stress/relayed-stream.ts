/**
 * RelayedStream: two streams joined end to end, with a delay in each direction.
 *
 *     outer (the node that connected)  --inward-->  inner (the node that was called)
 *                                      <-outward--
 *
 * Each direction is a queue of chunks. A chunk leaves when its delay is over, all chunks before it
 * have left, its direction is not stopped, and the socket takes it. The end of a stream follows
 * its last byte, and then ends the other side.
 *
 * Invariants: at most STREAM_BYTES and one read wait in a direction, then its source is paused;
 * `onGone` is called once, when both sides are closed.
 */
import type { Clock, TimerId } from "../../src/core/clock.ts";
import type { Stream, StreamEvents } from "../../src/net/transport.ts";
import { DelayLine } from "./delay-line.ts";

/** Bound of the bytes that wait in one direction. At 100 ms this allows 40 MiB a second. */
const STREAM_BYTES = 4 * 1024 * 1024;
/** Bytes that one loss delays: as many as one datagram of TCP's offload holds. */
const SEGMENT_BYTES = 64 * 1024;
/** A side that does not close this long after its end is dropped. */
const END_MS = 5000;

/** The effects on bytes in flight. */
export interface StreamFate {
  /** The delay of a chunk. Called once a chunk. */
  delayMs(byteCount: number): number;
  /** Whether nothing may leave now. Asked again after `checkFaults`. */
  isStopped(inward: boolean): boolean;
}

interface Side {
  stream: Stream | null;
  isOpen: boolean;
  isClosed: boolean;
  /** Runs from a side's end to its close. */
  endTimer: TimerId | null;
}

/** One direction. `arrived`: the delay is over, and the chunk waits for the socket. */
interface Way {
  readonly from: Side;
  readonly to: Side;
  readonly isInward: boolean;
  readonly line: DelayLine<Uint8Array | null>;
  readonly arrived: Uint8Array[];
  bytes: number;
  isPaused: boolean;
  /** The source is closed, and all its bytes have arrived. */
  isOver: boolean;
}

export class RelayedStream {
  /** Events of the accepted stream. */
  readonly outer: StreamEvents;
  private readonly clock: Clock;
  private readonly fate: StreamFate;
  private readonly onGone: () => void;
  private readonly outerSide: Side;
  private readonly innerSide: Side = sideOf(null);
  private readonly inward: Way;
  private readonly outward: Way;
  private readonly connect: (events: StreamEvents) => Stream | null;
  private isEnding = false;
  private isGone = false;

  /** `connect` starts the inner stream, or returns null when nobody listens. */
  constructor(
    parts: { clock: Clock; fate: StreamFate },
    stream: Stream,
    connect: (events: StreamEvents) => Stream | null,
    onGone: () => void,
  ) {
    this.clock = parts.clock;
    this.fate = parts.fate;
    this.onGone = onGone;
    this.connect = connect;
    this.outerSide = sideOf(stream);
    this.inward = this.way(this.outerSide, this.innerSide, true);
    this.outward = this.way(this.innerSide, this.outerSide, false);
    this.outer = this.eventsOf(this.outerSide, this.inward, this.outward);
  }

  /** Called when faults may have changed. */
  checkFaults(): void {
    this.dial();
    this.flush(this.inward);
    this.flush(this.outward);
  }

  /** Drops both sides, with all bytes in flight. */
  terminate(): void {
    this.isEnding = true;
    for (const way of [this.inward, this.outward]) {
      way.line.clear();
      way.arrived.length = 0;
    }
    this.outerSide.stream?.terminate();
    this.innerSide.stream?.terminate();
    if (this.innerSide.stream === null) this.innerSide.isClosed = true;
    this.checkGone();
  }

  private way(from: Side, to: Side, isInward: boolean): Way {
    const line = new DelayLine<Uint8Array | null>(this.clock, (chunk) => {
      if (chunk === null) way.isOver = true;
      else way.arrived.push(chunk);
      this.flush(way);
    });
    const rest = { arrived: [], bytes: 0, isPaused: false, isOver: false };
    const way: Way = { from, to, isInward, line, ...rest };
    return way;
  }

  private eventsOf(side: Side, sends: Way, receives: Way): StreamEvents {
    return {
      onOpen: () => {
        side.isOpen = true;
        if (side === this.outerSide) this.dial();
        this.flush(receives);
      },
      onData: (_stream, chunk) => this.take(sends, chunk),
      onDrain: () => this.flush(receives),
      onClose: () => {
        side.isClosed = true;
        if (side.endTimer !== null) this.clock.cancel(side.endTimer);
        receives.line.clear();
        receives.arrived.length = 0;
        if (!this.isEnding) sends.line.push(null, this.fate.delayMs(0));
        this.checkGone();
      },
    };
  }

  /** A connect is a message too: it waits until its direction is open. */
  private dial(): void {
    const { innerSide, outerSide } = this;
    if (innerSide.stream !== null || innerSide.isClosed || !outerSide.isOpen) return;
    if (this.fate.isStopped(true)) return;
    innerSide.stream = this.connect(this.eventsOf(innerSide, this.outward, this.inward));
    if (innerSide.stream !== null) return;
    innerSide.isClosed = true;
    outerSide.stream?.terminate();
    this.checkGone();
  }

  private take(way: Way, chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength; at += SEGMENT_BYTES) {
      const segment = chunk.subarray(at, Math.min(at + SEGMENT_BYTES, chunk.byteLength));
      way.bytes += segment.byteLength;
      way.line.push(segment, this.fate.delayMs(segment.byteLength));
    }
    if (way.bytes >= STREAM_BYTES && !way.isPaused) {
      way.isPaused = true;
      way.from.stream?.pause();
    }
  }

  /** Writes arrived chunks, as far as the socket takes them. */
  private flush(way: Way): void {
    const { to, from, arrived } = way;
    if (to.stream === null || !to.isOpen || to.isClosed) {
      if (way.isOver && to.stream === null && from.isClosed) this.giveUp(to);
      return;
    }
    if ((arrived.length > 0 || way.isOver) && this.fate.isStopped(way.isInward)) return;
    let sent = 0;
    for (let chunk = arrived[sent]; chunk !== undefined; chunk = arrived[sent]) {
      const taken = to.stream.write(chunk, 0, chunk.byteLength);
      way.bytes -= taken;
      if (taken < chunk.byteLength) {
        arrived[sent] = chunk.subarray(taken);
        break;
      }
      sent += 1;
    }
    arrived.splice(0, sent);
    if (way.isPaused && way.bytes < STREAM_BYTES / 2) {
      way.isPaused = false;
      from.stream?.resume();
    }
    if (way.isOver && arrived.length === 0) this.end(to);
  }

  /** The outer side closed before the inner stream was dialled. */
  private giveUp(side: Side): void {
    side.isClosed = true;
    this.checkGone();
  }

  private end(side: Side): void {
    const { stream } = side;
    if (stream === null || side.isClosed || side.endTimer !== null) return;
    side.endTimer = this.clock.after(END_MS, () => stream.terminate());
    stream.end();
  }

  private checkGone(): void {
    if (this.isGone || !this.outerSide.isClosed || !this.innerSide.isClosed) return;
    this.isGone = true;
    this.onGone();
  }
}

function sideOf(stream: Stream | null): Side {
  return { stream, isOpen: false, isClosed: false, endTimer: null };
}
