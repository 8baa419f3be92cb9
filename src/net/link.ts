/**
 * Link: one connection with another node, from its handshake to its end. It adds to a Channel who
 * the other side is, and whether it is alive. Its LinkOwner decides what to do with it.
 *
 *     DIALLING --connected--> GREETING --hellos fit--> UP --goodbye, silence, bad bytes--> CLOSING
 *        \_______________________\______________ refused, deadline, reset ____________________/^
 *                                                              the stream is gone: GONE
 *
 * The dialling side sends HELLO as its first request. The accepting side replies with its own
 * HELLO, or with the reason why it refuses. Until then no other message is accepted. The deadline
 * of the handshake runs from the dial or the accept.
 *
 * While UP, a KEEPALIVE is sent after `keepaliveMs` without a byte from the other side, and the
 * link is closed after `idleMs`. Both times are the smaller value of the two sides
 * (src/wire/handshake.ts). A link that is unused for `unusedMs` is closed too, so that not every
 * pair of nodes keeps one.
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
  CLOSING: "closing",
  GONE: "gone",
} as const;
export type LinkState = (typeof LINK_STATE)[keyof typeof LINK_STATE];

/** Why a link is refused: `code` for the other program, `reason` for a person. */
export interface Refusal {
  readonly code: number;
  readonly reason: string;
}

export interface LinkOwner {
  /**
   * The other side is identified, and its version and cluster match. @returns null to accept it.
   */
  onHello(link: Link, hello: Hello): Refusal | null;
  /** The handshake is complete: requests can be made. `link.hello` is the other side's. */
  onUp(link: Link): void;
  /** A request that the link does not serve itself. See ChannelHandler.onRequest. */
  onRequest(link: Link, frame: Frame): void;
  onRoom(link: Link): void;
  /**
   * The link is down, and `reason` is one line. All outstanding requests are completed. Called
   * once.
   */
  onDown(link: Link, reason: string): void;
  /** The stream is closed. Called once, and last. */
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

/** The contexts of requests that the link itself makes. */
const CONTEXT_HELLO = 0;
const CONTEXT_KEEPALIVE = 1;
const CONTEXT_PROBE = 2;

/** Most bytes of UTF-8 of a reason in a frame. */
const REASON_BYTES_MAX = 900;

export class Link implements ChannelHandler, ReplySink {
  readonly channel: Channel;
  /** Whether this side made the connection. */
  readonly isDialled: boolean;
  state: LinkState;
  /** The HELLO of the other side. Null until it has come. */
  hello: Hello | null = null;
  /** Whether the link has ever been UP. */
  wasUp = false;
  /** The code of the goodbye or refusal that ended the link, from either side. Null if none did. */
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

  /** Connects to `address`. Calls of `owner` follow after this call has returned. */
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

  /** For an accepted stream: `accept` of Transport.listen returns `link.channel`. */
  static accept(env: LinkEnv, mine: Hello, owner: LinkOwner, options: LinkOptions): Link {
    return new Link(env, mine, owner, { ...options, isDialled: false });
  }

  get counters(): LinkCounters {
    return this.channel.counters;
  }

  /** Closes the link and tells the other side why. */
  goodbye(code: number, reason: string): void {
    this.goodbyeCode ??= code;
    this.channel.goodbye(code, reason);
  }

  /** Sends a KEEPALIVE at once, when there is reason to think that the other side is gone. */
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
    this.state = LINK_STATE.CLOSING;
    this.owner.onDown(this, reason);
  }

  onGone(_channel: Channel): void {
    this.state = LINK_STATE.GONE;
    this.owner.onGone(this);
  }

  // Replies to the link's own requests.

  onReply(context: number, reply: Frame): void {
    if (context !== CONTEXT_HELLO) return; // For a KEEPALIVE, the reply itself is the sign of life.
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
    if (transportStatus === TRANSPORT_STATUS.DIED) return; // onClosed follows.
    if (context === CONTEXT_HELLO && transportStatus === TRANSPORT_STATUS.TIMED_OUT) return;
    if (context === CONTEXT_KEEPALIVE && transportStatus === TRANSPORT_STATUS.TIMED_OUT) return;
    this.counters.idle_timeouts += 1;
    this.goodbye(GOODBYE.IDLE, "no reply to a keepalive");
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
    // One of two links is closed by rule. That is a goodbye, not a refusal.
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

  /** Reads the HELLO of the other side. @returns why it is refused, or null. */
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
    // The other side may ask for 0, but no timer here runs faster than the minimum.
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

  /** Checks every `keepaliveMs` whether anything was received since the last check. */
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
      return this.goodbye(GOODBYE.IDLE, `nothing received for ${this.idleMs} ms`);
    } else {
      this.sendKeepalive(CONTEXT_KEEPALIVE, this.idleMs);
    }
    // Rounding may leave a remainder of 0 ms.
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

/** A reason from the other side, as one printable line of bounded length. */
function foreignText(frame: Frame, skip = 0): string {
  const start = frame.bodyAt + skip;
  const byteCount = Math.min(frame.bodyBytes - skip, REASON_BYTES_MAX);
  if (byteCount <= 0) return "no reason given";
  const text = new TextDecoder().decode(frame.bytes.subarray(start, start + byteCount));
  return printable(text);
}
