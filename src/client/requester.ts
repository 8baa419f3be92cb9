/**
 * Requester: the requests of a client, as promises, over one channel after the other.
 *
 *     request > [ queue ] --room, and a connection--> [ sent ] --reply, time-out--> done
 *                   ^                                     |
 *                   \---- the connection is lost: what may be sent again
 *
 * The queue is in the order of the calls, and no request overtakes another. So a program may start
 * as many operations as it likes. What may be sent again goes back to the front of the queue, in
 * its old order; the rest of what was sent is rejected with CLOSED.
 *
 * A request waits for its answer as long as its time-out says, from the call on, wherever it is.
 * One that was given up is forgotten, and a late reply with it.
 *
 * A request that has to wait is written at once, so that what the program changes later does not
 * matter.
 *
 * Not here: dialling, and what is done before other requests of a new connection (session.ts).
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import { DEADLINE_TICK_MS } from "../core/limits.ts";
import { type Channel, LANE, type ReplySink } from "../net/channel.ts";
import type { Frame } from "../wire/framer.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { checkCallOptions } from "./arguments.ts";
import { closedError, failureOf, poolGone } from "./errors.ts";
import type { PoolLink } from "./pool-link.ts";
import { type CallOptions, type CallSignal, Signals } from "./signal.ts";

export interface Request {
  readonly type: number;
  readonly count: number;
  /** The most that the body takes. */
  readonly bodyBytesMax: number;
  /** Writes the body. @returns its length. */
  readonly write: (bytes: Uint8Array, view: DataView, at: number) => number;
  /** Reads the reply, which is valid only during the call. The request throws what this throws. */
  readonly read: (reply: Frame) => void;
  /**
   * It may be sent again after a lost connection: twice has the same outcome as once. So nobody
   * else may change what `write` writes.
   */
  readonly again: boolean;
  /** It needs this pool. */
  readonly pool?: PoolLink;
  /** It wants the pool to be gone. So it has succeeded if that is so when it is sent again. */
  readonly endsPool?: boolean;
}

interface Operation {
  request: Request;
  readonly deadlineMs: number;
  resolve: () => void;
  reject: (error: unknown) => void;
  /** The number that the channel knows it by. 0: it was not sent over this connection. */
  context: number;
  isRepeated: boolean;
}

/** A connection is lost when nothing at all was heard for so long, and a request timed out. */
const SILENCE_MS = 10_000;

export class Requester implements ReplySink {
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private readonly signals = new Signals();
  private channel: Channel | null = null;
  /** In the order of the calls. */
  private queue = new Set<Operation>();
  /** By context, in the order in which they were sent. */
  private readonly sent = new Map<number, Operation>();
  private lastContext = 0;
  /** Why nothing is sent any more. */
  private closedReason: string | null = null;
  /** Why there is no connection now. */
  private lostReason = "";
  /** No operation in the queue has an earlier deadline. */
  private deadlineMin = Infinity;
  /** When the first request was sent after this sign of life of the node (Channel.progress). */
  private askedAtMs = 0;
  private askedProgress = -1;
  /** The last sign of life when a request timed out. Null: none has, or there was a later one. */
  private timedOutProgress: number | null = null;
  private tickTimer: TimerId | null = null;
  private readonly tick = (): void => this.onTick();

  constructor(clock: Clock, timeoutMs: number) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
  }

  /**
   * Rejects with CLOSED, TIMED_OUT, ADDRESS_UNREACHABLE, NOT_SUPPORTED, POOL_GONE or BAD_CONFIG,
   * with the reason of a signal, or with what `read` throws.
   */
  request(request: Request, options: CallOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      checkCallOptions(options);
      const { signal, timeoutMs = this.timeoutMs } = options;
      if (signal?.aborted === true) return reject(signal.reason);
      const deadlineMs = this.clock.now() + timeoutMs;
      const operation = { request, deadlineMs, resolve, reject, context: 0, isRepeated: false };
      if (signal !== undefined) this.giveUpBy(signal, operation);
      if (this.queue.size > 0 || !this.send(operation)) this.enqueue(operation);
    });
  }

  /** Requests are sent over this channel from now on. */
  use(channel: Channel): void {
    this.channel = channel;
    this.askedProgress = -1;
    this.onRoom();
  }

  /** The channel has room again. */
  onRoom(): void {
    for (const operation of this.queue) {
      if (!this.send(operation)) break;
      this.queue.delete(operation);
    }
  }

  /**
   * The connection is lost: requests wait for the next one. `isFinal`: there is none, and all
   * requests are rejected, those of later calls too.
   */
  onLost(reason: string, isFinal: boolean): void {
    this.channel = null;
    this.timedOutProgress = null;
    this.lostReason = reason;
    if (isFinal) this.closedReason = reason;
    const repeated: Operation[] = [];
    for (const operation of this.sent.values()) {
      operation.context = 0;
      operation.isRepeated = true;
      if (isFinal || !operation.request.again) operation.reject(closedError(reason));
      else repeated.push(operation);
    }
    this.sent.clear();
    this.queue = new Set([...repeated, ...this.queue]);
    this.deadlineMin = -Infinity; // The next tick finds out.
    if (isFinal) this.onRoom();
    this.armTick();
  }

  /** Why the last attempt to connect failed. */
  onUnreachable(reason: string): void {
    this.lostReason = reason;
  }

  /** ReplySink. */
  onReply(context: number, reply: Frame): void {
    const operation = this.take(context);
    if (operation === undefined) return;
    try {
      operation.request.read(reply);
      operation.resolve();
    } catch (error) {
      operation.reject(error);
    }
  }

  /** ReplySink. */
  onFailure(context: number, transportStatus: number): void {
    // Those of a closed channel stay until onLost, which follows and knows their order.
    if (transportStatus === TRANSPORT_STATUS.DIED) return;
    this.take(context)?.reject(failureOf(transportStatus));
    if (transportStatus === TRANSPORT_STATUS.TIMED_OUT) this.onTimedOut();
  }

  /** The signal ends the operation, wherever it is. */
  private giveUpBy(signal: CallSignal, operation: Operation): void {
    const { resolve, reject } = operation;
    const end = this.signals.watch(signal, () => {
      this.queue.delete(operation);
      this.sent.delete(operation.context);
      operation.reject(signal.reason);
    });
    operation.resolve = () => {
      end();
      resolve();
    };
    operation.reject = (error) => {
      end();
      reject(error);
    };
  }

  private enqueue(operation: Operation): void {
    const { request, deadlineMs } = operation;
    if (!request.again) operation.request = written(request);
    this.queue.add(operation);
    this.deadlineMin = Math.min(this.deadlineMin, deadlineMs);
    this.armTick();
  }

  /** @returns whether it may leave the queue: it was sent, or has failed. */
  private send(operation: Operation): boolean {
    const { request, deadlineMs } = operation;
    if (this.closedReason !== null) {
      operation.reject(closedError(this.closedReason));
      return true;
    }
    const { channel } = this;
    if (channel === null) return false;
    if (request.pool?.isGone === true) {
      if (operation.isRepeated && request.endsPool === true) operation.resolve();
      else operation.reject(poolGone(`use pool ${request.pool.id}`));
      return true;
    }
    if (!channel.begin(LANE.BULK, request.bodyBytesMax)) return false;
    const bodyBytes = request.write(channel.bytes, channel.view, channel.at);
    const { type, count } = request;
    const context = this.lastContext + 1;
    const nowMs = this.clock.now();
    const leftMs = Math.max(0, deadlineMs - nowMs);
    if (channel.commitRequest(type, count, bodyBytes, this, context, leftMs) === 0) return false;
    this.lastContext = context;
    operation.context = context;
    this.sent.set(context, operation);
    if (channel.progress !== this.askedProgress) {
      this.askedProgress = channel.progress;
      this.askedAtMs = nowMs;
    }
    return true;
  }

  private take(context: number): Operation | undefined {
    const operation = this.sent.get(context);
    this.sent.delete(context);
    return operation;
  }

  // Time-outs, and a node that is silent.

  /** The tick runs while an operation waits in the queue, or the node may be silent. */
  private armTick(): void {
    if (this.queue.size === 0 && this.timedOutProgress === null) return;
    this.tickTimer ??= this.clock.after(DEADLINE_TICK_MS, this.tick);
  }

  private onTick(): void {
    this.tickTimer = null;
    this.expire();
    this.closeIfSilent();
    this.onRoom();
    this.armTick();
  }

  /** Rejects what has waited in the queue for too long. */
  private expire(): void {
    const nowMs = this.clock.now();
    if (nowMs < this.deadlineMin) return;
    this.deadlineMin = Infinity;
    for (const operation of this.queue) {
      const { deadlineMs } = operation;
      if (deadlineMs > nowMs) {
        this.deadlineMin = Math.min(this.deadlineMin, deadlineMs);
        continue;
      }
      this.queue.delete(operation);
      if (this.channel === null) {
        const message = `Cannot reach the node: ${this.lostReason}`;
        operation.reject(new RamsterError("ADDRESS_UNREACHABLE", message));
      } else {
        operation.reject(failureOf(TRANSPORT_STATUS.TIMED_OUT));
        this.onTimedOut();
      }
    }
  }

  /** A request has timed out although there is a connection. */
  private onTimedOut(): void {
    this.timedOutProgress = this.channel?.progress ?? null;
    this.closeIfSilent();
    this.armTick();
  }

  /** Closes a connection whose other side is silent, such as a machine without power. */
  private closeIfSilent(): void {
    const { channel, timedOutProgress } = this;
    if (channel === null || timedOutProgress === null) return;
    const silentMs = this.clock.now() - Math.max(channel.heardAtMs, this.askedAtMs);
    const lives = channel.progress !== timedOutProgress;
    if (!lives && silentMs < SILENCE_MS) return;
    this.timedOutProgress = null;
    if (!lives) this.clock.soon(() => channel.terminate("the node is silent"));
  }
}

/** The same request, whose body is written already. */
function written(request: Request): Request {
  const body = new Uint8Array(request.bodyBytesMax);
  const bodyBytes = request.write(body, new DataView(body.buffer), 0);
  const write = (bytes: Uint8Array, _view: DataView, at: number): number => {
    bytes.set(body, at);
    return bodyBytes;
  };
  return { ...request, write };
}
