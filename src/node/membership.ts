/**
 * Membership: this node in the cluster. It joins, gets a number, publishes in its tags what it
 * lends, and passes on the news of other nodes.
 *
 *     start: gossip --> join --> claim a number   (then the node is built and listens)
 *     run:   tags of others --> peers, offers, losses      own state --> own tags
 *     stop:  leave, so that it does not count as dead
 *
 * Some members are shown in reports and never used. They are not ramster nodes, have another
 * cluster or version, or have a number that is taken.
 *
 * Not here: who is alive (src/cluster), and what happens to pages (node.ts, src/ramster).
 */
import { Cluster, type Member } from "../cluster/cluster.ts";
import type { ClusterCounters } from "../cluster/counters.ts";
import type { Asked } from "../cluster/serf-asks.ts";
import type { ClusterSettings } from "../cluster/settings.ts";
import { assert } from "../core/assert.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import {
  JOIN_NOTICE_MS,
  JOIN_RETRY_MS_MAX,
  JOIN_RETRY_MS_MIN,
  PROTOCOL_VERSION,
} from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Random } from "../core/random.ts";
import type { Keyring } from "../gossip/keyring.ts";
import type { TcpAddress } from "../net/address.ts";
import type { DoorLimits } from "../net/door-limits.ts";
import { withZoneOf } from "../net/ip.ts";
import type { Transport } from "../net/transport.ts";
import { newBootId } from "./boot-id.ts";
import { CODECS_TAKEN, gossipTuningOf, type NodeConfig } from "./config.ts";
import { type Claimant, NumberClaim } from "./number-claim.ts";
import { openGossipPort } from "./ports.ts";
import { checkTagsFit, fittingTags, type NodeTags, pageAddress, readTags, tagsOf } from "./tags.ts";

/** Another node of the cluster, as its tags describe it. */
export interface NodeSeen {
  readonly number: number;
  readonly name: string;
  /** The address for page links. */
  readonly address: TcpAddress;
  /** The zone in its tags, or else the host that it gossips from. */
  readonly zone: string;
  readonly tags: NodeTags;
}

/** News of other nodes. */
export interface MembershipEvents {
  /** A node is alive, or its tags have changed. */
  onNode(node: NodeSeen): void;
  /** A node no longer answers, or has left. */
  onNodeGone(number: number, how: "dead" | "left"): void;
}

/** The tags that change while a node runs. */
export type LocalState = Pick<
  NodeTags,
  | "foreignPages"
  | "freeFrames"
  | "grantedFrames"
  | "isDrained"
  | "lendFrames"
  | "ownFrames"
  | "page"
  | "pressure"
  | "target"
>;

export interface MembershipEnv {
  readonly clock: Clock;
  readonly random: Random;
  /** A transport without TLS, since gossip encrypts its messages itself. */
  readonly transport: Transport;
  readonly log: Log;
  /** Null: gossip is not encrypted. */
  readonly keyring: Keyring | null;
  readonly limits?: DoorLimits;
}

export interface MembershipSettings {
  readonly role: NodeTags["role"];
  readonly name: string;
  readonly cluster: string;
  readonly codecs: number;
  readonly bootId: bigint;
  /** The number of `--number`. Null: any free number. */
  readonly number: number | null;
  /** Where pages come in: errors of gossip name it where the gossip address follows from it. */
  readonly listen: TcpAddress;
  readonly seeds: readonly TcpAddress[];
  /** How long seeds are tried at the start. Null: until one answers. */
  readonly joinTimeoutMs: number | null;
  /** Null: the host of the node is its zone. */
  readonly zone: string | null;
  readonly gossip: ClusterSettings;
}

/** A member as reports show it, ramster node or not. */
export interface MemberView {
  readonly member: Member;
  /** Null when the member is not used; then `note` says why. */
  readonly tags: NodeTags | null;
  readonly note: string;
}

/** How often the node's own state is checked. */
const ANNOUNCE_MS = 1000;
/**
 * Time between two changes of tags for each member, so that a larger cluster sends no more of them
 * in all.
 */
const ANNOUNCE_MS_PER_MEMBER = 100;
/**
 * Frames are published in steps of this part of the lent memory, so that small changes cause no
 * gossip.
 */
const FRAME_STEPS = 64;
const CLAIM_POLL_MS = 50;

interface Node {
  /** Two members never have the same name. */
  readonly name: string;
  readonly number: number;
}

export class Membership {
  readonly bootId: bigint;
  private readonly env: MembershipEnv;
  private readonly settings: MembershipSettings;
  private readonly cluster: Cluster;
  private readonly claim: NumberClaim;
  private events: MembershipEvents | null = null;
  private stateOf: (() => LocalState) | null = null;
  private own: NodeTags;
  private announcedAtMs = 0;
  private timer: TimerId | null = null;
  /** The nodes that were passed to `onNode`, by name. */
  private readonly nodes = new Map<string, Node>();
  private conflict: string | null = null;
  private isStopped = false;
  /** The tags that did not fit, as the last log line names them. */
  private leftOut = "";

  constructor(env: MembershipEnv, settings: MembershipSettings) {
    this.env = env;
    this.settings = settings;
    this.bootId = settings.bootId;
    this.own = {
      role: settings.role,
      cluster: settings.cluster,
      protocol: PROTOCOL_VERSION,
      bootId: settings.bootId,
      number: null,
      claim: null,
      page: null,
      lendFrames: 0,
      freeFrames: 0,
      grantedFrames: 0,
      foreignPages: 0,
      ownFrames: 0,
      pressure: 0,
      isDrained: false,
      codecs: settings.codecs,
      target: "none",
      zone: settings.zone,
    };
    const { gossip, bootId, number } = settings;
    const identity = { name: settings.name, tags: fittingTags(this.own)?.tags ?? {} };
    const events = {
      onJoin: (member: Member): void => {
        env.log.write("info", "cluster", `member "${member.name}" has joined`);
        this.noteMember(member);
      },
      onUpdate: (member: Member): void => this.noteMember(member),
      onLeave: (member: Member, how: "dead" | "left"): void => {
        if (how === "dead") env.log.write("warn", "cluster", `member "${member.name}" is dead`);
        else env.log.write("info", "cluster", `member "${member.name}" has left`);
        this.lose(member, how);
      },
      onNotice: (level: LogLevel, line: string): void => env.log.write(level, "cluster", line),
      onConflict: (reason: string): void => {
        this.conflict = reason;
        env.log.write("error", "cluster", reason);
      },
    };
    this.cluster = new Cluster(env, gossip, identity, events, env.keyring);
    // A claim reaches nearly every node within a few rounds of gossip.
    const settleMs = 5 * gossip.gossipIntervalMs;
    this.claim = new NumberClaim(env.clock, {
      name: settings.name,
      bootId,
      given: number,
      settleMs,
    });
  }

  /**
   * Joins, and gets a number.
   *
   * @returns where it gossips, and its number. Rejects with ADDRESS_IN_USE; with BAD_HANDSHAKE when
   * the name or number is taken, or the seeds are of another cluster; and with ADDRESS_UNREACHABLE
   * when no seed answers in `joinTimeoutMs`.
   */
  async start(): Promise<{ gossip: TcpAddress; number: number }> {
    const { listen, gossip: own } = this.settings;
    const gossip = await openGossipPort(own.bind, listen, () => this.cluster.start());
    try {
      await this.join();
      const number = await this.settle();
      this.own = { ...this.own, number, claim: null };
      this.publish();
      return { gossip, number };
    } catch (error) {
      // Leaving would make the other member of this name count as gone.
      await (this.conflict === null ? this.leave() : this.stop());
      throw error;
    }
  }

  /**
   * Goes on with the number of a predecessor, whose pages should not wait for the cluster: it joins
   * meanwhile.
   *
   * @returns where it gossips, and its number. Rejects with ADDRESS_IN_USE.
   */
  async resume(): Promise<{ gossip: TcpAddress; number: number }> {
    const { listen, gossip: own, number } = this.settings;
    assert(number !== null);
    const gossip = await openGossipPort(own.bind, listen, () => this.cluster.start());
    this.own = { ...this.own, number };
    this.publish();
    this.join().catch((error) => {
      if (!(error instanceof RamsterError)) throw error;
      this.env.log.write("error", "cluster", error.message);
    });
    return { gossip, number };
  }

  /** The node is built. `events` gets the nodes that are known, and all later news. */
  attach(events: MembershipEvents, stateOf: () => LocalState): void {
    this.events = events;
    this.stateOf = stateOf;
    for (const member of this.cluster.members()) this.noteMember(member);
    this.announce({ toEach: true });
  }

  /** Publishes the node's state at once. */
  announceNow(): void {
    if (this.stateOf === null) return;
    this.announcedAtMs = Number.NEGATIVE_INFINITY;
    this.announce();
  }

  /** Publishes the node's state when it has changed enough. */
  announce({ toEach } = { toEach: false }): void {
    const { clock } = this.env;
    if (this.timer !== null) clock.cancel(this.timer);
    this.timer = clock.after(ANNOUNCE_MS, () => this.announce());
    assert(this.stateOf !== null);
    const next = { ...this.own, ...inSteps(this.stateOf()) };
    const waitMs = ANNOUNCE_MS_PER_MEMBER * this.cluster.memberCount;
    if (clock.now() - this.announcedAtMs < waitMs || sameTags(next, this.own)) return;
    this.announcedAtMs = clock.now();
    this.own = next;
    this.publish({ toEach });
  }

  /** Tags that do not fit are left out, since the node should not stop because of them. */
  private publish({ toEach } = { toEach: false }): void {
    const fitting = fittingTags(this.own);
    const leftOut = fitting?.leftOut.join(", ") ?? "all that is new";
    if (leftOut !== this.leftOut && leftOut !== "") {
      const what = `the tags of this node are too long: ${leftOut} not published`;
      this.env.log.write("warn", "cluster", what);
    }
    this.leftOut = leftOut;
    if (fitting !== null) this.cluster.setTags(fitting.tags, { toEach });
  }

  /** Null when gossip is not encrypted. */
  /** Asks all members with a query of Serf. */
  ask(name: string, payload: Uint8Array): Promise<Asked> {
    return this.cluster.ask(name, payload);
  }

  get keyring(): Keyring | null {
    return this.env.keyring;
  }

  get counters(): ClusterCounters {
    return this.cluster.counters;
  }

  /** 0 when this node itself is healthy, else up to awarenessMax (Lifeguard). */
  get health(): number {
    return this.cluster.health;
  }

  /** All members, including this node. */
  views(): MemberView[] {
    return [...this.cluster.members()].map((member) => {
      const tags = readTags(member.tags);
      const note = typeof tags === "string" ? tags : this.reasonNotToUse(member, tags);
      return { member, tags: typeof tags === "string" || note !== "" ? null : tags, note };
    });
  }

  /** Leaves the cluster. */
  async leave(): Promise<void> {
    this.detach();
    await this.cluster.leave();
    await this.cluster.stop();
  }

  /** Stops without leaving. Other members detect that by their probes. */
  async stop(): Promise<void> {
    this.detach();
    await this.cluster.stop();
  }

  private detach(): void {
    this.isStopped = true;
    if (this.timer !== null) this.env.clock.cancel(this.timer);
    this.timer = null;
    this.events = null;
  }

  private async join(): Promise<void> {
    const { seeds } = this.settings;
    const { clock, log } = this.env;
    if (seeds.length === 0) {
      log.write("info", "cluster", "no --join: this node starts a cluster of its own");
      return;
    }
    const startMs = clock.now();
    const untilMs = startMs + (this.settings.joinTimeoutMs ?? Number.POSITIVE_INFINITY);
    let noticeMs = startMs;
    let retryMs = JOIN_RETRY_MS_MIN;
    for (;;) {
      const { answered, failures } = await this.cluster.join(seeds);
      if (this.isStopped) return;
      if (answered > 0) break;
      const what = `Cannot join the cluster: ${[...new Set(failures)].join("; ")}`;
      const now = clock.now();
      if (now >= untilMs) throw new RamsterError("ADDRESS_UNREACHABLE", what);
      if (now >= noticeMs && !this.isStopped) {
        noticeMs = now + JOIN_NOTICE_MS;
        log.write("warn", "cluster", `${what}; trying again until a node of --join answers`);
      }
      await this.wait(Math.min(retryMs, untilMs - now));
      retryMs = Math.min(2 * retryMs, JOIN_RETRY_MS_MAX);
    }
    this.refuseWrongCluster();
  }

  /** Refuses seeds of another cluster. */
  private refuseWrongCluster(): void {
    for (const { member, note } of this.views()) {
      if (member.isSelf || member.state === "left" || note === "") continue;
      if (!note.startsWith("cluster ") && !note.startsWith("protocol ")) continue;
      const why = `"${member.name}" has ${note}, this node has`;
      const own = note.startsWith("cluster ")
        ? `cluster "${this.settings.cluster}"`
        : `protocol ${PROTOCOL_VERSION}`;
      throw new RamsterError("BAD_HANDSHAKE", `Cannot join the cluster: ${why} ${own}`);
    }
  }

  private async settle(): Promise<number> {
    for (;;) {
      if (this.conflict !== null) {
        throw new RamsterError("BAD_HANDSHAKE", `Cannot join the cluster: ${this.conflict}`);
      }
      const result = this.claim.update(this.claimants());
      if (result.state === "settled") return result.number;
      if (result.state === "refused") {
        throw new RamsterError("BAD_HANDSHAKE", `Cannot join the cluster: ${result.reason}`);
      }
      if (this.own.claim !== result.number) {
        this.own = { ...this.own, claim: result.number };
        this.publish();
      }
      await this.wait(CLAIM_POLL_MS);
    }
  }

  private claimants(): Claimant[] {
    const claimants: Claimant[] = [];
    for (const member of this.cluster.members()) {
      if (member.isSelf || member.state === "left" || member.name === this.settings.name) continue;
      const tags = readTags(member.tags);
      if (typeof tags === "string" || tags.cluster !== this.settings.cluster) continue;
      const { bootId, number, claim } = tags;
      claimants.push({ name: member.name, bootId, number, claim });
    }
    return claimants;
  }

  private wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.env.clock.after(delayMs, resolve));
  }

  private noteMember(member: Member): void {
    if (this.events === null || member.isSelf) return;
    if (member.state === "dead" || member.state === "left") return;
    const tags = readTags(member.tags);
    if (typeof tags === "string" || tags.number === null) return;
    const reason = this.reasonNotToUse(member, tags);
    if (reason !== "") {
      this.env.log.write("warn", "cluster", `Cannot use member "${member.name}": ${reason}`);
      return;
    }
    const page = pageAddress(tags, member.addr);
    if (page === null) return;
    const address = { ...page, host: withZoneOf(page.host, this.settings.gossip.bind.host) };
    const known = this.nodes.get(member.name);
    if (known !== undefined && known.number !== tags.number) this.lose(member, "left");
    const { name } = member;
    this.nodes.set(name, { name, number: tags.number });
    const zone = tags.zone ?? member.addr;
    this.events.onNode({ number: tags.number, name, address, zone, tags });
  }

  private lose(member: Member, how: "dead" | "left"): void {
    const node = this.nodes.get(member.name);
    if (node === undefined) return;
    this.nodes.delete(member.name);
    this.events?.onNodeGone(node.number, how);
  }

  /** The reason not to use the node. Empty when it can be used. */
  private reasonNotToUse(member: Member, tags: NodeTags): string {
    if (tags.cluster !== this.settings.cluster) return `cluster "${tags.cluster}"`;
    if (tags.protocol !== PROTOCOL_VERSION) return `protocol ${tags.protocol}`;
    if (member.isSelf || tags.number === null) return "";
    if (tags.number === this.own.number) return `number ${tags.number}, which is this node's`;
    for (const node of this.nodes.values()) {
      if (node.number !== tags.number || node.name === member.name) continue;
      return `number ${tags.number}, which is that of "${node.name}"`;
    }
    return "";
  }
}

/** @returns null when the settings are for a node that does not gossip. */
export function openMembership(
  env: MembershipEnv,
  config: NodeConfig,
  bootId: bigint | null = null,
): Membership | null {
  const { role, name, cluster, number, seeds, joinTimeoutMs, gossip, gossipAdvertise } = config;
  const { gossipLabel: label, zone } = config;
  if (gossip === null) return null;
  checkTagsFit({ cluster, zone }, longestHost(config));
  return new Membership(env, {
    role,
    name,
    cluster,
    number,
    listen: config.listen,
    seeds,
    joinTimeoutMs,
    zone,
    codecs: CODECS_TAKEN,
    bootId: bootId ?? newBootId(env.random),
    gossip: { ...gossipTuningOf(config), bind: gossip, advertise: gossipAdvertise, label },
  });
}

/** The longest host that the page address may have. The host itself is not known yet. */
function longestHost({ advertise, listen }: NodeConfig): string {
  const hosts = [advertise?.host ?? "", listen.host];
  return hosts.reduce((longest, host) => (host.length > longest.length ? host : longest));
}

/** Frames rounded down to steps of what is lent, pages to two digits, pressure to tens. */
export function inSteps(state: LocalState): LocalState {
  const step = Math.max(1, Math.floor(state.lendFrames / FRAME_STEPS));
  const rounded = (count: number): number => Math.floor(count / step) * step;
  return {
    ...state,
    freeFrames: rounded(state.freeFrames),
    grantedFrames: rounded(state.grantedFrames),
    foreignPages: leadingDigits(state.foreignPages),
    pressure: Math.floor(state.pressure / 10) * 10,
  };
}

/** The count with zeros after its first two digits. */
function leadingDigits(count: number): number {
  const step = 10 ** Math.max(0, String(count).length - 2);
  return Math.floor(count / step) * step;
}

function sameTags(a: NodeTags, b: NodeTags): boolean {
  const left = tagsOf(a);
  const right = tagsOf(b);
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}
