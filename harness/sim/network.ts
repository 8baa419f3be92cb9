/**
 * Streams in memory under virtual time, made as unkind as a network may be, and datagrams beside
 * them (datagrams.ts). Everything is drawn from one Random, so a run is repeated by its seed.
 *
 *     write > [ pipe: capacity bytes, in order ] > latency > random pieces > onData
 *
 *   - A write is taken in part when the pipe is full, and now and then for no reason.
 *   - Data arrives in pieces cut at random, down to single bytes.
 *   - block(a, b) stops everything on its way from a to b and says so to nobody, as a network that
 *     lost a route. The bytes are kept, as TCP would resend them. One way only: block(b, a) is the
 *     other half of a partition.
 *   - cutAfter(a, b, n) lets n more bytes through from a to b, then resets both ends; cut(a, b)
 *     resets at once.
 *   - crash(host) is the power switch: its streams and listeners are gone and it says nothing to
 *     anyone.
 *
 * Hosts are names. An address is reached from every host. Nothing is said about host parts:
 * somebody listens there or none at all. Unix sockets belong to the host that listens.
 */
import { assert } from "../../src/core/assert.ts";
import { RamsterError } from "../../src/core/errors.ts";
import type { Random } from "../../src/core/random.ts";
import { below } from "../../src/core/random.ts";
import type { Address } from "../../src/net/address.ts";
import { formatAddress } from "../../src/net/address.ts";
import {
  type Listener,
  NO_EVENTS,
  type Stream,
  type StreamEvents,
  type Transport,
} from "../../src/net/transport.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { SimClock } from "./clock.ts";
import { SimDatagrams } from "./datagrams.ts";

/** Latencies and loss may change at any time. */
export interface NetworkSettings {
  /** One way. Each piece draws its own; order within a stream is kept all the same. */
  latencyMinMs: number;
  latencyMaxMs: number;
  /** What one direction of a stream holds; each stream draws its own. */
  readonly pipeBytesMin: number;
  readonly pipeBytesMax: number;
  /** A connect that is not answered fails after this: the kernel's default is 127 s. */
  readonly connectTimeoutMs: number;
  /** Of datagrams alone, see DatagramSettings. */
  lossPercent: number;
  twicePercent: number;
  /** One piece in this many is a few bytes only. */
  tinyPieceOneIn: number;
}

const NETWORK_DEFAULTS: Readonly<NetworkSettings> = {
  latencyMinMs: 0.02,
  latencyMaxMs: 1,
  pipeBytesMin: 2 * 1024,
  pipeBytesMax: 256 * 1024,
  connectTimeoutMs: 127_000,
  lossPercent: 0,
  twicePercent: 2,
  tinyPieceOneIn: 4,
};

/** The first port given for port 0, as on Linux. */
const EPHEMERAL_PORT_FIRST = 32768;
/** One write in this many is taken in part for no reason. */
const SHORT_WRITE_ONE_IN = 16;
const TINY_PIECE_BYTES_MAX = 24;
const PIECE_BYTES_MAX = 128 * 1024;

export class SimNetwork {
  readonly clock: SimClock;
  readonly random: Random;
  readonly settings: NetworkSettings;
  /** Streams that are open on either side: zero when everything was closed in order. */
  readonly streams = new Set<SimStream>();
  readonly datagrams: SimDatagrams;
  /** Host names with other addresses than themselves. */
  readonly names = new Map<string, readonly string[]>();
  private readonly listeners = new Map<string, SimListener>();
  private readonly blocked = new Set<string>();
  private readonly down = new Set<string>();
  private readonly stalled = new Set<Pipe>();
  private nextPort = EPHEMERAL_PORT_FIRST;

  constructor(clock: SimClock, random: Random, settings: Partial<NetworkSettings> = {}) {
    this.clock = clock;
    this.random = random;
    this.settings = { ...NETWORK_DEFAULTS, ...settings };
    const isBlocked = (from: string, to: string): boolean => this.isBlocked(from, to);
    this.datagrams = new SimDatagrams({ clock, random, isBlocked }, this.settings);
  }

  /** The network as `host` sees it. */
  transport(host: string): Transport {
    return {
      listen: (address, accept) => this.listen(host, address, accept),
      connect: (address, events) => this.connect(host, address, events),
      bind: async (address, onDatagram) => {
        const port = address.port === 0 ? this.portFor(0) : address.port;
        return this.datagrams.bind(host, { ...address, port }, onDatagram);
      },
      lookup: async (name) => [...(this.names.get(name) ?? [name])],
    };
  }

  get listenerCount(): number {
    return this.listeners.size;
  }

  block(from: string, to: string): void {
    this.blocked.add(`${from}>${to}`);
  }

  unblock(from: string, to: string): void {
    this.blocked.delete(`${from}>${to}`);
    this.pumpStalled();
  }

  isBlocked(from: string, to: string): boolean {
    return this.down.has(from) || this.down.has(to) || this.blocked.has(`${from}>${to}`);
  }

  /** A pipe that could not deliver asks to be tried again when something is unblocked. */
  noteStalled(pipe: Pipe): void {
    this.stalled.add(pipe);
  }

  /** Resets every stream between the two hosts, at both ends. */
  cut(a: string, b: string): void {
    for (const stream of [...this.streams]) {
      if (stream.isBetween(a, b)) stream.close("connection reset by the other side");
    }
  }

  /**
   * Lets `byteCount` more bytes through from `from` to `to` on each stream there is now, then
   * resets it.
   */
  cutAfter(from: string, to: string, byteCount: number): void {
    for (const stream of this.streams) {
      if (stream.host === from && stream.peerHost === to) stream.pipe?.cutAfter(byteCount);
    }
  }

  /**
   * The host falls silent: its streams hear nothing of this, and the others notice by themselves.
   */
  crash(host: string): void {
    this.down.add(host);
    for (const [key, listener] of this.listeners) {
      if (listener.host === host) this.listeners.delete(key);
    }
    for (const stream of [...this.streams]) {
      if (stream.host === host) stream.vanish();
    }
    this.datagrams.unbindAll(host);
  }

  /**
   * A host that crashed is back, with nothing of what it had. What is sent to old streams is reset.
   */
  boot(host: string): void {
    this.down.delete(host);
    this.pumpStalled();
  }

  latencyMs(): number {
    const { latencyMinMs, latencyMaxMs } = this.settings;
    return latencyMinMs + (this.random.u32() / 2 ** 32) * (latencyMaxMs - latencyMinMs);
  }

  removeListener(listener: SimListener): void {
    if (this.listeners.get(listener.key) === listener) this.listeners.delete(listener.key);
  }

  private pumpStalled(): void {
    const pipes = [...this.stalled];
    this.stalled.clear();
    for (const pipe of pipes) pipe.pumpSoon();
  }

  private async listen(
    host: string,
    address: Address,
    accept: (stream: Stream) => StreamEvents | null,
  ): Promise<Listener> {
    const filled =
      address.kind === "tcp" ? { ...address, port: this.portFor(address.port) } : address;
    const listener = new SimListener(this, host, formatAddress(filled), accept);
    if (this.listeners.has(listener.key)) {
      const text = formatAddress(address);
      throw new RamsterError("ADDRESS_IN_USE", `Cannot listen on "${text}": the address is in use`);
    }
    this.listeners.set(listener.key, listener);
    return listener;
  }

  private portFor(port: number): number {
    if (port !== 0) return port;
    this.nextPort += 1;
    return this.nextPort;
  }

  private connect(host: string, address: Address, events: StreamEvents): Stream {
    const stream = new SimStream(this, host, formatAddress(address), events);
    this.streams.add(stream);
    this.clock.after(this.latencyMs(), () => this.answerConnect(stream, address));
    return stream;
  }

  /** The first packet arrives: at a listener, at nothing, or nowhere. */
  private answerConnect(stream: SimStream, address: Address): void {
    const key = formatAddress(address);
    const listener = this.listeners.get(key);
    const target = listener?.host ?? (address.kind === "tcp" ? address.host : stream.host);
    if (this.isBlocked(stream.host, target) || this.isBlocked(target, stream.host)) {
      const { connectTimeoutMs } = this.settings;
      this.clock.after(connectTimeoutMs, () => stream.close("connection timed out"));
      return;
    }
    if (stream.isClosed) return;
    if (listener === undefined) {
      stream.close("connection refused");
      return;
    }
    const other = new SimStream(this, listener.host, `${stream.host}:0`, NO_EVENTS);
    this.streams.add(other);
    stream.join(other);
    other.join(stream);
    const events = listener.accept(other);
    if (events !== null) other.events = events;
    other.open();
    if (events === null) other.terminate();
    this.clock.after(this.latencyMs(), () => stream.open());
  }
}

class SimListener implements Listener {
  readonly address: string;
  readonly host: string;
  readonly key: string;
  readonly accept: (stream: Stream) => StreamEvents | null;
  private readonly network: SimNetwork;

  constructor(
    network: SimNetwork,
    host: string,
    address: string,
    accept: (stream: Stream) => StreamEvents | null,
  ) {
    this.network = network;
    this.host = host;
    this.address = address;
    this.key = address;
    this.accept = accept;
  }

  close(): void {
    this.network.removeListener(this);
  }
}

/** One end of a stream. */
class SimStream implements Stream {
  readonly host: string;
  readonly remote: string;
  events: StreamEvents;
  isPaused = false;
  /** Bytes from here to the other side; null until connected. */
  pipe: Pipe | null = null;
  private readonly network: SimNetwork;
  private peer: SimStream | null = null;
  private opened = false;
  private closed = false;
  private ended = false;
  /** Why it is no use any more, while nobody here has noticed. */
  private broken: string | null = null;

  constructor(network: SimNetwork, host: string, remote: string, events: StreamEvents) {
    this.network = network;
    this.host = host;
    this.remote = remote;
    this.events = events;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get peerHost(): string {
    return this.peer?.host ?? "";
  }

  isBetween(a: string, b: string): boolean {
    const isThere = this.host === a && this.peerHost === b;
    return isThere || (this.host === b && this.peerHost === a);
  }

  join(peer: SimStream): void {
    this.peer = peer;
    this.pipe = new Pipe(this.network, this, peer);
  }

  open(): void {
    if (this.closed) return;
    this.opened = true;
    this.events.onOpen(this);
    this.peer?.pipe?.pumpSoon(); // What the other side has sent before this side knew.
  }

  /** Whether data may be handed to this end now. */
  get isReadable(): boolean {
    return this.opened && !this.closed && !this.isPaused;
  }

  write(bytes: Uint8Array, offset: number, byteCount: number): number {
    assert(offset >= 0 && byteCount >= 0 && offset + byteCount <= bytes.byteLength);
    if (!this.opened || this.closed || this.ended || this.pipe === null) return 0;
    if (this.broken !== null) {
      this.resume();
      return 0;
    }
    return this.pipe.take(bytes, offset, byteCount);
  }

  /** There is nobody in between here: nothing is to be sealed. */
  startTls(): void {
    this.network.clock.soon(() => {
      if (!this.closed) this.events.onOpen(this);
    });
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    const { broken } = this;
    if (broken !== null) this.network.clock.soon(() => this.close(broken));
    else this.peer?.pipe?.pumpSoon();
  }

  /** The other side is gone: who is paused hears of it when it goes on, or writes. */
  breakOff(reason: string): void {
    if (!this.isPaused) return this.close(reason);
    this.broken ??= reason;
    this.pipe?.wake(); // A write that waits for room fails now.
  }

  end(): void {
    if (this.closed || this.ended) return;
    if (!this.opened) return this.terminate();
    this.ended = true;
    this.resume();
    this.pipe?.finish();
  }

  terminate(): void {
    if (this.closed) return;
    this.close("closed here");
    this.pipe?.reset();
  }

  /** The other side has ended and all of its bytes are here. */
  onPeerFinished(): void {
    const quiet = this.ended ? "closed here" : "closed by the other side";
    this.close(quiet);
    this.pipe?.finish(); // What was taken before still goes out.
  }

  close(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.network.streams.delete(this);
    this.events.onClose(this, reason);
  }

  /** As if the host had lost power. */
  vanish(): void {
    this.closed = true;
    this.network.streams.delete(this);
    this.pipe?.vanish();
  }

  drained(): void {
    if (this.opened && !this.closed && !this.ended) this.events.onDrain(this);
  }
}

/** One direction of a stream. */
class Pipe {
  private readonly network: SimNetwork;
  private readonly from: SimStream;
  private readonly to: SimStream;
  private readonly capacity: number;
  /** Pieces are cut from it without regard to the writes that filled it. */
  private readonly queue = new ByteQueue();
  private bytesUntilCut = Infinity;
  private isPumping = false;
  private wantsDrain = false;
  private isFinished = false;
  private isReset = false;
  private isGone = false;

  constructor(network: SimNetwork, from: SimStream, to: SimStream) {
    const { pipeBytesMin, pipeBytesMax } = network.settings;
    this.network = network;
    this.from = from;
    this.to = to;
    this.capacity = pipeBytesMin + below(network.random, pipeBytesMax - pipeBytesMin + 1);
  }

  take(bytes: Uint8Array, offset: number, byteCount: number): number {
    let count = Math.min(byteCount, this.capacity - this.queue.byteCount);
    const { random } = this.network;
    if (count > 1 && below(random, SHORT_WRITE_ONE_IN) === 0) count = 1 + below(random, count - 1);
    if (count < byteCount) this.wantsDrain = true;
    this.queue.push(bytes.subarray(offset, offset + count));
    this.pumpSoon();
    return count;
  }

  finish(): void {
    this.isFinished = true;
    this.pumpSoon();
  }

  reset(): void {
    this.isReset = true;
    this.pumpSoon();
  }

  vanish(): void {
    this.isGone = true;
    this.queue.drop(this.queue.byteCount);
  }

  cutAfter(byteCount: number): void {
    this.bytesUntilCut = byteCount;
    this.pumpSoon();
  }

  pumpSoon(): void {
    if (this.isPumping || this.isGone) return;
    this.isPumping = true;
    this.network.clock.after(this.network.latencyMs(), () => {
      this.isPumping = false;
      this.pump();
    });
  }

  /**
   * One step of delivery: a piece, the end, or a reset. Whatever stops it calls pumpSoon when it is
   * over.
   */
  private pump(): void {
    if (this.isGone) return;
    if (this.network.isBlocked(this.from.host, this.to.host)) return this.network.noteStalled(this);
    if (this.to.isClosed) return this.answerClosed();
    if (this.isReset || this.bytesUntilCut === 0) {
      this.to.breakOff("connection reset by the other side");
      this.from.breakOff("connection reset by the other side");
      return;
    }
    if (!this.to.isReadable) return;
    const piece = this.nextPiece();
    if (piece === null) {
      if (this.isFinished) this.to.onPeerFinished();
    } else {
      this.bytesUntilCut -= piece.byteLength;
      this.to.events.onData(this.to, piece);
      this.pumpSoon();
    }
    // As in Linux a writer is woken only once a third is free, or it would be fed by the byte.
    if (this.queue.byteCount <= (this.capacity * 2) / 3) this.wake();
  }

  /** Tells the writer that it may go on, if it waits. */
  wake(): void {
    if (!this.wantsDrain) return;
    this.wantsDrain = false;
    this.network.clock.after(this.network.latencyMs(), () => this.from.drained());
  }

  /**
   * The receiver's system knows the stream no more: data is answered with a reset, if that gets
   * through.
   */
  private answerClosed(): void {
    if (this.queue.byteCount === 0 && !this.isFinished) return;
    if (this.network.isBlocked(this.to.host, this.from.host)) return this.network.noteStalled(this);
    this.from.breakOff(this.isFinished ? "closed here" : "connection reset by the other side");
  }

  private nextPiece(): Uint8Array | null {
    const { bytes } = this.queue;
    if (bytes.length === 0) return null;
    const { random } = this.network;
    const isTiny = below(random, this.network.settings.tinyPieceOneIn) === 0;
    const most = Math.min(isTiny ? TINY_PIECE_BYTES_MAX : PIECE_BYTES_MAX, this.bytesUntilCut);
    let count = Math.min(bytes.length, most);
    if (count > 1 && below(random, 2) === 0) count = 1 + below(random, count);
    const piece = bytes.slice(0, count);
    this.queue.drop(count);
    return piece;
  }
}
