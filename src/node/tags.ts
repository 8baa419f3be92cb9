/**
 * Tags: what a node says of itself to the cluster, as Serf tags, so that `serf members` shows it.
 *
 *     role=server number=3 page_port=7777 lend_frames=131072 free_frames=90112 granted_frames=40960
 *     pressure=0 boot_id=9f.. cluster=ramster protocol=1 page_bytes=4096 codecs=3 target=auto
 *     zone=rack7 drained=1
 *
 * A node that has not settled on a number yet says `claim` in place of `number`. Values come from
 * outside and are checked: a member whose tags are not whole is shown and never used.
 *
 * Not here: their encoding (src/gossip/serf-tags.ts), when they change (membership.ts).
 */
import { ConfigError } from "../core/errors.ts";
import { NODES_MAX, PAGE_BYTES, PROTOCOL_VERSION, ZONE_BYTES_MAX } from "../core/limits.ts";
import { tagsFit } from "../gossip/serf-tags.ts";
import { parseAddress, type TcpAddress } from "../net/address.ts";

export const ROLES = ["node", "server"] as const;

export interface NodeTags {
  readonly role: (typeof ROLES)[number];
  readonly cluster: string;
  /** Version of the page protocol. */
  readonly protocol: number;
  readonly bootId: bigint;
  /** Null until it is settled. */
  readonly number: number | null;
  /** The number that it asks for meanwhile. */
  readonly claim: number | null;
  /** Where page links go; null before it listens. Without a host it is the member's. */
  readonly page: { readonly host: string | null; readonly port: number } | null;
  /** Frames that it lends in all, that are free of these, and that borrowers were promised. */
  readonly lendFrames: number;
  readonly freeFrames: number;
  readonly grantedFrames: number;
  /** How full its own memory is, in percent. */
  readonly pressure: number;
  /** Bit `id` for each codec that it can decompress. */
  readonly codecs: number;
  /** Whether it lends nothing any more and gets ready to leave. */
  readonly isDrained: boolean;
  /** Where its own pages go: a number, "auto" or "none". */
  readonly target: string;
  /** What it may fail together with; null: its host. */
  readonly zone: string | null;
}

/** Frames are told in 32 bits: 16 TiB. */
const COUNT_MAX = 2 ** 32 - 1;

/** As text, keys as above. What is null is left out. */
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
 * What no other node decides anything by: left out, one after the other, when all of it is too
 * long. A reader takes them for 0 and "none".
 */
const DISPENSABLE = ["granted_frames", "pressure", "target"] as const;

/**
 * As many of the tags as fit the metadata of a member. Null when not even those fit that others
 * need.
 */
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
 * Throws ConfigError BAD_CONFIG when a node could come to say more of itself than fits: it says so
 * before it has pages.
 */
export function checkTagsFit(fixed: Pick<NodeTags, "cluster" | "zone">, pageHost: string): void {
  const longest = fittingTags({
    ...{ role: "server", cluster: fixed.cluster, zone: fixed.zone, protocol: PROTOCOL_VERSION },
    ...{ bootId: 2n ** 64n - 1n, number: NODES_MAX - 1, claim: null },
    page: { host: pageHost, port: 65_535 },
    ...{ lendFrames: COUNT_MAX, freeFrames: COUNT_MAX, grantedFrames: COUNT_MAX },
    ...{ pressure: 100, codecs: COUNT_MAX, isDrained: true, target: String(NODES_MAX - 1) },
  });
  if (longest !== null) return;
  const detail = "take a shorter --cluster, --zone, or host of --advertise or --listen";
  throw new ConfigError("BAD_CONFIG", `Cannot tell a cluster all of this node's names: ${detail}`);
}

/**
 * @returns the node behind the tags, or why it is none: a member of another program, of another
 * version, or one with tags that make no sense.
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
  const pressure = count(tags.get("pressure") ?? "0", 100);
  const zone = tags.get("zone") ?? null;
  if (zone !== null && (zone === "" || zone.length > ZONE_BYTES_MAX)) return "tags out of range";
  const codecs = count(tags.get("codecs"), COUNT_MAX);
  const counts = [number, claim, protocol, lendFrames, freeFrames, grantedFrames, pressure, codecs];
  if (page === undefined || counts.some((it) => Number.isNaN(it))) return "tags out of range";
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
    pressure,
    codecs,
    isDrained: tags.get("drained") === "1",
    target: tags.get("target") ?? "none",
    zone,
  };
}

/** Where a member's page links go, or null when it does not say. */
export function pageAddress(node: NodeTags, memberHost: string): TcpAddress | null {
  if (node.page === null) return null;
  return { kind: "tcp", host: node.page.host ?? memberHost, port: node.page.port };
}

/** Undefined when it makes no sense. */
function pageOf(tags: ReadonlyMap<string, string>): NodeTags["page"] | undefined {
  const text = tags.get("page_port");
  if (text === undefined) return null;
  const port = count(text, 65_535);
  if (Number.isNaN(port) || port === 0) return undefined;
  const host = tags.get("page_host");
  if (host === undefined) return { host: null, port };
  if (host.includes("%")) return undefined; // A device of that machine.
  const bracketed = host.includes(":") ? `[${host}]` : host;
  try {
    parseAddress(`${bracketed}:${port}`);
  } catch {
    return undefined; // No host: the one error there is.
  }
  return { host, port };
}

function optionalCount(text: string | undefined, max: number): number | null {
  return text === undefined ? null : count(text, max);
}

/** NaN when it is no whole number up to `max`. */
function count(text: string | undefined, max: number): number {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return Number.NaN;
  const value = Number(text);
  return value <= max ? value : Number.NaN;
}
