/**
 * Cluster: one member of a memberlist cluster, built from its parts.
 *
 *     datagrams --> Prober (who answers?) --+
 *     streams   --> push/pull --------------+--> Members (who is alive) --> events
 *     user data --> Serf (who leaves?) -----+         |
 *     datagrams <-- BroadcastQueue <-- news ----------+
 *
 * How news spreads: every packet carries the news that fits, and the gossip tick sends the rest. A
 * periodic push/pull exchanges the whole state, which repairs losses. Gossip alone sometimes misses
 * a member until then. So a member sends its own important news (it joins, its tags change, it
 * leaves) directly to each other member.
 *
 * Not here: the meaning of tags, and what follows a death (src/node).
 */
import { freeBuffer } from "../core/buffers.ts";
import type { Clock } from "../core/clock.ts";
import { ConfigError, RamsterError, WireError } from "../core/errors.ts";
import { COMPOUND_PARTS_MAX } from "../core/limits.ts";
import type { LogLevel } from "../core/log-line.ts";
import { below, type Random } from "../core/random.ts";
import { Timers } from "../core/timers.ts";
import { userMessage } from "../gossip/body.ts";
import type { Keyring } from "../gossip/keyring.ts";
import {
  MEMBER_STATE,
  type PacketMessage,
  type PushPull,
  type StreamMessage,
} from "../gossip/messages.ts";
import {
  COMPOUND_PART_BYTES,
  decodePacket,
  encodePacket,
  type GossipOptions,
  packetOverhead,
  type Unread,
} from "../gossip/packet.ts";
import { encodeTags } from "../gossip/serf-tags.ts";
import { formatAddress, parseAddress, type TcpAddress } from "../net/address.ts";
import type { DoorLimits } from "../net/door-limits.ts";
import { ipBytes, withZoneOf } from "../net/ip.ts";
import type { DatagramPort, Transport } from "../net/transport.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue, takeNews } from "./broadcast-queue.ts";
import { ClusterCounters } from "./counters.ts";
import type { Member } from "./member.ts";
import { FULL, type MemberEvents, Members } from "./members.ts";
import { Prober, shuffled } from "./prober.ts";
import { Serf } from "./serf.ts";
import type { Asked } from "./serf-asks.ts";
import { SerfTraffic } from "./serf-traffic.ts";
import { type ClusterSettings, pushPullMs, retransmitLimit } from "./settings.ts";
import { Streams } from "./streams.ts";
import { reasonNotToFit } from "./versions.ts";

export type { Member } from "./member.ts";

/** Streams and datagrams share a port: how many are tried when the kernel may choose it. */
const BIND_ATTEMPTS = 16;
/** A warning is logged once in this time. */
const NOTICE_QUIET_MS = 10_000;
/** For this long after its start a node sends its own news directly to each new member. */
const GREET_MS = 10_000;
/** Members that one gossip tick sends the own news to. */
const OWN_NEWS_PER_TICK = 64;
/** Rounds of gossip in which the news that this member leaves spreads. */
const LEAVE_ROUNDS = 5;

export interface JoinResult {
  readonly answered: number;
  readonly failures: readonly string[];
}

type Rest<T extends readonly unknown[]> = T extends readonly [unknown, ...infer R] ? R : never;

export class Cluster {
  readonly counters = new ClusterCounters();
  private readonly env: { clock: Clock; transport: Transport; random: Random };
  private readonly settings: ClusterSettings;
  private readonly identity: { name: string; tags: Readonly<Record<string, string>> };
  private readonly events: MemberEvents;
  private readonly options: GossipOptions;
  private readonly awareness: Awareness;
  private readonly queue = new BroadcastQueue();
  private readonly serf: Serf;
  private readonly streams: Streams;
  private port: DatagramPort | null = null;
  private parts: { members: Members; prober: Prober; traffic: SerfTraffic } | null = null;
  private readonly timers: Timers;
  private readonly noticedAtMs = new Map<string, number>();
  private seeds: readonly TcpAddress[] = [];
  private startMs = 0;
  /** Members that still get the own news directly. */
  private ownNewsTo: Member[] = [];
  private farewell: Uint8Array | null = null;

  constructor(
    env: { clock: Clock; transport: Transport; random: Random; limits?: DoorLimits },
    settings: ClusterSettings,
    identity: { name: string; tags: Readonly<Record<string, string>> },
    events: MemberEvents,
    keyring: Keyring | null,
  ) {
    this.env = env;
    this.timers = new Timers(env.clock);
    this.settings = settings;
    this.identity = identity;
    this.events = events;
    this.options = { keyring, label: settings.label };
    this.awareness = new Awareness(settings.awarenessMax);
    this.serf = new Serf(identity.name, {
      onLeave: (name, prune) => this.parts?.members.giveUp(name, prune),
    });
    const { counters } = this;
    const handler = {
      onStreamMessage: (message: StreamMessage, host: string) => {
        return this.onStreamMessage(message, host);
      },
      onStreamRefused: (line: string) => this.notice("warn", line),
      onMembersUnread: ({ count, reason }: Unread, host: string) => {
        counters.members_unread += count;
        const what = `Cannot read ${count} of the members sent by "${host}"`;
        this.notice("warn", `${what}: ${withoutPrefix(reason)}`);
      },
    };
    const isKnown = (host: string): boolean => {
      return this.parts?.members.all.some((it) => it.addr === host) === true;
    };
    this.streams = new Streams({ ...env, counters, handler, isKnown }, this.options, settings);
  }

  /** Binds the port, as a cluster of one. @returns the address. Rejects as Transport.listen. */
  async start(): Promise<TcpAddress> {
    const bound = await this.bind();
    this.startMs = this.env.clock.now();
    const address = await this.advertised(bound);
    const addr = ipBytes(address.host);
    if (addr === null) throw notAnAddress(address.host);
    const { name, tags } = this.identity;
    const { clock, random } = this.env;
    const { counters, awareness, queue, serf } = this;
    const events: MemberEvents = {
      onJoin: (member) => this.onJoin(member),
      onUpdate: (member) => this.events.onUpdate(member),
      onLeave: (member, how) => this.events.onLeave(member, how),
      onConflict: (reason) => {
        if (this.isNews(reason)) this.events.onConflict(reason);
      },
      onNotice: (level, line) => this.notice(level, line),
    };
    const isLeaving = (member: string): boolean => serf.isLeaving(member);
    const members = new Members(
      { clock, queue, awareness, counters, events, isLeaving },
      this.settings,
      { name, addr, port: address.port, meta: encodeTags(tags) },
    );
    const output = {
      send: (to: TcpAddress, messages: readonly Uint8Array[]) => this.send(to, messages),
      request: this.request.bind(this),
    };
    const prober = new Prober(
      { clock, random, members, awareness, counters, output },
      this.settings,
    );
    const { keyring } = this.options;
    const send = (to: TcpAddress, message: Uint8Array) => this.sendAlone(to, [message]);
    const onNotice = (level: LogLevel, line: string) => this.notice(level, line);
    const { gossipIntervalMs, packetBytesMax } = this.settings;
    const roomBytes = packetBytesMax - packetOverhead(this.options) - COMPOUND_PART_BYTES;
    const traffic = new SerfTraffic(
      { clock, random, members, serf, keyring, intents: queue, send, onNotice },
      { gossipIntervalMs, roomBytes },
    );
    this.parts = { members, prober, traffic };
    this.announce("join");
    prober.start();
    this.every("gossip", this.settings.gossipIntervalMs, () => this.gossip());
    this.every("reconnect", this.settings.reconnectIntervalMs, () => this.reconnect());
    this.pushPullNowAndThen();
    return bound;
  }

  /**
   * Exchanges the whole state with each seed, HOST:PORT. A name with several addresses counts as
   * several seeds. Seeds that are not members are tried again periodically, with a new lookup.
   *
   * @returns how many answered, and a reason for each that did not.
   */
  async join(seeds: readonly TcpAddress[]): Promise<JoinResult> {
    this.seeds = seeds;
    const failures: string[] = [];
    const addresses = new Map<string, TcpAddress>();
    for (const seed of seeds) {
      for (const address of await this.seedAddresses(seed, (reason) => failures.push(reason))) {
        addresses.set(formatAddress(address), address);
      }
    }
    const endpoints = [...addresses.values()];
    const reasons = await Promise.all(endpoints.map((it) => this.pushPull(it, "Cannot join at")));
    for (const [i, seed] of endpoints.entries()) {
      const reason = reasons[i] ?? null;
      if (reason !== null) failures.push(`${formatAddress(seed)}: ${reason}`);
    }
    return { answered: reasons.filter((reason) => reason === null).length, failures };
  }

  /** All members, with this one and the dead. */
  members(): readonly Member[] {
    return this.running.members.all;
  }

  /** Alive or suspected. */
  get memberCount(): number {
    return this.running.members.countThere;
  }

  /** The health of this node: 0 is healthy. */
  get health(): number {
    return this.awareness.health;
  }

  /**
   * Changes the tags of this node. With `toEach` they are sent directly to each member. Throws
   * ConfigError when they do not fit.
   */
  setTags(tags: Readonly<Record<string, string>>, { toEach } = { toEach: false }): void {
    this.running.members.setMeta(encodeTags(tags));
    if (toEach) this.sendOwnNewsToEach();
  }

  /** Asks all members with a query of Serf, and waits for their answers. */
  ask(name: string, payload: Uint8Array): Promise<Asked> {
    return this.running.traffic.ask(name, payload);
  }

  /** Announces that this node leaves, and waits until the news has spread. */
  async leave(): Promise<void> {
    if (this.parts === null) return;
    const { members } = this.parts;
    const wasAlone = members.countThere === 1;
    members.leave();
    // Queued last, so sent first: Serf must hear of the leave before the death.
    this.farewell = this.announce("leave");
    if (wasAlone) return;
    this.sendOwnNewsToEach();
    await new Promise<void>((resolve) => {
      this.env.clock.after(LEAVE_ROUNDS * this.settings.gossipIntervalMs, resolve);
    });
  }

  /** Ends all sending and receiving. */
  async stop(): Promise<void> {
    this.timers.stop();
    this.parts?.prober.stop();
    this.parts?.traffic.stop();
    this.parts?.members.stop();
    this.port?.close();
    this.port = null; // Streams that end now are no failure.
    this.streams.stop();
  }

  private get running(): { members: Members; prober: Prober; traffic: SerfTraffic } {
    if (this.parts === null) throw new RamsterError("CLOSED", "The cluster has not been started");
    return this.parts;
  }

  // Input.

  private onDatagram(bytes: Uint8Array, from: TcpAddress): void {
    if (this.parts === null || this.port === null) return;
    this.counters.packets_received += 1;
    this.counters.packet_bytes_received += bytes.byteLength;
    try {
      const unread = decodePacket(bytes, this.options, (message) => this.onMessage(message, from));
      if (unread.count > 0) this.noteUnread(`of a datagram from "${from.host}"`, unread);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.counters.packets_refused += 1;
      this.notice("warn", `${error.message} (a datagram from ${from.host})`);
    } finally {
      freeBuffer(bytes);
    }
  }

  private noteUnread(what: string, { count, reason }: Unread): void {
    this.counters.messages_unread += count;
    this.notice("warn", `Cannot read part ${what}: ${withoutPrefix(reason)}`);
  }

  private onMessage(message: PacketMessage, from: TcpAddress): void {
    const { members, prober } = this.running;
    switch (message.kind) {
      case "ping":
        return prober.onPing(message, from);
      case "indirect-ping":
        return prober.onIndirectPing(message, from);
      case "ack":
        return prober.onAck(message);
      case "nack":
        return prober.onNack(message);
      case "suspect":
        return members.onSuspect(message);
      case "alive":
        return members.onAlive(message);
      case "dead":
        return members.onDead(message);
      case "user":
        return this.onUser(message.bytes, from.host, from);
    }
  }

  /**
   * A bad message of Serf does not affect the messages of memberlist beside it. `sender`: null for
   * one from a stream.
   */
  private onUser(bytes: Uint8Array, from: string, sender: TcpAddress | null): void {
    try {
      const news = this.serf.onMessage(bytes);
      if (this.serf.isMistaken) this.announce("join");
      else if (news !== null) this.running.traffic.onNews(news, bytes, sender);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.noteUnread(`of a Serf message from "${from}"`, { count: 1, reason: error.message });
    }
  }

  private onStreamMessage(message: StreamMessage, from: string): StreamMessage | null {
    if (this.parts === null) return null;
    switch (message.kind) {
      case "ping": {
        const isForUs = message.node === "" || message.node === this.identity.name;
        return isForUs ? { kind: "ack", seq: message.seq, payload: new Uint8Array(0) } : null;
      }
      case "push-pull": {
        const refusal = this.reasonToRefuse(message);
        const answer = this.state({ join: false });
        this.merge(message, from);
        return refusal === "" ? answer : { kind: "error", error: refusal };
      }
      case "user":
        this.onUser(message.bytes, from, null);
        return null;
      default:
        return null;
    }
  }

  /** Why a joining member is refused, or "". A refused member must know that it is not a member. */
  private reasonToRefuse({ members: sent, join }: PushPull): string {
    const [newcomer] = sent;
    const { members } = this.running;
    if (!join || sent.length !== 1 || newcomer === undefined) return "";
    const misfit = reasonNotToFit(newcomer.vsn);
    if (misfit !== "") return misfit;
    const isKnown = members.get(newcomer.name)?.isThere === true;
    return isKnown || !members.isFull ? "" : FULL;
  }

  private merge({ members, userState }: PushPull, from: string): void {
    try {
      this.serf.merge(userState);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.noteUnread(`of a push/pull with "${from}"`, { count: 1, reason: error.message });
    }
    if (this.serf.isMistaken) this.announce("join");
    this.running.members.merge(members);
  }

  // Output.

  /** Sends one datagram with `messages` and the news that fits beside them. */
  private send(to: TcpAddress, messages: readonly Uint8Array[]): void {
    if (this.port === null) return;
    const used = messages.reduce((sum, message) => {
      return sum + message.byteLength + COMPOUND_PART_BYTES;
    }, packetOverhead(this.options));
    const news = takeNews(
      [this.queue, this.running.traffic.queue],
      this.settings.packetBytesMax - used,
      {
        overhead: COMPOUND_PART_BYTES,
        countMax: COMPOUND_PARTS_MAX - messages.length,
        limit: retransmitLimit(this.settings, this.running.members.count),
      },
    );
    this.sendAlone(to, [...messages, ...news]);
  }

  /** The same without news, as memberlist sends what its user hands it (SendToAddress). */
  private sendAlone(to: TcpAddress, messages: readonly Uint8Array[]): void {
    const { port } = this;
    if (port === null || messages.length === 0) return;
    const packet = encodePacket(messages, this.options);
    this.counters.packets_sent += 1;
    this.counters.packet_bytes_sent += packet.byteLength;
    port.send(packet, packet.byteLength, this.reachable(to));
  }

  private announce(kind: "join" | "leave"): Uint8Array {
    const message = userMessage(this.serf.announce(kind));
    this.queue.add(`serf ${this.identity.name}`, message);
    return message;
  }

  private onJoin(member: Member): void {
    this.serf.onAlive(member.name);
    if (this.env.clock.now() - this.startMs < GREET_MS) this.ownNewsTo.push(member);
    this.events.onJoin(member);
  }

  private sendOwnNewsToEach(): void {
    this.ownNewsTo = this.running.members.all.filter((it) => !it.isSelf && it.isThere);
  }

  private gossip(): void {
    const { members, traffic } = this.running;
    if (this.ownNewsTo.length > 0) {
      const own = members.ownMessage();
      const messages = this.farewell === null ? [own] : [this.farewell, own];
      const next = this.ownNewsTo.splice(0, OWN_NEWS_PER_TICK);
      for (const { address } of next) this.send(address, messages);
    }
    if (this.queue.count + traffic.queue.count === 0) return;
    const deadSinceMs = this.env.clock.now() - this.settings.gossipToTheDeadMs;
    const listeners = shuffled(members.all, this.env.random)
      .filter((it) => !it.isSelf && (it.isThere || it.stateSinceMs > deadSinceMs))
      .slice(0, this.settings.gossipNodes);
    for (const member of listeners) this.send(member.address, []);
  }

  private pushPullNowAndThen(): void {
    const { random } = this.env;
    const intervalMs = pushPullMs(this.settings, this.parts?.members.count ?? 1);
    // Exponential delays, cut off at four intervals: nodes must not exchange in step.
    const delayMs = intervalMs * Math.min(4, -Math.log((1 + below(random, 65_536)) / 65_537));
    this.timers.after("push-pull", delayMs, () => {
      this.pushPullNowAndThen();
      const there = this.members().filter((member) => !member.isSelf && member.isThere);
      const member = there[below(random, there.length)];
      if (member !== undefined) void this.pushPull(member.address, null);
    });
  }

  /** Tries a dead member, or a seed that is not a member: the rest of the cluster may be there. */
  private reconnect(): void {
    const { members } = this.running;
    for (const name of members.reap()) this.serf.forget(name);
    const dead = members.all.filter((it) => it.stateCode === MEMBER_STATE.DEAD);
    const chosen = below(this.env.random, dead.length + this.seeds.length);
    const member = dead[chosen];
    const seed = this.seeds[chosen - dead.length];
    if (member !== undefined) void this.pushPull(member.address, "Cannot reach a dead member at");
    else if (seed !== undefined) void this.rejoin(seed);
  }

  /** Tries an address of a seed at which no live member is known. */
  private async rejoin(seed: TcpAddress): Promise<void> {
    const addresses = await this.seedAddresses(seed, (reason) => this.notice("warn", reason));
    if (this.port === null) return; // The cluster was stopped meanwhile.
    const there = this.running.members.all.filter((it) => it.isThere);
    const known = new Set(there.map((it) => formatAddress(this.reachable(it.address))));
    const lost = addresses.filter((address) => !known.has(formatAddress(address)));
    const address = lost[below(this.env.random, lost.length)];
    if (address !== undefined) void this.pushPull(address, "Cannot reach a node of --join at");
  }

  /** The current addresses of a seed. */
  private async seedAddresses(
    seed: TcpAddress,
    onFailure: (reason: string) => void,
  ): Promise<TcpAddress[]> {
    try {
      const hosts = await this.env.transport.lookup(seed.host);
      return hosts.map((host) => this.reachable({ ...seed, host }));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      onFailure(error.message);
      return [];
    }
  }

  /** The address as this machine reaches it: see withZoneOf. */
  private reachable(address: TcpAddress): TcpAddress {
    const host = withZoneOf(address.host, this.settings.bind.host);
    return host === address.host ? address : { ...address, host };
  }

  /** Resolves to null, or to the reason for the failure. A join is logged after `failing`. */
  private pushPull(address: TcpAddress, failing: string | null): Promise<string | null> {
    return new Promise((resolve) => {
      const fail = (reason: string): void => {
        this.counters.push_pulls_failed += 1;
        const line = `${failing} "${formatAddress(address)}": ${reason}`;
        if (failing !== null && this.port !== null) this.notice("warn", line);
        resolve(reason);
      };
      const onMessage = (answer: StreamMessage): void => {
        if (answer.kind !== "push-pull") {
          fail(answer.kind === "error" ? answer.error : `it answered with ${answer.kind}`);
          return;
        }
        this.counters.push_pulls += 1;
        this.events.onNotice("debug", `exchanged the whole state with "${formatAddress(address)}"`);
        this.merge(answer, address.host);
        resolve(null);
      };
      this.request(address, this.state({ join: failing !== null }), { onMessage, onFailure: fail });
    });
  }

  /** See Streams.request. */
  private request(address: TcpAddress, ...rest: Rest<Parameters<Streams["request"]>>): void {
    this.streams.request(this.reachable(address), ...rest);
  }

  private state({ join }: { join: boolean }): PushPull {
    const { members } = this.running;
    const left = members.all.filter((it) => it.stateCode === MEMBER_STATE.LEFT);
    const userState = this.serf.state(left.map((member) => member.name));
    return { kind: "push-pull", members: members.snapshot(), userState, join };
  }

  // Start.

  private async bind(): Promise<TcpAddress> {
    const { bind } = this.settings;
    for (let attempt = 1; ; attempt += 1) {
      const address = parseAddress(await this.streams.listen(bind)) as TcpAddress;
      try {
        this.port = await this.env.transport.bind(address, (bytes, from) => {
          this.onDatagram(bytes, from);
        });
        return address;
      } catch (error) {
        this.streams.stop();
        const isTaken = error instanceof RamsterError && error.code === "ADDRESS_IN_USE";
        if (!isTaken || bind.port !== 0 || attempt === BIND_ATTEMPTS) throw error;
      }
    }
  }

  /** The IP address at which others reach this node. */
  private async advertised(bound: TcpAddress): Promise<TcpAddress> {
    const { advertise } = this.settings;
    if (advertise !== null)
      return advertise.port === 0 ? { ...advertise, port: bound.port } : advertise;
    if (ipBytes(bound.host) !== null) return bound;
    const [host] = await this.env.transport.lookup(bound.host);
    if (host === undefined) throw notAnAddress(bound.host);
    return { ...bound, host };
  }

  private every(name: string, periodMs: number, work: () => void): void {
    this.timers.every(name, below(this.env.random, periodMs), periodMs, work);
  }

  /** Logs a warning once in NOTICE_QUIET_MS. */
  private notice(level: LogLevel, line: string): void {
    if (level !== "warn" || this.isNews(line)) this.events.onNotice(level, line);
  }

  private isNews(line: string): boolean {
    const now = this.env.clock.now();
    if (now - (this.noticedAtMs.get(line) ?? Number.NEGATIVE_INFINITY) < NOTICE_QUIET_MS)
      return false;
    for (const [notice, atMs] of this.noticedAtMs) {
      if (now - atMs >= NOTICE_QUIET_MS) this.noticedAtMs.delete(notice);
    }
    if (this.noticedAtMs.size >= NOTICES_MAX) return false;
    this.noticedAtMs.set(line, now);
    return true;
  }
}

/** Different warnings in NOTICE_QUIET_MS. Malformed gossip must not flood the log. */
const NOTICES_MAX = 32;

/** A decoder's error message without its prefix. */
function withoutPrefix(message: string): string {
  return message.replace(/^Cannot \w+ gossip: /, "");
}

function notAnAddress(host: string): ConfigError {
  return new ConfigError("BAD_CONFIG", `Cannot gossip at "${host}": it is not an IP address`);
}
