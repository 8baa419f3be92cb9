/**
 * Node: one node of the cluster, built from its parts. A memory server is a node that keeps no
 * pages of its own and only lends. There is no other difference.
 *
 *     doors --> Ramster (own pages) --> Links <-- Foreign (pages of other nodes)
 *
 * At the start it listens for peers and then for clients, so that no client is served before pages
 * can move. It stops in the reverse order.
 */

import type { Recompressor } from "../cold/recompressor.ts";
import { ownerSeed } from "../compress/checksum.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { assert } from "../core/assert.ts";
import { type Buggify, NEVER } from "../core/buggify.ts";
import type { Clock } from "../core/clock.ts";
import type { Disk } from "../core/disk.ts";
import type { HostMemory } from "../core/host-memory.ts";
import { FAREWELL_MS, LEFT_GRACE_MS, PAGE_BYTES } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { ClientDoor, type ClientDoorSettings } from "../doors/client-door.ts";
import { HttpDoor } from "../doors/http-door.ts";
import { type KernelAccess, NbdDoor } from "../exports/nbd-door.ts";
import { Live } from "../monitoring/live.ts";
import { Watch } from "../monitoring/watch.ts";
import { type Address, parseAddress, type TcpAddress } from "../net/address.ts";
import { type Channel, LANE } from "../net/channel.ts";
import type { DoorLimits } from "../net/door-limits.ts";
import { isWildcard, withoutZone } from "../net/ip.ts";
import { type LinkHandler, Links } from "../net/links.ts";
import type { TlsMaterial, Transport } from "../net/transport.ts";
import { Foreign, NEVER_REMOTE } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { Active } from "../standby/active.ts";
import type { Frame } from "../wire/framer.ts";
import { FEATURE, ROLE } from "../wire/handshake.ts";
import { MESSAGE } from "../wire/messages.ts";
import { type OfferBody, readOffer } from "../wire/offer.ts";
import { readGrant } from "../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { Zcache } from "../zcache/zcache.ts";
import { NodeAdmin } from "./admin.ts";
import { newBootId } from "./boot-id.ts";
import { type Certificate, CertificateWatch } from "./certificate-watch.ts";
import {
  CODECS_TAKEN,
  type LiveConfig,
  type NodeConfig,
  type NumberedConfig,
  UNNUMBERED,
} from "./config.ts";
import { Drain } from "./drain.ts";
import { Graces } from "./graces.ts";
import type { KeptNode } from "./kept-node.ts";
import { Lending } from "./lending.ts";
import {
  inSteps,
  type LocalState,
  type Membership,
  type MembershipEvents,
  type NodeSeen,
} from "./membership.ts";
import { Nowhere } from "./nowhere.ts";
import { Offers } from "./offers.ts";
import { dropOthers, openCipher, openRamster, takeOver } from "./open-ramster.ts";
import { openPort, openPorts } from "./ports.ts";
import { storeOptions } from "./store-options.ts";

export interface NodeEnvironment {
  clock: Clock;
  transport: Transport;
  random: Random;
  memory: Memory;
  /** The memory of the machine. A lender keeps a reserve of it free. */
  hostMemory: HostMemory;
  log: Log;
  /** The disk for pages that no lender takes, or null. Closed when the node stops. */
  disk: Disk | null;
  /** Compresses cold pages again, or null. Closed when the node stops. */
  recompressor?: Recompressor | null;
  /** The certificate of the links, if there is a key. */
  certificate?: Certificate;
  /** How many connections each door accepts. Default: the limits of core/limits.ts. */
  limits?: DoorLimits;
  /** For protocols that start TLS themselves: plain streams, and the certificate. */
  plain?: { transport: Transport; tls: TlsMaterial };
  /** Bytes that this machine's kernel swaps on exports, by their names. */
  swapUse?: () => ReadonlyMap<string, number>;
  /** The nbd devices of this machine's kernel. Null: they cannot be used. */
  kernel?: KernelAccess | null;
  /** What outlives the process. Null: nothing does. */
  kept?: KeptNode | null;
  /** What its standby sees of this process. Null: there is none, and no standby. */
  active?: Active | null;
  /** Used only in a simulation (core/buggify.ts). */
  buggify?: Buggify;
}

const FAREWELL_POLL_MS = 20;

/** The addresses at which a node listens, with real ports. */
export interface Listening {
  listen: string;
  http: string | null;
  clients: string[];
  nbd: string[];
}

export class Node implements LinkHandler, MembershipEvents {
  readonly bootId: bigint;
  readonly ramster: Ramster;
  /** Null on a node that lends nothing. */
  readonly foreign: Foreign | null;
  readonly lending: Lending | null;
  readonly links: Links;
  readonly drain: Drain;
  readonly nowhere: Nowhere;
  private readonly live: Live;
  private readonly watch: Watch;
  readonly offers: Offers;
  readonly admin: NodeAdmin;
  private readonly certificate: CertificateWatch | null;
  private readonly clientDoorSettings: ClientDoorSettings;
  readonly door: ClientDoor;
  readonly nbdDoor: NbdDoor;
  readonly httpDoor: HttpDoor;
  /** The settings in force. */
  readonly config: Readonly<LiveConfig>;
  private readonly membership: Membership | null;
  private readonly kept: KeptNode | null;
  private readonly active: Active | null;
  private readonly log: Log;
  private readonly clock: Clock;
  /** The boot id of the last link or news of each node. */
  private readonly bootIds = new Map<number, bigint>();
  /** The timers of nodes that are gone. When one fires, the node's pages here are dropped. */
  private readonly graces: Graces;
  /** How each node that is gone went: whether it died or left. */
  private readonly goneBy = new Map<number, "dead" | "left">();
  private listenAddress = "";
  private hasPages = false;

  /**
   * Nothing is listening yet. `codecs` are by id. Without a number in `config`, `setNumber` must
   * follow. `membership` null: `--peers` names the peers.
   */
  constructor(
    env: NodeEnvironment,
    start: NodeConfig,
    codecs: readonly Codec[],
    membership: Membership | null = null,
  ) {
    const config: LiveConfig = { ...start, number: start.number ?? UNNUMBERED };
    this.config = config;
    this.membership = membership;
    const { clock, log } = env;
    this.clock = clock;
    this.log = log;
    this.kept = env.kept ?? null;
    this.active = env.active ?? null;
    this.graces = new Graces(clock);
    this.bootId = membership?.bootId ?? this.kept?.bootId ?? newBootId(env.random);
    const codec = codecs[config.codec === "raw" ? CODEC.RAW : CODEC.LZ4];
    assert(codec !== undefined, "a node has the codecs raw and lz4");
    const seed = ownerSeed(this.bootId);
    const buggify = env.buggify ?? NEVER;
    const cipher = openCipher(config, env.random, this.kept);
    const features = membership === null || config.peers.length > 0 ? FEATURE.OFFERS : 0;
    const { names } = env.log;
    this.links = new Links(
      { ...env, names },
      { ...this.identity(), features },
      linkSettings(config),
      this,
    );
    const own = { ...env, peers: this.links, codec, codecs, seed, cipher, buggify };
    this.ramster = openRamster(own, config, this.kept);
    const want = (node: number): void => this.links.want(node);
    this.foreign = openForeign({ ...env, codec, codecs, seed, want, buggify }, config, this.kept);
    const announce = (): void => membership?.announceNow();
    const { ramster, foreign } = this;
    const lends = foreign === null ? null : { ...env, foreign, announce };
    this.lending = lends === null ? null : new Lending(lends, config);
    const { lending } = this;
    this.nowhere = new Nowhere({ ramster, links: this.links }, config);
    this.live = new Live(clock);
    const peers = [...config.peers];
    const offerOf = (): OfferBody => this.offer();
    this.offers = new Offers({ clock, log, ramster, links: this.links, offerOf }, peers, config);
    this.drain = new Drain({ clock, log, ramster, foreign, lending });
    const { transport, tls } = env.plain ?? { transport: env.transport, tls: null };
    this.nbdDoor = new NbdDoor({ ...env, ramster, transport, tls }, config);
    this.httpDoor = new HttpDoor({ clock, transport, log }, this.live, () => this.admin.snapshot());
    const { certificate } = env;
    this.certificate = certificate === undefined ? null : new CertificateWatch(env, certificate);
    for (const peer of peers) this.links.setPeer(peer.number, peer.address);
    const { putWaitMs, maxClients } = config;
    const clientDoorSettings = { hello: this.doorHello(), putWaitMs, maxClients };
    this.clientDoorSettings = clientDoorSettings;
    this.admin = new NodeAdmin({
      config,
      codec: config.role === "server" ? null : codec,
      bootId: this.bootId,
      ramster: this.ramster,
      foreign: this.foreign,
      lending: this.lending,
      drain: this.drain,
      nowhere: this.nowhere,
      events: this.live.events,
      offers: this.offers,
      nbdDoor: this.nbdDoor,
      httpDoor: this.httpDoor,
      clientDoorSettings,
      links: this.links,
      log,
      hostMemory: env.hostMemory,
      membership,
      peers,
      certificate: this.certificate,
      active: this.active,
      listenAddress: () => this.listenAddress,
    });
    this.watch = new Watch({ ...env, live: this.live }, () => this.admin.snapshot());
    this.door = new ClientDoor({ ...env, ramster, admin: this.admin }, clientDoorSettings);
  }

  /** The number that the cluster gave to this node, before it starts. */
  setNumber(number: number): void {
    Object.assign(this.config, { number });
    this.links.setNode(number);
    this.clientDoorSettings.hello = this.doorHello();
  }

  /** Where it listens for programs by default, found before it starts. */
  setClients(clients: readonly Address[]): void {
    Object.assign(this.config, { clients });
  }

  /**
   * Takes over the pages that a predecessor left, if there is one. Exports take theirs of them. Is
   * called once, before `start` or by it, and after `setNumber`. Throws RamsterError
   * BAD_KEPT_MEMORY.
   */
  takeOver(): void {
    assert(!this.hasPages);
    this.hasPages = true;
    const { kept } = this;
    if (kept !== null) {
      takeOver(kept, this.ramster, this.log);
      kept.number = this.config.number;
    }
    this.nbdDoor.openExports();
  }

  /** A stop begins: what pages of this node lack is not reported any more. */
  beginStop(): void {
    this.active?.stop();
    this.httpDoor.isReady = false;
    this.watch.stop();
  }

  /** @returns where it listens, with real ports. Rejects when an address is taken. */
  async start(): Promise<Listening> {
    const { config, links, door, nbdDoor, httpDoor } = this;
    if (!this.hasPages) this.takeOver();
    const httpAddresses = config.http === null ? [] : [config.http];
    const [http = null] = await openPorts("http", httpAddresses, (it) => httpDoor.listen(it));
    let clients: string[];
    let nbd: string[];
    try {
      this.listenAddress = await openPort("listen", config.listen, (it) => links.listen(it));
      clients = await openPorts("client", config.clients ?? [], (it) => door.listen(it));
      nbd = await openPorts("nbd", config.nbd, (it) => nbdDoor.listen(it));
    } catch (error) {
      // Other programs would take a leftover socket for that of a running node.
      await this.door.stop();
      await this.nbdDoor.stop();
      await this.httpDoor.stop();
      throw error;
    }
    dropOthers(this.ramster, this.log);
    this.ramster.start();
    this.certificate?.start();
    this.membership?.attach(this, () => this.localState());
    this.lending?.start();
    this.watch.start();
    this.offers.start();
    this.httpDoor.isReady = true;
    if (this.kept?.memory.isSucceeding === true) this.nbdDoor.devices?.takeOver();
    else this.nbdDoor.devices?.noteStrangers();
    await this.active?.listen();
    return { listen: this.listenAddress, http, clients, nbd };
  }

  /**
   * Stops clients first, then gossip, then links, and monitoring last. Resolves when no stream is
   * open. Memory is given back to the operating system.
   */
  async stop(): Promise<void> {
    this.beginStop();
    await this.door.stop();
    await this.nbdDoor.stop();
    this.graces.stop();
    this.goneBy.clear();
    this.certificate?.stop();
    await this.membership?.leave();
    this.ramster.stop();
    this.lending?.stop();
    this.offers.stop();
    // Without gossip, the holders of its pages learn only on links that it stops.
    if (this.membership === null) await this.reachHolders();
    await this.links.stop();
    await this.httpDoor.stop();
    // Work that waits for the end of the turn still needs the memory.
    await new Promise<void>((resolve) => this.clock.soon(resolve));
    this.ramster.close();
    this.foreign?.close();
  }

  /**
   * Makes links to the holders of its pages, as far as they answer, so that each learns that it
   * stops.
   */
  private async reachHolders(): Promise<void> {
    const { clock, links, ramster } = this;
    const untilMs = clock.now() + FAREWELL_MS;
    const isMissing = (node: number): boolean => links.channelOf(node) === null;
    for (const node of ramster.holders()) links.want(node);
    while (clock.now() < untilMs && ramster.holders().some(isMissing)) {
      await new Promise<void>((resolve) => void clock.after(FAREWELL_POLL_MS, resolve));
    }
  }

  // Membership events.

  onNode(seen: NodeSeen): void {
    const { number, name, address, zone, tags } = seen;
    this.nowhere.noteNode(number, seen);
    this.goneBy.delete(number);
    this.offers.gossips(number);
    this.links.setPeer(number, address, name);
    this.graces.end(number);
    this.noteBootId(number, tags.bootId);
    const { lendFrames, freeFrames } = tags;
    if (lendFrames > 0) this.ramster.setLender(number, { lendFrames, freeFrames, zone });
    else this.ramster.removeLender(number);
  }

  /**
   * A node runs with this boot id. After a restart, its pages here are useless and its copies are
   * gone.
   */
  private noteBootId(number: number, bootId: bigint): void {
    if (this.bootIds.get(number) === bootId) return;
    this.bootIds.set(number, bootId);
    this.links.forgetFailures(number);
    this.dropOfEarlierBoot(number);
    this.ramster.holderBooted(number, bootId);
  }

  private dropOfEarlierBoot(number: number): void {
    const bootId = this.bootIds.get(number);
    if (bootId === undefined) return;
    const count = this.foreign?.ownerBooted(number, bootId) ?? 0;
    if (count === 0) return;
    this.logDropped("warn", number, `it has restarted, ${count} pages`);
  }

  /**
   * The foreign pages of a node that left are garbage, since its index is gone. The copies that it
   * had are lost. A link to it stays until the node ends it, since its goodbye is the proof that it
   * stops (onLeft). A dead node may only be cut off, so it gets time to come back.
   */
  onNodeGone(number: number, how: "dead" | "left"): void {
    this.nowhere.forgetNode(number);
    this.ramster.holderDead(number);
    const bootId = this.bootIds.get(number);
    this.bootIds.delete(number);
    this.goneBy.set(number, how);
    if (how === "dead" || this.links.channelOf(number) === null) this.forgetPeer(number);
    if (how === "dead") {
      this.graces.start(number, this.config.foreignGraceMs, () => this.purge(number));
      return;
    }
    this.graces.start(number, LEFT_GRACE_MS, () => {
      this.forgetPeer(number);
      if (bootId !== undefined) this.ramster.holderLeft(number, bootId);
      this.purge(number);
    });
  }

  /** Gossip names the node no more. A peer that the operator named stays, under that address. */
  private forgetPeer(number: number): void {
    const byHand = this.config.peers.find((peer) => peer.number === number);
    if (byHand === undefined) this.links.removePeer(number);
    else this.links.setPeer(number, byHand.address);
  }

  // Link events.

  onLinkUp(node: number, bootId: bigint, channel: Channel, features: number): void {
    this.log.write("info", "net", `link to ${this.log.names.of(node)} is up`);
    this.graces.end(node);
    this.bootIds.set(node, bootId);
    this.foreign?.linkUp(node, bootId, channel);
    this.ramster.linkUp(node, bootId);
    this.offers.linkUp(node, channel, features);
  }

  /** The node itself announced that it stops, so it gets no grace. */
  onLeft(node: number, bootId: bigint): void {
    const count = this.foreign?.ownerLeft(node, bootId) ?? 0;
    if (count > 0) this.logDropped("info", node, `it has stopped, ${count} pages`);
    this.offers.hasLeft(node);
    this.ramster.holderDead(node);
    this.ramster.holderLeft(node, bootId);
  }

  onLinkDown(node: number, reason: string): void {
    this.log.write("info", "net", `link to ${this.log.names.of(node)} is down: ${reason}`);
    this.foreign?.linkDown(node);
    this.offers.linkDown(node);
    this.dropOfEarlierBoot(node); // News of a restart may have come before the end.
    this.ramster.linkDown(node);
    // Another link may replace this one in the same turn.
    if (this.goneBy.has(node)) this.clock.soon(() => this.checkGone(node));
  }

  /**
   * A node that is gone may link once more. No further news tells when it is gone again, so the end
   * of that link counts.
   */
  private checkGone(node: number): void {
    const how = this.goneBy.get(node);
    if (how === undefined || this.links.channelOf(node) !== null) return;
    if (this.bootIds.has(node)) this.onNodeGone(node, how);
    else this.forgetPeer(node);
  }

  onNotice(level: LogLevel, line: string): void {
    this.log.write(level, "net", line);
  }

  onRoom(node: number): void {
    this.ramster.roomOnLink(node);
  }

  onRequest(node: number, channel: Channel, frame: Frame): void {
    const { foreign } = this;
    if (frame.type === MESSAGE.GRANT) {
      this.ramster.onGrant(node, readGrant(frame.view, frame.bodyAt));
    } else if (frame.type === MESSAGE.OFFER) {
      this.offers.onOffer(node, readOffer(frame.view, frame.bodyAt));
    } else if (frame.type === MESSAGE.RECLAIM) {
      this.ramster.onReclaim(node, channel, frame);
    } else if (foreign === null) {
      if (!channel.begin(LANE.URGENT, 0)) return;
      channel.commitReply(frame.type, frame.request, STATUS.DISABLED, 0, 0);
    } else if (!serve(foreign, node, channel, frame)) {
      channel.replyFailed(frame, TRANSPORT_STATUS.NO_HANDLER);
    }
  }

  private purge(node: number): void {
    const count = this.foreign?.ownerGone(node) ?? 0;
    const why = `it is dead and did not come back, ${count} pages`;
    if (count > 0) this.logDropped("warn", node, why);
  }

  private logDropped(level: LogLevel, node: number, why: string): void {
    const what = `dropped the pages of ${this.log.names.of(node)}: ${why}`;
    this.log.write(level, "ramster", what);
  }

  /** The offer of this node, for peers that do not gossip. */
  private offer(): OfferBody {
    const { lendFrames, freeFrames, isDrained } = inSteps(this.localState());
    return { lendFrames, freeFrames, isDrained, zone: this.config.zone ?? "" };
  }

  /** The state of this node that its tags publish. */
  private localState(): LocalState {
    const { foreign, ramster, config } = this;
    const { port } = parseAddress(this.listenAddress) as TcpAddress;
    const lendFrames = foreign?.limit ?? 0;
    const used = ramster.zcache.frames.framesUsed;
    const ownFrames = ramster.zcache.budget.frameCountMax;
    return {
      page: { host: this.pageHost(), port: config.advertise?.port ?? port },
      lendFrames,
      freeFrames: Math.max(0, lendFrames - (foreign?.zcache.frames.framesUsed ?? 0)),
      grantedFrames: foreign?.grants.outstanding ?? 0,
      foreignPages: foreign?.zcache.tmem.pageCount ?? 0,
      ownFrames,
      pressure: Math.min(100, Math.floor((100 * used) / ownFrames)),
      target: String(ramster.target ?? "none"),
      isDrained: this.drain.isOn,
    };
  }

  /** The host for page links. Null: the host that gossips. */
  private pageHost(): string | null {
    const { advertise, listen, gossip } = this.config;
    if (advertise !== null) return withoutZone(advertise.host);
    const isSame = isWildcard(listen.host) || listen.host === gossip?.host;
    return isSame ? null : withoutZone(listen.host);
  }

  private identity() {
    const { number, cluster, name } = this.config;
    const names = { clusterName: cluster, nodeName: name };
    return { node: number, bootId: this.bootId, ...names, codecs: CODECS_TAKEN };
  }

  private doorHello() {
    const { keepaliveMs, idleMs } = this.config;
    const role = ROLE.CLIENT_DOOR;
    return { ...this.identity(), role, pageBytes: PAGE_BYTES, features: 0, keepaliveMs, idleMs };
  }
}

/** @returns whether there was a handler. */
function serve(foreign: Foreign, node: number, channel: Channel, frame: Frame): boolean {
  switch (frame.type) {
    case MESSAGE.PUT:
      return foreign.onPut(node, channel, frame);
    case MESSAGE.GET:
      return foreign.onGet(node, channel, frame);
    case MESSAGE.FLUSH:
      return foreign.onFlush(node, channel, frame);
    case MESSAGE.AUDIT:
      return foreign.onAudit(node, channel, frame);
    default:
      return false;
  }
}

function linkSettings(config: NumberedConfig) {
  return {
    keepaliveMs: config.keepaliveMs,
    idleMs: config.idleMs,
    redialMaxMs: config.reconnectMs,
    unusedMs: config.unusedMs,
    acceptUnknownPeers: config.lendBytes > 0,
  };
}

/** The pages of other nodes. Null on a node that lends nothing. */
function openForeign(
  parts: Omit<ConstructorParameters<typeof Zcache>[0], "remote"> & {
    readonly clock: Clock;
    readonly want: (node: number) => void;
    readonly buggify: Buggify;
  },
  config: LiveConfig,
  kept: KeptNode | null,
): Foreign | null {
  if (config.lendBytes === 0) return null;
  const store = storeOptions(config, config.lendBytes);
  const zcache = new Zcache({ ...parts, remote: NEVER_REMOTE }, store);
  const { quotaBytes, requestTimeoutMs } = config;
  const pagesPerOwnerMax = quotaBytes === null ? null : Math.floor(quotaBytes / PAGE_BYTES);
  const epochBefore = kept?.epochBefore ?? 0;
  const settings = { pagesPerOwnerMax, requestTimeoutMs, epochBefore };
  return new Foreign({ ...parts, zcache, seedOf: ownerSeed }, settings);
}
