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
 * A request waits for its answer as long as its time-out says. That time starts when it is sent, or
 * when it finds no connection. A request that was given up is forgotten, and a late reply with it.
 *
 * Not here: dialling, and what is done before other requests of a new connection (session.ts).
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import { DEADLINE_TICK_MS } from "../core/limits.ts";
import { type Channel, LANE, type ReplySink } from "../net/channel.ts";
import type { Frame } from "../wire/framer.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { closedError, failureOf, poolGone } from "./errors.ts";
import type { PoolLink } from "./pool-link.ts";
import type { CallOptions, CallSignal } from "./signal.ts";

export interface Request {
  readonly type: number;
  readonly count: number;
  /** The most that the body takes. */
  readonly bodyBytesMax: number;
  /** Writes the body. @returns its length. */
  readonly write: (bytes: Uint8Array, view: DataView, at: number) => number;
  /** Reads the reply, which is valid only during the call. The request throws what this throws. */
  readonly read: (reply: Frame) => void;
  /** It may be sent again after a lost connection: twice has the same outcome as once. */
  readonly again: boolean;
  /** It needs this pool. */
  readonly pool?: PoolLink;
  /** It wants the pool to be gone. So it has succeeded if that is so when it is sent again. */
  readonly endsPool?: boolean;
}

interface Operation {
  readonly request: Request;
  readonly timeoutMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  deadlineMs: number | null;
  isRepeated: boolean;
  isSettled: boolean;
}

/** A connection is lost when nothing at all was heard for so long, and a request timed out. */
const SILENCE_MS = 10_000;

export class Requester implements ReplySink {
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private channel: Channel | null = null;
  private queue: Operation[] = [];
  /** By context, in the order in which they were sent. */
  private readonly sent = new Map<number, Operation>();
  private lastContext = 0;
  /** Why nothing is sent any more. */
  private closedReason: string | null = null;
  /** Why there is no connection now. */
  private lostReason = "";
  private tickTimer: TimerId | null = null;
  private readonly tick = (): void => this.onTick();

  constructor(clock: Clock, timeoutMs: number) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
  }

  /**
   * Rejects with CLOSED, TIMED_OUT, ADDRESS_UNREACHABLE, NOT_SUPPORTED or POOL_GONE, with the
   * reason of a signal, or with what `read` throws.
   */
  request(request: Request, { signal, timeoutMs }: CallOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const operation: Operation = {
        request,
        timeoutMs: timeoutMs ?? this.timeoutMs,
        resolve,
        reject,
        deadlineMs: null,
        isRepeated: false,
        isSettled: false,
      };
      const added = signal === undefined ? operation : this.givenUpBy(signal, operation);
      this.queue.push(added);
      if (this.channel === null) this.waitForConnection([added]);
      if (this.queue.length === 1) this.onRoom();
    });
  }

  /** Requests are sent over this channel from now on. */
  use(channel: Channel): void {
    this.channel = channel;
    this.onRoom();
  }

  /** The channel has room again. */
  onRoom(): void {
    let sent = 0;
    for (const operation of this.queue) {
      if (!this.send(operation)) break;
      sent += 1;
    }
    if (sent > 0) this.queue.splice(0, sent);
  }

  /**
   * The connection is lost: requests wait for the next one. `isFinal`: there is none, and all
   * requests are rejected, those of later calls too.
   */
  onLost(reason: string, isFinal: boolean): void {
    this.channel = null;
    this.lostReason = reason;
    if (isFinal) this.closedReason = reason;
    const repeated: Operation[] = [];
    for (const operation of this.sent.values()) {
      if (isFinal || !operation.request.again) operation.reject(closedError(reason));
      else repeated.push(operation);
      operation.isRepeated = true;
    }
    this.sent.clear();
    this.queue = [...repeated, ...this.queue];
    if (isFinal) this.onRoom();
    else this.waitForConnection(this.queue);
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
    const operation = this.take(context);
    if (transportStatus === TRANSPORT_STATUS.TIMED_OUT) this.suspect(operation);
    operation?.reject(failureOf(transportStatus));
  }

  /** Closes a connection whose other side is silent, such as a machine without power. */
  private suspect(operation: Operation | undefined): void {
    const { channel } = this;
    if (channel === null) return;
    const silentMs = this.clock.now() - channel.heardAtMs;
    if (silentMs < Math.max(SILENCE_MS, operation?.timeoutMs ?? 0)) return;
    this.clock.soon(() => channel.terminate("the node is silent"));
  }

  /** The operation, which ends when the signal says so. */
  private givenUpBy(signal: CallSignal, operation: Operation): Operation {
    const giveUp = (): void => {
      end();
      operation.reject(signal.reason);
    };
    const end = (): void => {
      watched.isSettled = true;
      signal.removeEventListener("abort", giveUp);
    };
    const watched: Operation = {
      ...operation,
      resolve: () => {
        end();
        operation.resolve();
      },
      reject: (error) => {
        end();
        operation.reject(error);
      },
    };
    signal.addEventListener("abort", giveUp);
    return watched;
  }

  /** @returns whether it left the queue: it was sent, or has failed. */
  private send(operation: Operation): boolean {
    const { request, isSettled } = operation;
    if (isSettled) return true;
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
    this.lastContext += 1;
    const context = this.lastContext;
    const { type, count } = request;
    const leftMs = this.leftMs(operation);
    if (channel.commitRequest(type, count, bodyBytes, this, context, leftMs) === 0) return false;
    this.sent.set(context, operation);
    return true;
  }

  private leftMs({ deadlineMs, timeoutMs }: Operation): number {
    return deadlineMs === null ? timeoutMs : Math.max(0, deadlineMs - this.clock.now());
  }

  private take(context: number): Operation | undefined {
    const operation = this.sent.get(context);
    this.sent.delete(context);
    return operation?.isSettled === true ? undefined : operation;
  }

  // Without a connection.

  private waitForConnection(operations: readonly Operation[]): void {
    if (operations.length === 0 || this.closedReason !== null) return;
    const nowMs = this.clock.now();
    for (const operation of operations) operation.deadlineMs ??= nowMs + operation.timeoutMs;
    this.tickTimer ??= this.clock.after(DEADLINE_TICK_MS, this.tick);
  }

  private onTick(): void {
    this.tickTimer = null;
    if (this.channel !== null || this.closedReason !== null) return;
    const nowMs = this.clock.now();
    const isLate = ({ deadlineMs }: Operation): boolean => (deadlineMs ?? nowMs) < nowMs;
    for (const operation of this.queue.filter(isLate)) {
      const message = `Cannot reach the node: ${this.lostReason}`;
      operation.reject(new RamsterError("ADDRESS_UNREACHABLE", message));
    }
    this.queue = this.queue.filter((operation) => !isLate(operation) && !operation.isSettled);
    this.waitForConnection(this.queue);
  }
}
