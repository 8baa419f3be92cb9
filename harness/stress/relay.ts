/**
 * Relay: the network between the nodes of a run, made worse on purpose. Each port of a
 * node, its door, has one port here that stands for it, TCP and UDP under the same number; the
 * others are told that port in place of its own.
 *
 *       A             relay           B            A to B: A sends to b, and B hears from a
 *       o----------> (b . a)--------->o            B to A: B answers to a, and A hears from b
 *       o<---------- (b . a)<---------o
 *
 *   datagrams   Whose they are is told by the address they come from, which is the address that
 *               its sender has named as its own; they leave from the port that stands for the
 *               sender. Of an address that is nobody's: dropped, and counted. Each is dropped with
 *               the probability `loss`, and else takes `delayMs`.
 *   streams     Come from any port. They are joined to a stream to the node they are for, and take
 *               `delayMs` each way. They lose nothing: where the network loses a segment, TCP
 *               sends it again, and what follows waits. So a chunk, of at most SEGMENT_BYTES, is
 *               late by one retransmission time-out with the probability `loss`, and order is kept.
 *
 * Faults on command: `block` stops one direction of a pair, `cut` both, `pause` all of one node,
 * and `heal` and `resume` undo it; `slow` makes all of one node take longer. While it is stopped
 * datagrams between them are lost (those of a paused node wait, as in the socket of a stopped
 * process), streams say nothing at all, not even that the other side has gone, and go on afterwards
 * where they were. A connect is taken by the relay, as every connect is, and finds silence behind
 * it.
 *
 * Invariants:
 *   - bytes of a stream leave in the order in which they came, none twice, none left out;
 *   - of each direction at most STREAM_BYTES wait here: then its sender is slowed down. That is
 *     what bounds the speed with a delay: STREAM_BYTES every `delayMs`;
 *   - after `close` there is no socket and no timer.
 *
 * Not here: duplicates, reordering and bandwidth (harness/sim has them, under virtual time); who
 * the nodes are (supervisor.ts).
 */
import { assert } from "../../src/core/assert.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Random } from "../../src/core/random.ts";
import { formatAddress, parseAddress, type TcpAddress } from "../../src/net/address.ts";
import type { DatagramPort, Listener, Stream, Transport } from "../../src/net/transport.ts";
import { DelayLine } from "./delay-line.ts";
import { RelayedStream, type StreamFate } from "./relayed-stream.ts";

const HOST = "127.0.0.1";
/** Held for a paused node or on their way, of all nodes together; more are dropped. */
const DATAGRAMS_MAX = 65_536;
/** Linux never waits less before it sends a segment again. */
const RETRANSMISSION_MS_MIN = 200;
/** A port that is free for TCP may be taken for UDP. */
const PORT_ATTEMPTS_MAX = 20;

export interface RelayWorld {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
}

export interface RelayOptions {
  /** Of 0 .. 1: the part of the datagrams that is dropped. */
  readonly loss: number;
  /** One way. */
  readonly delayMs: number;
  /**
   * Which node has connected from this port, or null when nobody knows: a stream does not say. Only
   * asked while a pair is blocked. Without it a stream is stopped only by what stops its receiver.
   */
  readonly originOf?: (port: number, relayPort: number) => number | null;
}

export interface RelayCounters {
  datagrams: number;
  datagramsDropped: number;
  /** From an address that is no node's. */
  datagramsOfStrangers: number;
  streams: number;
  streamBytes: number;
  /** Chunks of streams that were late by a retransmission time-out. */
  chunksLate: number;
}

/** What a node has ports for. */
export type RelayDoor = "pages" | "gossip";

/** Where the door of a node really is. */
export interface RelayTarget {
  /** Of its TCP port, or null until it is known: streams for it are closed. */
  stream: TcpAddress | null;
  /** Of its UDP port, from which it also sends; null when it has none. */
  datagram: TcpAddress | null;
}

interface Port {
  readonly node: number;
  readonly address: TcpAddress;
  readonly listener: Listener;
  readonly datagrams: DatagramPort;
  readonly target: RelayTarget;
  readonly streams: Set<RelayedStream>;
}

/** Who has connected, once it is known. */
interface Origin {
  known: boolean;
  node: number | null;
}

interface Datagram {
  readonly bytes: Uint8Array;
  readonly from: Port;
  readonly to: Port;
}

export class Relay {
  readonly counters: RelayCounters = {
    datagrams: 0,
    datagramsDropped: 0,
    datagramsOfStrangers: 0,
    streams: 0,
    streamBytes: 0,
    chunksLate: 0,
  };
  private readonly world: RelayWorld;
  private readonly options: RelayOptions;
  /** By node and door. */
  private readonly ports = new Map<string, Port>();
  /** Ports by the address that their node sends datagrams from. */
  private readonly senders = new Map<string, Port>();
  /** By `from>to`, so that what goes slowly between two holds up nobody else. */
  private readonly lines = new Map<string, DelayLine<Datagram>>();
  /** By node: how much longer everything takes. */
  private readonly slowMs = new Map<number, number>();
  private onTheWay = 0;
  /** `from>to` of the directions that are blocked. */
  private readonly blocked = new Set<string>();
  private readonly paused = new Set<number>();
  private held: Datagram[] = [];
  private closed = false;

  constructor(world: RelayWorld, options: RelayOptions) {
    assert(options.loss >= 0 && options.loss <= 1 && options.delayMs >= 0);
    this.world = world;
    this.options = options;
  }

  /**
   * Opens the port that stands for a door of `node`, TCP and UDP under one number. @returns where
   * it is: what the node advertises. `connectTo` says later where the node itself is.
   */
  async open(node: number, door: RelayDoor = "gossip"): Promise<TcpAddress> {
    const name = portName(node, door);
    assert(!this.ports.has(name) && !this.closed);
    const target: RelayTarget = { stream: null, datagram: null };
    const streams = new Set<RelayedStream>();
    for (let attempt = 1; ; attempt += 1) {
      const listener = await this.world.transport.listen(
        { kind: "tcp", host: HOST, port: 0 },
        (stream) => this.accept(name, stream),
      );
      const address = parseAddress(listener.address);
      assert(address.kind === "tcp");
      try {
        const datagrams = await this.world.transport.bind(address, (bytes, from) =>
          this.take(name, bytes, from),
        );
        this.ports.set(name, { node, address, listener, datagrams, target, streams });
        return address;
      } catch (error) {
        listener.close();
        if (attempt === PORT_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Where the node behind a port is, also when it has started anew somewhere else. */
  connectTo(node: number, target: RelayTarget, door: RelayDoor = "gossip"): void {
    const port = this.portOf(portName(node, door));
    if (port.target.datagram !== null) this.senders.delete(formatAddress(port.target.datagram));
    port.target.stream = target.stream;
    port.target.datagram = target.datagram;
    if (target.datagram !== null) this.senders.set(formatAddress(target.datagram), port);
  }

  /** Nothing more gets from `from` to `to`. The way back stays open. */
  block(from: number, to: number): void {
    this.blocked.add(`${from}>${to}`);
    this.resumeStreams();
  }

  /** Nothing gets from one to the other. */
  cut(a: number, b: number): void {
    this.block(a, b);
    this.block(b, a);
  }

  /** Cuts each node of `left` from each of `right`. */
  partition(left: readonly number[], right: readonly number[]): void {
    for (const a of left) for (const b of right) this.cut(a, b);
  }

  /** All that gets to the node or from it takes `delayMs` longer; 0 undoes it. */
  slow(node: number, delayMs: number): void {
    if (delayMs === 0) this.slowMs.delete(node);
    else this.slowMs.set(node, delayMs);
  }

  /** Undoes every `block`, `cut` and `partition`; with two nodes, those between the two. */
  heal(a?: number, b?: number): void {
    if (a === undefined || b === undefined) this.blocked.clear();
    this.blocked.delete(`${a}>${b}`);
    this.blocked.delete(`${b}>${a}`);
    this.resumeStreams();
  }

  /** Nothing gets to the node or from it, and nothing is lost: it waits for `resume`. */
  pause(node: number): void {
    this.paused.add(node);
    this.resumeStreams();
  }

  resume(node: number): void {
    this.paused.delete(node);
    const held = this.held;
    this.held = [];
    for (const datagram of held) this.arrive(datagram);
    this.resumeStreams();
  }

  /** Streams that are open now, each a pair of sockets. */
  get streamCount(): number {
    let count = 0;
    for (const port of this.ports.values()) count += port.streams.size;
    return count;
  }

  /** Drops all that is on its way, and closes every socket. */
  close(): void {
    this.closed = true;
    for (const line of this.lines.values()) line.clear();
    this.held = [];
    for (const port of this.ports.values()) {
      port.listener.close();
      port.datagrams.close();
      for (const stream of [...port.streams]) stream.terminate();
    }
    this.ports.clear();
    this.senders.clear();
  }

  private take(name: string, bytes: Uint8Array, from: TcpAddress): void {
    const { counters } = this;
    const to = this.ports.get(name);
    const sender = this.senders.get(formatAddress(from));
    if (this.closed || to === undefined) return;
    counters.datagrams += 1;
    if (sender === undefined) {
      counters.datagramsOfStrangers += 1;
    } else if (this.isHit() || this.onTheWay + this.held.length >= DATAGRAMS_MAX) {
      counters.datagramsDropped += 1;
    } else {
      this.onTheWay += 1;
      const line = this.lineOf(sender.node, to.node);
      line.push({ bytes, from: sender, to }, this.delayOf(sender.node, to.node));
    }
  }

  private lineOf(from: number, to: number): DelayLine<Datagram> {
    const name = `${from}>${to}`;
    let line = this.lines.get(name);
    if (line === undefined) {
      line = new DelayLine(this.world.clock, (datagram) => {
        this.onTheWay -= 1;
        this.arrive(datagram);
      });
      this.lines.set(name, line);
    }
    return line;
  }

  private delayOf(from: number | null, to: number): number {
    const fromMs = from === null ? 0 : (this.slowMs.get(from) ?? 0);
    return this.options.delayMs + fromMs + (this.slowMs.get(to) ?? 0);
  }

  /** At the far end of the delay: what is blocked by now does not arrive. */
  private arrive(datagram: Datagram): void {
    const { bytes, from, to } = datagram;
    if (this.isBlocked(from.node, to.node) || to.target.datagram === null) {
      this.counters.datagramsDropped += 1;
    } else if (this.paused.has(from.node) || this.paused.has(to.node)) {
      this.held.push(datagram);
    } else {
      from.datagrams.send(bytes, bytes.byteLength, to.target.datagram);
    }
  }

  private accept(name: string, stream: Stream): RelayedStream["outer"] {
    const port = this.portOf(name);
    const origin: Origin = { known: false, node: null };
    const { transport, clock } = this.world;
    const relayed = new RelayedStream(
      { clock, fate: this.fateOf(port, stream, origin) },
      stream,
      (events) => (port.target.stream ? transport.connect(port.target.stream, events) : null),
      () => port.streams.delete(relayed),
    );
    port.streams.add(relayed);
    this.counters.streams += 1;
    return relayed.outer;
  }

  /** What happens to the bytes of one stream. `origin` is looked up when it is first needed. */
  private fateOf(port: Port, stream: Stream, origin: Origin): StreamFate {
    return {
      delayMs: (byteCount) => {
        this.counters.streamBytes += byteCount;
        if (this.slowMs.size > 0) this.findOrigin(port, stream, origin);
        const delayMs = this.delayOf(origin.node, port.node);
        if (!this.isHit()) return delayMs;
        this.counters.chunksLate += 1;
        return delayMs + Math.max(RETRANSMISSION_MS_MIN, 4 * delayMs);
      },
      isHeld: (inward) => {
        if (this.paused.has(port.node)) return true;
        if (this.blocked.size + this.paused.size === 0) return false;
        this.findOrigin(port, stream, origin);
        if (origin.node === null) return false;
        if (this.paused.has(origin.node)) return true;
        const [a, b] = inward ? [origin.node, port.node] : [port.node, origin.node];
        return this.isBlocked(a, b);
      },
    };
  }

  private findOrigin(port: Port, stream: Stream, origin: Origin): void {
    if (origin.known) return;
    const { port: from } = parseTcp(stream.remote);
    origin.node = this.options.originOf?.(from, port.address.port) ?? null;
    origin.known = origin.node !== null;
  }

  /** Faults have changed: each stream looks again. */
  private resumeStreams(): void {
    for (const port of this.ports.values()) for (const stream of [...port.streams]) stream.look();
  }

  private isBlocked(from: number, to: number): boolean {
    return this.blocked.has(`${from}>${to}`);
  }

  private isHit(): boolean {
    return this.options.loss > 0 && this.world.random.u32() < this.options.loss * 2 ** 32;
  }

  private portOf(name: string): Port {
    const port = this.ports.get(name);
    assert(port !== undefined);
    return port;
  }
}

function portName(node: number, door: RelayDoor): string {
  return `${node}/${door}`;
}

function parseTcp(text: string): TcpAddress {
  const address = parseAddress(text);
  assert(address.kind === "tcp");
  return address;
}
