/**
 * The meaning of the flags of `ramster stress`.
 *
 * Flags that contradict each other are refused: ConfigError BAD_CONFIG on one line.
 */
import type { GivenFlags } from "../../src/cli/given.ts";
import { parseNode } from "../../src/cli/local-nodes.ts";
import { readSetting } from "../../src/cli/read-settings.ts";
import {
  badValue,
  type Given,
  parseChoice,
  parseCount,
  parseDuration,
  parsePath,
  parseRatio,
  parseSize,
  refuse,
} from "../../src/cli/units.ts";
import {
  FRAME_BYTES,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  PAGE_BYTES,
  PID_MAX,
  SETTING_MS_MAX,
} from "../../src/core/limits.ts";
import type { Bounds } from "../../src/core/units.ts";
import { CLUSTER_FLAGS } from "./flags.ts";
import {
  STRESS_DELAY_MS_MAX,
  STRESS_LOSS_PERCENT_MAX,
  STRESS_MEMORY_BYTES_ALL,
  STRESS_MEMORY_BYTES_DEFAULT,
  STRESS_NODES_MAX,
  STRESS_WORKING_SET_RATIO,
} from "./limits.ts";
import {
  CHAOS_KINDS,
  hasServers,
  STRESS_DATA_KINDS,
  type StressData,
  type StressOptions,
  TOPOLOGIES,
} from "./options.ts";

const SEED_MAX = 2 ** 32 - 1;

/** The flags of the cluster that say something about running nodes. */
const WITH_CONNECT = ["connect", "key"];
/** The flags of the cluster that say something about the one node that joins. */
const WITH_JOIN = ["join", "key", "insecure", "memory", "replicas", "seal"];

export function readStress(flags: GivenFlags): StressOptions {
  const connect = flags.list("connect").map(parseNode);
  refuseStressContradictions(flags);
  const join = readSetting(flags, "seeds");
  const running = connect.length > 0 || join.length > 0;
  const cluster = readStressCluster(flags, { running });
  const memoryBytes = readStressMemory(flags, cluster.nodes);
  const seed = flags.optional("seed");
  const [put = 0, get = 0, flush = 0] = parseRatio(flags.value("mix"), ["put", "get", "flush"]);
  if (put === 0) throw badValue(flags.value("mix"), "without puts there is nothing to check");
  return {
    ...cluster,
    replicas: readSetting(flags, "replicas"),
    placement: readSetting(flags, "placement"),
    order: readSetting(flags, "order"),
    seal: flags.has("seal"),
    spillBytes: readSetting(flags, "spillBytes"),
    memoryBytes,
    workingSetBytes: readWorkingSet(flags, memoryBytes),
    durationMs: parseDuration(flags.value("duration"), { min: 1, max: SETTING_MS_MAX }),
    mix: { put, get, flush },
    data: readData(flags.value("data")),
    seed: seed === null ? null : parseCount(seed, { min: 0, max: SEED_MAX }),
    jsonPath: parsePath(flags.optional("json")),
    htmlPath: parsePath(flags.optional("html")),
    connect,
    join,
    keyPath: parsePath(flags.optional("key")),
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

/** Flags that shape a new cluster have no meaning for a running one. */
function refuseStressContradictions(flags: GivenFlags): void {
  for (const [first, allowed] of [
    ["connect", WITH_CONNECT],
    ["join", WITH_JOIN],
  ] as const) {
    if (!flags.has(first)) continue;
    for (const { name: flag } of CLUSTER_FLAGS.flags) {
      if (allowed.includes(flag) || !flags.has(flag)) continue;
      throw refuse(`Cannot use --${flag} with --${first}: those nodes run already`);
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
