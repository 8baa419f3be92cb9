/**
 * `ramster status`: the verdict on one node and all findings (monitoring/verdict.ts), then the
 * cluster as that node sees it, with a line for each member. It shows the state of the member, what
 * it lends and has free, where its pages go, and how many pages the two nodes keep for each other.
 */

import { RamsterError } from "../core/errors.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import { allOneLine } from "../core/printable.ts";
import { formatCount, formatDuration, formatSize } from "../core/units.ts";
import { findingText } from "../monitoring/finding-text.ts";
import { statusJson } from "../monitoring/status-json.ts";
import type {
  ColdCodecStats,
  ExportStats,
  MemberStats,
  NodeStats,
  PeerStats,
  RepairStats,
} from "../wire/stats.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { StatusOptions } from "./options.ts";
import { print } from "./print.ts";
import { columnsOf, wrapText } from "./width.ts";

/** The kernel always has a few stale pages. */
const STALE_PERCENT_SHOWN = 10;

export async function run(options: StatusOptions): Promise<ExitCode> {
  const stats = allOneLine(await withClient(options, (client) => client.stats()));
  if (options.check) return check(stats, options.json);
  const columns = columnsOf(process.stdout);
  const text = options.json ? statusJson(stats) : wrapText(statusText(stats), columns);
  await print(`${text}\n`);
  return EXIT.DONE;
}

/** The codes that monitoring expects of a check. It takes 3, nothing answers, for unknown. */
const EXIT_OF_LEVEL = [EXIT.DONE, EXIT.CHECK_WARNING, EXIT.CHECK_CRITICAL] as const;

async function check(stats: NodeStats, json: boolean): Promise<ExitCode> {
  const { verdict, findings }: Partial<NodeStats> = stats;
  if (findings === undefined) {
    throw new RamsterError("NOT_SUPPORTED", "Cannot check a node of an earlier version");
  }
  const text = findings.map(findingText).join("\n");
  await print(`${json ? JSON.stringify({ verdict, findings }, null, 2) : text}\n`);
  return EXIT_OF_LEVEL[findings[0]?.level ?? 0];
}

/**
 * Fits 80 columns while names are short and sizes are round. `ours` are pages of this node at the
 * member. `theirs` are pages of the member at this node.
 */
export function statusText(stats: NodeStats): string {
  const shown = allOneLine(stats);
  const { findings = [] }: Partial<NodeStats> = shown; // Earlier versions had none.
  const { node, repair, exports, members, peers, counters } = shown;
  const lines = [
    ...findings.map(findingText),
    `node ${node.number} "${node.name}" of cluster "${node.cluster}", listens on ${node.listen}`,
    ...codecLines(shown),
    `at risk: ${riskText(repair)}`,
    ...absentLines(counters),
    ...givenUpLines(counters),
    ...lostLines(counters),
    ...spillLines(counters),
    ...densityLines(counters),
    ...pagesByCodecLines(counters),
    ...exportLines(exports, counters),
    ...standbyLines(counters),
    "",
  ];
  if (members.length === 0) return [...lines, ...table(peers.map(peerRow), PEER_HEAD)].join("\n");
  const peerOf = (number: number | null): PeerStats | undefined => {
    return peers.find((peer) => peer.node === number);
  };
  const sorted = [...members].sort((a, b) => (a.number ?? 1e9) - (b.number ?? 1e9));
  const rows = sorted.map((member) => memberRow(member, peerOf(member.number)));
  return [...lines, ...table(rows, MEMBER_HEAD)].join("\n");
}

/** Which codecs run. A node of an earlier version does not say. */
function codecLines(stats: Partial<Pick<NodeStats, "codec" | "cold_codec">>): string[] {
  const { codec = null, cold_codec: cold = null } = stats;
  if (codec === null) return [];
  const { name, library } = codec;
  if (name === "raw") return ["codec: raw, pages are not compressed"];
  return [`codec: ${name}, by ${library ?? "WebAssembly"}`, ...coldCodecLines(cold)];
}

function coldCodecLines(cold: ColdCodecStats | null): string[] {
  if (cold === null) return [];
  const { library, dictionaries, failed } = cold;
  if (failed) return ["cold pages: not compressed again"];
  return [`cold pages: zstd, by ${library}${dictionaries ? "" : ", without dictionaries"}`];
}

/** How many pages have each codec, here and elsewhere. */
function pagesByCodecLines(counters: Counters): string[] {
  const { raw_pages = 0, lz4_pages = 0, zstd_pages = 0, zstd_dictionary_pages = 0 } = counters;
  const total = raw_pages + lz4_pages + zstd_pages + zstd_dictionary_pages;
  const shares = [
    ["raw", raw_pages],
    ["lz4", lz4_pages],
    ["zstd", zstd_pages],
    ["zstd with a dictionary", zstd_dictionary_pages],
  ] as const;
  const texts = shares
    .map(([codec, count]) => ({ codec, percent: Math.round((100 * count) / total) }))
    .filter(({ percent }) => percent > 0)
    .map(({ codec, percent }) => `${codec} ${percent} %`);
  return total === 0 ? [] : [`pages by codec: ${texts.join(", ")}`];
}

/** The node's own pages that lack a copy. */
function riskText(repair: RepairStats): string {
  const { pages_at_risk: pages, pages_per_second, seconds_left } = repair;
  if (pages === 0) return "no page";
  const count = `${formatCount(pages)} ${pages === 1 ? "page" : "pages"}`;
  if (seconds_left === null) return count + whyNotRepaired(repair);
  const rate = formatCount(pages_per_second ?? 0);
  return `${count}, repaired in about ${formatDuration(seconds_left * 1000)}, ${rate} a second`;
}

/** Why there is no estimate of how long the repair takes, after the count. */
function whyNotRepaired(repair: RepairStats): string {
  const { copies_possible: possible, copies_intended: intended } = repair;
  if (repair.pages_out_of_reach === repair.pages_at_risk) return ", not repaired: no copy in reach";
  if (possible < intended) return ", not repaired: no other lender to copy to, start one";
  return ", repair time not known yet";
}

type Counters = NodeStats["counters"];

const MEMBER_HEAD = [
  "node",
  "name",
  "state",
  "inc",
  "role",
  "lends",
  "free",
  "target",
  "rtt",
  "link",
  "ours",
  "theirs",
];
const PEER_HEAD = ["node", "link", "lends", "free", "ours", "theirs"];

/** What compression and placement bring, for own pages and for those of other nodes. */
function densityLines(counters: Counters): string[] {
  const line = (what: string, prefix: "own" | "lent"): string[] => {
    const pages = counters[`${prefix}_page_bytes`] ?? 0;
    if (pages === 0) return [];
    const taken =
      (counters[`${prefix}_frame_bytes`] ?? 0) + (counters[`${prefix}_metadata_bytes`] ?? 0);
    const ratio = (of: "codec" | "placement" | "effective"): string => {
      return (counters[`${prefix}_${of}_ratio`] ?? 1).toFixed(2);
    };
    const parts = `compression ${ratio("codec")} x placement ${ratio("placement")}, less tables`;
    const sizes = `${formatSize(pages)} in ${formatSize(taken)}`;
    return [`${what}: ${sizes}, ${ratio("effective")} : 1 (${parts})`];
  };
  return [...line("pages kept here", "own"), ...line("pages kept for others", "lent")];
}

/** Copies on dead nodes that may come back. */
function absentLines({ absent_copies: copies }: Counters): string[] {
  if (!copies) return [];
  const what = `${formatCount(copies)} ${copies === 1 ? "copy" : "copies"}`;
  return [`out of reach: ${what}, at nodes that are dead and may come back`];
}

/** Pages that a lender gives up, since it needs the memory itself or is about to stop. */
function givenUpLines({ reclaims_pending: pages }: Counters): string[] {
  if (!pages) return [];
  const what = `${formatCount(pages)} ${pages === 1 ? "page" : "pages"}`;
  return [`given up by lenders: ${what}, on the way to other nodes`];
}

/** Pages whose last copy is lost. */
function lostLines({ remote_pers_pages_lost: pages }: Counters): string[] {
  if (!pages) return [];
  return [`lost: ${formatCount(pages)} ${pages === 1 ? "page" : "pages"} since it started`];
}

/** The disk for pages: how much of it is used. */
function spillLines(counters: Counters): string[] {
  const { spilled_pages, spill_bytes = 0, spill_bytes_max = 0, spill_bytes_asked = 0 } = counters;
  if (spilled_pages === undefined || spill_bytes_asked === 0) return [];
  const used = `${formatSize(spill_bytes)} of ${formatSize(spill_bytes_max)}`;
  return [`spilled: ${spilled_pages} pages, ${used}`];
}

/** The block devices, and how full the space for pages is. */
function exportLines(exports: readonly ExportStats[], counters: Counters): string[] {
  if (exports.length === 0) return [];
  const isWarned = counters.space_warn_count === 1 ? ", more than --warn-at" : "";
  const isRefused = (counters.nbd_enospc ?? 0) > 0 ? `, ${counters.nbd_enospc} writes refused` : "";
  return [
    ...exports.map(({ name, size_bytes, used_bytes, connections, ...of }) => {
      const used = `${formatSize(used_bytes)} of ${formatSize(size_bytes)}`;
      const stale = staleText({ used_bytes, ...of });
      return `export "${name}": ${used}, ${connections} connected${stale}`;
    }),
    `space for pages: ${counters.space_percent_used ?? 0}% used${isWarned}${isRefused}`,
  ];
}

/** A node of one process has no standby, and does not say so. */
function standbyLines({ standby_ready: ready, standby_bytes: bytes = 0 }: Counters): string[] {
  if (ready === undefined) return [];
  if (ready === 0) return ["standby: not ready, a crash costs time"];
  return [`standby: ready, takes ${formatSize(bytes)} beside what it shares`];
}

/** Stored swap pages that the kernel uses no longer, from a tenth on. */
function staleText(of: Pick<ExportStats, "used_bytes" | "stale_bytes" | "swap_bytes">): string {
  const percent = Math.floor((100 * of.stale_bytes) / Math.max(1, of.used_bytes));
  if (of.swap_bytes === 0 || percent < STALE_PERCENT_SHOWN) return "";
  return `, ${percent}% stale (ramster swap rotate)`;
}

function memberRow(member: MemberStats, peer: PeerStats | undefined): string[] {
  const { number, name, role, target, note } = member;
  const state = member.drained && member.state === "alive" ? "drained" : member.state;
  const size = (frames: number): string => formatSize(frames * FRAME_BYTES);
  const rtt = member.rtt_ms === null ? "-" : `${member.rtt_ms.toFixed(1)}ms`;
  return [
    ...[number === null ? "-" : String(number), name, state, String(member.incarnation)],
    ...(note === "" ? [role ?? "-"] : [note]),
    ...[size(member.lend_frames), size(member.free_frames), target ?? "-", rtt],
    ...[peer?.state ?? "-", pagesText(peer?.remote_pages), pagesText(peer?.foreign_pages)],
  ];
}

function peerRow(peer: PeerStats): string[] {
  const state = peer.gone ? "gone" : peer.state;
  return [
    String(peer.node),
    peer.drained ? `${state}, drained` : state,
    formatSize(peer.lend_frames * FRAME_BYTES),
    formatSize(peer.free_frames * FRAME_BYTES),
    String(peer.remote_pages),
    String(peer.foreign_pages),
  ];
}

function pagesText(count: number | undefined): string {
  return count === undefined ? "-" : String(count);
}

function table(rows: readonly string[][], head: readonly string[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return all.map((row) => {
    return row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  });
}
