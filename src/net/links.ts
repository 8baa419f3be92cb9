/**
 * Links: keeps at most one link with each peer. It dials when there is something to send, and takes
 * the connections that others make.
 *
 *     want(node) --> dial --refused, lost--> back-off --> dial ...   until up, or unwant(node)
 *     accept --> unidentified (admission.ts, with a deadline) --HELLO--> the peer's link
 *
 * When a HELLO arrives and there is already a link with that peer, or a dial to it:
 *   - The boot id differs: the peer has restarted. The new link stays.
 *   - The same side dialled both: the new link stays, since that side would not dial if it still
 *     had the old one.
 *   - Different sides dialled: the link that the HIGHER node number dialled stays, and the other
 *     gets a GOODBYE. The link that stays is probed, so that a dead one cannot keep the peer out.
 *   - There is only a dial of this side that has not sent HELLO: the dial is given up, whichever
 *     number is higher, since nothing depends on it yet.
 *
 * Invariants:
 *   1. A peer has at most one link that is UP, and onLinkUp / onLinkDown alternate for each node.
 *   2. A peer with a link, a dial or an unreachable address has at most one timer here, and none
 *      when it is not wanted.
 *   3. After `stop` has resolved there are no streams, no timers and no listeners.
 *
 * Not here: messages of peers (src/ramster), who is alive (src/cluster), clients (src/doors).
 */
import { assert } from "../core/assert.ts";
import { BufferPool } from "../core/buffer-pool.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { quoted } from "../core/errors.ts";
import {
  HANDSHAKE_TIMEOUT_MS,
  IDLE_MS_DEFAULT,
  KEEPALIVE_MS_DEFAULT,
  NODES_MAX,
  PAGE_BYTES,
  REDIAL_MS_MAX,
  REDIAL_MS_MIN,
  UNUSED_MS_DEFAULT,
} from "../core/limits.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Memory } from "../core/memory.ts";
import type { NodeNames } from "../core/node-names.ts";
import { printable } from "../core/printable.ts";
import type { Random } from "../core/random.ts";
import type { Frame } from "../wire/framer.ts";
import { type Hello, ROLE } from "../wire/handshake.ts";
import { GOODBYE, isPeerMessage } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { type Address, formatAddress } from "./address.ts";
import { Admission } from "./admission.ts";
import { backoffMs } from "./backoff.ts";
import type { Channel } from "./channel.ts";
import { LinkCounters } from "./counters.ts";
import { DOOR_LIMITS, type DoorLimits } from "./door-limits.ts";
import { LINK_STATE, Link, type LinkOwner, type LinkState, type Refusal } from "./link.ts";
import type { Listener, Stream, StreamEvents, Transport } from "./transport.ts";

export interface LinksEnv {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly random: Random;
  readonly memory: Memory;
  readonly limits?: DoorLimits;
  /** Names of peers, in notices and reasons. The links add those that they learn. */
  readonly names: NodeNames;
}

/** The identity of this node in its HELLO. */
export interface LinksIdentity {
  readonly node: number;
  readonly bootId: bigint;
  readonly clusterName: string;
  readonly nodeName: string;
  /** Bit `id` is set for each codec that this node can decompress. */
  readonly codecs: number;
  /** The features that the node requests in its HELLO: see FEATURE. */
  readonly features?: number;
}

/** The settings that may change. */
export interface LinkTimes {
  readonly keepaliveMs: number;
  readonly idleMs: number;
  readonly unusedMs: number;
  readonly redialMaxMs: number;
}

export interface LinksSettings extends LinkTimes {
  readonly handshakeMs: number;
  readonly redialMinMs: number;
  /** Accepts any node number. Such a peer is known by its number only, and is never dialled. */
  readonly acceptUnknownPeers: boolean;
}

const LINKS_DEFAULTS: LinksSettings = {
  keepaliveMs: KEEPALIVE_MS_DEFAULT,
  idleMs: IDLE_MS_DEFAULT,
  handshakeMs: HANDSHAKE_TIMEOUT_MS,
  unusedMs: UNUSED_MS_DEFAULT,
  redialMinMs: REDIAL_MS_MIN,
  redialMaxMs: REDIAL_MS_MAX,
  acceptUnknownPeers: false,
};

export interface LinkHandler {
  /**
   * `channelOf(node)` returns `channel` from now on. If the boot id is not that of the last link,
   * the peer has lost its pages. `features` is what the peer requests.
   */
  onLinkUp(node: number, bootId: bigint, channel: Channel, features: number): void;
  /** All outstanding requests are completed. `channelOf(node)` returns null from now on. */
  onLinkDown(node: number, reason: string): void;
  /** The node leaves for good, under this boot id. Called before its `onLinkDown`. */
  onLeft?(node: number, bootId: bigint): void;
  /** See ChannelHandler.onRequest. */
  onRequest(node: number, channel: Channel, frame: Frame): void;
  /** There may be room again on the link after `begin` or `commitRequest` has failed. */
  onRoom?(node: number, channel: Channel): void;
  /** One line for the log: a refused peer, a failed dial, a stranger. */
  onNotice?(level: LogLevel, line: string): void;
}

/** What reports show about a peer. */
export interface PeerReport {
  readonly node: number;
  readonly name: string;
  readonly address: string;
  readonly state: LinkState | "waiting" | "idle";
  /** The boot id of the last link. Null before the first link. */
  readonly bootId: bigint | null;
  /** Why the last dial failed. Empty if none has failed since the last link. */
  readonly failure: string;
  readonly counters: LinkCounters;
}

class Peer {
  readonly node: number;
  readonly counters = new LinkCounters();
  bootId: bigint | null = null;
  /** Null for a peer that connected by itself. */
  address: Address | null = null;
  /** The name in the last HELLO of the peer. */
  name = "";
  /** The name that the peer must have. Null: any name. */
  expectedName: string | null = null;
  /** The link that is UP. */
  link: Link | null = null;
  /** A dialled link that is not UP yet. */
  dial: Link | null = null;
  wanted = false;
  retryTimer: TimerId | null = null;
  /** How many dials in a row have failed. */
  attempt = 0;
  notBeforeMs = 0;
  upAtMs = 0;
  /** The last warning about the peer. A repeated failure is logged at "debug" only. */
  lastNotice = "";
  failure = "";

  constructor(node: number) {
    this.node = node;
  }
}

export class Links implements LinkOwner {
  /** Counters of connections that were never identified as a peer's. */
  readonly strangers = new LinkCounters();
  private readonly env: LinksEnv & { readonly pool: BufferPool };
  private identity: LinksIdentity;
  private settings: LinksSettings;
  private readonly handler: LinkHandler;
  private hello: Hello;
  private readonly byNode = new Map<number, Peer>();
  private readonly listeners: Listener[] = [];
  private readonly unidentified = new Map<Link, Stream>();
  private readonly admission: Admission;
  /** Every link whose stream is not closed. */
  private readonly all = new Set<Link>();
  private isStopping = false;
  private onAllGone: (() => void) | null = null;

  constructor(
    env: LinksEnv,
    identity: LinksIdentity,
    settings: Partial<LinksSettings>,
    handler: LinkHandler,
  ) {
    this.env = { ...env, pool: new BufferPool() };
    this.identity = identity;
    this.settings = { ...LINKS_DEFAULTS, ...settings };
    this.handler = handler;
    this.admission = new Admission(env.clock, {
      door: "peer port",
      slots: (env.limits ?? DOOR_LIMITS).handshakes,
      isKnown: (host) => this.isPeerHost(host),
      onNotice: (line) => this.notice("warn", line),
    });
    const { keepaliveMs, idleMs } = this.settings;
    assert(keepaliveMs < idleMs, "keepalive must be shorter than idle");
    const { node, bootId, clusterName, nodeName, codecs } = identity;
    const names = { clusterName, nodeName };
    const times = { keepaliveMs, idleMs };
    const role = ROLE.PEER;
    this.hello = {
      role,
      pageBytes: PAGE_BYTES,
      node,
      bootId,
      features: identity.features ?? 0,
      codecs,
      ...times,
      ...names,
    };
  }

  /** Sets the number of this node, which it may get late. No link has been made before. */
  setNode(node: number): void {
    assert(this.all.size === 0 && !this.byNode.has(node), "the number of a node is final");
    this.identity = { ...this.identity, node };
    this.hello = { ...this.hello, node };
  }

  /** Listens for peers. @returns the address with its real port. Rejects as Transport.listen. */
  async listen(address: Address): Promise<string> {
    const listener = await this.env.transport.listen(address, (stream) => this.accept(stream));
    if (this.isStopping) listener.close();
    else this.listeners.push(listener);
    return listener.address;
  }

  /**
   * Makes `node` a peer, or changes its address for the next dial. `name` is the name that the peer
   * must have, or null for any. It keeps two nodes with the same number apart.
   */
  setPeer(node: number, address: Address, name: string | null = null): void {
    assert(node !== this.identity.node, "a node cannot be its own peer");
    const peer = this.peer(node);
    peer.address = address;
    peer.expectedName = name;
    if (name !== null) this.env.names.note(node, name);
    this.dialWhenDue(peer);
  }

  /**
   * There is reason to think that the node is back. Forgets its failures, and probes its link if
   * there is one.
   */
  forgetFailures(node: number): void {
    const peer = this.byNode.get(node);
    if (peer === undefined) return;
    peer.attempt = 0;
    peer.notBeforeMs = 0;
    if (peer.link?.state === LINK_STATE.UP) peer.link.probe();
    this.cancelRetry(peer);
    this.dialWhenDue(peer);
  }

  /** Sets the times of links that are made from now on. */
  setTimes(times: Partial<LinkTimes>): void {
    this.settings = { ...this.settings, ...times };
    const { keepaliveMs, idleMs } = this.settings;
    assert(keepaliveMs < idleMs, "keepalive must be shorter than idle");
    this.hello = { ...this.hello, keepaliveMs, idleMs };
  }

  /** Closes the link to `node` and forgets it. */
  removePeer(node: number): void {
    const peer = this.byNode.get(node);
    if (peer === undefined) return;
    this.unwant(node);
    this.byNode.delete(node);
    const reason = `${this.env.names.of(node)} is no longer a peer`;
    peer.dial?.goodbye(GOODBYE.REMOVED, reason);
    peer.link?.goodbye(GOODBYE.REMOVED, reason);
  }

  peers(): PeerReport[] {
    return [...this.byNode.values()].map((peer) => ({
      node: peer.node,
      name: peer.name,
      address: peer.address === null ? "" : formatAddress(peer.address),
      state: stateOf(peer),
      bootId: peer.bootId,
      failure: peer.failure,
      counters: peer.counters,
    }));
  }

  isPeer(node: number): boolean {
    return this.byNode.has(node);
  }

  /** The established channel to `node`, or null. */
  channelOf(node: number): Channel | null {
    const link = this.byNode.get(node)?.link ?? null;
    return link?.channel.isOpen === true ? link.channel : null;
  }

  /**
   * There is something to send to `node`. Dials with back-off until the link is up, or until
   * `unwant` is called. Call `want` again after onLinkDown. Does nothing for a node without an
   * address.
   */
  want(node: number): void {
    const peer = this.byNode.get(node);
    if (peer === undefined || peer.wanted || peer.link !== null || this.isStopping) return;
    peer.wanted = true;
    this.dialWhenDue(peer);
  }

  /**
   * There is nothing to send any more. A dial under way may still succeed, but no other follows.
   */
  unwant(node: number): void {
    const peer = this.byNode.get(node);
    if (peer === undefined) return;
    peer.wanted = false;
    this.cancelRetry(peer);
  }

  /** Closes everything with a goodbye. Resolves when all streams are closed. */
  stop(): Promise<void> {
    this.isStopping = true;
    for (const listener of this.listeners.splice(0)) listener.close();
    for (const peer of this.byNode.values()) {
      peer.wanted = false;
      this.cancelRetry(peer);
    }
    const gone = new Promise<void>((resolve) => (this.onAllGone = resolve));
    for (const link of [...this.all]) {
      link.goodbye(GOODBYE.LEFT, `${quoted(this.identity.nodeName)} is stopping`);
    }
    this.checkAllGone();
    return gone;
  }

  // Dialling.

  private dialWhenDue(peer: Peer): void {
    if (!peer.wanted || peer.link !== null || peer.dial !== null || this.isStopping) return;
    if (peer.address === null || peer.retryTimer !== null) return;
    const delayMs = peer.notBeforeMs - this.env.clock.now();
    if (delayMs <= 0) return this.dial(peer, peer.address);
    peer.retryTimer = this.env.clock.after(delayMs, () => {
      peer.retryTimer = null;
      this.dialWhenDue(peer);
    });
  }

  private dial(peer: Peer, address: Address): void {
    peer.counters.dials += 1;
    this.notice("debug", `dialling ${this.env.names.of(peer.node)} at "${formatAddress(address)}"`);
    const { handshakeMs, unusedMs } = this.settings;
    const options = { handshakeMs, unusedMs, counters: peer.counters };
    const link = Link.dial(this.env, address, this.hello, this, options);
    peer.dial = link;
    this.all.add(link);
  }

  private backOff(peer: Peer): void {
    const bounds = { minMs: this.settings.redialMinMs, maxMs: this.settings.redialMaxMs };
    const delayMs = backoffMs(peer.attempt, this.env.random.u32(), bounds);
    peer.attempt += 1;
    peer.notBeforeMs = this.env.clock.now() + delayMs;
  }

  private cancelRetry(peer: Peer): void {
    if (peer.retryTimer !== null) this.env.clock.cancel(peer.retryTimer);
    peer.retryTimer = null;
  }

  // Accepting.

  private accept(stream: Stream): StreamEvents | null {
    if (this.isStopping) return null;
    const { handshakeMs, unusedMs } = this.settings;
    const options = { handshakeMs, unusedMs, counters: new LinkCounters() };
    const link = Link.accept(this.env, this.hello, this, options);
    this.admission.enter(stream, {
      close: () => stream.terminate(),
      isSilent: () => link.channel.progress === 0,
    });
    this.unidentified.set(link, stream);
    this.all.add(link);
    return link.channel;
  }

  /** Connections that were closed because too many were unidentified. */
  get connectionsRefused(): number {
    return this.admission.closedCount;
  }

  private isPeerHost(host: string): boolean {
    for (const { address } of this.byNode.values()) {
      if (address?.kind === "tcp" && address.host === host) return true;
    }
    return false;
  }

  /**
   * The link is identified, or gone. @returns whether it was closed because its slot was needed.
   */
  private leaveUnidentified(link: Link): boolean {
    const stream = this.unidentified.get(link);
    if (stream === undefined) return false;
    this.unidentified.delete(link);
    return !this.admission.leave(stream);
  }

  // Link events.

  onHello(link: Link, hello: Hello): Refusal | null {
    const refusal = this.invalidPeer(link, hello);
    if (refusal !== null || this.isStopping) return refusal ?? STOPPING;
    const peer = this.peer(hello.node);
    const rival = peer.link ?? (peer.dial === link ? null : peer.dial);
    if (rival === null) return null;
    if (!this.isReplacedBy(rival, link, hello)) {
      if (rival.state === LINK_STATE.UP) rival.probe();
      link.counters.duplicates_closed += 1;
      return { code: GOODBYE.DUPLICATE, reason: "there is a link between us already" };
    }
    if (rival.hello !== null && rival.hello.bootId !== hello.bootId) {
      this.notice("info", `Node ${peer.node} has restarted: its link is replaced`);
    }
    if (rival === peer.dial) peer.dial = null;
    peer.counters.duplicates_closed += 1;
    rival.goodbye(GOODBYE.DUPLICATE, "replaced by another link between us");
    return null;
  }

  onUp(link: Link): void {
    const peer = this.peerOf(link);
    assert(peer !== null && link.hello !== null && peer.link === null);
    if (peer.dial === link) peer.dial = null;
    if (this.unidentified.has(link)) {
      this.leaveUnidentified(link);
      peer.counters.add(link.counters);
      link.channel.counters = peer.counters;
    }
    peer.link = link;
    peer.name = printable(link.hello.nodeName);
    this.env.names.note(peer.node, peer.name);
    peer.bootId = link.hello.bootId;
    peer.upAtMs = this.env.clock.now();
    peer.wanted = false;
    peer.lastNotice = "";
    peer.failure = "";
    peer.counters.links_up += 1;
    this.cancelRetry(peer);
    const { bootId, features } = link.hello;
    this.handler.onLinkUp(peer.node, bootId, link.channel, features);
  }

  onRequest(link: Link, frame: Frame): void {
    const peer = this.peerOf(link);
    if (peer === null || !isPeerMessage(frame.type)) {
      link.channel.replyFailed(frame, TRANSPORT_STATUS.NO_HANDLER);
      return;
    }
    this.handler.onRequest(peer.node, link.channel, frame);
  }

  onRoom(link: Link): void {
    const peer = this.peerOf(link);
    if (peer !== null) this.handler.onRoom?.(peer.node, link.channel);
  }

  onDown(link: Link, reason: string): void {
    if (this.unidentified.has(link)) {
      this.strangers.add(link.counters);
      const remote = this.unidentified.get(link)?.remote;
      const hasMadeWay = this.leaveUnidentified(link);
      this.notice(hasMadeWay ? "debug" : "warn", `Closed a connection from "${remote}": ${reason}`);
      return;
    }
    for (const peer of this.byNode.values()) {
      if (peer.dial === link) return this.onDialDown(peer, link, reason);
      if (peer.link === link) return this.onPeerDown(peer, link, reason);
    }
    // The peer was removed, or the dial was replaced by another link.
    const node = link.wasUp ? link.hello?.node : undefined;
    if (node !== undefined) this.handler.onLinkDown(node, reason);
  }

  onGone(link: Link): void {
    this.all.delete(link);
    this.checkAllGone();
  }

  private onDialDown(peer: Peer, link: Link, reason: string): void {
    peer.dial = null;
    if (this.isStopping) return;
    this.backOff(peer);
    // The other side keeps the link that it dialled itself, so nothing has failed.
    if (link.goodbyeCode !== GOODBYE.DUPLICATE) {
      peer.counters.dials_failed += 1;
      peer.failure = reason;
      const name = this.env.names.of(peer.node);
      const line = `Cannot link to ${name} at "${link.channel.remote}": ${reason}`;
      this.notice(line === peer.lastNotice ? "debug" : "warn", line);
      peer.lastNotice = line;
    }
    this.dialWhenDue(peer);
  }

  private onPeerDown(peer: Peer, { goodbyeCode, hello }: Link, reason: string): void {
    peer.link = null;
    peer.counters.links_down += 1;
    // A link that was up for long is not a failed attempt. A link that fails at once is one.
    const lastedMs = this.env.clock.now() - peer.upAtMs;
    if (lastedMs >= this.settings.redialMaxMs) peer.attempt = 0;
    this.backOff(peer);
    const hasLeft = goodbyeCode === GOODBYE.LEFT && !this.isStopping;
    if (hasLeft && hello !== null) this.handler.onLeft?.(peer.node, hello.bootId);
    this.handler.onLinkDown(peer.node, reason);
  }

  // Rules.

  /** @returns why the other side is refused, or null if it may be a peer and was expected. */
  private invalidPeer(link: Link, hello: Hello): Refusal | null {
    const refuse = (reason: string): Refusal => ({ code: GOODBYE.REFUSED, reason });
    if (hello.role !== ROLE.PEER) return refuse("this address is for peers, not for clients");
    if (hello.node >= NODES_MAX)
      return refuse(`node number ${hello.node} is over ${NODES_MAX - 1}`);
    if (hello.node === this.identity.node) {
      return refuse(`node number ${hello.node} is taken: two nodes claim it`);
    }
    const expected = this.byNode.get(hello.node)?.expectedName ?? null;
    if (expected !== null && expected !== hello.nodeName) {
      const name = printable(hello.nodeName);
      return refuse(`node number ${hello.node} belongs to "${expected}", not to "${name}"`);
    }
    if (link.isDialled) {
      const dialled = this.dialledNode(link);
      if (dialled === hello.node) return null;
      return refuse(`expected node ${dialled} there, found node ${hello.node}`);
    }
    if (this.byNode.has(hello.node) || this.settings.acceptUnknownPeers) return null;
    return refuse(`node ${hello.node} is not one of the peers of node ${this.identity.node}`);
  }

  /** Whether `link`, whose HELLO has just come, replaces `rival`. See the rules at the top. */
  private isReplacedBy(rival: Link, link: Link, hello: Hello): boolean {
    if (rival.state === LINK_STATE.DIALLING) return true;
    if (rival.hello !== null && rival.hello.bootId !== hello.bootId) return true;
    if (rival.isDialled === link.isDialled) return true;
    const higherIsUs = this.identity.node > hello.node;
    return link.isDialled === higherIsUs;
  }

  private dialledNode(link: Link): number {
    for (const peer of this.byNode.values()) if (peer.dial === link) return peer.node;
    return -1;
  }

  private peerOf(link: Link): Peer | null {
    return link.hello === null ? null : (this.byNode.get(link.hello.node) ?? null);
  }

  private peer(node: number): Peer {
    let peer = this.byNode.get(node);
    if (peer === undefined) {
      peer = new Peer(node);
      this.byNode.set(node, peer);
    }
    return peer;
  }

  private checkAllGone(): void {
    if (this.onAllGone === null || this.all.size > 0) return;
    this.onAllGone();
    this.onAllGone = null;
  }

  private notice(level: LogLevel, line: string): void {
    this.handler.onNotice?.(level, line);
  }
}

const STOPPING: Refusal = { code: GOODBYE.STOPPING, reason: "this node is stopping" };

function stateOf(peer: Peer): PeerReport["state"] {
  const link = peer.link ?? peer.dial;
  if (link !== null) return link.state;
  return peer.wanted ? "waiting" : "idle";
}
