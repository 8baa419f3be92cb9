/**
 * Overview: what a person watches of a node and its cluster: the verdict, what each machine's
 * memory is used for, how many pages move each second, and how long programs wait.
 *
 *     two reports of a node, some time apart --> Overview
 *
 * `ramster top` and the page of the monitoring port show it. Rates and latencies are those of the
 * time between the reports. These are pure functions.
 *
 * Not here: what is wrong (verdict.ts), what has happened (events.ts).
 */
import { FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";
import type {
  Counters,
  ExportStats,
  Finding,
  MemberStats,
  NodeStats,
  PeerStats,
  PoolStats,
  Verdict,
} from "../wire/stats.ts";
import { type Latencies, type Rates, Span, type TimedStats } from "./span.ts";

export interface Overview {
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
  readonly node: { readonly number: number; readonly name: string; readonly cluster: string };
  /** The time that rates and latencies are of. 0: there is no earlier report. */
  readonly seconds: number;
  /** This node is the first. */
  readonly machines: readonly Machine[];
  readonly rates: Rates;
  readonly latencies: Latencies;
  readonly pages: PageCounts;
  readonly memory: MemoryUse;
  /** Percentage of time in which programs of this machine wait for memory; null: not known. */
  readonly stall_percent: number | null;
  /** This node's pages, here and away, by codec. Those without pages are left out. */
  readonly codecs: readonly CodecUse[];
  readonly exports: readonly ExportStats[];
  readonly pools: readonly PoolStats[];
}

/** What the memory of a machine is used for, in bytes, as far as this node knows. */
export interface Machine {
  readonly name: string;
  readonly number: number | null;
  readonly is_self: boolean;
  readonly state: string;
  readonly role: "node" | "server" | null;
  readonly zone: string | null;
  /** Its own pages. */
  readonly own_bytes: number;
  /** Copies of this node's pages: their part of all foreign pages there. */
  readonly ours_bytes: number;
  /** Pages of other nodes. */
  readonly foreign_bytes: number;
  readonly free_bytes: number;
  /** Pages of this node there, and its pages here. */
  readonly ours: number;
  readonly theirs: number;
  readonly rtt_ms: number | null;
  /** What the link to it carries. */
  readonly sent_bytes_per_second: number;
  readonly received_bytes_per_second: number;
}

/** This node's own pages, by where they are. */
export interface PageCounts {
  readonly here: number;
  /** Away, by how many copies are in reach. */
  readonly no_copy: number;
  readonly one_copy: number;
  readonly two_copies: number;
  readonly three_copies: number;
  readonly at_risk: number;
}

export interface MemoryUse {
  /** What the members of the cluster lend. */
  readonly pooled_bytes: number;
  /** Bytes of this node's pages beyond the memory that they take here. */
  readonly gained_bytes: number;
  /** Bytes of pages by bytes of frames and tables, of the pages that are here. */
  readonly ratio: number;
  readonly space_percent: number;
  readonly space_bytes: number;
  readonly space_bytes_max: number;
  /** How long requests waited, in milliseconds a second. */
  readonly waited_ms_per_second: number;
}

export interface CodecUse {
  readonly name: "raw" | "lz4" | "zstd" | "zstd_dictionary";
  readonly pages: number;
  /** Bytes of pages by bytes of compressed pages. */
  readonly ratio: number;
}

/** `before` is an earlier report of the node. One of another boot counts as none. */
export function overviewOf(now: TimedStats, before: TimedStats | null): Overview {
  const { stats } = now;
  const span = new Span(now, before);
  const { verdict, findings, node, exports, pools, counters } = stats;
  const { number, name, cluster } = node;
  return {
    ...{ verdict, findings, node: { number, name, cluster }, seconds: span.seconds },
    machines: machinesOf(stats, span),
    rates: span.rates(),
    latencies: span.latencies(),
    pages: pagesOf(stats),
    memory: memoryOf(stats, span),
    stall_percent: counters.machine_stall_percent ?? null,
    codecs: codecsOf(counters),
    ...{ exports, pools },
  };
}

function pagesOf({ counters, repair }: NodeStats): PageCounts {
  const { page_count = 0, no_copy_pages = 0, one_copy_pages = 0 } = counters;
  const { two_copy_pages = 0, three_copy_pages = 0 } = counters;
  const away = no_copy_pages + one_copy_pages + two_copy_pages + three_copy_pages;
  return {
    here: Math.max(0, page_count - away),
    no_copy: no_copy_pages,
    one_copy: one_copy_pages,
    two_copies: two_copy_pages,
    three_copies: three_copy_pages,
    at_risk: repair.pages_at_risk,
  };
}

function memoryOf(stats: NodeStats, span: Span): MemoryUse {
  const { counters, members, peers } = stats;
  const lent = members.length > 0 ? members.filter(({ state }) => state === "alive") : peers;
  const ownLend = members.length > 0 ? 0 : (counters.foreign_frames_max ?? 0);
  const lentFrames = lent.reduce((sum, it) => sum + it.lend_frames, ownLend);
  const taken = (counters.own_frame_bytes ?? 0) + (counters.own_metadata_bytes ?? 0);
  return {
    pooled_bytes: lentFrames * FRAME_BYTES,
    gained_bytes: Math.max(0, (counters.page_count ?? 0) * PAGE_BYTES - taken),
    ratio: counters.own_effective_ratio ?? 1,
    space_percent: counters.space_percent_used ?? 0,
    space_bytes: counters.space_bytes_used ?? 0,
    space_bytes_max: counters.space_bytes_max ?? 0,
    waited_ms_per_second: span.waitedMs(),
  };
}

function codecsOf(counters: Counters): CodecUse[] {
  const names = ["raw", "lz4", "zstd", "zstd_dictionary"] as const;
  return names.flatMap((name) => {
    const pages = counters[`${name}_pages`] ?? 0;
    const bytes = counters[`${name}_zbytes`] ?? 0;
    if (pages === 0) return [];
    return [{ name, pages, ratio: Math.round((100 * pages * PAGE_BYTES) / bytes) / 100 }];
  });
}

function machinesOf(stats: NodeStats, span: Span): Machine[] {
  const { node, members, peers } = stats;
  const peerOf = new Map(peers.map((peer) => [peer.node, peer]));
  const others =
    members.length > 0
      ? members
          .filter(({ name }) => name !== node.name)
          .map((member) => {
            const peer = member.number === null ? undefined : peerOf.get(member.number);
            return memberMachine(member, peer, span);
          })
      : peers.map((peer) => peerMachine(peer, span));
  return [ownMachine(stats), ...others];
}

function ownMachine({ node, counters, members }: NodeStats): Machine {
  const self = members.find(({ name }) => name === node.name);
  const own = (counters.frames_used ?? 0) * FRAME_BYTES;
  const foreign = (counters.foreign_frames_used ?? 0) * FRAME_BYTES;
  const all = ((counters.frames_max ?? 0) + (counters.foreign_frames_max ?? 0)) * FRAME_BYTES;
  return {
    name: node.name,
    number: node.number,
    is_self: true,
    state: stateOf(self?.state ?? "alive", self?.drained ?? false),
    role: self?.role ?? null,
    zone: self?.zone ?? null,
    own_bytes: own,
    ours_bytes: 0,
    foreign_bytes: foreign,
    free_bytes: Math.max(0, all - own - foreign),
    ours: 0,
    theirs: 0,
    rtt_ms: null,
    sent_bytes_per_second: 0,
    received_bytes_per_second: 0,
  };
}

function memberMachine(member: MemberStats, peer: PeerStats | undefined, span: Span): Machine {
  const { name, number, role, zone, rtt_ms } = member;
  const isThere = member.state === "alive" || member.state === "suspect";
  return {
    ...{ name, number, role, zone, rtt_ms },
    is_self: false,
    state: stateOf(member.state, member.drained),
    // What a dead machine had is no memory of the cluster.
    ...(isThere ? shares(member, peer?.remote_pages ?? 0) : NOTHING),
    ...traffic(peer, span),
  };
}

/** A peer that does not gossip says what it lends, and nothing of its pages. */
function peerMachine(peer: PeerStats, span: Span): Machine {
  return {
    ...{ name: peer.name === "" ? String(peer.node) : peer.name, number: peer.node },
    ...{ is_self: false, role: null, zone: null, rtt_ms: null },
    state: stateOf(peer.gone ? "gone" : peer.state, peer.drained),
    ...shares(
      { ...peer, own_frames: 0, pressure: 0, foreign_pages: peer.remote_pages },
      peer.remote_pages,
    ),
    ...traffic(peer, span),
  };
}

const NOTHING = { own_bytes: 0, ours_bytes: 0, foreign_bytes: 0, free_bytes: 0 };

function stateOf(state: string, isDrained: boolean): string {
  return isDrained && (state === "alive" || state === "up") ? "drained" : state;
}

type Uses = Pick<
  MemberStats,
  "lend_frames" | "free_frames" | "own_frames" | "pressure" | "foreign_pages"
>;

/** `ours`: pages of this node there. */
function shares(
  { lend_frames, free_frames, own_frames, pressure, foreign_pages }: Uses,
  ours: number,
): Pick<Machine, "own_bytes" | "ours_bytes" | "foreign_bytes" | "free_bytes"> {
  const own = Math.round((own_frames * pressure) / 100);
  const free = Math.min(free_frames, lend_frames);
  const lent = (lend_frames - free) * FRAME_BYTES;
  // What members say of themselves is rounded, and a little old.
  const oursBytes = ours === 0 ? 0 : Math.round(lent * Math.min(1, ours / (foreign_pages || ours)));
  return {
    own_bytes: own * FRAME_BYTES,
    ours_bytes: oursBytes,
    foreign_bytes: lent - oursBytes,
    free_bytes: (own_frames - own + free) * FRAME_BYTES,
  };
}

function traffic(
  peer: PeerStats | undefined,
  span: Span,
): Pick<Machine, "ours" | "theirs" | "sent_bytes_per_second" | "received_bytes_per_second"> {
  return {
    ours: peer?.remote_pages ?? 0,
    theirs: peer?.foreign_pages ?? 0,
    sent_bytes_per_second: span.peerRate(peer, "bytes_sent"),
    received_bytes_per_second: span.peerRate(peer, "bytes_received"),
  };
}
