/**
 * Link: one connection from its handshake to its end: a Channel plus who the other side is and
 * whether it still lives. It knows no peers: what differs from one use to another is in LinkOwner.
 *
 *     DIALLING --connected--> GREETING --hellos fit--> UP --goodbye, silence, bad bytes--> LEAVING
 *        \_______________________\______________ refused, deadline, reset ____________________/^
 *                                                              the stream is gone: GONE
 *
 * The dialling side sends HELLO as its first request; the accepting side answers with its own, or
 * with the reason why not. Before that nothing else is taken. The deadline for the handshake runs
 * from the dial, or the accept.
 *
 * Once UP, keepalive: after `keepaliveMs` without a byte from the other side it is asked for a sign
 * of life; after `idleMs` the link is closed. Both are the smaller of what the two sides want
 * (src/wire/handshake.ts). A link that either side has not used for its `unusedMs` is closed too,
 * so that there are as many as are needed, and not one for each pair of nodes.
 *
 * Not here: which peers there are, which of two links to keep, when to dial (links.ts).
 */
import type { BufferPool } from "../core/buffer-pool.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { KEEPALIVE_MS_MIN } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { printable } from "../core/printable.ts";
import { STATUS } from "../core/status.ts";
import type { Frame } from "../wire/framer.ts";
import {
  checkHello,
  decodeHello,
  encodeHello,
  HELLO_BYTES_MAX,
  type Hello,
  negotiate,
} from "../wire/handshake.ts";
import { GOODBYE, MESSAGE, messageName } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import type { Address } from "./address.ts";
import { Channel, type ChannelHandler, LANE, type ReplySink } from "./channel.ts";
import type { LinkCounters } from "./counters.ts";
import type { Transport } from "./transport.ts";

export const LINK_STATE = {
  DIALLING: "dialling",
  GREETING: "greeting",
  UP: "up",
  LEAVING: "leaving",
  GONE: "gone",
} as const;
export type LinkState = (typeof LINK_STATE)[keyof typeof LINK_STATE];

/** Why a link is not wanted: `code` for the other program, `reason` for a person. */
export interface Refusal {
  readonly code: number;
  readonly reason: string;
}

export interface LinkOwner {
  /**
   * The other side has said who it is, and fits our version and cluster. @returns null to go on.
   */
  onHello(link: Link, hello: Hello): Refusal | null;
  /** Both hellos fit; requests may be made. `link.hello` is the other side's. */
  onUp(link: Link): void;
  /** Any request but those that the link serves itself. See ChannelHandler.onRequest. */
  onRequest(link: Link, frame: Frame): void;
  onRoom(link: Link): void;
  /** Over, for the reason given as one line; all outstanding requests have been completed. Once. */
  onDown(link: Link, reason: string): void;
  /** Nothing is left of it. Once, and last. */
  onGone(link: Link): void;
}

export interface LinkEnv {
  readonly clock: Clock;
  readonly memory: Memory;
  readonly pool: BufferPool;
}

export interface LinkOptions {
  readonly handshakeMs: number;
  readonly unusedMs: number;
  readonly counters: LinkCounters;
}

/** Contexts of the link's own requests. */
const CONTEXT_HELLO = 0;
const CONTEXT_KEEPALIVE = 1;
const CONTEXT_PROBE = 2;

/** A reason in a frame, in bytes of UTF-8. */
const REASON_BYTES_MAX = 900;

export class Link implements ChannelHandler, ReplySink {
  readonly channel: Channel;
  /** Whether this side made the connection. */
  readonly isDialled: boolean;
  state: LinkState;
  /** What the other side said of itself; null until it has. */
  hello: Hello | null = null;
  /** Whether it ever was UP. */
  wasUp = false;
  /** Code of the goodbye or refusal that ended it, whichever side spoke; null when nobody did. */
  goodbyeCode: number | null = null;
  private readonly clock: Clock;
  private readonly mine: Hello;
  private readonly owner: LinkOwner;
  private readonly handshakeMs: number;
  private readonly unusedMs: number;
  private keepaliveMs = 0;
  private idleMs = 0;
  private timer: TimerId | null = null;
  private progressSeen = 0;
  private heardAtMs = 0;
  private usesSeen = 0;
  private usedAtMs = 0;
  private readonly tick = (): void => this.onTick();

  private constructor(
    env: LinkEnv,
    mine: Hello,
    owner: LinkOwner,
    options: LinkOptions & { isDialled: boolean },
  ) {
    this.clock = env.clock;
    this.mine = mine;
    this.owner = owner;
    this.isDialled = options.isDialled;
    this.handshakeMs = options.handshakeMs;
    this.unusedMs = options.unusedMs;
    this.state = options.isDialled ? LINK_STATE.DIALLING : LINK_STATE.GREETING;
    this.channel = new Channel(env, this, options.counters);
    if (!options.isDialled) this.channel.expectGreeting();
    this.timer = this.clock.after(this.handshakeMs, () => this.onHandshakeLate());
  }

  /** Connects to `address`. Everything else is told to `owner`, after this call has returned. */
  static dial(
    env: LinkEnv & { readonly transport: Transport },
    address: Address,
    mine: Hello,
    owner: LinkOwner,
    options: LinkOptions,
  ): Link {
    const link = new Link(env, mine, owner, { ...options, isDialled: true });
    link.channel.attach(env.transport.connect(address, link.channel));
    return link;
  }

  /** For a stream that was accepted: `link.channel` is what its `accept` returns. */
  static accept(env: LinkEnv, mine: Hello, owner: LinkOwner, options: LinkOptions): Link {
    return new Link(env, mine, owner, { ...options, isDialled: false });
  }

  get counters(): LinkCounters {
    return this.channel.counters;
  }

  /** Closes in order, telling the other side why. */
  goodbye(code: number, reason: string): void {
    this.goodbyeCode ??= code;
    this.channel.goodbye(code, reason);
  }

  /**
   * Asks for a sign of life at once: for when there is reason to think that the other side is gone.
   */
  probe(): void {
    this.sendKeepalive(CONTEXT_PROBE, this.keepaliveMs);
  }

  // Channel events.

  onOpen(channel: Channel): void {
    if (!this.isDialled) return;
    this.state = LINK_STATE.GREETING;
    if (!channel.begin(LANE.URGENT, HELLO_BYTES_MAX)) return;
    const bodyBytes = encodeHello(this.mine, channel.view, channel.at);
    const { handshakeMs } = this;
    channel.commitRequest(MESSAGE.HELLO, 0, bodyBytes, this, CONTEXT_HELLO, handshakeMs);
  }

  onRequest(_channel: Channel, frame: Frame): void {
    if (frame.type === MESSAGE.GOODBYE) return this.onGoodbye(frame);
    if (this.state === LINK_STATE.UP) return this.onRequestUp(frame);
    if (this.isDialled || frame.type !== MESSAGE.HELLO || frame.request === 0) {
      const expected = this.isDialled ? "the reply to HELLO" : "HELLO";
      this.channel.malformed(`expected ${expected}, got ${messageName(frame.type)}`);
      return;
    }
    this.onHelloRequest(frame);
  }

  onRoom(_channel: Channel): void {
    if (this.state === LINK_STATE.UP) this.owner.onRoom(this);
  }

  onClosed(_channel: Channel, reason: string): void {
    this.setTimer(null);
    this.state = LINK_STATE.LEAVING;
    this.owner.onDown(this, reason);
  }

  onGone(_channel: Channel): void {
    this.state = LINK_STATE.GONE;
    this.owner.onGone(this);
  }

  // Replies to the link's own requests.

  onReply(context: number, reply: Frame): void {
    if (context !== CONTEXT_HELLO) return; // A sign of life: that it came is all.
    if (reply.handlerStatus !== STATUS.OK) {
      this.counters.handshakes_refused += 1;
      this.goodbyeCode ??= GOODBYE.REFUSED;
      this.channel.close(`refused by the other side: ${foreignText(reply)}`);
      return;
    }
    const refusal = this.judge(reply);
    if (refusal === null) return this.goUp();
    if (refusal.code !== GOODBYE.DUPLICATE) this.counters.handshakes_refused += 1;
    this.goodbye(refusal.code, refusal.reason);
  }

  onFailure(context: number, transportStatus: number): void {
    if (transportStatus === TRANSPORT_STATUS.DIED) return; // onClosed says the same.
    if (context === CONTEXT_HELLO && transportStatus === TRANSPORT_STATUS.TIMED_OUT) return;
    if (context === CONTEXT_KEEPALIVE && transportStatus === TRANSPORT_STATUS.TIMED_OUT) return;
    this.counters.idle_timeouts += 1;
    this.goodbye(GOODBYE.IDLE, "no answer when asked for a sign of life");
  }

  // Handshake.

  private onHelloRequest(frame: Frame): void {
    const refusal = this.judge(frame);
    const { channel } = this;
    if (refusal === null) {
      if (!channel.begin(LANE.URGENT, HELLO_BYTES_MAX)) return;
      const bodyBytes = encodeHello(this.mine, channel.view, channel.at);
      channel.commitReply(MESSAGE.HELLO, frame.request, STATUS.OK, 0, bodyBytes);
      this.goUp();
      return;
    }
    // Of two links at once one goes by the rule: that is a goodbye and no refusal.
    if (refusal.code === GOODBYE.DUPLICATE) return this.goodbye(refusal.code, refusal.reason);
    this.counters.handshakes_refused += 1;
    this.goodbyeCode ??= refusal.code;
    if (channel.begin(LANE.URGENT, REASON_BYTES_MAX)) {
      const room = channel.bytes.subarray(channel.at, channel.at + REASON_BYTES_MAX);
      const { written } = new TextEncoder().encodeInto(refusal.reason, room);
      channel.commitReply(MESSAGE.HELLO, frame.request, STATUS.BAD_REQUEST, 0, written);
    }
    channel.close(refusal.reason);
  }

  /** Reads the other side's hello. @returns what is wrong with it, if anything. */
  private judge(frame: Frame): Refusal | null {
    const hello = decodeHello(frame.view, frame.bodyAt, frame.bodyBytes);
    const reason = checkHello(this.mine, hello);
    if (reason !== null) return { code: GOODBYE.REFUSED, reason: printable(reason) };
    this.hello = hello;
    return this.owner.onHello(this, hello);
  }

  private goUp(): void {
    const { hello } = this;
    if (hello === null || !this.channel.isOpen) return;
    const times = negotiate(this.mine, hello);
    // The other side's wish may be 0: no timer of ours runs faster than the floor.
    this.keepaliveMs = Math.max(times.keepaliveMs, KEEPALIVE_MS_MIN);
    this.idleMs = Math.max(times.idleMs, 2 * this.keepaliveMs);
    this.state = LINK_STATE.UP;
    this.channel.setGreeted();
    this.wasUp = true;
    this.heardAtMs = this.clock.now();
    this.usedAtMs = this.heardAtMs;
    this.progressSeen = this.channel.progress;
    this.setTimer(this.keepaliveMs);
    this.owner.onUp(this);
  }

  private onHandshakeLate(): void {
    this.timer = null;
    if (this.state === LINK_STATE.DIALLING) {
      this.channel.terminate(`no connection within ${this.handshakeMs} ms`);
    } else {
      this.goodbye(GOODBYE.IDLE, `no handshake within ${this.handshakeMs} ms`);
    }
  }

  // While UP.

  private onRequestUp(frame: Frame): void {
    if (frame.type === MESSAGE.KEEPALIVE) {
      if (frame.request === 0 || !this.channel.begin(LANE.URGENT, 0)) return;
      this.channel.commitReply(MESSAGE.KEEPALIVE, frame.request, STATUS.OK, 0, 0);
    } else if (frame.type === MESSAGE.HELLO) {
      this.channel.malformed("a second HELLO");
    } else {
      this.owner.onRequest(this, frame);
    }
  }

  private onGoodbye(frame: Frame): void {
    this.goodbyeCode ??= frame.view.getUint8(frame.bodyAt);
    this.channel.close(`closed by the other side: ${foreignText(frame, 1)}`);
  }

  /** Looks every `keepaliveMs` whether anything was heard since it last looked. */
  private onTick(): void {
    this.timer = null;
    const nowMs = this.clock.now();
    if (this.channel.uses !== this.usesSeen) {
      this.usesSeen = this.channel.uses;
      this.usedAtMs = nowMs;
    } else if (nowMs - this.usedAtMs >= this.unusedMs) {
      return this.goodbye(GOODBYE.UNUSED, `not used for ${this.unusedMs} ms`);
    }
    if (this.channel.progress !== this.progressSeen) {
      this.progressSeen = this.channel.progress;
      this.heardAtMs = nowMs;
    } else if (nowMs - this.heardAtMs >= this.idleMs) {
      this.counters.idle_timeouts += 1;
      return this.goodbye(GOODBYE.IDLE, `nothing heard for ${this.idleMs} ms`);
    } else {
      this.sendKeepalive(CONTEXT_KEEPALIVE, this.idleMs);
    }
    // A rest that rounding left would be no time at all.
    const untilIdleMs = Math.max(1, this.heardAtMs + this.idleMs - nowMs);
    this.setTimer(Math.min(this.keepaliveMs, untilIdleMs));
  }

  private sendKeepalive(context: number, timeoutMs: number): void {
    if (!this.channel.begin(LANE.URGENT, 0)) return;
    this.channel.commitRequest(MESSAGE.KEEPALIVE, 0, 0, this, context, timeoutMs);
    this.counters.keepalives_sent += 1;
  }

  private setTimer(delayMs: number | null): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = delayMs === null ? null : this.clock.after(delayMs, this.tick);
  }
}

/** Text from outside as one printable line of bounded length. */
function foreignText(frame: Frame, skip = 0): string {
  const start = frame.bodyAt + skip;
  const byteCount = Math.min(frame.bodyBytes - skip, REASON_BYTES_MAX);
  if (byteCount <= 0) return "no reason given";
  const text = new TextDecoder().decode(frame.bytes.subarray(start, start + byteCount));
  return printable(text);
}
