/**
 * The original's /etc/ramster.conf (reference 7.2, the syntax of ocfs2.conf): the same file on all
 * nodes, a stanza for the cluster and one for each node.
 *
 *     cluster:
 *             node_count = 2
 *             name = ramster
 *     node:
 *             ip_port = 7777
 *             ip_address = 10.0.0.1
 *             number = 0
 *             name = first
 *             cluster = ramster
 *
 * A node finds itself by its number or its name; the others are its peers, named by hand as they
 * were then.
 */
import { ConfigError } from "../core/errors.ts";
import type { GivenText, GivenTexts } from "./given.ts";
import { nearest } from "./nearest.ts";
import { placeText } from "./units.ts";

/** Who the node says on the command line that it is: ramster.conf is the same on all nodes. */
export interface OwnName {
  readonly number: string | null;
  readonly name: string;
}

const KEYS = {
  cluster: ["name", "node_count"],
  node: ["name", "number", "cluster", "ip_address", "ip_port"],
} as const;

interface Entry {
  readonly text: string;
  readonly line: number;
}

interface Stanza {
  readonly kind: keyof typeof KEYS;
  readonly line: number;
  readonly entries: Map<string, Entry>;
}

/** By its form: a stanza begins it, which is no TOML. */
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
    throw refuse(file, `no node of it has the ${who}, use --number or --name`);
  }
  const value = (node: Stanza, key: string): GivenText => {
    const entry = node.entries.get(key);
    if (entry === undefined) {
      throw refuse(`${file}`, `the node in line ${node.line} has no ${key}`);
    }
    return { text: entry.text, place: { file, line: entry.line, key }, isMember: true };
  };
  const addressOf = (node: Stanza): string => {
    return `${value(node, "ip_address").text}:${value(node, "ip_port").text}`;
  };
  const listen = { ...value(self, "ip_address"), text: addressOf(self) };
  const peers = nodes
    .filter((node) => node !== self)
    .map((node) => ({
      ...value(node, "ip_address"),
      text: `${value(node, "number").text}@${addressOf(node)}`,
    }));
  const texts = new Map<string, readonly GivenText[]>([
    ["number", [value(self, "number")]],
    ["name", [value(self, "name")]],
    ["cluster", [value(self, "cluster")]],
    ["listen", [listen]],
  ]);
  if (peers.length > 0) texts.set("peers", peers);
  return texts;
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
      const what = placeText({ file, line });
      throw new ConfigError("BAD_CONFIG", `Cannot use ${what}: it is no "key = value", indented`);
    }
    checkKey(file, line, stanza, key);
    stanza.entries.set(key, { text: value, line });
  }
  return stanzas;
}

function checkKey(file: string, line: number, { kind, entries }: Stanza, key: string): void {
  const known: readonly string[] = KEYS[kind];
  const what = `Cannot use "${key}" in ${placeText({ file, line })}`;
  if (entries.has(key)) throw new ConfigError("BAD_CONFIG", `${what}: it is there twice`);
  if (known.includes(key)) return;
  const meant = nearest(key, known);
  const hint = meant === null ? "" : `, did you mean "${meant}"?`;
  throw new ConfigError("BAD_CONFIG", `${what}: a ${kind} has no such key${hint}`);
}

function checkCount(file: string, stanzas: readonly Stanza[], count: number): void {
  const cluster = stanzas.find((stanza) => stanza.kind === "cluster");
  const told = cluster?.entries.get("node_count");
  if (told === undefined || told.text === String(count)) return;
  const what = `Cannot use node_count "${told.text}" in ${placeText({ file, line: told.line })}`;
  throw new ConfigError("BAD_CONFIG", `${what}: there are ${count} nodes`);
}

function refuse(file: string, detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", `Cannot use --config ${JSON.stringify(file)}: ${detail}`);
}
