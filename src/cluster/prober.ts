/**
 * Prober: finds out who does not answer (SWIM's failure detector with Lifeguard's refinements;
 * memberlist's state.go, probeNode).
 *
 *     ping --no ack in probeTimeoutMs--> ping through others, and over a stream
 *          --nothing until the end of the interval--> suspect
 *
 * Members are probed in turn, in an order that is shuffled anew each time round, so that each is
 * probed once in n intervals and nobody is forgotten. A node whose own timers are late takes that
 * for its own fault: it waits as long again, and its health goes down.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { PROBES_WAITING_MAX } from "../core/limits.ts";
import { below, type Random } from "../core/random.ts";
import { encodeMessage } from "../gossip/body.ts";
import type { Ack, IndirectPing, Nack, Ping, StreamMessage } from "../gossip/messages.ts";
import { decodeCoordinate, encodeCoordinate } from "../gossip/serf-coordinate.ts";
import type { TcpAddress } from "../net/address.ts";
import { ipText } from "../net/ip.ts";
import type { Awareness } from "./awareness.ts";
import { Coordinates } from "./coordinates.ts";
import type { ClusterCounters } from "./counters.ts";
import type { Member } from "./member.ts";
import type { Members } from "./members.ts";
import type { ClusterSettings } from "./settings.ts";
import type { StreamResult } from "./streams.ts";
import { LAG_MS } from "./suspicion.ts";

/** Sends for the prober. */
export interface ProberOutput {
  /** A datagram with these messages, and whatever news fits. */
  send(to: TcpAddress, messages: readonly Uint8Array[]): void;
  request(to: TcpAddress, message: StreamMessage, result: StreamResult, timeoutMs: number): void;
}

interface Waiting {
  onAck(ack: Ack): void;
  onNack(): void;
  readonly timer: TimerId;
}

/** The first protocol version with nacks. */
const NACK_VERSION = 4;

export class Prober {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly members: Members;
  private readonly awareness: Awareness;
  private readonly counters: ClusterCounters;
  private readonly output: ProberOutput;
  private readonly settings: ClusterSettings;
  private readonly coordinates: Coordinates;
  private readonly waiting = new Map<number, Waiting>();
  private order: Member[] = [];
  private seq = 0;
  private timer: TimerId | null = null;

  constructor(
    parts: {
      clock: Clock;
      random: Random;
      members: Members;
      awareness: Awareness;
      counters: ClusterCounters;
      output: ProberOutput;
    },
    settings: ClusterSettings,
  ) {
    this.clock = parts.clock;
    this.random = parts.random;
    this.members = parts.members;
    this.awareness = parts.awareness;
    this.counters = parts.counters;
    this.output = parts.output;
    this.settings = settings;
    this.coordinates = new Coordinates(parts.random);
  }

  /** Begins at a random point of the interval, so that nodes that start together do not pulse. */
  start(): void {
    this.timer = this.clock.after(below(this.random, this.settings.probeIntervalMs), () => {
      this.tick();
    });
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
    for (const { timer } of this.waiting.values()) this.clock.cancel(timer);
    this.waiting.clear();
  }

  // What others send.

  onPing(ping: Ping, from: TcpAddress): void {
    // An old address of somebody else: the one that is meant must not pass for alive.
    if (ping.node !== "" && ping.node !== this.members.self.name) return;
    const payload = encodeCoordinate(this.coordinates.own);
    const ack = encodeMessage({ kind: "ack", seq: ping.seq, payload });
    this.output.send(answerTo(ping, from), [ack]);
  }

  onIndirectPing(request: IndirectPing, from: TcpAddress): void {
    if (this.waiting.size >= PROBES_WAITING_MAX) return;
    const { seq, node, nack } = request;
    const to = answerTo(request, from);
    const target: TcpAddress = { kind: "tcp", host: ipText(request.target), port: request.port };
    const ownSeq = this.nextSeq();
    const { probeTimeoutMs } = this.settings;
    const timer = this.clock.after(probeTimeoutMs, () => {
      this.waiting.delete(ownSeq);
      if (nack) this.output.send(to, [encodeMessage({ kind: "nack", seq })]);
    });
    const onAck = (): void => {
      this.forget(ownSeq);
      this.output.send(to, [encodeMessage({ kind: "ack", seq, payload: NO_BYTES })]);
    };
    this.waiting.set(ownSeq, { timer, onAck, onNack: () => {} });
    this.output.send(target, [this.pingMessage(ownSeq, node)]);
  }

  onAck(ack: Ack): void {
    this.waiting.get(ack.seq)?.onAck(ack);
  }

  onNack({ seq }: Nack): void {
    this.waiting.get(seq)?.onNack();
  }

  // Own probes.

  private tick(): void {
    const intervalMs = this.awareness.scale(this.settings.probeIntervalMs);
    const dueMs = this.clock.now() + intervalMs;
    this.timer = this.clock.after(intervalMs, () => {
      if (this.clock.now() - dueMs > this.settings.probeTimeoutMs) this.awareness.apply(1);
      this.tick();
    });
    const member = this.nextMember();
    if (member !== null) this.probe(member, intervalMs);
  }

  private nextMember(): Member | null {
    for (let round = 0; round < 2; round += 1) {
      for (let member = this.order.pop(); member !== undefined; member = this.order.pop()) {
        if (!member.isSelf && member.isThere && this.members.get(member.name) === member) {
          return member;
        }
      }
      this.order = shuffled(this.members.all, this.random);
    }
    return null;
  }

  private probe(member: Member, intervalMs: number): void {
    const seq = this.nextSeq();
    const startMs = this.clock.now();
    const state = { nacksMissing: 0, helpersAsked: false };
    this.counters.probes += 1;
    const succeed = (): void => {
      this.forget(seq);
      this.awareness.apply(-1);
    };
    const fail = (): void => {
      this.waiting.delete(seq);
      this.counters.probes_failed += 1;
      // Helpers that say nothing at all: it may be this node that nobody hears.
      this.awareness.apply(state.helpersAsked ? state.nacksMissing : 1);
      this.members.suspect(member);
    };
    const await_ = (delayMs: number, then: () => void): void => {
      const timer = this.afterInTime(delayMs, seq, then);
      this.waiting.set(seq, {
        timer,
        onAck: ({ payload }) => {
          if (!state.helpersAsked) this.noteRoundTrip(member, this.clock.now() - startMs, payload);
          succeed();
        },
        onNack: () => {
          state.nacksMissing = Math.max(0, state.nacksMissing - 1);
        },
      });
    };
    await_(this.settings.probeTimeoutMs, () => {
      // Helpers get a time-out of their own even when this node is late, and never more than the
      // interval has for them: the clock may have gone back.
      const restMs = Math.max(1, intervalMs - this.settings.probeTimeoutMs);
      const leftMs = clamp(
        intervalMs - (this.clock.now() - startMs),
        Math.min(restMs, this.settings.probeTimeoutMs),
        restMs,
      );
      const helpers = this.askHelpers(member, seq);
      state.helpersAsked = helpers.count > 0;
      state.nacksMissing = helpers.nacksExpected;
      await_(leftMs, fail);
      this.pingByStream(member, seq, leftMs, succeed);
    });
    const messages = [this.pingMessage(seq, member.name)];
    // Buddy: one that is suspected hears so with the next ping, and can object at once.
    if (member.state === "suspect") messages.push(this.suspectMessage(member));
    this.output.send(member.address, messages);
  }

  private noteRoundTrip(member: Member, ms: number, payload: Uint8Array): void {
    member.noteRoundTrip(ms);
    const coordinate = decodeCoordinate(payload);
    if (coordinate !== null && member.rttMs !== null) {
      this.coordinates.observe(coordinate, member.rttMs);
    }
  }

  /** Calls `then` after `delayMs`. When that comes late the answer may be in the queue: once more. */
  private afterInTime(delayMs: number, seq: number, then: () => void): TimerId {
    const dueMs = this.clock.now() + delayMs;
    return this.clock.after(delayMs, () => {
      const lateMs = this.clock.now() - dueMs;
      const waiting = this.waiting.get(seq);
      if (waiting === undefined) return;
      if (lateMs <= LAG_MS) {
        then();
        return;
      }
      this.awareness.apply(1);
      const timer = this.clock.after(Math.min(lateMs, this.settings.probeTimeoutMs), then);
      this.waiting.set(seq, { ...waiting, timer });
    });
  }

  private askHelpers(member: Member, seq: number): { count: number; nacksExpected: number } {
    const { self } = this.members;
    const helpers = shuffled(this.members.all, this.random)
      .filter((it) => it.state === "alive" && !it.isSelf && it !== member)
      .slice(0, this.settings.indirectChecks);
    let nacksExpected = 0;
    for (const helper of helpers) {
      const nack = (helper.vsn[1] ?? 0) >= NACK_VERSION;
      if (nack) nacksExpected += 1;
      this.counters.indirect_probes += 1;
      const request = encodeMessage({
        kind: "indirect-ping",
        seq,
        nack,
        target: member.addrBytes,
        port: member.port,
        node: member.name,
        sourceAddr: self.addrBytes,
        sourcePort: self.port,
        sourceNode: self.name,
      });
      this.output.send(helper.address, [request]);
    }
    return { count: helpers.length, nacksExpected };
  }

  /** The fallback ping: a firewall may pass streams alone. */
  private pingByStream(member: Member, seq: number, timeoutMs: number, succeed: () => void): void {
    const { self } = this.members;
    const source = { sourceAddr: self.addrBytes, sourcePort: self.port, sourceNode: self.name };
    const ping = { kind: "ping", seq, node: member.name, ...source } as const;
    const onMessage = (answer: StreamMessage): void => {
      if (answer.kind !== "ack" || answer.seq !== seq || !this.waiting.has(seq)) return;
      this.counters.probes_by_stream += 1;
      succeed();
    };
    this.output.request(member.address, ping, { onMessage, onFailure: () => {} }, timeoutMs);
  }

  private pingMessage(seq: number, node: string): Uint8Array {
    const { addrBytes: sourceAddr, port: sourcePort, name: sourceNode } = this.members.self;
    return encodeMessage({ kind: "ping", seq, node, sourceAddr, sourcePort, sourceNode });
  }

  private suspectMessage({ name: node, incarnation }: Member): Uint8Array {
    return encodeMessage({ kind: "suspect", incarnation, node, from: this.members.self.name });
  }

  private forget(seq: number): void {
    const waiting = this.waiting.get(seq);
    if (waiting !== undefined) this.clock.cancel(waiting.timer);
    this.waiting.delete(seq);
  }

  private nextSeq(): number {
    this.seq = (this.seq + 1) >>> 0;
    return this.seq;
  }
}

const NO_BYTES = new Uint8Array(0);

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}

/** Where the asker says that it is, or where the datagram came from. */
function answerTo(message: Ping | IndirectPing, from: TcpAddress): TcpAddress {
  const { sourceAddr, sourcePort } = message;
  if (sourceAddr.byteLength === 0 || sourcePort === 0) return from;
  return { kind: "tcp", host: ipText(sourceAddr), port: sourcePort };
}

/** Fisher and Yates. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = below(random, i + 1);
    const a = result[i] as T;
    result[i] = result[j] as T;
    result[j] = a;
  }
  return result;
}
