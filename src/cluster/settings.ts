/**
 * Settings of membership, under memberlist's names (config.go), each with its formula and with what
 * moving it costs. n is the number of members.
 *
 * The defaults find a dead node faster than memberlist's own: what is lost with it is memory that
 * somebody waits for.
 */
import type { TcpAddress } from "../net/address.ts";

export interface ClusterSettings {
  /** Datagrams and streams, on one port. Port 0 takes any port that is free for both. */
  readonly bind: TcpAddress;
  /**
   * Where the others reach it, when that is elsewhere: an IP address. Port 0: the port of `bind`.
   */
  readonly advertise: TcpAddress | null;
  /** In clear in front of all gossip, and authenticated with it. "" for none, as Serf needs it. */
  readonly label: string;
  /**
   * One member is probed in each, all of them once in n intervals. A death is noticed by someone
   * after one interval on average, whatever n is. Half of it doubles the traffic of probes.
   */
  readonly probeIntervalMs: number;
  /**
   * How long a probe waits for the answer before others are asked to try: above the 99th percentile
   * of the round trip. The rest of the interval is theirs. Longer: fewer helpers are troubled,
   * deaths are noticed later.
   */
  readonly probeTimeoutMs: number;
  /** Members that are asked to probe one that did not answer. Each costs four datagrams. */
  readonly indirectChecks: number;
  /**
   * The shortest time between suspicion and death is
   * suspicionMult * max(1, log10 n) * probeIntervalMs. Higher: slower to find the dead, and more
   * time for the living to object.
   */
  readonly suspicionMult: number;
  /**
   * The longest is this times the shortest. It goes down to that with each member that confirms.
   */
  readonly suspicionMaxTimeoutMult: number;
  /**
   * News is sent retransmitMult * ceil(log10(n + 1)) times by each member. Higher: reaches all with
   * more loss, and costs bytes in proportion.
   */
  readonly retransmitMult: number;
  /** News goes out to gossipNodes members every gossipIntervalMs, and with each probe. */
  readonly gossipIntervalMs: number;
  readonly gossipNodes: number;
  /** Those that died are told so for this long: one that lives then objects. */
  readonly gossipToTheDeadMs: number;
  /**
   * All is exchanged with one member every pushPullIntervalMs * max(1, n / 10), over a stream.
   * Each time costs 300 bytes a member, so beyond 10 members a node sends the same however many
   * there are: 200 bytes a second. Shorter: what gossip has missed is mended sooner.
   */
  readonly pushPullIntervalMs: number;
  /** The longest datagram that is sent. What the path carries whole, on any network. */
  readonly packetBytesMax: number;
  /** A stream, from the connect to its end. */
  readonly streamTimeoutMs: number;
  /** The worst score of one's own health. All own time-outs are times score + 1. */
  readonly awarenessMax: number;
  /** How often one that died is tried again, so that the halves of a partition find each other. */
  readonly reconnectIntervalMs: number;
  /** Those that died or left are forgotten after this. */
  readonly reapMs: number;
}

/** What is tuned to the network, and may be tuned by hand. */
export type Tuning = Omit<ClusterSettings, "bind" | "advertise" | "label">;

/** One setting of Tuning under the name that a person writes. */
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
  // What holds the tags of a node; what memberlist reads at once.
  count("packet-bytes", "packetBytesMax", 1000, 65_000),
  ms("stream-timeout", "streamTimeoutMs"),
  count("awareness-max", "awarenessMax", 1, 100),
  ms("reconnect-interval", "reconnectIntervalMs"),
  ms("reap", "reapMs", 30 * 24 * HOUR_MS),
];

/** One room, or one building: round trips below 10 ms. */
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

/** All on one machine: many processes that wait for a processor, and no distance. */
export const LOCAL: Tuning = {
  ...LAN,
  indirectChecks: 1,
  gossipIntervalMs: 100,
  gossipToTheDeadMs: 15_000,
  pushPullIntervalMs: 15_000,
  streamTimeoutMs: 5000,
};

/** Far apart: round trips of 100 ms and more. */
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

/** suspicionTimeout of memberlist: the shortest time from suspicion to death. */
export function suspicionMinMs(settings: ClusterSettings, memberCount: number): number {
  const scale = Math.max(1, Math.log10(Math.max(1, memberCount)));
  return settings.suspicionMult * scale * settings.probeIntervalMs;
}

/** retransmitLimit of memberlist: how often each member sends one piece of news. */
export function retransmitLimit(settings: ClusterSettings, memberCount: number): number {
  return settings.retransmitMult * Math.ceil(Math.log10(memberCount + 1));
}

/** A push/pull tells all of so many members at the interval of the settings. */
const PUSH_PULL_MEMBERS = 10;

/**
 * Time between two push/pulls of a member. memberlist's pushPullScale grows with log2 n, and so
 * its bytes nearly with n; this grows with n, and they do not. Each member chooses its own, so it
 * is no matter of compatibility.
 */
export function pushPullMs(settings: ClusterSettings, memberCount: number): number {
  return settings.pushPullIntervalMs * Math.max(1, memberCount / PUSH_PULL_MEMBERS);
}
