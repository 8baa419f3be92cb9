/**
 * Admin: what can be read and set on a running node: its counters, and the original's control files
 * as knobs under their names (reference 7.1). A value that is refused is an error with its reason,
 * never silently ignored.
 */
import { ConfigError } from "../core/errors.ts";
import { NODES_MAX } from "../core/limits.ts";
import { type Log, parseLogLevel } from "../core/log.ts";
import type { Admin } from "../doors/client-door.ts";
import { formatAddress } from "../net/address.ts";
import type { Links } from "../net/links.ts";
import type { Foreign } from "../ramster/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../zbud/zbud.ts";
import type { PeerConfig } from "./config.ts";
import { keyKnob } from "./key-knob.ts";
import type { Membership } from "./membership.ts";
import { parsePeers } from "./peers.ts";

/** A member in the stats; names are part of what scripts read. */
interface MemberStats {
  name: string;
  number: number | null;
  state: string;
  address: string;
  incarnation: number;
  rtt_ms: number | null;
  role: string | null;
  lend_frames: number;
  free_frames: number;
  pressure: number;
  target: string | null;
  note: string;
}

interface Knob {
  get(): string;
  set(value: string): void;
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
  links: Links;
  log: Log;
  peers: PeerConfig[];
  /** Who is in the cluster; null: nobody gossips. */
  membership: Membership | null;
  /** Where the node listens, once it does. */
  listenAddress: () => string;
}

export class NodeAdmin implements Admin {
  private readonly parts: AdminParts;
  private readonly knobs: ReadonlyMap<string, Knob>;

  constructor(parts: AdminParts) {
    this.parts = parts;
    const { settings, zcache } = parts.ramster;
    this.knobs = new Map<string, Knob>([
      ["remote_target_nodenum", this.targetKnob()],
      ["peers", this.peersKnob()],
      ["pers_remotify_enable", switchKnob(settings, "persEnabled")],
      ["eph_remotify_enable", switchKnob(settings, "ephEnabled")],
      ["selfshrink", switchKnob(settings.selfshrink, "enabled")],
      ["remotify_trickle_frames", countKnob(settings.trickle, "frames")],
      ["log", logKnob(parts.log)],
      ["frozen", switchKnob(zcache.tmem, "frozen")],
      ["gossip_keys", keyKnob(parts.membership?.keyring ?? null)],
    ]);
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

  stats(): string {
    const { identity, ramster, foreign, links } = this.parts;
    const counters: Record<string, number> = {};
    ramster.snapshot(counters);
    foreign?.snapshot(counters);
    this.snapshotNetwork(counters);
    return JSON.stringify({
      node: {
        number: identity.number,
        name: identity.name,
        cluster: identity.cluster,
        boot_id: identity.bootId.toString(16),
        listen: this.parts.listenAddress(),
      },
      members: this.members(),
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
        connected: peer.state === "up",
        remote_pages: ramster.remotePageCount(peer.node),
        credit_pages: ramster.credit(peer.node),
        granted_pages: foreign?.grants.outstandingOf(peer.node) ?? 0,
        owed_flushes: ramster.owedCount(peer.node),
        foreign_pages: foreign?.pageCount(peer.node) ?? 0,
        ...peer.counters.snapshot(),
      })),
    });
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
    return views.map(({ member, tags, note }) => ({
      name: member.name,
      number: tags?.number ?? null,
      state: member.state,
      address: member.addressText,
      incarnation: member.incarnation,
      rtt_ms: member.rttMs,
      role: tags?.role ?? null,
      lend_frames: tags?.lendFrames ?? 0,
      free_frames: tags?.freeFrames ?? 0,
      pressure: tags?.pressure ?? 0,
      target: tags?.target ?? null,
      note,
    }));
  }

  private knob(name: string): Knob {
    const knob = this.knobs.get(name);
    if (knob !== undefined) return knob;
    const names = [...this.knobs.keys()].join(", ");
    throw new ConfigError("BAD_CONFIG", `Cannot find knob "${name}": there are ${names}`);
  }

  /**
   * The node that pages go to, "auto", or "none": unlike the original's file it can be unset, and
   * refuses what is no peer.
   */
  private targetKnob(): Knob {
    const { ramster, identity, links } = this.parts;
    return {
      get: () => ramster.target?.toString() ?? "none",
      set: (value) => {
        if (value === "none") return ramster.setTarget(null);
        if (value === "auto") return ramster.setTarget("auto");
        const node = numberOf(value, NODES_MAX - 1, 'a node\'s number, "auto" or "none"');
        if (node === identity.number) throw new ConfigError("BAD_CONFIG", "it is this node");
        if (!links.peers().some((peer) => peer.node === node && peer.address !== "")) {
          throw new ConfigError("BAD_CONFIG", "it is not one of the peers");
        }
        ramster.setTarget(node);
      },
    };
  }

  private peersKnob(): Knob {
    const { links, identity, peers, ramster } = this.parts;
    return {
      get: () => peers.map((peer) => `${peer.number}@${formatAddress(peer.address)}`).join(","),
      set: (value) => {
        const next = value === "" ? [] : parsePeers(value, identity.number);
        for (const peer of peers) {
          if (next.some((other) => other.number === peer.number)) continue;
          if (ramster.target === peer.number) {
            throw new ConfigError("BAD_CONFIG", `node ${peer.number} is the target`);
          }
          links.removePeer(peer.number);
        }
        for (const peer of next) links.setPeer(peer.number, peer.address);
        peers.splice(0, peers.length, ...next);
      },
    };
  }
}

/** How many zpages of 0, 1, 2, ... chunks were ever stored. */
function chunkCounts(ramster: Ramster, kind: Kind): number[] {
  return [...ramster.zcache.zbud.counters.cumul_chunk_counts[kind]];
}

/** Members as of --log; what is not named stays as it is. */
function logKnob(log: Log): Knob {
  return {
    get: () => log.levelsText,
    set: (value) => log.setLevels(value.split(",").map(parseLogLevel)),
  };
}

/** A boolean field as 0 or 1. */
function switchKnob<K extends string>(settings: { [key in K]: boolean }, key: K): Knob {
  return {
    get: () => (settings[key] ? "1" : "0"),
    set: (value) => {
      if (value !== "0" && value !== "1") {
        throw new ConfigError("BAD_CONFIG", "it takes 0 or 1");
      }
      settings[key] = value === "1";
    },
  };
}

function countKnob<K extends string>(settings: { [key in K]: number }, key: K): Knob {
  return {
    get: () => settings[key].toString(),
    set: (value) => {
      settings[key] = numberOf(value, 2 ** 31 - 1);
    },
  };
}

function numberOf(value: string, max: number, what = `a number from 0 to ${max}`): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new ConfigError("BAD_CONFIG", `it takes ${what}`);
}
