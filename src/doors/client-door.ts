/**
 * ClientDoor: serves programs. It offers the operations of tmem, in batches of whole pages, over a
 * unix socket or TCP.
 *
 *     accepted -> [HELLO as a client] -> requests, answered when they are done -> closed
 *
 * A put that finds no frame waits if frames are about to come free. Later requests of this client
 * wait behind it, until there is room or `putWaitMs` has passed. So backpressure reaches the client
 * that causes it, and no other client waits.
 *
 * Pools belong to the node, not to the connection. A client that vanishes loses nothing, and a
 * client with a pool's token can use the pool again (client-pools.ts). Every entry of every request
 * is checked, and again after it has waited.
 *
 * Not here: what the operations do (src/ramster), what can be read and set (node/admin.ts).
 */
import { BufferPool, type PooledBuffer } from "../core/buffer-pool.ts";
import { freeBuffer } from "../core/buffers.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { ConfigError } from "../core/errors.ts";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import {
  CLIENT_BUFFERS_BYTES_MAX,
  CLIENT_STALL_CHECK_MS,
  CLIENT_STALL_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
} from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import { STATUS, type Status } from "../core/status.ts";
import type { Address } from "../net/address.ts";
import { Admission } from "../net/admission.ts";
import { Channel, type ChannelHandler, LANE } from "../net/channel.ts";
import { LinkCounters } from "../net/counters.ts";
import { DOOR_LIMITS, type DoorLimits } from "../net/door-limits.ts";
import type { Listener, Stream, StreamEvents, Transport } from "../net/transport.ts";
import type { Ramster } from "../ramster/ramster.ts";
import {
  OPEN_POOL_TOKEN_OFFSET,
  PAGE_PUT_ENTRY_BYTES,
  POOL_TOKEN_BYTES,
} from "../wire/client-entries.ts";
import type { Frame } from "../wire/framer.ts";
import {
  checkHello,
  decodeHello,
  encodeHello,
  HELLO_BYTES_MAX,
  type Hello,
  ROLE,
} from "../wire/handshake.ts";
import { GOODBYE, MESSAGE, replyBytesMax } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { ClientGets } from "./client-gets.ts";
import { ClientPools, PoolSet } from "./client-pools.ts";

/** What a client may read and set in addition to pages. Values and results are text. */
export interface Admin {
  /**
   * The node's counters and state as JSON. Members and peers are listed from position `from` on, as
   * many as fit a message. The field `more` says how many are left.
   */
  statsPart(from: number): string;
  /** Events of the node after that number, as JSON (Events in wire/stats.ts). */
  eventsAfter(number: number): string;
  /** Throws ConfigError when the knob does not exist, or the value is not allowed. */
  getKnob(name: string): string;
  setKnob(name: string, value: string): string;
}

/** Settings of the door. They may change while it runs. */
export interface ClientDoorSettings {
  /** The HELLO that a client gets. */
  hello: Hello;
  putWaitMs: number;
  /**
   * The most programs that may be connected. Connected programs stay when the number is lowered.
   */
  maxClients: number;
}

/**
 * A batch that is not finished. Its puts wait for frames, or its flushes of objects continue in the
 * next turn, since a turn does a limited number of them.
 */
interface Parked {
  type: number;
  /** The entries as they were received. */
  buffer: PooledBuffer;
  count: number;
  next: number;
  startMs: number;
  statuses: Uint8Array;
  request: number;
  /** The timer that ends the wait of puts. */
  timer: TimerId | null;
  /** Whether the batch continues in the next turn. */
  isNext: boolean;
}

class Client {
  greeted = false;
  parked: Parked | null = null;
  readonly pools = new PoolSet();
  handshakeTimer: TimerId;
  /** Bytes moved at the last check, and when the client last made progress. */
  movedBytes = 0;
  movedMs = 0;

  constructor(handshakeTimer: TimerId) {
    this.handshakeTimer = handshakeTimer;
  }
}

export class ClientDoor implements ChannelHandler {
  readonly counters = new LinkCounters();
  private readonly clock: Clock;
  private readonly memory: Memory;
  private readonly transport: Transport;
  private readonly ramster: Ramster;
  private readonly admin: Admin;
  private readonly log: Log;
  private readonly settings: ClientDoorSettings;
  private readonly gets: ClientGets;
  private readonly pools: ClientPools;
  private readonly clients = new Map<Channel, Client>();
  private readonly limits: DoorLimits;
  /** Connections that have sent no HELLO yet. */
  private readonly handshakes = new Map<Channel, Stream>();
  private readonly admission: Admission;
  private greetedCount = 0;
  private readonly listeners: Listener[] = [];
  private readonly handle = new Handle();
  private readonly buffers = new BufferPool(CLIENT_BUFFERS_BYTES_MAX);
  private stallTimer: TimerId | null = null;
  private readonly encoder = new TextEncoder();
  private readonly decoder = new TextDecoder();

  constructor(
    parts: {
      clock: Clock;
      memory: Memory;
      random: Random;
      transport: Transport;
      ramster: Ramster;
      admin: Admin;
      log: Log;
      limits?: DoorLimits;
    },
    settings: ClientDoorSettings,
  ) {
    this.clock = parts.clock;
    this.memory = parts.memory;
    this.transport = parts.transport;
    this.ramster = parts.ramster;
    this.admin = parts.admin;
    this.log = parts.log;
    this.limits = parts.limits ?? DOOR_LIMITS;
    this.admission = new Admission(parts.clock, {
      door: "client door",
      slots: this.limits.handshakes,
      onNotice: (line) => parts.log.write("warn", "doors", line),
    });
    this.settings = settings;
    this.gets = new ClientGets({ ...parts, buffers: this.buffers });
    this.pools = new ClientPools(parts.random);
    this.ramster.onRoom(() => this.goOnWithPuts());
  }

  /** @returns the address with its real port. Rejects as Transport.listen does. */
  async listen(address: Address): Promise<string> {
    const listener = await this.transport.listen(address, (stream) => this.accept(stream));
    this.listeners.push(listener);
    return listener.address;
  }

  get clientCount(): number {
    return this.clients.size;
  }

  /** The bytes of waiting requests and replies of all clients. */
  get bufferBytes(): number {
    return this.buffers.usedBytes;
  }

  /** Accepts no more clients and closes the others with a goodbye. */
  stop(): void {
    for (const listener of this.listeners) listener.close();
    if (this.stallTimer !== null) this.clock.cancel(this.stallTimer);
    for (const channel of [...this.clients.keys()])
      channel.goodbye(GOODBYE.STOPPING, "the node stops");
  }

  private accept(stream: Stream): StreamEvents {
    const { clock, memory, buffers: pool } = this;
    const channel = new Channel({ clock, memory, pool }, this, this.counters);
    channel.expectGreeting();
    this.handshakes.set(channel, stream);
    this.admission.enter(stream, {
      close: () => stream.terminate(),
      isSilent: () => channel.progress === 0,
    });
    return channel;
  }

  private leaveHandshake(channel: Channel): void {
    const stream = this.handshakes.get(channel);
    if (stream !== undefined) this.admission.leave(stream);
    this.handshakes.delete(channel);
  }

  // Channel events.

  onOpen(channel: Channel): void {
    const timer = this.clock.after(HANDSHAKE_TIMEOUT_MS, () => {
      channel.goodbye(GOODBYE.IDLE, `no HELLO within ${HANDSHAKE_TIMEOUT_MS} ms`);
    });
    this.clients.set(channel, new Client(timer));
    this.log.write("debug", "doors", `client "${channel.remote}" connected`);
  }

  onRequest(channel: Channel, frame: Frame): void {
    const client = this.clients.get(channel);
    if (client === undefined) return;
    if (!client.greeted) {
      this.greet(channel, client, frame);
      return;
    }
    switch (frame.type) {
      case MESSAGE.KEEPALIVE:
        return this.replyEmpty(channel, frame, STATUS.OK);
      case MESSAGE.NEW_POOL:
        return this.newPool(channel, client, frame);
      case MESSAGE.POOL_TOKEN:
        return this.sendToken(channel, client, frame);
      case MESSAGE.OPEN_POOL:
        return this.replyEmpty(channel, frame, this.openPool(client, frame));
      case MESSAGE.DESTROY_POOL:
        return this.flushPool(channel, client, frame, { destroy: true });
      case MESSAGE.FLUSH_POOL:
        return this.flushPool(channel, client, frame, { destroy: false });
      case MESSAGE.PAGE_PUT:
        return this.putMany(channel, client, frame);
      case MESSAGE.PAGE_GET:
        return this.gets.serve(channel, frame, client.pools);
      case MESSAGE.PAGE_FLUSH:
      case MESSAGE.OBJECT_FLUSH:
        return this.flushMany(channel, client, frame);
      case MESSAGE.STATS:
        this.replyText(channel, frame, STATUS.OK, this.admin.statsPart(frame.count));
        return this.deferToNextTurn(channel);
      case MESSAGE.EVENTS: {
        const events = this.admin.eventsAfter(frame.view.getUint32(frame.bodyAt));
        this.replyText(channel, frame, STATUS.OK, events);
        return this.deferToNextTurn(channel);
      }
      case MESSAGE.KNOB_GET:
      case MESSAGE.KNOB_SET:
        this.knob(channel, frame);
        return this.deferToNextTurn(channel);
      case MESSAGE.GOODBYE:
        return channel.close("goodbye from the client");
      default:
        channel.replyFailed(frame, TRANSPORT_STATUS.NO_HANDLER);
    }
  }

  onDeferred(): void {
    this.closeStalled();
  }

  onRoom(channel: Channel): void {
    this.gets.onRoom(channel);
    const client = this.clients.get(channel);
    if (client !== undefined) this.goOn(channel, client, false);
  }

  onClosed(channel: Channel, reason: string): void {
    this.log.write("debug", "doors", `client "${channel.remote}" disconnected: ${reason}`);
    this.leaveHandshake(channel);
    const client = this.clients.get(channel);
    if (client === undefined) return;
    this.clients.delete(channel);
    if (client.greeted) this.greetedCount -= 1;
    this.clock.cancel(client.handshakeTimer);
    if (client.parked !== null) this.endParked(client.parked);
    client.parked = null;
    this.gets.drop(channel);
  }

  onGone(): void {
    // Nothing is left to clean up.
  }

  // Handlers.

  private greet(channel: Channel, client: Client, frame: Frame): void {
    if (frame.type !== MESSAGE.HELLO) {
      channel.goodbye(GOODBYE.REFUSED, "the first message must be HELLO");
      return;
    }
    const theirs = decodeHello(frame.view, frame.bodyAt, frame.bodyBytes);
    const isClient = theirs.role === ROLE.CLIENT;
    const reason = isClient
      ? checkHello(this.settings.hello, theirs)
      : "this address is for clients";
    if (reason !== null) {
      this.replyText(channel, frame, STATUS.BAD_REQUEST, reason);
      channel.close(reason);
      return;
    }
    this.clock.cancel(client.handshakeTimer);
    const most = Math.min(this.settings.maxClients, this.limits.clients);
    if (this.greetedCount >= most) {
      this.admission.countRefused(channel.remote);
      channel.goodbye(GOODBYE.BUSY, `more than ${most} clients`);
      return;
    }
    this.leaveHandshake(channel);
    this.greetedCount += 1;
    client.greeted = true;
    channel.setGreeted();
    if (!channel.begin(LANE.URGENT, HELLO_BYTES_MAX)) return;
    const bodyBytes = encodeHello(this.settings.hello, channel.view, channel.at);
    channel.commitReply(frame.type, frame.request, STATUS.OK, 0, bodyBytes);
  }

  private newPool(channel: Channel, client: Client, frame: Frame): void {
    const flags = frame.view.getUint8(frame.bodyAt);
    const pool = this.ramster.newPool({
      persistent: (flags & 1) !== 0,
      storeWhole: (flags & 2) !== 0,
    });
    if (pool === null) return this.replyEmpty(channel, frame, STATUS.POOLS_FULL);
    client.pools.add(pool.id);
    if (!channel.begin(LANE.URGENT, 4)) return;
    channel.view.setUint16(channel.at, pool.id);
    channel.view.setUint16(channel.at + 2, 0);
    channel.commitReply(frame.type, frame.request, STATUS.OK, 0, 4);
  }

  private sendToken(channel: Channel, client: Client, frame: Frame): void {
    const id = frame.view.getUint16(frame.bodyAt);
    if (!client.pools.has(id)) return this.replyEmpty(channel, frame, STATUS.UNKNOWN_POOL);
    if (!channel.begin(LANE.URGENT, POOL_TOKEN_BYTES)) return;
    this.pools.writeToken(id, channel.view, channel.at);
    channel.commitReply(frame.type, frame.request, STATUS.OK, 0, POOL_TOKEN_BYTES);
  }

  private openPool(client: Client, frame: Frame): Status {
    const id = frame.view.getUint16(frame.bodyAt);
    const tokenAt = frame.bodyAt + OPEN_POOL_TOKEN_OFFSET;
    if (!this.pools.isToken(id, frame.view, tokenAt)) return STATUS.UNKNOWN_POOL;
    client.pools.add(id);
    return STATUS.OK;
  }

  /** The pages are gone at once. The reply follows when their memory has been freed. */
  private flushPool(
    channel: Channel,
    client: Client,
    frame: Frame,
    options: { destroy: boolean },
  ): void {
    const id = frame.view.getUint16(frame.bodyAt);
    if (!client.pools.has(id)) return this.replyEmpty(channel, frame, STATUS.UNKNOWN_POOL);
    if (options.destroy) {
      for (const it of this.clients.values()) it.pools.remove(id);
      this.pools.forget(id);
    }
    const { type, request } = frame;
    this.ramster.flushPool(id, options, () => {
      this.replyEmpty(channel, { type, request }, STATUS.OK);
    });
  }

  private putMany(channel: Channel, client: Client, frame: Frame): void {
    const { count } = frame;
    if (!channel.begin(LANE.URGENT, count)) return;
    const startMs = this.clock.now();
    for (let entry = 0; entry < count; entry += 1) {
      if (this.ramster.mustWait()) {
        this.ramster.counters.client_puts_waited += 1;
        const parked = this.park(channel, client, frame, { next: entry, startMs });
        parked.timer = this.clock.after(this.settings.putWaitMs, () =>
          this.goOn(channel, client, true),
        );
        return;
      }
      const { pools } = client;
      const status = this.putOne(pools, frame.bytes, frame.view, frame.bodyAt, entry);
      channel.bytes[channel.at + entry] = status;
    }
    this.ramster.latencies.put.add(this.clock.now() - startMs);
    channel.commitReply(frame.type, frame.request, STATUS.OK, count, count);
  }

  private putOne(
    pools: PoolSet,
    bytes: Uint8Array,
    view: DataView,
    bodyAt: number,
    entry: number,
  ): Status {
    const at = bodyAt + entry * PAGE_PUT_ENTRY_BYTES;
    this.handle.read(view, at);
    if (!pools.has(this.handle.pool)) return STATUS.UNKNOWN_POOL;
    const status = this.ramster.put(this.handle, bytes, at + HANDLE_BYTES);
    if (status === STATUS.OK) this.ramster.counters.client_pages_put += 1;
    return status;
  }

  /** Keeps the batch from `next` on, and defers later requests of this channel until `goOn`. */
  private park(
    channel: Channel,
    client: Client,
    frame: Frame,
    { next, startMs }: { next: number; startMs: number },
  ): Parked {
    const statuses = new Uint8Array(frame.count);
    this.memory.copy(statuses, 0, channel.bytes, channel.at, next);
    const buffer = this.buffers.take(frame.bodyBytes);
    this.memory.copy(buffer.bytes, 0, frame.bytes, frame.bodyAt, frame.bodyBytes);
    const { type, count, request } = frame;
    const parked = { type, buffer, count, next, startMs, statuses, request };
    client.parked = { ...parked, timer: null, isNext: false };
    channel.deferRequests();
    return client.parked;
  }

  private goOnWithPuts(): void {
    for (const [channel, client] of this.clients) {
      if (client.parked !== null) this.goOn(channel, client, false);
    }
  }

  /**
   * Continues a parked batch as far as there is room. When its time is up, the batch is finished at
   * once, and puts without a frame are refused.
   */
  private goOn(channel: Channel, client: Client, timeIsUp: boolean): void {
    const { parked } = client;
    if (parked === null) return;
    const { type, buffer, request, count } = parked;
    const { bytes, view } = buffer;
    const isPut = type === MESSAGE.PAGE_PUT;
    while (parked.next < count) {
      if (isPut && !timeIsUp && this.ramster.mustWait()) return;
      if (!isPut && this.ramster.flushes.isSpent) return this.goOnNextTurn(channel, client, parked);
      const { next } = parked;
      parked.statuses[next] = isPut
        ? this.putOne(client.pools, bytes, view, 0, next)
        : this.flushOne(client.pools, view, next * HANDLE_BYTES, type);
      parked.next += 1;
    }
    if (!channel.begin(LANE.URGENT, count)) return; // onRoom continues it.
    this.memory.copy(channel.bytes, channel.at, parked.statuses, 0, count);
    if (isPut) this.ramster.latencies.put.add(this.clock.now() - parked.startMs);
    channel.commitReply(type, request, STATUS.OK, count, count);
    client.parked = null;
    this.endParked(parked);
    channel.resumeRequests();
  }

  private endParked({ buffer, timer }: Parked): void {
    this.buffers.give(buffer);
    if (timer !== null) this.clock.cancel(timer);
  }

  private goOnNextTurn(channel: Channel, client: Client, parked: Parked): void {
    if (parked.isNext) return;
    parked.isNext = true;
    this.ramster.flushes.nextTurn(() => {
      parked.isNext = false;
      if (client.parked === parked) this.goOn(channel, client, false);
    });
  }

  /** A report walks over all figures and peers, so each client gets at most one a turn. */
  private deferToNextTurn(channel: Channel): void {
    channel.deferRequests();
    this.ramster.flushes.nextTurn(() => {
      if (this.clients.has(channel)) channel.resumeRequests();
    });
  }

  private flushMany(channel: Channel, client: Client, frame: Frame): void {
    const { count, type } = frame;
    if (!channel.begin(LANE.URGENT, count)) return;
    for (let entry = 0; entry < count; entry += 1) {
      if (this.ramster.flushes.isSpent) {
        const parked = this.park(channel, client, frame, { next: entry, startMs: 0 });
        return this.goOnNextTurn(channel, client, parked);
      }
      const at = frame.bodyAt + entry * HANDLE_BYTES;
      channel.bytes[channel.at + entry] = this.flushOne(client.pools, frame.view, at, type);
    }
    channel.commitReply(type, frame.request, STATUS.OK, count, count);
  }

  private flushOne(pools: PoolSet, view: DataView, at: number, type: number): Status {
    this.handle.read(view, at);
    if (!pools.has(this.handle.pool)) return STATUS.UNKNOWN_POOL;
    const isWhole = type === MESSAGE.OBJECT_FLUSH;
    return isWhole ? this.ramster.flushObject(this.handle) : this.ramster.flushPage(this.handle);
  }

  private knob(channel: Channel, frame: Frame): void {
    const { bytes, bodyAt, bodyBytes } = frame;
    const text = (from: number, to: number): string => {
      return this.decoder.decode(bytes.subarray(bodyAt + from, bodyAt + to));
    };
    try {
      if (frame.type === MESSAGE.KNOB_GET) {
        const value = this.admin.getKnob(text(0, bodyBytes));
        return this.replyText(channel, frame, STATUS.OK, value);
      }
      const nameEnd = 2 + frame.view.getUint16(bodyAt);
      const value = this.admin.setKnob(text(2, nameEnd), text(nameEnd, bodyBytes));
      this.replyText(channel, frame, STATUS.OK, value);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const isUnknown = error.code === "UNKNOWN_SETTING";
      const status = isUnknown ? STATUS.NOT_FOUND : STATUS.BAD_REQUEST;
      this.replyText(channel, frame, status, error.message);
    }
  }

  private replyEmpty(
    channel: Channel,
    frame: Pick<Frame, "type" | "request">,
    status: Status,
  ): void {
    if (!channel.begin(LANE.URGENT, 0)) return;
    channel.commitReply(frame.type, frame.request, status, 0, 0);
  }

  private replyText(channel: Channel, frame: Frame, status: Status, text: string): void {
    const body = this.encoder.encode(text);
    if (body.byteLength > replyBytesMax(frame.type, 0)) {
      freeBuffer(body);
      const reason = `the answer is ${body.byteLength} bytes long, which is too much for a message`;
      return this.replyText(channel, frame, STATUS.BAD_REQUEST, reason);
    }
    if (!channel.begin(LANE.URGENT, body.byteLength)) return;
    this.memory.copy(channel.bytes, channel.at, body, 0, body.byteLength);
    const count = status === STATUS.OK ? frame.count : 0;
    channel.commitReply(frame.type, frame.request, status, count, body.byteLength);
    freeBuffer(body);
  }

  /**
   * While requests wait for buffers, closes clients that hold some and make no progress. Such a
   * client neither takes its replies nor sends the rest of a request.
   */
  private closeStalled(): void {
    if (this.stallTimer !== null || !this.buffers.isFull) return;
    const nowMs = this.clock.now();
    for (const [channel, client] of this.clients) {
      const isMoving = client.movedBytes !== channel.movedBytes || !channel.holdsBuffers;
      if (isMoving) client.movedMs = nowMs;
      client.movedBytes = channel.movedBytes;
      if (nowMs - client.movedMs < CLIENT_STALL_TIMEOUT_MS) continue;
      this.log.write(
        "warn",
        "doors",
        `Closed client "${channel.remote}": no progress while others waited for its memory`,
      );
      channel.terminate("no progress while others waited for its memory");
    }
    this.stallTimer = this.clock.after(CLIENT_STALL_CHECK_MS, () => {
      this.stallTimer = null;
      this.closeStalled();
    });
  }
}
