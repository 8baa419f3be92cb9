/**
 * Args: a command line to a checked invocation, before anything else happens.
 *
 * Text to flags is given.ts, the tables are flags.ts, units are units.ts. Here every flag gets its
 * meaning, flags that contradict each other are refused, and the result is one typed union.
 *
 * Not here: whether an address is free, a file exists or a peer answers; that is for the command.
 */
import { TUNING, type Tuning } from "../cluster/settings.ts";
import { assert, unreachable } from "../core/assert.ts";
import {
  FRAME_BYTES,
  GOSSIP_PORT_DEFAULT,
  KEY_DAYS_MAX,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  NBD_EXPORT_BYTES_MAX,
  PAGE_BYTES,
  SETTING_MS_MAX,
} from "../core/limits.ts";
import { parseLogLevel } from "../core/log.ts";
import type { ExportConfig } from "../exports/export.ts";
import { type Address, parseAddress, type TcpAddress } from "../net/address.ts";
import {
  CODEC_NAMES,
  LOG_FORMATS,
  NETWORK_NAMES,
  NODE_BOUNDS,
  NODE_DEFAULTS,
  type NodeConfig,
  type NodeSettings,
  nodeConfig,
  type PeerConfig,
} from "../node/config.ts";
import { parsePeer } from "../node/peers.ts";
import { parseReserve } from "../node/reserve.ts";
import { SWAP_SETTINGS } from "../node/swap-mode.ts";
import { RENEW_STEPS } from "../security/renew-key.ts";
import { readConfigText } from "./config-file.ts";
import type { CommandSpec } from "./flag-spec.ts";
import { COMMANDS, STRESS_CLUSTER } from "./flags.ts";
import { type GivenFlags, readFlags } from "./given.ts";
import { nearest } from "./nearest.ts";
import {
  CHAOS_KINDS,
  type CommandName,
  type DoorOptions,
  type DrainOptions,
  type HelpRequest,
  hasServers,
  type Invocation,
  KEY_ACTIONS,
  type KeygenOptions,
  type KeyOptions,
  type SetOptions,
  STRESS_DATA_KINDS,
  type StatsOptions,
  type StatusOptions,
  type StressData,
  type StressOptions,
  TOPOLOGIES,
} from "./options.ts";
import {
  STRESS_DELAY_MS_MAX,
  STRESS_LOSS_PERCENT_MAX,
  STRESS_MEMORY_BYTES_ALL,
  STRESS_MEMORY_BYTES_DEFAULT,
  STRESS_NODES_MAX,
  STRESS_WORKING_SET_RATIO,
} from "./stress-limits.ts";
import { readSwap } from "./swap/swap-args.ts";
import {
  type Bounds,
  badValue,
  type Given,
  parseChoice,
  parseCount,
  parseDuration,
  parsePercent,
  parseRatio,
  parseSize,
  refuse,
  said,
} from "./units.ts";

/** What a default depends on and the command line does not say. */
export interface Machine {
  readonly hostName: string;
  /** The text of a file. Throws what the operating system says. */
  readText(path: string): string;
}

const SEED_MAX = 2 ** 32 - 1;
const PID_MAX = 2 ** 22;

/**
 * Reads `argv`, the arguments after the program's name.
 *
 * @returns the command with all of its options, or a request for help.
 * Throws ConfigError BAD_CONFIG with one line that names the flag at fault.
 */
export function parseArgs(argv: readonly string[], machine: Machine): Invocation | HelpRequest {
  const [word, ...rest] = argv;
  if (word === undefined) {
    throw refuse(`Cannot run without a command: take one of ${commandNames().join(", ")}`);
  }
  if (word === "--help" || word === "-h") return { command: "help", about: null };
  if (word === "help") return { command: "help", about: helpTopic(rest) };
  if (word === "--version" || word === "-v") return { command: "version", options: {} };
  const command = commandOf(word);
  const flags = readFlags(command, rest);
  if (flags === null) return { command: "help", about: command.name };
  switch (command.name) {
    case "node":
      return { command: "node", options: readNode(configured(flags, machine), machine) };
    case "server":
      return { command: "server", options: readServer(configured(flags, machine), machine) };
    case "stress":
      return { command: "stress", options: readStress(flags) };
    case "status":
      return { command: "status", options: readStatus(flags) };
    case "stats":
      return { command: "stats", options: readStats(flags) };
    case "get":
      return { command: "get", options: { ...readDoor(flags), knob: flags.argument("NAME") } };
    case "set":
      return { command: "set", options: readSet(flags) };
    case "drain":
      return { command: "drain", options: readDrain(flags) };
    case "keygen":
      return { command: "keygen", options: readKeygen(flags) };
    case "key":
      return { command: "key", options: readKeyCommand(flags) };
    case "swap":
      return { command: "swap", options: readSwap(flags) };
    case "version":
      return { command: "version", options: {} };
    default:
      return unreachable(command.name);
  }
}

/** The flags, and what --config says of those that are not given. */
function configured(flags: GivenFlags, machine: Machine): GivenFlags {
  const config = flags.optional("config");
  if (config === null) return flags;
  const own = {
    number: flags.optional("number")?.text ?? null,
    name: flags.optional("name")?.text ?? machine.hostName,
  };
  let text: string;
  try {
    text = machine.readText(config.text);
  } catch (error) {
    throw badValue(config, error instanceof Error ? error.message : String(error));
  }
  return flags.over(readConfigText(flags.command, config.text, text, own));
}

function commandNames(): string[] {
  return COMMANDS.map((command) => command.name);
}

function commandOf(word: string): CommandSpec {
  const command = COMMANDS.find((it) => it.name === word);
  if (command !== undefined) return command;
  const what = `Cannot run ${JSON.stringify(word)}: there is no such command`;
  const meant = nearest(word, commandNames());
  if (meant !== null) throw refuse(`${what}, did you mean "${meant}"?`);
  throw refuse(`${what}, take one of ${commandNames().join(", ")}`);
}

function helpTopic(rest: readonly string[]): CommandName | null {
  const [word] = rest;
  return word === undefined ? null : commandOf(word).name;
}

function readNode(flags: GivenFlags, machine: Machine): NodeConfig {
  return nodeConfig({
    ...readCommon(flags, machine),
    role: "node",
    memoryBytes: parseSize(flags.value("memory"), NODE_BOUNDS.memoryBytes),
    lendBytes: readLend(flags),
    target: readTarget(flags.value("target")),
    replicas: readReplicas(flags.value("replicas")),
    spillPath: readPath(flags.optional("spill")),
    spillBytes: readSpillBytes(flags),
    replicasOnDisk: flags.has("replicas-on-disk"),
    swap: readSwapSetting(flags),
    nbd: flags.list("nbd").map(readAddress),
    exports: flags.list("export").map(readExport),
    ioTimeoutMs: parseDuration(flags.value("io-timeout"), NODE_BOUNDS.ioTimeoutMs),
    warnAtPercent: parsePercent(flags.value("warn-at"), NODE_BOUNDS.warnAtPercent),
    highMarkPercent: parsePercent(flags.value("high-mark"), NODE_BOUNDS.highMarkPercent),
    lowMarkPercent: parsePercent(flags.value("low-mark"), NODE_BOUNDS.lowMarkPercent),
    codec: parseChoice(flags.value("codec"), CODEC_NAMES),
    persZpageBytesMax: parseSize(flags.value("pers-zpage-max"), NODE_BOUNDS.persZpageBytesMax),
    persZpageMeanBytes: parseSize(flags.value("pers-zpage-mean"), NODE_BOUNDS.persZpageMeanBytes),
    remotifyPers: readSwitch(flags.value("remotify-pers")),
    remotifyEph: readSwitch(flags.value("remotify-eph")),
    putWaitMs: parseDuration(flags.value("put-wait"), NODE_BOUNDS.putWaitMs),
    trickleFrames: parseCount(flags.value("trickle"), NODE_BOUNDS.trickleFrames),
    tricklePeriodMs: parseDuration(flags.value("trickle-period"), NODE_BOUNDS.tricklePeriodMs),
    trickleFirstMs: parseDuration(flags.value("trickle-first"), NODE_BOUNDS.trickleFirstMs),
    ...readSelfshrink(flags),
    seal: flags.has("seal"),
  });
}

function readSelfshrink(flags: GivenFlags) {
  const bounds = NODE_BOUNDS;
  return {
    selfshrink: readSwitch(flags.value("selfshrink")),
    selfshrinkIntervalMs: parseDuration(
      flags.value("selfshrink-interval"),
      bounds.selfshrinkIntervalMs,
    ),
    selfshrinkHysteresis: parseCount(
      flags.value("selfshrink-hysteresis"),
      bounds.selfshrinkHysteresis,
    ),
    selfshrinkInertia: parseCount(flags.value("selfshrink-inertia"), bounds.selfshrinkInertia),
    selfshrinkPages: parseCount(flags.value("selfshrink-pages"), bounds.selfshrinkPages),
  };
}

function readServer(flags: GivenFlags, machine: Machine): NodeConfig {
  return nodeConfig({
    ...readCommon(flags, machine),
    role: "server",
    lendBytes: parseSize(flags.value("memory"), NODE_BOUNDS.memoryBytes),
  });
}

/** What a node and a server share. */
function readCommon(flags: GivenFlags, machine: Machine): NodeSettings {
  const number = flags.optional("number");
  const listen = readTcp(flags.value("listen"));
  return {
    number: number === null ? null : parseCount(number, NODE_BOUNDS.number),
    name: flags.optional("name")?.text ?? machine.hostName,
    cluster: flags.value("cluster").text,
    listen,
    advertise: readOptional(flags.optional("advertise"), readTcp),
    peers: flags.list("peers").map(readPeer),
    gossip: readGossip(flags, listen),
    gossipAdvertise: readOptional(flags.optional("gossip-advertise"), readTcp),
    seeds: flags.list("join").map(readTcp),
    joinTimeoutMs: readOptional(flags.optional("join-timeout"), (it) =>
      parseDuration(it, NODE_BOUNDS.joinTimeoutMs),
    ),
    quotaBytes: readOptional(flags.optional("quota"), (it) =>
      parseSize(it, NODE_BOUNDS.quotaBytes),
    ),
    reserve: readReserve(flags.value("reserve")),
    zone: flags.optional("zone")?.text ?? null,
    foreignGraceMs: parseDuration(flags.value("foreign-grace"), NODE_BOUNDS.foreignGraceMs),
    drainTimeoutMs: parseDuration(flags.value("drain-timeout"), NODE_BOUNDS.drainTimeoutMs),
    network: parseChoice(flags.value("network"), NETWORK_NAMES),
    gossipTuning: readTuning(flags.list("gossip-tune")),
    gossipLabel: flags.optional("gossip-label")?.text ?? NODE_DEFAULTS.gossipLabel,
    log: flags.list("log").map((given) => said(given, () => parseLogLevel(given.text))),
    logFormat: parseChoice(flags.value("log-format"), LOG_FORMATS),
    keyPath: readPath(flags.optional("key")),
    insecure: flags.has("insecure"),
    clients: flags.list("client").map((given) => readAddress(given)),
    http: readOptional(flags.optional("http"), readTcp),
    requestTimeoutMs: parseDuration(flags.value("request-timeout"), NODE_BOUNDS.requestTimeoutMs),
    keepaliveMs: parseDuration(flags.value("keepalive"), NODE_BOUNDS.keepaliveMs),
    idleMs: parseDuration(flags.value("idle"), NODE_BOUNDS.idleMs),
    unusedMs: parseDuration(flags.value("unused"), NODE_BOUNDS.unusedMs),
    reconnectMs: parseDuration(flags.value("reconnect"), NODE_BOUNDS.reconnectMs),
  };
}

/** With peers named by hand there is no need of gossip, unless it is asked for. */
function readGossip(flags: GivenFlags, listen: TcpAddress): TcpAddress | null {
  const given = flags.optional("gossip");
  if (given?.text === "none") return null;
  if (given !== null) return readTcp(given);
  if (flags.has("peers") && !flags.has("join")) return null;
  return { kind: "tcp", host: listen.host, port: GOSSIP_PORT_DEFAULT };
}

function readTuning(list: readonly Given[]): Partial<Tuning> {
  const tuning: Partial<Record<keyof Tuning, number>> = {};
  for (const given of list) {
    const [name = "", text] = given.text.split("=");
    const spec = TUNING.find((it) => it.name === name);
    if (spec === undefined || text === undefined) throw badValue(given, notTuning(name, text));
    const value = { ...given, flag: `${given.flag} ${name}`, text };
    const parse = spec.unit === "ms" ? parseDuration : parseCount;
    tuning[spec.setting] = parse(value, spec);
  }
  return tuning;
}

function notTuning(name: string, value: string | undefined): string {
  if (value === undefined) return 'write NAME=VALUE, as in "probe-interval=1s"';
  const names = TUNING.map((spec) => spec.name);
  const meant = nearest(name, names);
  return meant === null ? `take one of ${names.join(", ")}` : `did you mean "${meant}"?`;
}

function readOptional<T>(given: Given | null, read: (given: Given) => T): T | null {
  return given === null ? null : read(given);
}

/** What is lent is nothing, or enough to be of use. */
function readLend(flags: GivenFlags): number {
  const given = flags.value("lend");
  const bytes = parseSize(given, NODE_BOUNDS.lendBytes);
  if (bytes > 0 && bytes < MEMORY_BYTES_MIN) throw badValue(given, "it must be 0 or at least 1MiB");
  return bytes;
}

function readTarget(given: Given): NodeConfig["target"] {
  if (given.text === "none") return null;
  if (given.text === "auto") return "auto";
  if (!/^\d+$/.test(given.text)) {
    throw badValue(given, 'write the number of a node, "auto" or "none"');
  }
  return parseCount(given, NODE_BOUNDS.target);
}

function readSpillBytes(flags: GivenFlags): number | null {
  return readOptional(flags.optional("spill-size"), (it) => parseSize(it, NODE_BOUNDS.spillBytes));
}

function readReplicas(given: Given): NodeConfig["replicas"] {
  return given.text === "auto" ? "auto" : parseCount(given, NODE_BOUNDS.replicas);
}

function readReserve(given: Given): NodeConfig["reserve"] {
  return said(given, () => parseReserve(given.text));
}

/** A node with exports is made for a kernel that swaps there. */
function readSwapSetting(flags: GivenFlags): NodeConfig["swap"] {
  const given = flags.optional("swap");
  if (given !== null) return parseChoice(given, SWAP_SETTINGS);
  return flags.has("export") ? "on" : "off";
}

function readExport(given: Given): ExportConfig {
  const at = given.text.lastIndexOf("=");
  if (at <= 0) throw badValue(given, 'write NAME=SIZE, as in "swap=4GiB"');
  const size = { ...given, text: given.text.slice(at + 1) };
  const bounds = { min: PAGE_BYTES, max: NBD_EXPORT_BYTES_MAX };
  const byteCount = said(given, () => parseSize(size, bounds));
  if (byteCount % PAGE_BYTES !== 0) throw badValue(given, "a size is whole pages of 4KiB");
  return { name: given.text.slice(0, at), byteCount };
}

function readSwitch(given: Given): boolean {
  return parseChoice(given, ["on", "off"]) === "on";
}

function readPeer(given: Given): PeerConfig {
  return said(given, () => parsePeer(given.text));
}

function readTcp(given: Given): TcpAddress {
  const address = readAddress(given);
  if (address.kind !== "tcp") throw badValue(given, 'nodes talk over TCP, write "HOST:PORT"');
  return address;
}

function readAddress(given: Given): Address {
  return said(given, () => parseAddress(given.text));
}

function readStress(flags: GivenFlags): StressOptions {
  const connect = flags.list("connect").map((given) => readAddress(given));
  refuseStressContradictions(flags);
  const running = connect.length > 0;
  const cluster = readStressCluster(flags, { running });
  const memoryBytes = readStressMemory(flags, cluster.nodes);
  const seed = flags.optional("seed");
  const [put = 0, get = 0, flush = 0] = parseRatio(flags.value("mix"), ["put", "get", "flush"]);
  if (put === 0) throw badValue(flags.value("mix"), "without puts there is nothing to check");
  return {
    ...cluster,
    replicas: readReplicas(flags.value("replicas")),
    seal: flags.has("seal"),
    spillBytes: readSpillBytes(flags),
    memoryBytes,
    workingSetBytes: readWorkingSet(flags, memoryBytes),
    durationMs: parseDuration(flags.value("duration"), { min: 1, max: SETTING_MS_MAX }),
    mix: { put, get, flush },
    data: readData(flags.value("data")),
    seed: seed === null ? null : parseCount(seed, { min: 0, max: SEED_MAX }),
    jsonPath: readPath(flags.optional("json")),
    connect,
    keyPath: readPath(flags.optional("key")),
    insecure: flags.has("insecure"),
    lossPercent: parseCount(flags.value("loss"), { min: 0, max: STRESS_LOSS_PERCENT_MAX }),
    delayMs: parseDuration(flags.value("delay"), { min: 0, max: STRESS_DELAY_MS_MAX }),
    ...readChaos(flags, cluster),
    verbose: flags.has("verbose"),
  };
}

function readChaos(
  flags: GivenFlags,
  { servers, topology }: Pick<StressOptions, "servers" | "topology">,
): Pick<StressOptions, "chaos" | "chaosEveryMs"> {
  const chaos = flags.list("chaos").map((given) => parseChoice(given, CHAOS_KINDS));
  const bounds: Bounds = { min: 1, max: SETTING_MS_MAX };
  const chaosEveryMs = parseDuration(flags.value("chaos-every"), bounds);
  if (chaos.length === 0) return { chaos, chaosEveryMs };
  if (chaos.includes("rolling") && chaos.length > 1) {
    throw refuse('Cannot use --chaos "rolling" with others: it restarts all nodes in order');
  }
  if (topology !== "auto") {
    throw refuse(`Cannot use --chaos with --topology "${topology}": pages have one holder there`);
  }
  const isOrderly = chaos.every((kind) => kind === "restart" || kind === "rolling");
  if (servers < 2 || (flags.value("replicas").text === "1" && !isOrderly)) {
    throw refuse("Cannot use --chaos with one copy of a page: it takes two servers and two copies");
  }
  return { chaos, chaosEveryMs };
}

/** Flags that shape a cluster mean nothing to one that runs already. */
function refuseStressContradictions(flags: GivenFlags): void {
  if (flags.has("connect")) {
    for (const { name: flag } of STRESS_CLUSTER.flags) {
      if (flag === "connect" || flag === "key" || !flags.has(flag)) continue;
      throw refuse(`Cannot use --${flag} with --connect: those nodes run already`);
    }
  }
  const topology = flags.value("topology");
  const kind = TOPOLOGIES.find((it) => it === topology.text);
  if (flags.has("replicas") && kind !== undefined && kind !== "auto") {
    throw refuse(`Cannot use --replicas with --topology "${kind}": all pages of a node go to one`);
  }
  if (flags.has("servers") && kind !== undefined && !hasServers(kind)) {
    throw refuse(`Cannot use --servers with --topology "${kind}": it has none`);
  }
}

function readStressCluster(
  flags: GivenFlags,
  options: { running: boolean },
): Pick<StressOptions, "nodes" | "servers" | "topology"> {
  const topology = parseChoice(flags.value("topology"), TOPOLOGIES);
  if (options.running) return { nodes: 0, servers: 0, topology };
  const nodes = parseCount(flags.value("nodes"), { min: 2, max: STRESS_NODES_MAX });
  if (topology === "pair" && nodes % 2 === 1) {
    throw badValue(flags.value("nodes"), 'topology "pair" needs an even number');
  }
  if (!hasServers(topology)) return { nodes, servers: 0, topology };
  const given = flags.optional("servers");
  const bounds: Bounds = { min: 1, max: STRESS_NODES_MAX };
  const usual = topology === "auto" ? Math.max(1, Math.floor(nodes / 4)) : 1;
  const servers = given === null ? usual : parseCount(given, bounds);
  if (given !== null && servers >= nodes) {
    throw badValue(given, `it must be below --nodes "${nodes}"`);
  }
  return { nodes, servers, topology };
}

function readStressMemory(flags: GivenFlags, nodes: number): number {
  const given = flags.optional("memory");
  if (given !== null) return parseSize(given, NODE_BOUNDS.memoryBytes);
  const share =
    Math.floor(STRESS_MEMORY_BYTES_ALL / Math.max(1, nodes) / FRAME_BYTES) * FRAME_BYTES;
  return Math.max(MEMORY_BYTES_MIN, Math.min(STRESS_MEMORY_BYTES_DEFAULT, share));
}

function readWorkingSet(flags: GivenFlags, memoryBytes: number): number {
  const given = flags.optional("working-set");
  if (given === null) return memoryBytes * STRESS_WORKING_SET_RATIO;
  return parseSize(given, { min: PAGE_BYTES, max: MEMORY_BYTES_MAX });
}

function readData(given: Given): StressData {
  const kind = STRESS_DATA_KINDS.find((it) => it === given.text);
  if (kind !== undefined) return { kind };
  if (given.text === "") throw badValue(given, "write a file, pid:N, mixed, random or zero");
  if (!given.text.startsWith("pid:")) return { kind: "file", path: given.text };
  const pid = given.text.slice("pid:".length);
  if (!/^[1-9]\d*$/.test(pid) || Number(pid) > PID_MAX) {
    throw badValue(given, `"${pid}" is no process id, it must be 1 .. ${PID_MAX}`);
  }
  return { kind: "pid", pid: Number(pid) };
}

function readPath(given: Given | null): string | null {
  if (given === null) return null;
  if (given.text === "") throw badValue(given, "the path is empty");
  return given.text;
}

function readStatus(flags: GivenFlags): StatusOptions {
  return { ...readDoor(flags), json: flags.has("json") };
}

function readStats(flags: GivenFlags): StatsOptions {
  return { ...readStatus(flags), explain: flags.has("explain") };
}

function readSet(flags: GivenFlags): SetOptions {
  const [knob, value] = [flags.argument("NAME"), flags.argument("VALUE")];
  assert(knob !== null && value !== null, "both are required");
  return { ...readDoor(flags), knob, value };
}

function readDrain(flags: GivenFlags): DrainOptions {
  const bounds = NODE_BOUNDS.drainTimeoutMs;
  return {
    ...readDoor(flags),
    drainTimeoutMs: parseDuration(flags.value("drain-timeout"), bounds),
  };
}

function readKeyCommand(flags: GivenFlags): KeyOptions {
  const [word, key] = [flags.argument("ACTION"), flags.argument("KEY")];
  const action = KEY_ACTIONS.find((it) => it === word);
  if (action === undefined) {
    throw refuse(`Cannot run key ${JSON.stringify(word)}: take one of ${KEY_ACTIONS.join(", ")}`);
  }
  if (key === null && (action === "use" || action === "remove")) {
    throw refuse(
      `Cannot run "key ${action}" without KEY: write a fingerprint, see ramster key list`,
    );
  }
  if (key !== null && action === "reload") {
    throw refuse('Cannot run "key reload" with a KEY: the node reads its own key file');
  }
  return { ...readDoor(flags), action, key };
}

function readDoor(flags: GivenFlags): DoorOptions {
  return {
    client: readAddress(flags.value("client")),
    keyPath: readPath(flags.optional("key")),
  };
}

function readKeygen(flags: GivenFlags): KeygenOptions {
  return {
    outPath: readPath(flags.optional("out")),
    days: parseCount(flags.value("days"), { min: 1, max: KEY_DAYS_MAX }),
    renew: readRenew(flags),
  };
}

function readRenew(flags: GivenFlags): KeygenOptions["renew"] {
  const path = readPath(flags.optional("renew"));
  const step = flags.optional("step");
  if (path === null && step === null) return null;
  if (path === null) {
    throw refuse("Cannot use --step without --renew FILE: say which key it is for");
  }
  if (step === null) {
    throw refuse("Cannot use --renew without --step: write --step add, use or remove");
  }
  return { path, step: parseChoice(step, RENEW_STEPS) };
}
