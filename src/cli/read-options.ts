/**
 * Reads the flags of each command. read-settings.ts reads the settings of a node.
 *
 * Flags that contradict each other are refused with a ConfigError BAD_CONFIG on one line.
 */
import { assert } from "../core/assert.ts";
import { GOSSIP_PORT_DEFAULT, KEY_DAYS_MAX, PID_MAX } from "../core/limits.ts";
import { isFingerprint } from "../gossip/keyring.ts";
import { type NodeConfig, type NodeSettings, nodeConfig } from "../node/config.ts";
import { RENEW_STEPS } from "../security/renew-key.ts";
import type { Machine } from "./command.ts";
import { SHELLS } from "./completion/scripts.ts";
import { readConfigText } from "./config-file.ts";
import type { Subject } from "./estimate/page-sample.ts";
import type { GivenFlags } from "./given.ts";
import { parseNode } from "./local-nodes.ts";
import {
  type CompletionOptions,
  type DoorOptions,
  type DrainOptions,
  type EstimateOptions,
  type GetOptions,
  KEY_ACTIONS,
  type KeygenOptions,
  type KeyOptions,
  type MonitorOptions,
  type SetOptions,
  type StatsOptions,
  type StatusOptions,
  type TopOptions,
  type UndrainOptions,
  type VersionOptions,
} from "./options.ts";
import { readSetting, readSettings } from "./read-settings.ts";
import { badValue, parseChoice, parseCount, parseDuration, parsePath, refuse } from "./units.ts";

/** The flags, and those in the file of --config that are not on the command line. */
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

export function readNode(given: GivenFlags, machine: Machine): NodeConfig {
  const flags = configured(given, machine);
  return nodeConfig({
    // A node with exports usually holds the swap of its own kernel.
    swap: flags.has("export") ? "on" : "off",
    ...withMachine(flags, machine),
    ...readSettings(flags, "node"),
    role: "node",
  });
}

export function readServer(given: GivenFlags, machine: Machine): NodeConfig {
  const flags = configured(given, machine);
  return nodeConfig({
    ...withMachine(flags, machine),
    ...readSettings(flags, "server"),
    role: "server",
  });
}

/** Defaults that depend on the machine and on other flags. */
function withMachine(flags: GivenFlags, { hostName }: Machine): NodeSettings {
  const { host } = readSetting(flags, "listen");
  // With peers named by hand, gossip is needed only if --join asks for it.
  const isByHand = flags.has("peers") && !flags.has("join");
  const gossip = { kind: "tcp", host, port: GOSSIP_PORT_DEFAULT } as const;
  return { number: null, name: hostName, gossip: isByHand ? null : gossip };
}

export function readStatus(flags: GivenFlags): StatusOptions {
  return { ...readDoor(flags), json: flags.has("json"), check: flags.has("check") };
}

export function readMonitor(flags: GivenFlags): MonitorOptions {
  const since = flags.optional("since");
  return {
    ...readDoor(flags),
    json: flags.has("json"),
    once: flags.has("once"),
    sinceMs: since === null ? null : parseDuration(since),
  };
}

export function readTop(flags: GivenFlags): TopOptions {
  return {
    ...readDoor(flags),
    json: flags.has("json"),
    once: flags.has("once"),
    intervalMs: parseDuration(flags.value("interval"), { min: 100, max: 3_600_000 }),
  };
}

export function readStats(flags: GivenFlags): StatsOptions {
  return { ...readDoor(flags), json: flags.has("json"), explain: flags.has("explain") };
}

export function readGet(flags: GivenFlags): GetOptions {
  return { ...readDoor(flags), knob: flags.argument("NAME"), json: flags.has("json") };
}

export function readSet(flags: GivenFlags): SetOptions {
  const [knob, value] = [flags.argument("NAME"), flags.argument("VALUE")];
  assert(knob !== null && value !== null, "both are required");
  return { ...readDoor(flags), knob, value, json: flags.has("json") };
}

export function readDrain(flags: GivenFlags): DrainOptions {
  const drainTimeoutMs = readSetting(flags, "drainTimeoutMs");
  return { ...readDoor(flags), drainTimeoutMs, json: flags.has("json") };
}

export function readUndrain(flags: GivenFlags): UndrainOptions {
  return { ...readDoor(flags), json: flags.has("json") };
}

export function readVersion(flags: GivenFlags): VersionOptions {
  return { json: flags.has("json") };
}

export function readKeyCommand(flags: GivenFlags): KeyOptions {
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
  if (key !== null && action === "rotate" && !isFingerprint(key)) {
    const how = "write the fingerprint of a key to go on with, or none for a new key";
    throw refuse(`Cannot run "key rotate" with ${JSON.stringify(key)}: ${how}`);
  }
  if (action !== "rotate" && flags.has("force")) {
    throw refuse(`Cannot use --force with "key ${action}": it is for rotate`);
  }
  // The line that `key add` prints, and that key files have, is a key as well.
  const bare = key?.replace(/^\s*gossip-key\s*=\s*/, "") ?? null;
  const force = flags.has("force");
  return { ...readDoor(flags), action, key: bare, force, json: flags.has("json") };
}

export function readCompletion(flags: GivenFlags): CompletionOptions {
  const word = flags.argument("SHELL");
  const shell = SHELLS.find((it) => it === word);
  if (shell !== undefined) return { shell };
  throw refuse(
    `Cannot write completion for ${JSON.stringify(word)}: take one of ${SHELLS.join(", ")}`,
  );
}

function readDoor(flags: GivenFlags): DoorOptions {
  return {
    client: parseNode(flags.optional("client")),
    keyPath: parsePath(flags.optional("key")),
  };
}

export function readEstimate(flags: GivenFlags): EstimateOptions {
  const pid = flags.optional("pid");
  const path = parsePath(flags.optional("file"));
  const subjects: Subject[] = [];
  if (pid !== null) subjects.push({ kind: "pid", pid: parseCount(pid, { min: 1, max: PID_MAX }) });
  if (path !== null) subjects.push({ kind: "file", path });
  if (flags.has("sample")) subjects.push({ kind: "machine" });
  const [subject, second] = subjects;
  if (subject === undefined || second !== undefined) {
    const how = second === undefined ? "without" : "with more than one of";
    throw refuse(`Cannot run "estimate" ${how} --pid, --file or --sample: write one of them`);
  }
  return { subject, json: flags.has("json") };
}

export function readKeygen(flags: GivenFlags): KeygenOptions {
  return {
    outPath: parsePath(flags.optional("out")),
    days: parseCount(flags.value("days"), { min: 1, max: KEY_DAYS_MAX }),
    renew: readRenew(flags),
    pem: readPem(flags),
    json: flags.has("json"),
  };
}

function readPem(flags: GivenFlags): KeygenOptions["pem"] {
  const [from, folder] = [parsePath(flags.optional("from")), parsePath(flags.optional("pem"))];
  if (from === null && folder === null) return null;
  if (from === null) throw refuse("Cannot use --pem without --from FILE: say which key it is for");
  if (folder === null) throw refuse("Cannot use --from without --pem DIR: say where to write");
  const other = ["out", "renew", "step"].find((flag) => flags.has(flag));
  if (other !== undefined) throw refuse(`Cannot use --${other} with --pem, which makes no key`);
  return { from, folder };
}

function readRenew(flags: GivenFlags): KeygenOptions["renew"] {
  const path = parsePath(flags.optional("renew"));
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
