/**
 * The original's /etc/ramster.conf, in the syntax of ocfs2.conf. The file is the same on all nodes,
 * with a stanza for the cluster and one for each node (docs/original.md, "ramster.conf").
 *
 *     cluster:
 *             node_count = 2
 *             name = ramster
 *             idle_timeout_ms = 30000
 *     node:
 *             ip_port = 7777
 *             ip_address = 10.0.0.1
 *             number = 0
 *             name = first
 *             cluster = ramster
 *
 * The cluster stanza may have the three times of a link, which the original read from configfs
 * (fs/ocfs2/cluster/nodemanager.c of Linux). The column `conf` of src/node/settings.ts lists the
 * keys. Keys that are not settings by themselves are here.
 *
 * A node finds its own stanza by its number or its name. The other nodes are its peers, named by
 * hand.
 */
import { ConfigError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { settingsOf } from "../node/config.ts";
import type { Setting } from "../node/setting.ts";
import type { GivenText, GivenTexts } from "./given.ts";
import { formatLine } from "./units.ts";

/**
 * The number and name of the node on its command line, since ramster.conf is the same on all nodes.
 */
export interface OwnName {
  readonly number: string | null;
  readonly name: string;
}

type StanzaKind = "cluster" | "node";

/** Keys that are not settings by themselves. */
const OTHER_KEYS: Readonly<Record<StanzaKind, readonly string[]>> = {
  cluster: ["node_count"],
  node: ["cluster", "ip_address", "ip_port"],
};

interface Entry {
  readonly text: string;
  readonly line: number;
}

interface Stanza {
  readonly kind: StanzaKind;
  readonly line: number;
  readonly entries: Map<string, Entry>;
}

/** Whether the text begins with a stanza, which is not TOML. */
export function isRamsterConf(text: string): boolean {
  const first = text.split("\n").find((line) => line.trim() !== "" && !line.startsWith("#"));
  return first !== undefined && /^(cluster|node):\s*$/.test(first);
}

/** The settings of the node that `own` names. Throws ConfigError BAD_CONFIG in one line. */
export function readRamsterConf(file: string, text: string, own: OwnName): GivenTexts {
  const stanzas = readStanzas(file, text);
  const nodes = stanzas.filter((stanza) => stanza.kind === "node");
  checkCount(file, stanzas, nodes.length);
  const self = nodes.find((node) => isSelf(node, own));
  if (self === undefined) {
    const who = own.number === null ? `name "${own.name}"` : `number ${own.number}`;
    throw refuse(file, `none of its nodes has the ${who}, use --number or --name`);
  }
  const value = (node: Stanza, key: string): GivenText => {
    const entry = node.entries.get(key);
    if (entry !== undefined) return given(file, key, entry);
    throw refuse(file, `the node in line ${node.line} has no ${key}`);
  };
  const addressOf = (node: Stanza): string => {
    return `${value(node, "ip_address").text}:${value(node, "ip_port").text}`;
  };
  const texts = new Map<string, readonly GivenText[]>([
    ["number", [value(self, "number")]],
    ["name", [value(self, "name")]],
    ["cluster", [value(self, "cluster")]],
    ["listen", [{ ...value(self, "ip_address"), text: addressOf(self) }]],
  ]);
  for (const stanza of stanzas.filter(({ kind }) => kind === "cluster")) {
    for (const { flag, type, conf = "" } of settings("cluster")) {
      const key = keyOf(conf);
      const entry = stanza.entries.get(key);
      if (entry === undefined || texts.has(flag)) continue;
      const { text: plain } = entry;
      const hasUnit = type.unit !== "ms" || !/^\d+$/.test(plain);
      texts.set(flag, [given(file, key, hasUnit ? entry : { ...entry, text: `${plain}ms` })]);
    }
  }
  const peers = nodes
    .filter((node) => node !== self)
    .map((node) => ({
      ...value(node, "ip_address"),
      text: `${value(node, "number").text}@${addressOf(node)}`,
    }));
  if (peers.length > 0) texts.set("peers", peers);
  return texts;
}

/** The rows of settings with a key in this stanza. */
function settings(kind: StanzaKind): Setting[] {
  return settingsOf("node")
    .map(([, setting]) => setting)
    .filter(({ conf }) => conf?.startsWith(`${kind}.`) === true);
}

function keyOf(conf: string): string {
  return conf.slice(conf.indexOf(".") + 1);
}

function given(file: string, key: string, { text, line }: Entry): GivenText {
  return { text, source: { file, line, key }, isMember: true };
}

function isSelf(node: Stanza, own: OwnName): boolean {
  if (own.number !== null) return node.entries.get("number")?.text === own.number;
  return node.entries.get("name")?.text === own.name;
}

function readStanzas(file: string, text: string): Stanza[] {
  const stanzas: Stanza[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const line = i + 1;
    const content = raw.replace(/#.*/, "").trimEnd();
    if (content.trim() === "") continue;
    const header = /^(cluster|node):$/.exec(content)?.[1];
    if (header === "cluster" || header === "node") {
      stanzas.push({ kind: header, line, entries: new Map() });
      continue;
    }
    const [, key, value] = /^\s+([\w]+)\s*=\s*(\S.*)$/.exec(content) ?? [];
    const stanza = stanzas.at(-1);
    if (key === undefined || value === undefined || stanza === undefined) {
      const what = formatLine({ file, line });
      throw new ConfigError("BAD_CONFIG", `Cannot use ${what}: write "key = value", indented`);
    }
    checkKey(file, line, stanza, key);
    stanza.entries.set(key, { text: value, line });
  }
  return stanzas;
}

function checkKey(file: string, line: number, { kind, entries }: Stanza, key: string): void {
  const known = [...OTHER_KEYS[kind], ...settings(kind).map(({ conf = "" }) => keyOf(conf))];
  const what = `Cannot use "${key}" in ${formatLine({ file, line })}`;
  if (entries.has(key)) throw new ConfigError("BAD_CONFIG", `${what}: it occurs twice`);
  if (known.includes(key)) return;
  const meant = nearest(key, known);
  const hint = meant === null ? "" : `, did you mean "${meant}"?`;
  throw new ConfigError("BAD_CONFIG", `${what}: a ${kind} has no such key${hint}`);
}

function checkCount(file: string, stanzas: readonly Stanza[], count: number): void {
  const cluster = stanzas.find((stanza) => stanza.kind === "cluster");
  const given = cluster?.entries.get("node_count");
  if (given === undefined || given.text === String(count)) return;
  const what = `Cannot use node_count "${given.text}" in ${formatLine({ file, line: given.line })}`;
  throw new ConfigError("BAD_CONFIG", `${what}: there are ${count} nodes`);
}

function refuse(file: string, detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", `Cannot use --config ${JSON.stringify(file)}: ${detail}`);
}
