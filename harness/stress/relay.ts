/**
 * Relay: the network between the nodes of a run, made worse on purpose. For each port of a node,
 * called a door, the relay has one port, TCP and UDP under the same number. Other nodes are told
 * that port in place of the node's own.
 *
 *       A             relay           B            A to B: A sends to b, and B receives from a
 *       o----------> (b . a)--------->o            B to A: B answers to a, and A receives from b
 *       o<---------- (b . a)<---------o
 *
 *   datagrams   The source address tells the sender, and is the address that the sender has named
 *               as its own. They leave from the port that stands for the sender. Datagrams from
 *               an unknown address are dropped and counted. Each datagram is dropped with the
 *               probability `loss`, and otherwise takes `delayMs`.
 *   streams     They come from any port. The relay connects each to its node, and each direction
 *               takes `delayMs`. Streams lose nothing: where a network loses a segment, TCP sends
 *               it again, and later data waits. So a chunk of at most SEGMENT_BYTES is late by one
 *               retransmission time-out with the probability `loss`, and order is kept.
 *
 * Faults: `block` stops one direction of a pair, `cut` both, and `pause` all traffic of one node;
 * `heal` and `resume` undo them. `slow` delays all traffic of one node. While traffic is stopped,
 * datagrams are lost, except those of a paused node, which wait as in the socket of a stopped
 * process. Streams transfer nothing, not even their end, and go on afterwards where they were. The
 * relay accepts every connect, and a stopped one finds silence behind it.
 *
 * Invariants:
 *   - bytes of a stream leave in the order of arrival, none twice, none left out;
 *   - in each direction at most STREAM_BYTES wait here, and then the sender is slowed down. This
 *     bounds the speed with a delay: STREAM_BYTES every `delayMs`;
 *   - after `close` there is no socket and no timer.
 *
 * Not here: duplicates, reordering and bandwidth (harness/sim has them, under virtual time); the
 * plan of the nodes (supervisor.ts).
 */
import { assert } from "../../src/core/assert.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Random } from "../../src/core/random.ts";
import { formatAddress, parseAddress, type TcpAddress } from "../../src/net/address.ts";
import type { DatagramPort, Listener, Stream, Transport } from "../../src/net/transport.ts";
import { DelayLine } from "./delay-line.ts";
import { RelayedStream, type StreamFate } from "./relayed-stream.ts";

const HOST = "127.0.0.1";
/** Datagrams of all nodes that wait for a paused node or are delayed; more are dropped. */
const DATAGRAMS_MAX = 65_536;
/** Linux waits at least this long before it sends a segment again. */
const RETRANSMISSION_MS_MIN = 200;
/** A port that is free for TCP may be taken for UDP. */
const PORT_ATTEMPTS_MAX = 20;

export interface RelayWorld {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
}

export interface RelayOptions {
  /** 0 .. 1: the share of datagrams that is dropped. */
  readonly loss: number;
  /** One way. */
  readonly delayMs: number;
  /**
   * The node that has connected from this port, or null when it is unknown. Only asked while a pair
   * is blocked. Without this function a stream is stopped only by faults of its receiver.
   */
  readonly originOf?: (port: number, relayPort: number) => number | null;
}

export interface RelayCounters {
  datagrams: number;
  datagramsDropped: number;
  /** Datagrams from an address that belongs to no node. */
  datagramsOfStrangers: number;
  streams: number;
  streamBytes: number;
  /** Chunks of streams that were late by a retransmission time-out. */
  chunksLate: number;
}

/** The purposes of a node's ports. */
export type RelayDoor = "pages" | "gossip";

/** The node's own address of a door. */
export interface RelayTarget {
  /** The TCP port, or null until it is known: streams to it are closed. */
  stream: TcpAddress | null;
  /** The UDP port, from which the node also sends; null when it has none. */
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

/** The node that has connected, once it is known. */
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
  /** Ports by the address from which their node sends datagrams. */
  private readonly senders = new Map<string, Port>();
  /** By `from>to`, so that a slow pair delays no other pair. */
  private readonly lines = new Map<string, DelayLine<Datagram>>();
  /** By node: the extra delay of all its traffic. */
  private readonly slowMs = new Map<number, number>();
  private onTheWay = 0;
  /** `from>to` of the directions that are blocked. */
  private readonly blocked = new Set<string>();
  private readonly paused = new Set<number>();
  private waiting: Datagram[] = [];
  private closed = false;

  constructor(world: RelayWorld, options: RelayOptions) {
    assert(options.loss >= 0 && options.loss <= 1 && options.delayMs >= 0);
    this.world = world;
    this.options = options;
  }

  /**
   * Opens the port that stands for a door of `node`, TCP and UDP under one number. @returns its
   * address, which the node advertises. `connectTo` sets the node's own address later.
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

  /** Sets the address of the node behind a port, also after a restart at another address. */
  connectTo(node: number, target: RelayTarget, door: RelayDoor = "gossip"): void {
    const port = this.portOf(portName(node, door));
    if (port.target.datagram !== null) this.senders.delete(formatAddress(port.target.datagram));
    port.target.stream = target.stream;
    port.target.datagram = target.datagram;
    if (target.datagram !== null) this.senders.set(formatAddress(target.datagram), port);
  }

  /** Stops all traffic from `from` to `to`. The other direction stays open. */
  block(from: number, to: number): void {
    this.blocked.add(`${from}>${to}`);
    this.resumeStreams();
  }

  /** Stops all traffic between the two nodes. */
  cut(a: number, b: number): void {
    this.block(a, b);
    this.block(b, a);
  }

  /** Cuts each node of `left` from each of `right`. */
  partition(left: readonly number[], right: readonly number[]): void {
    for (const a of left) for (const b of right) this.cut(a, b);
  }

  /** Delays all traffic of the node by `delayMs`; 0 undoes it. */
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

  /** Stops all traffic of the node without loss: it waits for `resume`. */
  pause(node: number): void {
    this.paused.add(node);
    this.resumeStreams();
  }

  resume(node: number): void {
    this.paused.delete(node);
    const waiting = this.waiting;
    this.waiting = [];
    for (const datagram of waiting) this.arrive(datagram);
    this.resumeStreams();
  }

  /** The number of open streams, each a pair of sockets. */
  get streamCount(): number {
    let count = 0;
    for (const port of this.ports.values()) count += port.streams.size;
    return count;
  }

  /** Drops all traffic in flight, and closes every socket. */
  close(): void {
    this.closed = true;
    for (const line of this.lines.values()) line.clear();
    this.waiting = [];
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
    } else if (this.isHit() || this.onTheWay + this.waiting.length >= DATAGRAMS_MAX) {
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

  /** Called at the end of the delay: a datagram that is blocked by now does not arrive. */
  private arrive(datagram: Datagram): void {
    const { bytes, from, to } = datagram;
    if (this.isBlocked(from.node, to.node) || to.target.datagram === null) {
      this.counters.datagramsDropped += 1;
    } else if (this.paused.has(from.node) || this.paused.has(to.node)) {
      this.waiting.push(datagram);
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

  /** The effects on one stream. `origin` is looked up when it is first needed. */
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
      isStopped: (inward) => {
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

  /** Faults have changed: each stream checks them again. */
  private resumeStreams(): void {
    for (const port of this.ports.values())
      for (const stream of [...port.streams]) stream.checkFaults();
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
