/**
 * Config: all settings of one node, with units in their names, defaults and bounds.
 *
 * Defaults come from core/limits.ts. `nodeConfig` fills them in and checks the values against their
 * bounds and against each other; text is parsed before (cli/args.ts). Settings are called by their
 * flags in errors, since that is where a person mends them.
 *
 * A memory server is a node that keeps no pages of its own: `memoryBytes` is 0 and it lends.
 *
 * Not here: which of them may change while the node runs (node.ts).
 */
import { PRESETS, type Tuning } from "../cluster/settings.ts";
import { CODEC } from "../compress/codec.ts";
import { ConfigError, quoted } from "../core/errors.ts";
import {
  CLIENT_ADDRESSES_MAX,
  COPIES_MAX,
  DRAIN_TIMEOUT_MS_DEFAULT,
  FETCHES_MAX,
  FOREIGN_GRACE_MS_DEFAULT,
  GOSSIP_LABEL_BYTES_MAX,
  HIGH_MARK_PERCENT_DEFAULT,
  IDLE_MS_DEFAULT,
  KEEPALIVE_MS_DEFAULT,
  LOW_MARK_PERCENT_DEFAULT,
  MEMORY_BYTES_DEFAULT,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  NAME_BYTES_MAX,
  NBD_EXPORT_BYTES_MAX,
  NBD_EXPORTS_MAX,
  NBD_IO_TIMEOUT_MS_DEFAULT,
  NBD_NAME_BYTES_MAX,
  NBD_WARN_AT_PERCENT_DEFAULT,
  NODES_MAX,
  PAGE_BYTES,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  PERS_ZPAGE_MEAN_BYTES_DEFAULT,
  PUT_WAIT_MS_DEFAULT,
  REDIAL_MS_MAX,
  REDIAL_MS_MIN,
  REQUEST_TIMEOUT_MS_DEFAULT,
  SEEDS_MAX,
  SELFSHRINK_COUNT_MAX,
  SELFSHRINK_HYSTERESIS_DEFAULT,
  SELFSHRINK_INERTIA_DEFAULT,
  SELFSHRINK_INTERVAL_MS_DEFAULT,
  SELFSHRINK_PAGES_DEFAULT,
  SERVER_MEMORY_BYTES_DEFAULT,
  SETTING_MS_MAX,
  SETTING_MS_MIN,
  SPILL_BYTES_MAX,
  SPILL_BYTES_MIN,
  TRICKLE_FIRST_MS_DEFAULT,
  TRICKLE_FRAMES_DEFAULT,
  TRICKLE_FRAMES_MAX,
  TRICKLE_PERIOD_MS_DEFAULT,
  UNUSED_MS_DEFAULT,
  ZONE_BYTES_MAX,
  ZPAGE_BYTES_MAX,
} from "../core/limits.ts";
import type { AreaLevel } from "../core/log.ts";
import type { ExportConfig } from "../exports/export.ts";
import { type Address, formatAddress, isLoopback, type TcpAddress } from "../net/address.ts";
import type { Reserve } from "../ramster/foreign/lend-limit.ts";
import type { Replicas, Target } from "../ramster/holders/lenders.ts";
import type { SwapSetting } from "./swap-mode.ts";

/** Codecs that a node can be told to compress with. */
export const CODEC_NAMES = ["lz4", "raw"] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

/** Bit `id` for each codec that every node can decompress. */
export const CODECS_DECOMPRESSED = (1 << CODEC.RAW) | (1 << CODEC.LZ4);

/** What gossip is tuned to: the presets of src/cluster/settings.ts. */
export const NETWORK_NAMES = ["lan", "local", "wan"] as const;
export type NetworkName = (typeof NETWORK_NAMES)[number];

/** How the log is written. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface PeerConfig {
  readonly number: number;
  readonly address: TcpAddress;
}

export interface NodeConfig {
  readonly role: "node" | "server";
  /** 0 .. NODES_MAX - 1, and unique in the cluster. Null: the cluster gives it one. */
  readonly number: number | null;
  readonly name: string;
  readonly cluster: string;
  /** Port 0 takes any free port. */
  readonly listen: TcpAddress;
  /** Where others reach `listen`; null: there. */
  readonly advertise: TcpAddress | null;
  readonly peers: readonly PeerConfig[];
  /** Where it gossips; null: not at all, and all peers are named by hand. */
  readonly gossip: TcpAddress | null;
  /** Where others reach `gossip`, an IP address; null: there. */
  readonly gossipAdvertise: TcpAddress | null;
  /** HOST:PORT of nodes that are in the cluster already; one that lives is enough. */
  readonly seeds: readonly TcpAddress[];
  /** How long seeds are tried at the start; null: until one answers. */
  readonly joinTimeoutMs: number | null;
  readonly network: NetworkName;
  /** Over what `network` says. */
  readonly gossipTuning: Partial<Tuning>;
  /** In clear in front of all gossip; "" for none. Members with another one are not heard. */
  readonly gossipLabel: string;
  /** The file that makes it one of the cluster; null: nothing is secured. */
  readonly keyPath: string | null;
  /** Whether others may connect although nothing is secured. */
  readonly insecure: boolean;
  /** Whether pages that leave are encrypted, so that lenders can neither read nor forge them. */
  readonly seal: boolean;
  /** Frames for its own pages; 0 on a server. */
  readonly memoryBytes: number;
  /** Frames for pages of other nodes; 0 lends nothing. */
  readonly lendBytes: number;
  /** Pages held for one other node, 4 KiB each; null: as many as there is room for. */
  readonly quotaBytes: number | null;
  /** What stays available to the machine: it lends no more than what is left over. */
  readonly reserve: Reserve;
  /** How long pages of a node that died are kept for it. */
  readonly foreignGraceMs: number;
  /** How long it may take to move pages of others away before it stops; 0: they are lost. */
  readonly drainTimeoutMs: number;
  /** Where pages go when the memory is full; "auto": to whoever lends and has most room. */
  readonly target: Target;
  /** Remote copies of each persistent page. */
  readonly replicas: Replicas;
  /**
   * Where its pages go that no lender takes: a new file, or a directory for one; null: nowhere.
   * With it comes its size.
   */
  readonly spillPath: string | null;
  readonly spillBytes: number | null;
  /** A copy on that disk stands for a zone that is missing. */
  readonly replicasOnDisk: boolean;
  /** Whether it can sit under the swap of its own kernel: src/node/swap-mode.ts. */
  readonly swap: SwapSetting;
  /** What it may fail together with; null: the host that it is on. */
  readonly zone: string | null;
  /** Where programs come in. */
  readonly clients: readonly Address[];
  /** Where block devices are served, and which. */
  readonly nbd: readonly Address[];
  readonly exports: readonly ExportConfig[];
  /** How long a request of a block device waits for the cluster before it fails. */
  readonly ioTimeoutMs: number;
  /** Of what there is for pages; above it a warning is logged. */
  readonly warnAtPercent: number;
  /** Where monitoring asks; null: nowhere. */
  readonly http: TcpAddress | null;
  readonly highMarkPercent: number;
  readonly lowMarkPercent: number;
  readonly remotifyEph: boolean;
  readonly remotifyPers: boolean;
  /** Frames of each kind a period; 0 is off. */
  readonly trickleFrames: number;
  readonly tricklePeriodMs: number;
  readonly trickleFirstMs: number;
  readonly persZpageBytesMax: number;
  readonly persZpageMeanBytes: number;
  readonly putWaitMs: number;
  readonly requestTimeoutMs: number;
  readonly keepaliveMs: number;
  readonly idleMs: number;
  /** A link without a page on it for so long is closed. */
  readonly unusedMs: number;
  /** The longest wait between two attempts to dial a peer. */
  readonly reconnectMs: number;
  readonly selfshrink: boolean;
  readonly selfshrinkIntervalMs: number;
  readonly selfshrinkHysteresis: number;
  readonly selfshrinkInertia: number;
  /** Pages that come home at a time, at most. */
  readonly selfshrinkPages: number;
  readonly codec: CodecName;
  /** What is logged of which area; later ones go over earlier ones. */
  readonly log: readonly AreaLevel[];
  readonly logFormat: LogFormat;
}

/** What a node has no default for, and whatever else is to differ from its default. */
export type NodeSettings = Pick<NodeConfig, "number" | "name"> & Partial<NodeConfig>;

/** Of a node that has its number. */
export type NumberedConfig = NodeConfig & { readonly number: number };

export const NODE_DEFAULTS: Omit<NodeConfig, "number" | "name"> = {
  role: "node",
  cluster: "ramster",
  listen: { kind: "tcp", host: "127.0.0.1", port: 7777 },
  advertise: null,
  peers: [],
  gossip: null,
  gossipAdvertise: null,
  seeds: [],
  joinTimeoutMs: null,
  network: "lan",
  gossipTuning: {},
  gossipLabel: "",
  keyPath: null,
  insecure: false,
  seal: false,
  memoryBytes: MEMORY_BYTES_DEFAULT,
  lendBytes: 0,
  quotaBytes: null,
  reserve: "auto",
  foreignGraceMs: FOREIGN_GRACE_MS_DEFAULT,
  drainTimeoutMs: DRAIN_TIMEOUT_MS_DEFAULT,
  target: "auto",
  replicas: "auto",
  spillPath: null,
  spillBytes: null,
  replicasOnDisk: false,
  swap: "off",
  zone: null,
  clients: [],
  nbd: [],
  exports: [],
  ioTimeoutMs: NBD_IO_TIMEOUT_MS_DEFAULT,
  warnAtPercent: NBD_WARN_AT_PERCENT_DEFAULT,
  http: null,
  highMarkPercent: HIGH_MARK_PERCENT_DEFAULT,
  lowMarkPercent: LOW_MARK_PERCENT_DEFAULT,
  remotifyEph: false,
  remotifyPers: true,
  trickleFrames: TRICKLE_FRAMES_DEFAULT,
  tricklePeriodMs: TRICKLE_PERIOD_MS_DEFAULT,
  trickleFirstMs: TRICKLE_FIRST_MS_DEFAULT,
  persZpageBytesMax: PERS_ZPAGE_BYTES_MAX_DEFAULT,
  persZpageMeanBytes: PERS_ZPAGE_MEAN_BYTES_DEFAULT,
  putWaitMs: PUT_WAIT_MS_DEFAULT,
  requestTimeoutMs: REQUEST_TIMEOUT_MS_DEFAULT,
  keepaliveMs: KEEPALIVE_MS_DEFAULT,
  idleMs: IDLE_MS_DEFAULT,
  unusedMs: UNUSED_MS_DEFAULT,
  reconnectMs: REDIAL_MS_MAX,
  selfshrink: true,
  selfshrinkIntervalMs: SELFSHRINK_INTERVAL_MS_DEFAULT,
  selfshrinkHysteresis: SELFSHRINK_HYSTERESIS_DEFAULT,
  selfshrinkInertia: SELFSHRINK_INERTIA_DEFAULT,
  selfshrinkPages: SELFSHRINK_PAGES_DEFAULT,
  codec: "lz4",
  log: [],
  logFormat: "text",
};

/** In place of the names of exports: see the knob. */
export const NO_EXPORT = "none";

const TIME = { min: SETTING_MS_MIN, max: SETTING_MS_MAX } as const;

/** Both ends of every number, and the flag that sets it. */
export const NODE_BOUNDS = {
  number: { flag: "number", min: 0, max: NODES_MAX - 1 },
  memoryBytes: { flag: "memory", min: MEMORY_BYTES_MIN, max: MEMORY_BYTES_MAX },
  lendBytes: { flag: "lend", min: 0, max: MEMORY_BYTES_MAX },
  quotaBytes: { flag: "quota", min: PAGE_BYTES, max: MEMORY_BYTES_MAX },
  foreignGraceMs: { flag: "foreign-grace", ...TIME, min: 0 },
  drainTimeoutMs: { flag: "drain-timeout", ...TIME, min: 0 },
  joinTimeoutMs: { flag: "join-timeout", ...TIME },
  target: { flag: "target", min: 0, max: NODES_MAX - 1 },
  replicas: { flag: "replicas", min: 1, max: COPIES_MAX },
  spillBytes: { flag: "spill-size", min: SPILL_BYTES_MIN, max: SPILL_BYTES_MAX },
  highMarkPercent: { flag: "high-mark", min: 1, max: 100 },
  lowMarkPercent: { flag: "low-mark", min: 0, max: 100 },
  trickleFrames: { flag: "trickle", min: 0, max: TRICKLE_FRAMES_MAX },
  tricklePeriodMs: { flag: "trickle-period", ...TIME },
  trickleFirstMs: { flag: "trickle-first", ...TIME, min: 0 },
  persZpageBytesMax: { flag: "pers-zpage-max", min: 1, max: ZPAGE_BYTES_MAX },
  persZpageMeanBytes: { flag: "pers-zpage-mean", min: 1, max: ZPAGE_BYTES_MAX },
  ioTimeoutMs: { flag: "io-timeout", ...TIME },
  warnAtPercent: { flag: "warn-at", min: 1, max: 100 },
  putWaitMs: { flag: "put-wait", ...TIME, min: 0 },
  requestTimeoutMs: { flag: "request-timeout", ...TIME },
  keepaliveMs: { flag: "keepalive", ...TIME },
  idleMs: { flag: "idle", ...TIME },
  unusedMs: { flag: "unused", ...TIME },
  reconnectMs: { flag: "reconnect", ...TIME, min: REDIAL_MS_MIN },
  selfshrinkIntervalMs: { flag: "selfshrink-interval", ...TIME },
  selfshrinkHysteresis: { flag: "selfshrink-hysteresis", min: 1, max: SELFSHRINK_COUNT_MAX },
  selfshrinkInertia: { flag: "selfshrink-inertia", min: 0, max: SELFSHRINK_COUNT_MAX },
  selfshrinkPages: { flag: "selfshrink-pages", min: 1, max: FETCHES_MAX },
} as const;

/** The settings with every default filled in. Throws what `checkNodeConfig` throws. */
export function nodeConfig<S extends NodeSettings>(settings: S): NodeConfig & Pick<S, "number"> {
  const config = { ...NODE_DEFAULTS, ...serverDefaults(settings), ...settings };
  checkNodeConfig(config);
  return config;
}

function serverDefaults(settings: NodeSettings): Partial<NodeConfig> {
  if (settings.role !== "server") return {};
  return { memoryBytes: 0, lendBytes: SERVER_MEMORY_BYTES_DEFAULT, target: null };
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
  checkPeers(config);
  checkGossip(config);
  checkSecurity(config);
  checkHttp(config);
  checkClients(config);
  checkNbd(config);
}

function checkBounds(config: NodeConfig): void {
  for (const [key, bounds] of Object.entries(NODE_BOUNDS)) {
    const value = config[key as keyof typeof NODE_BOUNDS];
    if (value === null || value === "auto") continue;
    // A server has no memory of its own: its bound is that of what it lends, see checkRole.
    if (key === "memoryBytes" && config.role === "server") continue;
    if (Number.isInteger(value) && value >= bounds.min && value <= bounds.max) continue;
    throw bad(bounds.flag, value, `it must be a whole number, ${bounds.min} .. ${bounds.max}`);
  }
}

function checkRole(config: NodeConfig): void {
  if (config.role === "node") return;
  if (config.memoryBytes !== 0) {
    throw bad("memory", config.memoryBytes, "a server has no memory for pages of its own");
  }
  if (config.lendBytes < MEMORY_BYTES_MIN) {
    throw bad("memory", config.lendBytes, `a server lends at least ${MEMORY_BYTES_MIN} bytes`);
  }
  if (config.target !== null) throw bad("target", config.target, "a server has no target");
  if (config.seal) throw bad("seal", "true", "no page leaves a server");
  if (config.spillPath !== null) {
    throw bad("spill", config.spillPath, "a server has no pages of its own");
  }
}

function checkName(flag: string, name: string, bytesMax = NAME_BYTES_MAX): void {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0) throw bad(flag, name, "it is empty");
  if (bytes > bytesMax) throw bad(flag, name, `it is longer than ${bytesMax} bytes`);
  if (/\p{Cc}|\p{Cs}|[\u2028\u2029]/u.test(name)) {
    throw bad(flag, name, "it holds a character that cannot be printed");
  }
}

function checkPairs(config: NodeConfig): void {
  if (config.lowMarkPercent > config.highMarkPercent) {
    const detail = `it must not be above --high-mark "${config.highMarkPercent}"`;
    throw bad("low-mark", config.lowMarkPercent, detail);
  }
  if (config.persZpageMeanBytes > config.persZpageBytesMax) {
    const detail = `it must not be above --pers-zpage-max "${config.persZpageBytesMax}"`;
    throw bad("pers-zpage-mean", config.persZpageMeanBytes, detail);
  }
  if (config.keepaliveMs >= config.idleMs) {
    const detail = `it must be below --idle "${config.idleMs}ms"`;
    throw bad("keepalive", `${config.keepaliveMs}ms`, detail);
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

function checkSpill({ spillPath, spillBytes, replicasOnDisk }: NodeConfig): void {
  if (spillPath !== null && spillBytes === null) {
    throw bad("spill", spillPath, "how large it may become takes --spill-size");
  }
  if (spillPath !== null) return;
  if (spillBytes !== null) throw bad("spill-size", spillBytes, "where that is takes --spill");
  if (!replicasOnDisk) return;
  throw new ConfigError("BAD_CONFIG", "Cannot use --replicas-on-disk: which disk takes --spill");
}

function checkPeers(config: NodeConfig): void {
  const numbers = new Set<number>();
  const addresses = new Set<string>();
  for (const peer of config.peers) {
    const { min, max } = NODE_BOUNDS.number;
    const text = `${peer.number}@${formatAddress(peer.address)}`;
    const address = formatAddress(peer.address);
    if (!Number.isInteger(peer.number) || peer.number < min || peer.number > max) {
      throw bad("peers", text, `node numbers are ${min} .. ${max}`);
    }
    if (peer.address.port === 0) throw bad("peers", text, "port 0 is no address to connect to");
    if (peer.number === config.number) throw bad("peers", text, "it has the number of this node");
    if (numbers.has(peer.number)) throw bad("peers", text, `node ${peer.number} is there twice`);
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
      const detail = "without gossip nobody gives a number, use --number";
      throw bad("gossip", "none", detail);
    }
    if (seeds.length > 0) throw bad("gossip", "none", "it joins by gossip, see --join");
    return;
  }
  if (seeds.length > SEEDS_MAX) throw bad("join", seeds.length, `at most ${SEEDS_MAX} addresses`);
  for (const seed of seeds) {
    if (seed.port !== 0) continue;
    throw bad("join", formatAddress(seed), "port 0 is no address to connect to");
  }
  for (const address of [config.advertise, gossipAdvertise]) {
    if (address?.port !== 0) continue;
    throw bad("advertise", formatAddress(address), "port 0 is no address to connect to");
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
    throw bad("gossip", formatAddress(gossip), "this node listens there for pages");
  }
  checkReach(config, gossip);
}

/** Others that it joins elsewhere must reach it, or they take it for dead. */
function checkReach({ listen, advertise, gossipAdvertise, seeds }: NodeConfig, gossip: TcpAddress) {
  const elsewhere = seeds.find(({ host }) => !isLoopback(host));
  if (elsewhere === undefined) return;
  const reached = [
    { flag: "listen", address: advertise ?? listen },
    { flag: "gossip", address: gossipAdvertise ?? gossip },
  ];
  for (const { flag, address } of reached) {
    if (!isLoopback(address.host)) continue;
    const who = `the nodes at --join ${formatAddress(elsewhere)} cannot connect there`;
    throw bad(flag, formatAddress(address), `${who}, use this machine's address`);
  }
}

/** What `network` says, and what was said by hand. */
export function gossipTuningOf(config: NodeConfig): Tuning {
  return { ...PRESETS[config.network], ...config.gossipTuning };
}

/** Without a key this machine is the whole world, unless somebody says that it is not. */
function checkSecurity(config: NodeConfig): void {
  const { keyPath, insecure, listen, gossip, clients, nbd } = config;
  if (keyPath !== null || insecure) return;
  const open = [
    { flag: "listen", address: listen },
    { flag: "gossip", address: gossip },
    ...clients.map((address) => ({ flag: "client", address })),
    ...nbd.map((address) => ({ flag: "nbd", address })),
  ];
  for (const { flag, address } of open) {
    if (address === null || address.kind === "unix" || isLoopback(address.host)) continue;
    const detail = "others can connect there, secure it with --key, or say --insecure";
    throw bad(flag, formatAddress(address), detail);
  }
}

/** What monitoring is told is in clear, key or not. */
function checkHttp({ http, insecure }: NodeConfig): void {
  if (http === null || insecure || isLoopback(http.host)) return;
  throw bad("http", formatAddress(http), "others can read there in clear, which takes --insecure");
}

function checkClients(config: NodeConfig): void {
  if (config.clients.length > CLIENT_ADDRESSES_MAX) {
    const detail = `at most ${CLIENT_ADDRESSES_MAX} addresses`;
    throw bad("client", config.clients.length, detail);
  }
  const taken = new Set([formatAddress(config.listen)]);
  const doors = [
    ...config.clients.map((address) => ({ flag: "client", address })),
    ...config.nbd.map((address) => ({ flag: "nbd", address })),
  ];
  for (const { flag, address } of doors) {
    // Any number of doors may have a free port each.
    if (address.kind === "tcp" && address.port === 0) continue;
    const text = formatAddress(address);
    if (taken.has(text)) throw bad(flag, text, "the address is taken by this node itself");
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
    throw bad("nbd", formatAddress(address), "what is served there takes --export");
  }
  if (first !== undefined && address === undefined) {
    throw bad("export", first.name, "where it is served takes --nbd");
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
    if (name === NO_EXPORT) throw bad("export", name, "that is what no export is called");
    if (names.has(name)) throw bad("export", name, "there are two of that name");
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
