/**
 * Live settings: where a running node keeps the value of each setting that may change, and what
 * else must happen when it changes. There is one entry for each `live` row of settings.ts.
 *
 * `set` gets a value within the bounds of its row. If this node cannot use the value, `set` throws
 * ConfigError BAD_CONFIG with the reason, and changes nothing.
 */
import { PAGE_BYTES } from "../core/limits.ts";
import { refused } from "../core/units.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Target } from "../ramster/holders/lenders.ts";
import type { NodeParts } from "./node-parts.ts";
import { checkPeerNumbers, type PeerConfig } from "./peers.ts";
import type { LiveKey, SettingValues } from "./settings.ts";

export interface LiveSetting<T> {
  /** The value in force. Null: none. */
  get(): T | null;
  set(value: T): void;
  /** Why this node has no use for the setting. */
  readonly unused?: string;
}

export type LiveSettings = { readonly [K in LiveKey]: LiveSetting<SettingValues[K]> };

export function liveSettings(parts: NodeParts): LiveSettings {
  const { config, ramster, foreign, lending, links, nbdDoor, clientDoorSettings } = parts;
  const { settings, zcache } = ramster;
  const { budget } = zcache;
  const { selfshrink } = settings;
  return {
    peers: { get: () => parts.peers, set: (peers) => setPeers(parts, peers) },
    maxClients: field(clientDoorSettings, "maxClients"),
    quotaBytes: foreign === null ? LENDERS_ONLY : quota(foreign),
    reserve:
      lending === null
        ? LENDERS_ONLY
        : { get: () => lending.reserve, set: (reserve) => lending.setReserve(reserve) },
    foreignGraceMs: field(config, "foreignGraceMs"),
    drainTimeoutMs: field(config, "drainTimeoutMs"),
    target: { get: () => ramster.target, set: (target) => setTarget(parts, target) },
    replicas: {
      get: () => ramster.replicas,
      set: (replicas) => ramster.setReplicas(replicas),
    },
    highMarkPercent: {
      get: () => budget.highMarkPercent,
      set: (percent) => budget.setMarks(percent, budget.lowMarkPercent),
    },
    lowMarkPercent: {
      get: () => budget.lowMarkPercent,
      set: (percent) => budget.setMarks(budget.highMarkPercent, percent),
    },
    ioTimeoutMs: field(nbdDoor.settings, "ioTimeoutMs"),
    warnAtPercent: field(nbdDoor.settings, "warnAtPercent"),
    coldSharePercent: field(settings, "coldSharePercent"),
    persZpageBytesMax: field(settings, "persZpageBytesMax"),
    persZpageMeanBytes: field(settings, "persZpageMeanBytes"),
    remotifyPers: field(settings, "persEnabled"),
    remotifyEph: field(settings, "ephEnabled"),
    putWaitMs: field(clientDoorSettings, "putWaitMs"),
    trickleFrames: field(settings.trickle, "frames"),
    selfshrink: field(selfshrink, "enabled"),
    selfshrinkIntervalMs: {
      get: () => selfshrink.intervalMs,
      set: (intervalMs) => ramster.setSelfshrinkInterval(intervalMs),
    },
    selfshrinkHysteresis: field(selfshrink, "hysteresis"),
    selfshrinkInertia: field(selfshrink, "inertia"),
    selfshrinkPages: field(selfshrink, "pagesMax"),
    // A change of link times applies to links that are made afterwards.
    keepaliveMs: {
      get: () => config.keepaliveMs,
      set: (keepaliveMs) => setLinkTimes(parts, { keepaliveMs }),
    },
    idleMs: { get: () => config.idleMs, set: (idleMs) => setLinkTimes(parts, { idleMs }) },
    unusedMs: {
      get: () => config.unusedMs,
      set: (unusedMs) => links.setTimes({ unusedMs }),
    },
    reconnectMs: {
      get: () => config.reconnectMs,
      set: (redialMaxMs) => links.setTimes({ redialMaxMs }),
    },
    log: { get: () => parts.log.areaLevels(), set: (levels) => parts.log.setLevels(levels) },
  };
}

/** A value that the owner reads from its field whenever it needs it. */
function field<T, K extends keyof T>(owner: T, key: K): LiveSetting<T[K]> {
  return {
    get: () => owner[key],
    set: (value) => {
      owner[key] = value;
    },
  };
}

const LENDERS_ONLY: LiveSetting<never> = {
  get: () => null,
  set: () => {},
  unused: "this node lends no memory: it takes a server, or a node with --lend",
};

function quota(foreign: Foreign): LiveSetting<number | null> {
  return {
    get: () => {
      const pages = foreign.pagesPerOwnerMax;
      return Number.isFinite(pages) ? pages * PAGE_BYTES : null;
    },
    set: (value) => {
      const pages = value === null ? Number.POSITIVE_INFINITY : Math.floor(value / PAGE_BYTES);
      foreign.pagesPerOwnerMax = pages;
    },
  };
}

/** Unlike in the original, the target can be unset, and a node that is not a peer is refused. */
function setTarget(parts: NodeParts, target: Target): void {
  if (typeof target === "number") checkIsPeer(parts, target);
  parts.ramster.setTarget(target);
}

/** Throws ConfigError BAD_CONFIG unless this node has the address of the other one. */
export function checkIsPeer({ links, config }: NodeParts, node: number): void {
  if (node === config.number) throw refused("it is this node");
  if (links.peers().some((peer) => peer.node === node && peer.address !== "")) return;
  throw refused("it is not one of the peers");
}

function setPeers(parts: NodeParts, next: readonly PeerConfig[]): void {
  const { links, config, peers, ramster, offers } = parts;
  checkPeerNumbers(next, config.number);
  const removed = peers.filter(({ number }) => !next.some((other) => other.number === number));
  const target = removed.find(({ number }) => number === ramster.target);
  if (target !== undefined) throw refused(`node ${target.number} is the target`);
  for (const { number } of removed) {
    links.removePeer(number);
    offers.forget(number);
  }
  for (const peer of next) links.setPeer(peer.number, peer.address);
  peers.splice(0, peers.length, ...next);
}

/** Settings of links to peers, and of the client door. */
function setLinkTimes(
  { links, clientDoorSettings }: NodeParts,
  times: { keepaliveMs?: number; idleMs?: number },
): void {
  links.setTimes(times);
  clientDoorSettings.hello = { ...clientDoorSettings.hello, ...times };
}
