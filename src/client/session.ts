/**
 * Session: one connection of a client to its node, from dialling to its end.
 *
 *     dial > connected > HELLO > open pools again > ready: the Requester has it > lost or closed
 *
 * What is asked before it is ready goes out at once, ahead of all requests that wait.
 */
import { BufferPool } from "../core/buffer-pool.ts";
import type { Clock } from "../core/clock.ts";
import { PeerError, RamsterError } from "../core/errors.ts";
import { CLIENT_BUFFERS_KEPT_BYTES, HANDSHAKE_TIMEOUT_MS } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { type Address, formatAddress } from "../net/address.ts";
import { Channel, type ChannelHandler, LANE, type ReplySink } from "../net/channel.ts";
import { LinkCounters } from "../net/counters.ts";
import type { Dialler } from "../net/transport.ts";
import type { Frame } from "../wire/framer.ts";
import { clientHello, decodeHello, encodeHello, HELLO_BYTES_MAX } from "../wire/handshake.ts";
import { GOODBYE, MESSAGE } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { closedError, failureOf } from "./errors.ts";
import { openPoolBody, textOf } from "./messages.ts";

/** Time, sockets, memory and chance, which tests replace. */
export interface ClientEnvironment {
  clock: Clock;
  transport: Dialler;
  memory: Memory;
  random: Random;
}

export interface SessionEvents {
  onRoom(): void;
  /** The connection is lost, or closed. Called once, and only after `dial` has resolved. */
  onEnd(reason: string): void;
}

interface Question {
  readonly type: number;
  readonly bodyBytesMax: number;
  readonly write: (bytes: Uint8Array, view: DataView, at: number) => number;
  readonly read: (reply: Frame) => void;
}

export class Session implements ChannelHandler {
  readonly channel: Channel;
  /** The node's name and number, from its HELLO. */
  nodeName = "";
  nodeNumber = 0;
  private readonly env: ClientEnvironment;
  private readonly events: SessionEvents;
  private readonly timeoutMs: number;
  private opened: ((error: RamsterError | null) => void) | null = null;
  private isDialled = false;
  private isGone = false;
  private readonly goneListeners: Array<() => void> = [];
  /** The reason of the node's goodbye. */
  private farewell: string | null = null;

  constructor(env: ClientEnvironment, events: SessionEvents, timeoutMs: number) {
    this.env = env;
    this.events = events;
    this.timeoutMs = timeoutMs;
    const pool = new BufferPool(Number.POSITIVE_INFINITY, CLIENT_BUFFERS_KEPT_BYTES);
    this.channel = new Channel({ ...env, pool }, this, new LinkCounters());
  }

  /** Connects and greets. Rejects with ADDRESS_UNREACHABLE or BAD_HANDSHAKE. */
  async dial(address: Address): Promise<void> {
    this.channel.attach(this.env.transport.connect(address, this.channel));
    const where = `Cannot connect to "${formatAddress(address)}"`;
    await this.open().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new PeerError("ADDRESS_UNREACHABLE", `${where}: ${reason}`);
    });
    const reason = await this.greet(address.kind === "tcp");
    if (reason !== null) {
      this.channel.terminate(reason);
      throw new PeerError("BAD_HANDSHAKE", `${where}: ${reason}`);
    }
    this.isDialled = true;
  }

  /** Opens a pool of an earlier connection. @returns whether the node still has it. */
  async reopen(id: number, token: string): Promise<boolean> {
    const body = openPoolBody(id, token);
    let isThere = false;
    await this.ask({
      type: MESSAGE.OPEN_POOL,
      bodyBytesMax: body.byteLength,
      write: (bytes, _view, at) => {
        bytes.set(body, at);
        return body.byteLength;
      },
      read: ({ handlerStatus }) => {
        isThere = handlerStatus === STATUS.OK;
      },
    });
    return isThere;
  }

  /** Gives up at once. */
  terminate(reason: string): void {
    this.channel.terminate(reason);
  }

  /** Says goodbye. Resolves when the connection is gone. */
  async close(): Promise<void> {
    this.channel.goodbye(GOODBYE.STOPPING, "the client closes");
    if (this.isGone) return;
    await new Promise<void>((resolve) => {
      this.goneListeners.push(resolve);
    });
  }

  // Channel events.

  onOpen(): void {
    this.opened?.(null);
  }

  onRequest(channel: Channel, frame: Frame): void {
    if (frame.type === MESSAGE.GOODBYE) {
      const reason = frame.bytes.subarray(frame.bodyAt + 1, frame.bodyAt + frame.bodyBytes);
      this.farewell = new TextDecoder().decode(reason);
      channel.close(this.farewell);
      return;
    }
    channel.replyFailed(frame, TRANSPORT_STATUS.NO_HANDLER);
  }

  onRoom(): void {
    this.events.onRoom();
  }

  onClosed(_channel: Channel, reason: string): void {
    this.opened?.(new RamsterError("CLOSED", reason));
    if (this.isDialled) this.events.onEnd(this.farewell ?? reason);
  }

  onGone(): void {
    this.isGone = true;
    for (const listener of this.goneListeners.splice(0)) listener();
  }

  private async open(): Promise<void> {
    const { clock } = this.env;
    const timer = clock.after(HANDSHAKE_TIMEOUT_MS, () => {
      this.channel.terminate(`no answer within ${HANDSHAKE_TIMEOUT_MS} ms`);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        this.opened = (error): void => (error === null ? resolve() : reject(error));
      });
    } finally {
      this.opened = null;
      clock.cancel(timer);
    }
  }

  /** @returns why the node is not one to talk to, or null. */
  private async greet(mayWantKey: boolean): Promise<string | null> {
    let reason: string | null = null;
    try {
      await this.ask({
        type: MESSAGE.HELLO,
        bodyBytesMax: HELLO_BYTES_MAX,
        write: (_bytes, view, at) => encodeHello(clientHello(), view, at),
        read: (reply) => {
          if (reply.handlerStatus !== STATUS.OK) {
            reason = textOf(reply);
            return;
          }
          const theirs = decodeHello(reply.view, reply.bodyAt, reply.bodyBytes);
          this.nodeName = theirs.nodeName;
          this.nodeNumber = theirs.node;
        },
      });
    } catch (error) {
      if (this.farewell !== null) return this.farewell;
      // A node with a key takes a greeting in clear for a broken start of TLS.
      const hasClosed = error instanceof RamsterError && error.code === "CLOSED";
      if (hasClosed && mayWantKey) return "it has closed, so it may want a key";
      return error instanceof Error ? error.message : String(error);
    }
    return reason;
  }

  /** The channel is new and has room. */
  private ask({ type, bodyBytesMax, write, read }: Question): Promise<void> {
    const { channel } = this;
    return new Promise((resolve, reject) => {
      const sink: ReplySink = {
        onReply: (_context, reply) => {
          try {
            read(reply);
            resolve();
          } catch (error) {
            reject(error);
          }
        },
        onFailure: (_context, transportStatus) => reject(failureOf(transportStatus)),
      };
      if (!channel.begin(LANE.BULK, bodyBytesMax)) return reject(closedError("it has closed"));
      const bodyBytes = write(channel.bytes, channel.view, channel.at);
      channel.commitRequest(type, 0, bodyBytes, sink, 0, this.timeoutMs);
    });
  }
}
