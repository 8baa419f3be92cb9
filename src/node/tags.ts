/**
 * Tags: what a node publishes about itself in the cluster. They are Serf tags, so `serf members`
 * shows them.
 *
 *     role=server number=3 page_port=7777 lend_frames=131072 free_frames=90112 granted_frames=40960
 *     foreign_pages=81920 own_frames=65536 pressure=0 boot_id=9f.. cluster=ramster protocol=1
 *     page_bytes=4096 codecs=15 target=auto zone=rack7 drained=1
 *
 * A node without a settled number has `claim` instead of `number`. Values come from outside and are
 * checked. A member with incomplete tags is shown in reports and never used.
 *
 * Not here: their encoding (src/gossip/serf-tags.ts), when they change (membership.ts).
 */
import { ConfigError } from "../core/errors.ts";
import { NODES_MAX, PAGE_BYTES, PROTOCOL_VERSION, ZONE_BYTES_MAX } from "../core/limits.ts";
import { tagsFit } from "../gossip/serf-tags.ts";
import { parseAddress, type TcpAddress } from "../net/address.ts";

const ROLES = ["node", "server"] as const;

export interface NodeTags {
  readonly role: (typeof ROLES)[number];
  readonly cluster: string;
  /** The version of the page protocol. */
  readonly protocol: number;
  readonly bootId: bigint;
  /** Null until the number is settled. */
  readonly number: number | null;
  /** The number that the node claims until then. */
  readonly claim: number | null;
  /**
   * The address for page links. Null before the node listens. If `host` is null, it is the member's
   * host.
   */
  readonly page: { readonly host: string | null; readonly port: number } | null;
  /** Frames that the node lends, how many of them are free, and how many are granted. */
  readonly lendFrames: number;
  readonly freeFrames: number;
  readonly grantedFrames: number;
  /** Pages that it holds for other nodes. */
  readonly foreignPages: number;
  /** Frames for the node's own pages, and how many percent of them are in use. */
  readonly ownFrames: number;
  readonly pressure: number;
  /** Bit `id` is set for each codec whose zpages the node takes. */
  readonly codecs: number;
  /** Whether the node is drained: it lends nothing. */
  readonly isDrained: boolean;
  /** Where the node's own pages go: a number, "auto" or "none". */
  readonly target: string;
  /** Null: the host of the node is its zone. */
  readonly zone: string | null;
}

/** Counts of frames have 32 bits, which is enough for 16 TiB. */
const COUNT_MAX = 2 ** 32 - 1;

/** The tags as text, with the keys above. A tag that is null is left out. */
export function tagsOf(node: NodeTags): Record<string, string> {
  const tags: Record<string, string> = {
    role: node.role,
    cluster: node.cluster,
    protocol: String(node.protocol),
    page_bytes: String(PAGE_BYTES),
    boot_id: node.bootId.toString(16),
    lend_frames: String(node.lendFrames),
    free_frames: String(node.freeFrames),
    granted_frames: String(node.grantedFrames),
    foreign_pages: String(node.foreignPages),
    own_frames: String(node.ownFrames),
    pressure: String(node.pressure),
    codecs: String(node.codecs),
    target: node.target,
  };
  if (node.number !== null) tags.number = String(node.number);
  if (node.claim !== null) tags.claim = String(node.claim);
  if (node.page !== null) {
    tags.page_port = String(node.page.port);
    if (node.page.host !== null) tags.page_host = node.page.host;
  }
  if (node.isDrained) tags.drained = "1";
  if (node.zone !== null) tags.zone = node.zone;
  return tags;
}

/**
 * Tags that no other node bases a decision on. They are left out, one after the other, when all
 * tags together are too long. Readers assume 0 and "none" for them.
 */
const DISPENSABLE = [
  "granted_frames",
  "foreign_pages",
  "own_frames",
  "pressure",
  "target",
] as const;

/** As many tags as fit the metadata of a member. Null when the necessary ones do not fit. */
export function fittingTags(
  node: NodeTags,
): { tags: Record<string, string>; leftOut: readonly string[] } | null {
  const all = Object.entries(tagsOf(node));
  for (let count = 0; count <= DISPENSABLE.length; count += 1) {
    const leftOut = DISPENSABLE.slice(0, count);
    const tags = Object.fromEntries(all.filter(([name]) => !leftOut.some((it) => it === name)));
    if (tagsFit(tags)) return { tags, leftOut };
  }
  return null;
}

/**
 * Throws ConfigError BAD_CONFIG when the tags of a node might not fit later. The node then does not
 * start, so it never holds pages while its tags do not fit.
 */
export function checkTagsFit(fixed: Pick<NodeTags, "cluster" | "zone">, pageHost: string): void {
  const longest = fittingTags({
    role: "server",
    cluster: fixed.cluster,
    zone: fixed.zone,
    protocol: PROTOCOL_VERSION,
    bootId: 2n ** 64n - 1n,
    number: NODES_MAX - 1,
    claim: null,
    page: { host: pageHost, port: 65_535 },
    lendFrames: COUNT_MAX,
    freeFrames: COUNT_MAX,
    grantedFrames: COUNT_MAX,
    foreignPages: COUNT_MAX,
    ownFrames: COUNT_MAX,
    pressure: 100,
    codecs: COUNT_MAX,
    isDrained: true,
    target: String(NODES_MAX - 1),
  });
  if (longest !== null) return;
  const detail = "take a shorter --cluster, --zone, or host of --advertise or --listen";
  throw new ConfigError("BAD_CONFIG", `Cannot publish the names of this node: ${detail}`);
}

/**
 * @returns the node behind the tags, or why there is none: the member is another program, has
 * another version, or its tags are invalid.
 */
export function readTags(tags: ReadonlyMap<string, string>): NodeTags | string {
  const role = ROLES.find((it) => it === tags.get("role"));
  const bootId = tags.get("boot_id") ?? "";
  if (role === undefined || !/^[0-9a-f]{1,16}$/.test(bootId)) return "no ramster node";
  const pageBytes = tags.get("page_bytes");
  if (pageBytes !== String(PAGE_BYTES)) return `pages of ${pageBytes ?? "no"} bytes`;
  const page = pageOf(tags);
  const number = optionalCount(tags.get("number"), NODES_MAX - 1);
  const claim = optionalCount(tags.get("claim"), NODES_MAX - 1);
  const protocol = count(tags.get("protocol"), 255);
  const lendFrames = count(tags.get("lend_frames"), COUNT_MAX);
  const freeFrames = count(tags.get("free_frames"), COUNT_MAX);
  const grantedFrames = count(tags.get("granted_frames") ?? "0", COUNT_MAX);
  const foreignPages = count(tags.get("foreign_pages") ?? "0", COUNT_MAX);
  const ownFrames = count(tags.get("own_frames") ?? "0", COUNT_MAX);
  const pressure = count(tags.get("pressure") ?? "0", 100);
  const zone = tags.get("zone") ?? null;
  if (zone !== null && (zone === "" || zone.length > ZONE_BYTES_MAX)) return "tags out of range";
  const codecs = count(tags.get("codecs"), COUNT_MAX);
  const numbers = [number, claim, protocol, codecs];
  const counts = [lendFrames, freeFrames, grantedFrames, foreignPages, ownFrames, pressure];
  if (page === undefined || [...numbers, ...counts].some((it) => Number.isNaN(it)))
    return "tags out of range";
  return {
    role,
    cluster: tags.get("cluster") ?? "",
    protocol,
    bootId: BigInt(`0x${bootId}`),
    number,
    claim,
    page,
    lendFrames,
    freeFrames,
    grantedFrames,
    foreignPages,
    ownFrames,
    pressure,
    codecs,
    isDrained: tags.get("drained") === "1",
    target: tags.get("target") ?? "none",
    zone,
  };
}

/** The address for page links of a member, or null when its tags have none. */
export function pageAddress(node: NodeTags, memberHost: string): TcpAddress | null {
  if (node.page === null) return null;
  return { kind: "tcp", host: node.page.host ?? memberHost, port: node.page.port };
}

/** Undefined when the tag is invalid. */
function pageOf(tags: ReadonlyMap<string, string>): NodeTags["page"] | undefined {
  const text = tags.get("page_port");
  if (text === undefined) return null;
  const port = count(text, 65_535);
  if (Number.isNaN(port) || port === 0) return undefined;
  const host = tags.get("page_host");
  if (host === undefined) return { host: null, port };
  if (host.includes("%")) return undefined; // Its zone names a device of that machine.
  const bracketed = host.includes(":") ? `[${host}]` : host;
  try {
    parseAddress(`${bracketed}:${port}`);
  } catch {
    return undefined; // parseAddress throws only when the host is missing.
  }
  return { host, port };
}

function optionalCount(text: string | undefined, max: number): number | null {
  return text === undefined ? null : count(text, max);
}

/** @returns NaN when the text is not a whole number up to `max`. */
function count(text: string | undefined, max: number): number {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return Number.NaN;
  const value = Number(text);
  return value <= max ? value : Number.NaN;
}
