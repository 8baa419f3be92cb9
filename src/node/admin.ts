/**
 * Admin: what programs read and set on a running node. They read its counters and state, and read
 * and set its knobs (knobs.ts). A refused value is an error with its reason. It is never ignored.
 *
 * The original had a file for each counter. Here each counter can be read by its name like a knob.
 */
import type { ColdCodec } from "../cold/cold-tier.ts";
import { VERSION } from "../core/build.ts";
import { ConfigError, quoted, reasonOf } from "../core/errors.ts";
import { type Report, withPrefix } from "../core/figure.ts";
import {
  COUNTERS,
  type GOSSIP_COUNTED,
  type PROCESS_READ,
  type STRANGERS_READ,
} from "../core/figures.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../core/kind.ts";
import { STATS_PART_BYTES } from "../core/limits.ts";
import { nearest } from "../core/nearest.ts";
import { refused } from "../core/units.ts";
import type { Admin } from "../doors/client-door.ts";
import { findingsOf, type Seen, verdictOf } from "../monitoring/verdict.ts";
import { latencyReport } from "../ramster/latencies.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { copyReport } from "../ramster/repair/copy-state.ts";
import type {
  ColdCodecStats,
  Counters,
  Events,
  MemberStats,
  NodeStats,
  PoolStats,
  RepairStats,
} from "../wire/stats.ts";
import { pagesByCodec, ratioOf } from "../zcache/density.ts";
import { type Knobs, knobsOf } from "./knobs.ts";
import type { NodeParts } from "./node-parts.ts";

export class NodeAdmin implements Admin {
  private readonly parts: NodeParts;
  private readonly knobs: Knobs;

  constructor(parts: NodeParts) {
    this.parts = parts;
    this.knobs = knobsOf(parts);
  }

  getKnob(name: string): string {
    const knob = this.knobs.all.get(name);
    if (knob !== undefined) return knob.get();
    const count = this.count(name);
    if (count !== undefined) return String(count);
    throw this.unknown(name);
  }

  setKnob(name: string, value: string): string {
    const knob = this.knobs.all.get(name);
    if (knob === undefined && this.count(name) === undefined) throw this.unknown(name);
    try {
      if (knob === undefined) throw refused("it can only be read");
      knob.set(value);
      return knob.get();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // A key must not end up in a log.
      const to = knob?.isSecret === true ? "" : ` to ${quoted(value)}`;
      throw new ConfigError("BAD_CONFIG", `Cannot set "${name}"${to}: ${reasonOf(error)}`);
    }
  }

  /** The counter of that name, or undefined if this node has none. Names come from outside. */
  private count(name: string): number | undefined {
    if (!Object.hasOwn(COUNTERS, name)) return undefined;
    const all: Readonly<Record<string, number | undefined>> = this.counters();
    return all[name];
  }

  private unknown(name: string): ConfigError {
    const { listed, all } = this.knobs;
    const names = [...listed.keys()];
    const meant = nearest(name, [...all.keys(), ...Object.keys(this.counters())]);
    const hint = meant === null ? `there are ${names.join(", ")}` : `did you mean "${meant}"?`;
    return new ConfigError("UNKNOWN_SETTING", `Cannot find setting ${quoted(name)}: ${hint}`);
  }

  statsPart(from: number): string {
    const { members, peers, ...rest } = this.snapshot();
    const part = { ...rest, members: [] as unknown[], peers: [] as unknown[], more: 0 };
    let bytesLeft = STATS_PART_BYTES - Buffer.byteLength(JSON.stringify(part));
    const count = members.length + peers.length;
    for (let index = from; index < count; index += 1) {
      const isMember = index < members.length;
      const entry = isMember ? members[index] : peers[index - members.length];
      bytesLeft -= Buffer.byteLength(JSON.stringify(entry)) + 1;
      if (bytesLeft < 0 && index > from) {
        part.more = count - index;
        break;
      }
      (isMember ? part.members : part.peers).push(entry);
    }
    return JSON.stringify(part);
  }

  eventsAfter(number: number): string {
    const { bootId, events } = this.parts;
    const report: Events = { boot_id: bootId.toString(16), events: events.after(number) };
    return JSON.stringify(report);
  }

  /** Collects the figures that each part reports. */
  private counters(): Counters {
    const { ramster, foreign, lending, nbdDoor, httpDoor, nowhere, log } = this.parts;
    const { codec, certificate } = this.parts;
    return {
      ...ramster.snapshot(),
      ...foreign?.snapshot(),
      ...lending?.snapshot(),
      ...this.process(),
      ...nbdDoor.snapshot(),
      nowhere_count: Number(nowhere.reason !== null),
      ...(codec === null ? null : { codec_native: Number(codec.library !== null) }),
      ...httpDoor.snapshot(),
      ...this.strangers(),
      ...this.gossip(),
      ...log.counters,
      ...(certificate === null ? null : { certificate_days_left: certificate.daysLeft }),
      ...this.standby(),
    };
  }

  private standby(): Counters {
    const { active } = this.parts;
    if (active === null) return {};
    const { standby } = active;
    return { standby_ready: Number(standby !== null), standby_bytes: standby?.ownBytes ?? 0 };
  }

  snapshot(): NodeStats {
    const seen = this.seen();
    const { role, warnAtPercent } = this.parts.config;
    const findings = findingsOf(seen, { isServer: role === "server", warnAtPercent });
    return { verdict: verdictOf(findings), findings, ...seen };
  }

  private seen(): Seen {
    const { config, codec, ramster, foreign, lending, nbdDoor, links } = this.parts;
    return {
      node: {
        number: config.number,
        name: config.name,
        cluster: config.cluster,
        version: VERSION,
        boot_id: this.parts.bootId.toString(16),
        listen: this.parts.listenAddress(),
      },
      members: this.members(),
      repair: this.repair(),
      nowhere: this.parts.nowhere.reason,
      codec: codec === null ? null : { name: codec.name, library: codec.library },
      cold_codec: coldStats(ramster.cold?.codec ?? null),
      exports: nbdDoor.stats(),
      pools: this.pools(),
      spill: { trouble: ramster.spillTrouble },
      lending: { unseen: lending?.unseen ?? [] },
      knobs: Object.fromEntries([...this.knobs.listed].map(([name, knob]) => [name, knob.get()])),
      counters: this.counters(),
      latencies: latencyReport(ramster.latencies),
      zbud: {
        eph_cumul_chunk_counts: chunkCounts(ramster, EPHEMERAL),
        pers_cumul_chunk_counts: chunkCounts(ramster, PERSISTENT),
      },
      peers: links.peers().map((peer) => ({
        node: peer.node,
        name: peer.name,
        address: peer.address,
        state: peer.state,
        failure: peer.failure,
        connected: peer.state === "up",
        boot_id: peer.bootId?.toString(16) ?? null,
        remote_pages: ramster.remotePageCount(peer.node),
        credit_pages: ramster.credit(peer.node),
        granted_pages: foreign?.grants.outstandingOf(peer.node) ?? 0,
        owed_flushes: ramster.pendingFlushCount(peer.node),
        foreign_pages: foreign?.pageCount(peer.node) ?? 0,
        ...this.parts.offers.statsOf(peer.node),
        ...peer.counters,
      })),
    };
  }

  private pools(): PoolStats[] {
    const { ramster, nbdDoor } = this.parts;
    return ramster.pools().map(({ id, persistent, pageCount, byCodec }) => ({
      id,
      kind: persistent ? "persistent" : "ephemeral",
      export: nbdDoor.exportOfPool(id),
      pages: pageCount,
      ...pagesByCodec(byCodec),
    }));
  }

  /** What the process takes, and what that brings. */
  private process(): Partial<Report<typeof PROCESS_READ>> {
    const { ramster, foreign, hostMemory } = this.parts;
    const use = hostMemory.process();
    const own = {
      ...given("process_resident_bytes", use.residentBytes),
      ...given("process_virtual_bytes", use.virtualBytes),
      ...given("process_cpu_seconds", use.cpuSeconds),
      ...given("process_start_seconds", use.startSeconds),
      ...given("process_open_descriptors", use.openDescriptors),
      ...given("process_descriptors_max", use.descriptorsMax),
    };
    if (use.residentBytes === undefined) return own;
    const lent = foreign?.zcache.density().page_bytes ?? 0;
    const pageBytes = ramster.zcache.density().page_bytes + lent;
    return { ...own, node_effective_ratio: ratioOf(pageBytes, use.residentBytes) };
  }

  /** How many pages lack a copy, and how long it will take to repair them. */
  private repair(): RepairStats {
    const state = this.parts.ramster.copyState();
    const { pagesPerSecond, secondsLeft } = state;
    return {
      ...copyReport(state),
      pages_per_second: pagesPerSecond === null ? null : Math.round(pagesPerSecond),
      seconds_left: secondsLeft === null ? null : Math.ceil(secondsLeft),
    };
  }

  /** Counters of connections that were never identified as a peer's. */
  private strangers(): Report<typeof STRANGERS_READ> {
    const { strangers, connectionsRefused } = this.parts.links;
    return {
      stranger_connections_refused: connectionsRefused,
      stranger_handshakes_refused: strangers.handshakes_refused,
      stranger_malformed: strangers.malformed,
      stranger_idle_timeouts: strangers.idle_timeouts,
    };
  }

  private gossip(): Counters {
    const { membership } = this.parts;
    if (membership === null) return {};
    const counters = withPrefix<"gossip_", typeof GOSSIP_COUNTED>("gossip_", membership.counters);
    return { ...counters, gossip_health: membership.health };
  }

  /**
   * The members as gossip knows them. They include this node, members that died or left, and
   * members that are not nodes of this cluster.
   */
  private members(): MemberStats[] {
    const views = this.parts.membership?.views() ?? [];
    // Sorted, since gossip shuffles the members and a client may read them in several parts.
    views.sort((a, b) => (a.member.name < b.member.name ? -1 : 1));
    return views.map(({ member, tags, note }) => ({
      name: member.name,
      number: tags?.number ?? null,
      state: member.state,
      address: member.addressText,
      incarnation: member.incarnation,
      rtt_ms: member.rttMs,
      role: tags?.role ?? null,
      boot_id: tags?.bootId.toString(16) ?? null,
      zone: tags === null ? null : (tags.zone ?? member.addr),
      lend_frames: tags?.lendFrames ?? 0,
      free_frames: tags?.freeFrames ?? 0,
      foreign_pages: tags?.foreignPages ?? 0,
      own_frames: tags?.ownFrames ?? 0,
      pressure: tags?.pressure ?? 0,
      target: tags?.target ?? null,
      drained: tags?.isDrained ?? false,
      note,
    }));
  }
}

/** The figure, unless it is not known. */
function given<N extends keyof Counters>(name: N, value: number | undefined): Counters {
  return value === undefined ? {} : { [name]: value };
}

/** How many zpages of 0, 1, 2, ... chunks have been stored since the start. */
function chunkCounts(ramster: Ramster, kind: Kind): number[] {
  return [...ramster.zcache.placement.counters.cumul_chunk_counts[kind]];
}

function coldStats(codec: ColdCodec | null): ColdCodecStats | null {
  if (codec === null) return null;
  const { library, hasDictionaries, isUsable } = codec;
  return { library, dictionaries: hasDictionaries, failed: !isUsable };
}
