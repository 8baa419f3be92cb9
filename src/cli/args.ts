/**
 * Args: a command line to a checked invocation, before anything else happens.
 *
 * Text to flags is given.ts, the tables are flags.ts, settings of a node are read by
 * read-settings.ts. Here the other flags get their meaning, flags that contradict each other are
 * refused, and the result is one typed union.
 *
 * Not here: whether an address is free, a file exists or a peer answers; that is for the command.
 */
import { assert, unreachable } from "../core/assert.ts";
import {
  FRAME_BYTES,
  GOSSIP_PORT_DEFAULT,
  KEY_DAYS_MAX,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  PAGE_BYTES,
  SETTING_MS_MAX,
} from "../core/limits.ts";
import { nearest } from "../core/nearest.ts";
import type { Bounds } from "../core/units.ts";
import { type Address, parseAddress } from "../net/address.ts";
import { type NodeConfig, type NodeSettings, nodeConfig } from "../node/config.ts";
import { RENEW_STEPS } from "../security/renew-key.ts";
import { readConfigText } from "./config-file.ts";
import type { CommandSpec } from "./flag-spec.ts";
import { COMMANDS, STRESS_CLUSTER } from "./flags.ts";
import { type GivenFlags, readFlags } from "./given.ts";
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
import { readSetting, readSettings } from "./read-settings.ts";
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
  badValue,
  type Given,
  parseChoice,
  parseCount,
  parseDuration,
  parseGiven,
  parseRatio,
  parseSize,
  refuse,
} from "./units.ts";

/** The machine that the command line is for, as far as defaults depend on it. */
export interface Machine {
  readonly hostName: string;
  /** The text of a file. Throws the error of the operating system. */
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

/** The flags, and those of the file of --config that are not given. */
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
  return flags.withFile(readConfigText(flags.command, config.text, text, own));
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
    // A node with exports is made for a kernel that swaps there.
    swap: flags.has("export") ? "on" : "off",
    ...withMachine(flags, machine),
    ...readSettings(flags, "node"),
    role: "node",
  });
}

function readServer(flags: GivenFlags, machine: Machine): NodeConfig {
  return nodeConfig({
    ...withMachine(flags, machine),
    ...readSettings(flags, "server"),
    role: "server",
  });
}

/** Defaults that depend on the machine and on other flags. */
function withMachine(flags: GivenFlags, { hostName }: Machine): NodeSettings {
  const { host } = readSetting(flags, "listen");
  // With peers named by hand there is no need of gossip, unless it is asked for.
  const isByHand = flags.has("peers") && !flags.has("join");
  const gossip = { kind: "tcp", host, port: GOSSIP_PORT_DEFAULT } as const;
  return { number: null, name: hostName, gossip: isByHand ? null : gossip };
}

function readAddress(given: Given): Address {
  return parseGiven(given, parseAddress);
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
    replicas: readSetting(flags, "replicas"),
    seal: flags.has("seal"),
    spillBytes: readSetting(flags, "spillBytes"),
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
  if (given !== null) return readSetting(flags, "memoryBytes");
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
  return { ...readDoor(flags), drainTimeoutMs: readSetting(flags, "drainTimeoutMs") };
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
