/**
 * Settings of membership, with memberlist's names (config.go). Each has its formula, and the cost
 * of a change. n is the number of members.
 *
 * The defaults find a dead node faster than memberlist's own, since programs wait for its pages.
 */
import type { TcpAddress } from "../net/address.ts";

export interface ClusterSettings {
  /** The address for datagrams and streams. Port 0: any port that is free for both. */
  readonly bind: TcpAddress;
  /**
   * The IP address at which others reach this node. Null: that of `bind`. Port 0: the port of
   * `bind`.
   */
  readonly advertise: TcpAddress | null;
  /** Sent in clear with all gossip, and authenticated. Serf needs an empty label. */
  readonly label: string;
  /**
   * One member is probed in each interval, so each member once in n intervals. Some member notices
   * a death after one interval on average, for any n. Half the interval doubles the probe traffic.
   */
  readonly probeIntervalMs: number;
  /**
   * How long a probe waits before it asks helpers: above the 99th percentile of the round trip.
   * Helpers have the rest of the interval. Longer: fewer helpers are asked, deaths are noticed
   * later.
   */
  readonly probeTimeoutMs: number;
  /** How many helpers probe a member that did not answer. Each costs four datagrams. */
  readonly indirectChecks: number;
  /**
   * The shortest time between suspicion and death is
   * suspicionMult * max(1, log10 n) * probeIntervalMs. Higher: dead members are found later, live
   * ones have more time to object.
   */
  readonly suspicionMult: number;
  /**
   * The longest time is this times the shortest. Each confirmation brings it nearer to the
   * shortest.
   */
  readonly suspicionMaxTimeoutMult: number;
  /**
   * Each member sends a piece of news retransmitMult * ceil(log10(n + 1)) times. Higher: all
   * members hear it at a higher loss rate, for proportionally more bytes.
   */
  readonly retransmitMult: number;
  /** News is sent to gossipNodes members every gossipIntervalMs, and with each probe. */
  readonly gossipIntervalMs: number;
  readonly gossipNodes: number;
  /** How long news is still sent to a dead member, so that it can object if it is alive. */
  readonly gossipToTheDeadMs: number;
  /**
   * The whole state is exchanged with one member every pushPullIntervalMs * max(1, n / 10), over a
   * stream. That costs 300 bytes a member: from 10 members on 200 bytes a second for any n.
   * Shorter: missed gossip is repaired sooner.
   */
  readonly pushPullIntervalMs: number;
  /** The longest datagram that is sent: it must not be fragmented on the path. */
  readonly packetBytesMax: number;
  /** The longest time of a stream, from its connect to its end. */
  readonly streamTimeoutMs: number;
  /** The worst health score. Time-outs of this node are multiplied by its score + 1. */
  readonly awarenessMax: number;
  /** How often a dead member or lost seed is tried, so that a partition heals. */
  readonly reconnectIntervalMs: number;
  /** How long members that died or left are remembered. */
  readonly reapMs: number;
}

/** The settings that depend on the network. */
export type Tuning = Omit<ClusterSettings, "bind" | "advertise" | "label">;

/** One setting of Tuning, with its name in flags and files. */
export interface TuningSpec {
  readonly name: string;
  readonly setting: keyof Tuning;
  readonly unit: "ms" | "count";
  readonly min: number;
  readonly max: number;
}

const HOUR_MS = 60 * 60 * 1000;
const ms = (name: string, setting: keyof Tuning, max = HOUR_MS): TuningSpec => {
  return { name, setting, unit: "ms", min: 10, max };
};
const count = (name: string, setting: keyof Tuning, min: number, max: number): TuningSpec => {
  return { name, setting, unit: "count", min, max };
};

export const TUNING: readonly TuningSpec[] = [
  ms("probe-interval", "probeIntervalMs"),
  ms("probe-timeout", "probeTimeoutMs"),
  count("indirect-checks", "indirectChecks", 0, 64),
  count("suspicion-mult", "suspicionMult", 1, 100),
  count("suspicion-max-timeout-mult", "suspicionMaxTimeoutMult", 1, 100),
  count("retransmit-mult", "retransmitMult", 1, 100),
  ms("gossip-interval", "gossipIntervalMs"),
  count("gossip-nodes", "gossipNodes", 1, 64),
  ms("gossip-to-the-dead", "gossipToTheDeadMs"),
  ms("push-pull-interval", "pushPullIntervalMs"),
  // From the longest tags of a node to the receive buffer of memberlist.
  count("packet-bytes", "packetBytesMax", 1000, 65_000),
  ms("stream-timeout", "streamTimeoutMs"),
  count("awareness-max", "awarenessMax", 1, 100),
  ms("reconnect-interval", "reconnectIntervalMs"),
  ms("reap", "reapMs", 30 * 24 * HOUR_MS),
];

/** One room or building: round trips below 10 ms. */
export const LAN: Tuning = {
  probeIntervalMs: 500,
  probeTimeoutMs: 200,
  indirectChecks: 3,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  retransmitMult: 4,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToTheDeadMs: 30_000,
  pushPullIntervalMs: 30_000,
  packetBytesMax: 1400,
  streamTimeoutMs: 10_000,
  awarenessMax: 8,
  reconnectIntervalMs: 10_000,
  reapMs: 24 * 60 * 60 * 1000,
};

/** One machine: many processes that wait for a processor, and no network delay. */
export const LOCAL: Tuning = {
  ...LAN,
  indirectChecks: 1,
  gossipIntervalMs: 100,
  gossipToTheDeadMs: 15_000,
  pushPullIntervalMs: 15_000,
  streamTimeoutMs: 5000,
};

/** Distant sites: round trips of 100 ms and more. */
const WAN: Tuning = {
  ...LAN,
  probeIntervalMs: 5000,
  probeTimeoutMs: 3000,
  suspicionMult: 6,
  gossipIntervalMs: 500,
  gossipNodes: 4,
  gossipToTheDeadMs: 60_000,
  pushPullIntervalMs: 60_000,
  streamTimeoutMs: 30_000,
};

export const PRESETS = { lan: LAN, local: LOCAL, wan: WAN } as const;

/** memberlist's suspicionTimeout: the shortest time from suspicion to death. */
export function suspicionMinMs(settings: ClusterSettings, memberCount: number): number {
  const scale = Math.max(1, Math.log10(Math.max(1, memberCount)));
  return settings.suspicionMult * scale * settings.probeIntervalMs;
}

/** memberlist's retransmitLimit: how often each member sends one piece of news. */
export function retransmitLimit(settings: ClusterSettings, memberCount: number): number {
  return settings.retransmitMult * Math.ceil(Math.log10(memberCount + 1));
}

/** Up to so many members the interval of push/pulls is that of the settings. */
const PUSH_PULL_MEMBERS = 10;

/**
 * Time between two push/pulls of a member. It grows with n, so that the bytes a second do not.
 * memberlist's pushPullScale grows with log2 n, and its bytes nearly with n. Each member chooses
 * its own interval, so this is compatible.
 */
export function pushPullMs(settings: ClusterSettings, memberCount: number): number {
  return settings.pushPullIntervalMs * Math.max(1, memberCount / PUSH_PULL_MEMBERS);
}
