/**
 * Admin: what programs read and set on a running node: its counters and state, and its knobs
 * (knobs.ts). A value that is refused is an error with its reason, never silently ignored.
 */
import { ConfigError } from "../core/errors.ts";
import { STATS_PART_BYTES } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Admin } from "../doors/client-door.ts";
import type { HttpDoor } from "../doors/http-door.ts";
import type { NbdDoor } from "../exports/nbd-door.ts";
import type { Links } from "../net/links.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../zbud/zbud.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import type { PeerConfig } from "./config.ts";
import type { Drain } from "./drain.ts";
import { type Knob, knobsOf } from "./knobs.ts";
import type { Lending } from "./lending.ts";
import type { Membership } from "./membership.ts";
import type { Nowhere } from "./nowhere.ts";
import type { Offers } from "./offers.ts";

/** A member in the stats; names are part of what scripts read. */
interface MemberStats {
  name: string;
  number: number | null;
  state: string;
  address: string;
  incarnation: number;
  rtt_ms: number | null;
  role: string | null;
  boot_id: string | null;
  zone: string | null;
  lend_frames: number;
  free_frames: number;
  pressure: number;
  target: string | null;
  drained: boolean;
  note: string;
}

interface RepairStats {
  pages_at_risk: number;
  pages_out_of_reach: number;
  copies_intended: number;
  copies_possible: number;
  pages_per_second: number | null;
  seconds_left: number | null;
}

export interface AdminParts {
  identity: {
    number: number;
    name: string;
    cluster: string;
    bootId: bigint;
  };
  ramster: Ramster;
  foreign: Foreign | null;
  lending: Lending | null;
  drain: Drain;
  nowhere: Nowhere;
  offers: Offers;
  nbdDoor: NbdDoor;
  httpDoor: HttpDoor;
  links: Links;
  log: Log;
  peers: PeerConfig[];
  /** Who is in the cluster; null: nobody gossips. */
  membership: Membership | null;
  /** Null: nothing is secured. */
  certificate: CertificateWatch | null;
  /** Where the node listens, once it does. */
  listenAddress: () => string;
}

export class NodeAdmin implements Admin {
  private readonly parts: AdminParts;
  private readonly knobs: ReadonlyMap<string, Knob>;

  constructor(parts: AdminParts) {
    this.parts = parts;
    this.knobs = knobsOf(parts);
  }

  getKnob(name: string): string {
    return this.knob(name).get();
  }

  setKnob(name: string, value: string): string {
    const knob = this.knob(name);
    try {
      knob.set(value);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // A key must not end up in a log.
      const to = name === "gossip_keys" ? "" : ` to "${value}"`;
      throw new ConfigError("BAD_CONFIG", `Cannot set "${name}"${to}: ${error.message}`);
    }
    return knob.get();
  }

  statsPart(from: number): string {
    const { members, peers, ...rest } = this.snapshot();
    const part = { ...rest, members: [] as unknown[], peers: [] as unknown[], more: 0 };
    let room = STATS_PART_BYTES - Buffer.byteLength(JSON.stringify(part));
    const places = members.length + peers.length;
    for (let place = from; place < places; place += 1) {
      const isMember = place < members.length;
      const one = isMember ? members[place] : peers[place - members.length];
      room -= Buffer.byteLength(JSON.stringify(one)) + 1;
      if (room < 0 && place > from) {
        part.more = places - place;
        break;
      }
      (isMember ? part.members : part.peers).push(one);
    }
    return JSON.stringify(part);
  }

  snapshot() {
    const { identity, ramster, foreign, lending, nbdDoor, httpDoor, links } = this.parts;
    const counters: Record<string, number> = {};
    ramster.snapshot(counters);
    foreign?.snapshot(counters);
    lending?.snapshot(counters);
    nbdDoor.snapshot(counters);
    counters.nowhere_count = Number(this.parts.nowhere.reason !== null);
    httpDoor.snapshot(counters);
    this.snapshotNetwork(counters);
    Object.assign(counters, this.parts.log.counters);
    const { certificate } = this.parts;
    if (certificate !== null) counters.certificate_days_left = certificate.daysLeft;
    return {
      node: {
        number: identity.number,
        name: identity.name,
        cluster: identity.cluster,
        boot_id: identity.bootId.toString(16),
        listen: this.parts.listenAddress(),
      },
      members: this.members(),
      repair: this.repair(),
      nowhere: this.parts.nowhere.reason,
      exports: nbdDoor.stats(),
      spill: { trouble: ramster.spillTrouble },
      lending: { unseen: lending?.unseen ?? [] },
      knobs: Object.fromEntries([...this.knobs].map(([name, knob]) => [name, knob.get()])),
      counters,
      latencies: ramster.latencies.snapshot(),
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
        ...peer.counters.snapshot(),
      })),
    };
  }

  /** Pages that lack a copy, and how long it will take until none does. */
  private repair(): RepairStats {
    const state = this.parts.ramster.copyState();
    const { pagesPerSecond, secondsLeft } = state;
    return {
      pages_at_risk: state.pagesAtRisk,
      pages_out_of_reach: state.pagesOutOfReach,
      copies_intended: state.copiesIntended,
      copies_possible: state.copiesPossible,
      pages_per_second: pagesPerSecond === null ? null : Math.round(pagesPerSecond),
      seconds_left: secondsLeft === null ? null : Math.ceil(secondsLeft),
    };
  }

  /** What came from whoever is no peer, or not one yet, and what gossip did. */
  private snapshotNetwork(into: Record<string, number>): void {
    const { links, membership } = this.parts;
    const { handshakes_refused, malformed, idle_timeouts } = links.strangers;
    into.stranger_connections_refused = links.connectionsRefused;
    into.stranger_handshakes_refused = handshakes_refused;
    into.stranger_malformed = malformed;
    into.stranger_idle_timeouts = idle_timeouts;
    if (membership === null) return;
    for (const [name, value] of Object.entries(membership.counters)) into[`gossip_${name}`] = value;
    into.gossip_health = membership.health;
  }

  /** As gossip has it: this node too, and those that died, left, or are no nodes of ours. */
  private members(): MemberStats[] {
    const views = this.parts.membership?.views() ?? [];
    // In an order that stays, since gossip shuffles them: who asks may ask for one after the other.
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
      pressure: tags?.pressure ?? 0,
      target: tags?.target ?? null,
      drained: tags?.isDrained ?? false,
      note,
    }));
  }

  private knob(name: string): Knob {
    const knob = this.knobs.get(name);
    if (knob !== undefined) return knob;
    const names = [...this.knobs.keys()].join(", ");
    throw new ConfigError("BAD_CONFIG", `Cannot find knob "${name}": there are ${names}`);
  }
}

/** How many zpages of 0, 1, 2, ... chunks were ever stored. */
function chunkCounts(ramster: Ramster, kind: Kind): number[] {
  return [...ramster.zcache.zbud.counters.cumul_chunk_counts[kind]];
}
