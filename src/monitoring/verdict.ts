/**
 * Verdict: what an operator must know first of a node, in one word with its reason: whether each
 * page is safe, and whether there is room for more.
 *
 *     LOST       pages cannot be read: no copy is left, or none is in reach
 *     ONE COPY   pages have one copy, or will get only one, and should have more
 *     DEGRADED   something does not work as it was set up, and no page is in danger
 *     FILLING    the space for pages runs out
 *     DRAINING   an operator is emptying the node
 *     HEALTHY    nothing of that
 *
 * The findings are made from the node's stats, worst first. The verdict is the state of the first
 * one. These are pure functions.
 */
import { assert } from "../core/assert.ts";
import { quoted } from "../core/errors.ts";
import { CERTIFICATE_WARN_DAYS, FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";
import { formatCount, formatDuration, formatSize } from "../core/units.ts";
import {
  type Finding,
  type FindingName,
  type LendingStats,
  type MemberStats,
  type NodeStats,
  type PeerStats,
  VERDICTS,
  type Verdict,
} from "../wire/stats.ts";

/** How many nodes a finding names. */
const NAMES_MAX = 3;
const ADD_LENDER = "add a lender in another zone";

/** What the findings are made from. */
export type Seen = Omit<NodeStats, "verdict" | "findings">;

export interface Marks {
  readonly isServer: boolean;
  /** Percent of the space for pages above which the node is filling. */
  readonly warnAtPercent: number;
}

/** All findings, worst first. There is at least one. */
export function findingsOf(seen: Seen, marks: Marks): Finding[] {
  const found = [
    ...lost(seen),
    ...oneCopy(seen),
    ...fewCopies(seen),
    ...nowhere(seen),
    ...certificate(seen),
    ...links(seen),
    ...deadLenders(seen),
    ...disk(seen),
    ...unseen(seen.lending),
    ...coldTier(seen),
    ...(marks.isServer ? [] : filling(seen, marks)),
    ...draining(seen),
  ];
  // Sorting is stable. What is critical comes before what is not.
  found.sort((a, b) => b.level - a.level || rankOf(a) - rankOf(b));
  return found.length > 0 ? found : [healthy(seen, marks)];
}

/** The state of the worst. There must be one. */
export function verdictOf([worst]: readonly Finding[]): Verdict {
  assert(worst !== undefined);
  return worst.state;
}

function rankOf({ state }: Finding): number {
  return VERDICTS.indexOf(state);
}

/** The state that each finding makes. */
const STATES: Readonly<Record<FindingName, Verdict>> = {
  lost: "LOST",
  corrupt: "LOST",
  out_of_reach: "LOST",
  one_copy: "ONE COPY",
  few_copies: "DEGRADED",
  nowhere: "DEGRADED",
  certificate: "DEGRADED",
  link: "DEGRADED",
  dead_lender: "DEGRADED",
  disk: "DEGRADED",
  unseen: "DEGRADED",
  cold_tier: "DEGRADED",
  filling: "FILLING",
  full: "FILLING",
  draining: "DRAINING",
  healthy: "HEALTHY",
};

function warning(name: FindingName, reason: string, advice: string): Finding {
  return { state: STATES[name], name, level: 1, reason, advice };
}

function critical(name: FindingName, reason: string, advice: string): Finding {
  return { state: STATES[name], name, level: 2, reason, advice };
}

function lost({ counters, repair, peers }: Seen): Finding[] {
  const { corrupt_pages: corrupt = 0 } = counters;
  const found: Finding[] = [];
  if (repair.pages_lost > 0) {
    const reason = `${pagesText(repair.pages_lost)} lost: no node keeps a copy any more`;
    const advice = "reads of them fail until they are written again or discarded";
    found.push(critical("lost", reason, advice));
  }
  if (corrupt > 0) {
    const what = corrupt === 1 ? "1 page" : `${formatCount(corrupt)} pages`;
    const reason = `${what} in memory did not match the checksum`;
    found.push(critical("corrupt", reason, "test the memory of this machine"));
  }
  if (repair.pages_out_of_reach > 0) {
    const reason = `${pagesText(repair.pages_out_of_reach)} out of reach: reads of them fail`;
    const away = peers.filter((it) => it.state !== "up" && it.remote_pages > 0);
    const names = namesOf(away.map(nameOf));
    const where = names === "" ? "their lender" : names;
    const advice = `bring ${where} back; if ramster was restarted there, they are lost`;
    found.push(critical("out_of_reach", reason, advice));
  }
  return found;
}

function oneCopy({ repair, knobs }: Seen): Finding[] {
  const { pages_exposed: pages, copies_intended: intended, copies_possible: possible } = repair;
  const { seconds_left: seconds } = repair;
  if (pages > 0) {
    const reason = `${countText(pages)} ${pages === 1 ? "has" : "have"} no second copy`;
    if (possible < 2) return [warning("one_copy", reason, ADD_LENDER)];
    const left = seconds === null ? "" : `, about ${formatDuration(seconds * 1000)} left`;
    return [warning("one_copy", reason, `copying again is under way${left}`)];
  }
  if (possible !== 1 || intended === 1 || knobs.draining === "1") return [];
  return [warning("one_copy", "a page that moves away gets one copy", ADD_LENDER)];
}

/** Pages with several copies that should have more. */
function fewCopies({ repair, knobs }: Seen): Finding[] {
  const { copies_intended: intended, copies_possible: possible } = repair;
  const pages = repair.pages_at_risk - repair.pages_exposed - repair.pages_out_of_reach;
  const isShort = possible > 1 && possible < intended && knobs.draining !== "1";
  if (pages > 0) {
    const have = pages === 1 ? "has" : "have";
    const reason = `${countText(pages)} ${have} fewer than ${intended} copies`;
    return [warning("few_copies", reason, isShort ? ADD_LENDER : "copying again is under way")];
  }
  if (!isShort) return [];
  const reason = `a page that moves away gets ${possible} copies, not ${intended}`;
  return [warning("few_copies", reason, ADD_LENDER)];
}

function nowhere({ nowhere: why }: Seen): Finding[] {
  return why === null ? [] : [warning("nowhere", "pages have nowhere to go", why)];
}

function certificate({ counters, knobs }: Seen): Finding[] {
  const days = counters.certificate_days_left;
  if (days === undefined || days >= CERTIFICATE_WARN_DAYS) return [];
  const end = knobs.certificate ?? "-";
  const advice = "renew it as docs/cluster.md describes";
  if (days < 0) {
    const reason = `the certificate expired on ${end}, and no link can be made`;
    return [critical("certificate", reason, advice)];
  }
  const left = `${days} ${days === 1 ? "day" : "days"} left`;
  return [warning("certificate", `the certificate ends on ${end}, ${left}`, advice)];
}

/** Peers that the node could not connect to when it had something to send. */
function links({ peers, members }: Seen): Finding[] {
  const isThere = (number: number): boolean => {
    const member = members.find((it) => it.number === number);
    return member === undefined || member.state === "alive" || member.state === "suspect";
  };
  const failed = peers.filter((peer) => peer.failure !== "" && isThere(peer.node));
  const found = failed.slice(0, NAMES_MAX).map((peer) => {
    return warning("link", `no link to ${nameOf(peer)}: ${peer.failure}`, "");
  });
  const more = failed.length - NAMES_MAX;
  if (more > 0) found.push(warning("link", `no link to ${more} more nodes`, ""));
  return found;
}

function nameOf({ name, node }: PeerStats): string {
  return name === "" ? `node ${node}` : name;
}

function deadLenders({ members }: Seen): Finding[] {
  const dead = members.filter((it) => it.state === "dead" && isLender(it));
  if (dead.length === 0) return [];
  const names = namesOf(dead.map(({ name }) => name));
  const isOne = dead.length === 1;
  const reason = isOne ? `lender ${names} is dead` : `lenders ${names} are dead`;
  const advice = `start ${isOne ? "it" : "them"} again, or see docs/operations.md`;
  return [warning("dead_lender", reason, advice)];
}

function isLender({ role, lend_frames }: MemberStats): boolean {
  return role === "server" || lend_frames > 0;
}

function disk({ counters, spill }: Seen): Finding[] {
  const { spill_bytes_max = 0, spill_bytes_asked = 0 } = counters;
  const found: Finding[] = [];
  if (spill.trouble !== null) {
    const reason = `pages cannot be written to the disk: ${spill.trouble}`;
    found.push(warning("disk", reason, "free space there, or check the disk"));
  }
  if (spill_bytes_max < spill_bytes_asked) {
    const sizes = `${formatSize(spill_bytes_max)}, not ${formatSize(spill_bytes_asked)}`;
    const reason = `the disk has room for ${sizes} (--spill-size)`;
    found.push(warning("disk", reason, "free space there, or ask for less"));
  }
  return found;
}

/** The warning for each thing that a lender cannot see of its machine. It lends less then. */
const UNSEEN: Readonly<Partial<Record<LendingStats["unseen"][number], string>>> = {
  available: "cannot read /proc/meminfo: lending only free memory",
  limit: "cannot see the memory limit of its cgroup: lending nothing more",
  machine: "cannot see the memory of its machine: lending nothing more",
};

function unseen(lending: LendingStats): Finding[] {
  return lending.unseen.flatMap((what) => {
    const reason = UNSEEN[what];
    return reason === undefined ? [] : [warning("unseen", reason, "")];
  });
}

function coldTier({ cold_codec: cold }: Seen): Finding[] {
  if (cold?.failed !== true) return [];
  const reason = "cold pages are not compressed again, because that failed";
  return [warning("cold_tier", reason, "see the log, then restart the node")];
}

function filling({ counters }: Seen, { warnAtPercent }: Marks): Finding[] {
  const { space_percent_used: percent = 0, space_full_count = 0 } = counters;
  const advice = "add a lender or memory";
  if (space_full_count > 0) {
    const reason = "the space for pages is full, and writes are refused";
    return [critical("full", reason, advice)];
  }
  if (percent < warnAtPercent) return [];
  return [warning("filling", `${percent}% of the space for pages is in use`, advice)];
}

function draining({ knobs }: Seen): Finding[] {
  if (knobs.draining !== "1") return [];
  const reason = "the node lends nothing and moves no page away";
  return [warning("draining", reason, 'to end that, run "ramster undrain"')];
}

function healthy(seen: Seen, { isServer }: Marks): Finding {
  return {
    state: STATES.healthy,
    name: "healthy",
    level: 0,
    reason: isServer ? lent(seen) : safe(seen),
    advice: "",
  };
}

function lent({ counters }: Seen): string {
  const { lend_limit_frames: limit = 0, foreign_frames_used: used = 0 } = counters;
  const size = formatSize(limit * FRAME_BYTES);
  return `it lends ${size}, of which ${formatSize(used * FRAME_BYTES)} are in use`;
}

function safe({ counters, repair }: Seen): string {
  const { remote_pers_pages: pages = 0 } = counters;
  if (pages === 0) return "all pages are here";
  const { copies_intended: copies } = repair;
  if (copies > 1) return `${pagesText(pages)} away, with ${copies} copies each`;
  return `${pagesText(pages)} away, with one copy each, as --replicas or --target says`;
}

/** `"1,234 pages (4.82MiB)"`. */
function countText(pages: number): string {
  const what = `${formatCount(pages)} ${pages === 1 ? "page" : "pages"}`;
  return `${what} (${formatSize(pages * PAGE_BYTES)})`;
}

/** The same with its verb. */
function pagesText(pages: number): string {
  return `${countText(pages)} ${pages === 1 ? "is" : "are"}`;
}

/** `"a", "b", "c" and 4 more`. Names come from outside. */
function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).map(quoted).join(", ");
  const more = names.length - NAMES_MAX;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
