/**
 * Config: the settings of one node, with every default filled in, and checked.
 *
 * Settings, their defaults and their bounds are rows of settings.ts. This file checks values
 * against the bounds and against each other. An error names the flag of a setting, since a person
 * corrects it there.
 *
 * A memory server is a node without pages of its own. Its `memoryBytes` is 0, and it lends.
 *
 * Not here: how text becomes values (setting-types.ts), what `ramster set` changes (knobs.ts).
 */
import { PRESETS, type Tuning } from "../cluster/settings.ts";
import { ConfigError, quoted } from "../core/errors.ts";
import {
  CLIENT_ADDRESSES_MAX,
  CODECS_END,
  GOSSIP_LABEL_BYTES_MAX,
  GOSSIP_PORT_DEFAULT,
  NAME_BYTES_MAX,
  NBD_EXPORT_BYTES_MAX,
  NBD_EXPORTS_MAX,
  NBD_NAME_BYTES_MAX,
  NODES_MAX,
  PAGE_BYTES,
  SEEDS_MAX,
  ZONE_BYTES_MAX,
} from "../core/limits.ts";
import { isPrintable } from "../core/printable.ts";
import { formatAddress, isLoopback, type TcpAddress } from "../net/address.ts";
import { formatPeer } from "./peers.ts";
import { type Role, type Setting, settingFor } from "./setting.ts";
import { SETTINGS, type SettingKey, type SettingValues } from "./settings.ts";

/**
 * Bit `id` for each codec whose zpages a node takes from peers. It only keeps them: their owner
 * alone decompresses them, so no library is needed.
 */
export const CODECS_TAKEN = (1 << CODECS_END) - 1;

export type NodeConfig = SettingValues & { readonly role: Role };

/** The settings without a default, and those that differ from their default. */
export type NodeSettings = Pick<NodeConfig, "number" | "name"> & Partial<NodeConfig>;

/** The settings of a node that has its number. */
export type NumberedConfig = NodeConfig & { readonly number: number };

/** The number of a node that has none yet: no node has it. */
export const UNNUMBERED = NODES_MAX;

/** The settings in force on a running node. */
export type LiveConfig = { -readonly [K in keyof NumberedConfig]: NumberedConfig[K] };

/** Pairs of settings. The first of a pair must stay below the second. */
export const ORDERED = [
  { lower: "lowMarkPercent", upper: "highMarkPercent", mayEqual: true },
  { lower: "persZpageMeanBytes", upper: "persZpageBytesMax", mayEqual: true },
  { lower: "keepaliveMs", upper: "idleMs", mayEqual: false },
] as const;

/** Stands for no export in the control `exports`. */
export const NO_EXPORT = "none";

/** All rows of a command. */
export function settingsOf(role: Role): [SettingKey, Setting][] {
  const rows = Object.entries(SETTINGS) as [SettingKey, Setting][];
  return rows
    .filter(([, setting]) => setting.role === null || setting.role === role)
    .map(([key, setting]) => [key, settingFor(setting, role)]);
}

/** The settings with every default filled in. Throws what `checkNodeConfig` throws. */
export function nodeConfig<S extends NodeSettings>(settings: S): NodeConfig & Pick<S, "number"> {
  const config = { ...defaultsOf(settings.role ?? "node"), ...settings };
  checkNodeConfig(config);
  return config;
}

function defaultsOf(role: Role): NodeConfig {
  const rows = Object.entries(SETTINGS) as [SettingKey, Setting][];
  const values = rows.map(([key, setting]) => [key, settingFor(setting, role).default]);
  const config = { ...(Object.fromEntries(values) as SettingValues), role };
  return role === "server" ? { ...config, memoryBytes: 0, target: null } : config;
}

/** Throws ConfigError BAD_CONFIG with one line that names the flags and the values at fault. */
export function checkNodeConfig(config: NodeConfig): void {
  checkBounds(config);
  checkRole(config);
  checkName("name", config.name);
  checkName("cluster", config.cluster);
  if (config.zone !== null) checkName("zone", config.zone, ZONE_BYTES_MAX);
  checkPairs(config);
  checkSpill(config);
  checkKeep(config);
  checkPeers(config);
  checkGossip(config);
  checkSecurity(config);
  checkHttp(config);
  checkClients(config);
  checkNbd(config);
}

function checkBounds(config: NodeConfig): void {
  for (const [key, { flag, type }] of settingsOf(config.role)) {
    const value = config[key];
    const { bounds } = type;
    if (bounds === undefined || value === null || value === "auto") continue;
    const number = Number.isInteger(value) ? Number(value) : Number.NaN;
    if (number >= bounds.min && number <= bounds.max) continue;
    const detail = `it must be a whole number, ${bounds.min} .. ${bounds.max}`;
    throw bad(flag, String(value), detail);
  }
}

function checkRole(config: NodeConfig): void {
  if (config.role === "node") return;
  if (config.memoryBytes !== 0) {
    throw bad("memory", config.memoryBytes, "a server has no memory for pages of its own");
  }
  if (config.target !== null) throw bad("target", config.target, "a server has no target");
  if (config.seal) throw bad("seal", "true", "no page leaves a server");
  if (config.spillPath !== null) {
    throw bad("spill", config.spillPath, "a server has no pages of its own");
  }
  if (config.keepPath !== null) {
    throw bad("keep", config.keepPath, "a server has no pages of its own");
  }
}

function checkName(flag: string, name: string, bytesMax = NAME_BYTES_MAX): void {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0) throw bad(flag, name, "it is empty");
  if (bytes > bytesMax) throw bad(flag, name, `it is longer than ${bytesMax} bytes`);
  if (!isPrintable(name)) {
    throw bad(flag, name, "it has a character that cannot be printed");
  }
}

function checkPairs(config: NodeConfig): void {
  for (const { lower, upper, mayEqual } of ORDERED) {
    const [low, high] = [config[lower], config[upper]];
    if (low < high || (mayEqual && low === high)) continue;
    const most = `--${SETTINGS[upper].flag} ${quoted(SETTINGS[upper].type.format(high))}`;
    const detail = mayEqual ? `it must not be above ${most}` : `it must be below ${most}`;
    throw bad(SETTINGS[lower].flag, SETTINGS[lower].type.format(low), detail);
  }
  if (config.target !== null && config.target === config.number) {
    throw bad("target", config.target, "it is the number of this node");
  }
  if (typeof config.target === "number" && typeof config.replicas === "number") {
    const detail = `with --target "${config.target}" all pages go to one node`;
    const most = config.replicasOnDisk ? 2 : 1;
    if (config.replicas > most) throw bad("replicas", config.replicas, detail);
  }
}

function checkKeep({ keepPath, placement, standby }: NodeConfig): void {
  if (keepPath === null && standby === "on") {
    throw bad("standby", standby, "it takes over what is kept, add --keep");
  }
  if (keepPath === null || placement === "blocks") return;
  throw bad("keep", keepPath, `it needs --placement blocks, and not ${placement}`);
}

function checkSpill({ spillPath, spillBytes, replicasOnDisk }: NodeConfig): void {
  if (spillPath !== null && spillBytes === null) {
    throw bad("spill", spillPath, "it needs a size, add --spill-size");
  }
  if (spillPath !== null) return;
  if (spillBytes !== null) throw bad("spill-size", spillBytes, "it needs a file, add --spill");
  if (!replicasOnDisk) return;
  throw new ConfigError(
    "BAD_CONFIG",
    "Cannot use --replicas-on-disk: it needs a disk, add --spill",
  );
}

function checkPeers(config: NodeConfig): void {
  const numbers = new Set<number>();
  const addresses = new Set<string>();
  for (const peer of config.peers) {
    const text = formatPeer(peer);
    const address = formatAddress(peer.address);
    if (!Number.isInteger(peer.number) || peer.number < 0 || peer.number >= NODES_MAX) {
      throw bad("peers", text, `node numbers are 0 .. ${NODES_MAX - 1}`);
    }
    if (peer.address.port === 0) throw bad("peers", text, "port 0 is no address to connect to");
    if (peer.number === config.number) throw bad("peers", text, "it has the number of this node");
    if (numbers.has(peer.number)) throw bad("peers", text, `node ${peer.number} occurs twice`);
    if (addresses.has(address)) throw bad("peers", text, "another peer has the same address");
    if (address === formatAddress(config.listen))
      throw bad("peers", text, "this node listens there");
    numbers.add(peer.number);
    addresses.add(address);
  }
}

function checkGossip(config: NodeConfig): void {
  const { gossip, gossipAdvertise, seeds } = config;
  if (gossip === null) {
    if (config.number === null) {
      const detail = "without gossip a node needs --number";
      throw bad("gossip", "none", detail);
    }
    if (seeds.length > 0) throw bad("gossip", "none", "--join needs gossip");
    return;
  }
  if (seeds.length > SEEDS_MAX) throw bad("join", seeds.length, `at most ${SEEDS_MAX} addresses`);
  for (const seed of seeds) {
    if (seed.port !== 0) continue;
    throw bad("join", formatAddress(seed), "port 0 is no address to connect to");
  }
  const told = { advertise: config.advertise, "gossip-advertise": gossipAdvertise };
  for (const [flag, address] of Object.entries(told)) {
    if (address?.port !== 0) continue;
    throw bad(flag, formatAddress(address), "port 0 is no address to connect to");
  }
  if (new TextEncoder().encode(config.gossipLabel).length > GOSSIP_LABEL_BYTES_MAX) {
    const detail = `it is longer than ${GOSSIP_LABEL_BYTES_MAX} bytes`;
    throw bad("gossip-label", config.gossipLabel, detail);
  }
  const { probeTimeoutMs, probeIntervalMs } = gossipTuningOf(config);
  if (probeTimeoutMs >= probeIntervalMs) {
    const detail = `it must be below probe-interval, which is ${probeIntervalMs}ms`;
    throw bad("gossip-tune", `probe-timeout=${probeTimeoutMs}ms`, detail);
  }
  if (gossip.port !== 0 && formatAddress(gossip) === formatAddress(config.listen)) {
    if (!followsListen(gossip, config.listen)) {
      throw bad("gossip", formatAddress(gossip), "this node listens there for pages");
    }
    const detail = "gossip takes that address: use another port, or name one with --gossip";
    throw bad("listen", formatAddress(config.listen), detail);
  }
  checkReach(config, gossip);
}

/** Checks that nodes on other machines reach this node. Otherwise they would declare it dead. */
function checkReach({ listen, advertise, gossipAdvertise, seeds }: NodeConfig, gossip: TcpAddress) {
  const elsewhere = seeds.find(({ host }) => !isLoopback(host));
  if (elsewhere === undefined) return;
  const told = { flag: "advertise", address: advertise };
  const gossipTold = { flag: "gossip-advertise", address: gossipAdvertise };
  const own = { flag: "listen", address: listen };
  const gossips = followsListen(gossip, listen) ? own : { flag: "gossip", address: gossip };
  const reached = [
    advertise === null ? own : told,
    gossipAdvertise === null ? gossips : gossipTold,
  ];
  for (const { flag, address } of reached) {
    if (address === null || !isLoopback(address.host)) continue;
    const who = `the nodes at --join ${formatAddress(elsewhere)} cannot connect there`;
    throw bad(flag, formatAddress(address), `${who}, use this machine's address`);
  }
}

/** Whether the address of gossip is the one that follows from `--listen`. */
export function followsListen(gossip: TcpAddress, listen: TcpAddress): boolean {
  return gossip.host === listen.host && gossip.port === GOSSIP_PORT_DEFAULT;
}

/** The preset of `network`, changed by the settings of `gossipTuning`. */
export function gossipTuningOf(config: NodeConfig): Tuning {
  return { ...PRESETS[config.network], ...config.gossipTuning };
}

/** Without a key, only programs on this machine may connect, unless --insecure allows more. */
function checkSecurity(config: NodeConfig): void {
  const { keyPath, insecure, listen, gossip, clients, nbd } = config;
  if (keyPath !== null || insecure) return;
  const open = [
    { flag: "listen", address: listen },
    { flag: "gossip", address: gossip },
    ...(clients ?? []).map((address) => ({ flag: "client", address })),
    ...nbd.map((address) => ({ flag: "nbd", address })),
  ];
  for (const { flag, address } of open) {
    if (address === null || address.kind === "unix" || isLoopback(address.host)) continue;
    const detail = "other machines can connect there, use --key, or --insecure";
    throw bad(flag, formatAddress(address), detail);
  }
}

/** Monitoring is not encrypted, with a key or without. */
function checkHttp({ http, insecure }: NodeConfig): void {
  if (http === null || insecure || isLoopback(http.host)) return;
  throw bad(
    "http",
    formatAddress(http),
    "other machines can read it in clear, allow that with --insecure",
  );
}

function checkClients(config: NodeConfig): void {
  const clients = config.clients ?? [];
  if (clients.length > CLIENT_ADDRESSES_MAX) {
    const detail = `at most ${CLIENT_ADDRESSES_MAX} addresses`;
    throw bad("client", clients.length, detail);
  }
  const taken = new Set([formatAddress(config.listen)]);
  const doors = [
    ...clients.map((address) => ({ flag: "client", address })),
    ...config.nbd.map((address) => ({ flag: "nbd", address })),
  ];
  for (const { flag, address } of doors) {
    // Several doors may each take a free port.
    if (address.kind === "tcp" && address.port === 0) continue;
    const text = formatAddress(address);
    if (taken.has(text)) throw bad(flag, text, "this node uses that address already");
    taken.add(text);
  }
}

function checkNbd({ nbd, exports, role }: NodeConfig): void {
  if (nbd.length > CLIENT_ADDRESSES_MAX) {
    throw bad("nbd", nbd.length, `at most ${CLIENT_ADDRESSES_MAX} addresses`);
  }
  const [address] = nbd;
  const [first] = exports;
  if (address !== undefined && first === undefined) {
    throw bad("nbd", formatAddress(address), "it serves nothing, add --export");
  }
  if (first !== undefined && address === undefined) {
    throw bad("export", first.name, "it needs an address, add --nbd");
  }
  if (first !== undefined && role === "server") {
    throw bad("export", first.name, "a server has no memory for pages of its own");
  }
  if (exports.length > NBD_EXPORTS_MAX) {
    throw bad("export", exports.length, `at most ${NBD_EXPORTS_MAX} exports`);
  }
  const names = new Set<string>();
  for (const { name, byteCount } of exports) {
    checkName("export", name, NBD_NAME_BYTES_MAX);
    if (name === NO_EXPORT) throw bad("export", name, '"none" is reserved for no export');
    if (names.has(name)) throw bad("export", name, "two exports have that name");
    names.add(name);
    const isWhole = byteCount > 0 && byteCount % PAGE_BYTES === 0;
    if (!isWhole || byteCount > NBD_EXPORT_BYTES_MAX) {
      const detail = `a size is a multiple of ${PAGE_BYTES}, at most ${NBD_EXPORT_BYTES_MAX}`;
      throw bad("export", `${name}=${byteCount}`, detail);
    }
  }
}

function bad(flag: string, value: string | number, detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", `Cannot use --${flag} ${quoted(String(value))}: ${detail}`);
}
