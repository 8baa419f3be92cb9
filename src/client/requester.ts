/**
 * Requester: requests with promises over one channel, for the client library. Waits for room when
 * the channel is full, so that a program may start as many operations as it likes.
 */
import { RamsterError } from "../core/errors.ts";
import { type Channel, LANE, type ReplySink } from "../net/channel.ts";
import type { Frame } from "../wire/framer.ts";
import { TRANSPORT_STATUS, transportStatusName } from "../wire/status.ts";

export interface RequestShape {
  count: number;
  /** The most that the body takes. */
  bodyBytesMax: number;
}

/** Writes the body. @returns its length. */
type WriteBody = (bytes: Uint8Array, view: DataView, at: number) => number;
/** Reads the reply, which is valid only during the call. The request throws what this throws. */
type ReadReply = (reply: Frame) => void;

interface Waiting {
  read: ReadReply;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class Requester implements ReplySink {
  private readonly channel: Channel;
  private readonly timeoutMs: number;
  private readonly waiting = new Map<number, Waiting>();
  /** Requests that found no room, oldest first: none may overtake another. */
  private readonly forRoom: Array<() => boolean> = [];
  private lastContext = 0;
  private closedReason: string | null = null;
  /** The reason of the node's goodbye. Requests under way fail with it. */
  private farewell: string | null = null;

  constructor(channel: Channel, options: { timeoutMs: number }) {
    this.channel = channel;
    this.timeoutMs = options.timeoutMs;
  }

  /** Rejects with CLOSED, TIMED_OUT or NOT_SUPPORTED, or with what `read` throws. */
  request(type: number, shape: RequestShape, write: WriteBody, read: ReadReply): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { read, resolve, reject };
      this.forRoom.push(() => this.send(type, shape, write, waiting));
      if (this.forRoom.length === 1) this.onRoom();
    });
  }

  /** The channel has room again. */
  onRoom(): void {
    while (this.forRoom[0]?.() === true) this.forRoom.shift();
  }

  /**
   * The channel is closed: requests that were not sent yet fail; the others have been completed by
   * the channel.
   */
  onClosed(reason: string): void {
    this.closedReason = reason;
    this.onRoom();
  }

  /** The node says goodbye. Requests under way fail when the channel is closed. */
  onGoodbye(reason: string): void {
    this.farewell = reason;
  }

  /** ReplySink. */
  onReply(context: number, reply: Frame): void {
    const waiting = this.take(context);
    if (waiting === undefined) return;
    try {
      waiting.read(reply);
      waiting.resolve();
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** ReplySink. */
  onFailure(context: number, transportStatus: number): void {
    this.take(context)?.reject(errorOf(transportStatus, this.farewell));
  }

  /** @returns whether the request was sent, or has failed. */
  private send(type: number, shape: RequestShape, write: WriteBody, waiting: Waiting): boolean {
    if (this.closedReason !== null) {
      const message = `Cannot send to the node: ${this.closedReason}`;
      waiting.reject(new RamsterError("CLOSED", message));
      return true;
    }
    const { channel } = this;
    if (!channel.begin(LANE.BULK, shape.bodyBytesMax)) return false;
    const bodyBytes = write(channel.bytes, channel.view, channel.at);
    this.lastContext += 1;
    const context = this.lastContext;
    const { count } = shape;
    const { timeoutMs } = this;
    if (channel.commitRequest(type, count, bodyBytes, this, context, timeoutMs) === 0) return false;
    this.waiting.set(context, waiting);
    return true;
  }

  private take(context: number): Waiting | undefined {
    const waiting = this.waiting.get(context);
    this.waiting.delete(context);
    return waiting;
  }
}

function errorOf(transportStatus: number, farewell: string | null): RamsterError {
  if (transportStatus === TRANSPORT_STATUS.TIMED_OUT) {
    return new RamsterError("TIMED_OUT", "Cannot get an answer from the node: timed out");
  }
  if (transportStatus === TRANSPORT_STATUS.NO_HANDLER) {
    return new RamsterError("NOT_SUPPORTED", "Cannot ask this of the node: it does not know it");
  }
  const isGone = transportStatus === TRANSPORT_STATUS.DIED;
  const why = farewell ?? (isGone ? "it has closed" : transportStatusName(transportStatus));
  return new RamsterError("CLOSED", `Cannot get an answer from the node: ${why}`);
}
