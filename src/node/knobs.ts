/**
 * Knobs: what can be read and set while a node runs. The original's control files keep their names
 * (reference 7.1); the others are ours. A value that is refused throws ConfigError BAD_CONFIG with
 * the reason.
 */
import { ConfigError } from "../core/errors.ts";
import { NODES_MAX, PROTOCOL_VERSION } from "../core/limits.ts";
import { type Log, parseLogLevel } from "../core/log.ts";
import { formatAddress } from "../net/address.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { Budget } from "../zcache/budget.ts";
import type { AdminParts } from "./admin.ts";
import { NO_EXPORT, NODE_BOUNDS } from "./config.ts";
import { certificateKnob, keyKnob } from "./key-knob.ts";
import type { Lending } from "./lending.ts";
import { parsePeers } from "./peers.ts";
import { formatReserve, parseReserve } from "./reserve.ts";

export interface Knob {
  get(): string;
  set(value: string): void;
}

/** By name, in the order in which they are shown. */
export function knobsOf(parts: AdminParts): ReadonlyMap<string, Knob> {
  const { ramster, foreign, lending } = parts;
  const { settings, zcache } = ramster;
  const { budget } = zcache;
  return new Map<string, Knob>([
    ["interface_revision", readOnly(() => PROTOCOL_VERSION)],
    ["remote_pers_pages", readOnly(() => ramster.counters.remote_pers_pages)],
    ["manual_node_up", nodeUpKnob(parts)],
    ["remote_target_nodenum", targetKnob(parts)],
    ["replicas", replicasKnob(ramster)],
    ["pers_remotify_enable", switchKnob(settings, "persEnabled")],
    ["eph_remotify_enable", switchKnob(settings, "ephEnabled")],
    ["peers", peersKnob(parts)],
    ["selfshrink", switchKnob(settings.selfshrink, "enabled")],
    ["selfshrink_interval_ms", selfshrinkIntervalKnob(ramster)],
    ["selfshrink_hysteresis", shrinkKnob(ramster, "hysteresis", "selfshrinkHysteresis")],
    ["selfshrink_inertia", shrinkKnob(ramster, "inertia", "selfshrinkInertia")],
    ["selfshrink_pages", shrinkKnob(ramster, "pagesMax", "selfshrinkPages")],
    ["remotify_trickle_frames", countKnob(settings.trickle, "frames")],
    ["high_mark_percent", markKnob(budget, "high")],
    ["low_mark_percent", markKnob(budget, "low")],
    ["draining", drainKnob(parts)],
    ["exports", exportsKnob(parts)],
    ["io_timeout_ms", nbdKnob(parts, "ioTimeoutMs")],
    ["warn_at_percent", nbdKnob(parts, "warnAtPercent")],
    ["frozen", switchKnob(zcache.tmem, "frozen")],
    ["quota_pages", foreign === null ? LENDERS_ONLY : quotaKnob(foreign)],
    ["reserve", lending === null ? LENDERS_ONLY : reserveKnob(lending)],
    ["log", logKnob(parts.log)],
    ["gossip_keys", keyKnob(parts.membership?.keyring ?? null)],
    ["certificate", certificateKnob(parts.certificate)],
  ]);
}

/**
 * The node that pages go to, "auto", or "none": unlike the original's file it can be unset, and
 * refuses what is no peer.
 */
function targetKnob({ ramster, ...parts }: AdminParts): Knob {
  return {
    get: () => ramster.target?.toString() ?? "none",
    set: (value) => {
      if (value === "none") ramster.setTarget(null);
      else if (value === "auto") ramster.setTarget("auto");
      else ramster.setTarget(peerOf(parts, value, 'a node\'s number, "auto" or "none"'));
    },
  };
}

/** Remote copies of pages that move away from now on; what is away gets more of them, too. */
function replicasKnob(ramster: Ramster): Knob {
  const { min, max } = NODE_BOUNDS.replicas;
  return {
    get: () => String(ramster.replicas),
    set: (value) => {
      const isCount = /^\d$/.test(value) && Number(value) >= min && Number(value) <= max;
      if (value !== "auto" && !isCount) throw refused(`it takes "auto" or a number to ${max}`);
      ramster.setReplicas(value === "auto" ? "auto" : Number(value));
    },
  };
}

/**
 * Who is up is found out without it. To say that a node is up makes this one look at once, and it
 * may be said as often as one likes.
 */
function nodeUpKnob(parts: AdminParts): Knob {
  const { links } = parts;
  return {
    get: () => {
      const up = links.peers().filter((peer) => peer.state === "up");
      return up.map((peer) => peer.node).join(",");
    },
    set: (value) => {
      const node = peerOf(parts, value, "a node's number");
      links.forgetFailures(node);
      links.want(node);
    },
  };
}

/** A peer that has an address. */
function peerOf(
  { links, identity }: Pick<AdminParts, "links" | "identity">,
  value: string,
  what: string,
): number {
  const node = numberOf(value, NODES_MAX - 1, what);
  if (node === identity.number) throw refused("it is this node");
  if (links.peers().some((peer) => peer.node === node && peer.address !== "")) return node;
  throw refused("it is not one of the peers");
}

function peersKnob({ links, identity, peers, ramster, offers }: AdminParts): Knob {
  return {
    get: () => peers.map((peer) => `${peer.number}@${formatAddress(peer.address)}`).join(","),
    set: (value) => {
      const next = value === "" ? [] : parsePeers(value, identity.number);
      for (const peer of peers) {
        if (next.some((other) => other.number === peer.number)) continue;
        if (ramster.target === peer.number) throw refused(`node ${peer.number} is the target`);
        links.removePeer(peer.number);
        offers.forget(peer.number);
      }
      for (const peer of next) links.setPeer(peer.number, peer.address);
      peers.splice(0, peers.length, ...next);
    },
  };
}

/** Set, it lends nothing and moves no page away; what others keep here leaves, its own comes home. */
function drainKnob({ drain }: AdminParts): Knob {
  return {
    get: () => (drain.isOn ? "1" : "0"),
    set: (value) => {
      if (value !== "0" && value !== "1") throw refused("it takes 0 or 1");
      if (value === "1") drain.start();
      else drain.stop();
    },
  };
}

/** The low mark is never above the high one, so they are moved one after the other. */
function markKnob(budget: Budget, mark: "high" | "low"): Knob {
  const { bounds, key, other } = MARKS[mark];
  return {
    get: () => String(budget[key]),
    set: (value) => {
      const percent = numberOf(value, 100);
      if (percent < bounds.min) throw refused(`it takes a number from ${bounds.min} to 100`);
      const marks = { high: budget.highMarkPercent, low: budget.lowMarkPercent, [mark]: percent };
      if (marks.low > marks.high) throw refused(`the ${other} mark is ${marks[other]}`);
      budget.setMarks(marks.high, marks.low);
    },
  };
}

const MARKS = {
  high: { bounds: NODE_BOUNDS.highMarkPercent, key: "highMarkPercent", other: "low" },
  low: { bounds: NODE_BOUNDS.lowMarkPercent, key: "lowMarkPercent", other: "high" },
} as const;

/** Of a node that lends nothing. */
const LENDERS_ONLY: Knob = {
  get: () => "none",
  set: () => {
    throw refused("this node lends no memory: it takes a server, or a node with --lend");
  },
};

/** Pages held for one other node; "none" for as many as there is room for. */
function quotaKnob(foreign: Foreign): Knob {
  return {
    get: () => (Number.isFinite(foreign.pagesPerOwnerMax) ? `${foreign.pagesPerOwnerMax}` : "none"),
    set: (value) => {
      const pages = value === "none" ? Number.POSITIVE_INFINITY : numberOf(value, 2 ** 31 - 1);
      foreign.pagesPerOwnerMax = pages;
    },
  };
}

/** What stays available to the machine: what is lent beyond that is given back at once. */
function reserveKnob(lending: Lending): Knob {
  return {
    get: () => formatReserve(lending.reserve),
    set: (value) => lending.setReserve(parseReserve(value)),
  };
}

function selfshrinkIntervalKnob(ramster: Ramster): Knob {
  return {
    get: () => String(ramster.settings.selfshrink.intervalMs),
    set: (value) => {
      ramster.setSelfshrinkInterval(boundedOf(value, NODE_BOUNDS.selfshrinkIntervalMs));
    },
  };
}

/** One of the numbers of selfshrink: it counts from the next tick on. */
function shrinkKnob(
  { settings: { selfshrink } }: Ramster,
  key: "hysteresis" | "inertia" | "pagesMax",
  setting: "selfshrinkHysteresis" | "selfshrinkInertia" | "selfshrinkPages",
): Knob {
  return {
    get: () => String(selfshrink[key]),
    set: (value) => {
      selfshrink[key] = boundedOf(value, NODE_BOUNDS[setting]);
    },
  };
}

/** What requests of block devices wait for, and when a warning is logged. */
function nbdKnob({ nbdDoor }: AdminParts, setting: "ioTimeoutMs" | "warnAtPercent"): Knob {
  const { settings } = nbdDoor;
  return {
    get: () => String(settings[setting]),
    set: (value) => {
      settings[setting] = boundedOf(value, NODE_BOUNDS[setting]);
    },
  };
}

/** Names of the exports, or "none"; set to fewer, the others and all that they hold are given up. */
function exportsKnob({ nbdDoor }: AdminParts): Knob {
  const names = (): string[] => nbdDoor.exports.map(({ name }) => name);
  return {
    get: () => names().join(",") || NO_EXPORT,
    set: (value) => {
      // Nothing is what a script sets whose variable is empty.
      if (value === "") throw refused(`it takes names of exports, or "${NO_EXPORT}"`);
      const kept = value === NO_EXPORT ? [] : value.split(",");
      const unknown = kept.find((name) => !names().includes(name));
      if (unknown !== undefined) throw refused(`there is no export "${unknown}"`);
      const removed = nbdDoor.exports.filter(({ name }) => !kept.includes(name));
      const used = removed.find(({ connectionCount }) => connectionCount > 0);
      if (used !== undefined) throw refused(`clients of "${used.name}" are connected`);
      for (const { name } of removed) nbdDoor.remove(name);
    },
  };
}

function boundedOf(value: string, { min, max }: { min: number; max: number }): number {
  const number = numberOf(value, max, `a number from ${min} to ${max}`);
  if (number < min) throw refused(`it takes a number from ${min} to ${max}`);
  return number;
}

/** Members as of --log; what is not named stays as it is. */
function logKnob(log: Log): Knob {
  return {
    get: () => log.levelsText,
    set: (value) => log.setLevels(value.split(",").map(parseLogLevel)),
  };
}

function readOnly(get: () => number): Knob {
  return {
    get: () => String(get()),
    set: () => {
      throw refused("it can only be read");
    },
  };
}

/** A boolean field as 0 or 1. */
function switchKnob<K extends string>(settings: { [key in K]: boolean }, key: K): Knob {
  return {
    get: () => (settings[key] ? "1" : "0"),
    set: (value) => {
      if (value !== "0" && value !== "1") throw refused("it takes 0 or 1");
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
  throw refused(`it takes ${what}`);
}

function refused(detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", detail);
}
