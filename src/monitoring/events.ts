/**
 * Events: what has happened to a node and its cluster lately, for people who watch it. A ring keeps
 * the last EVENTS_KEPT of them, each with a number that only grows.
 *
 *     a report a second --> EventSource: what differs from the report before --> EventRing
 *
 * An event is what an operator would tell another one. Counters that rise without pause make one
 * event in QUIET_MS at most, with their sum.
 *
 * Not here: what is wrong now (verdict.ts), the log (core/log.ts).
 */

import type { Clock } from "../core/clock.ts";
import { quoted } from "../core/errors.ts";
import { EVENT_LENGTH_MAX, EVENTS_KEPT } from "../core/monitoring-limits.ts";
import { oneLine } from "../core/printable.ts";
import { formatCount, formatDuration } from "../core/units.ts";
import type { CounterName, EventKind, EventReport, NodeStats } from "../wire/stats.ts";
import { findingText } from "./finding-text.ts";

const QUIET_MS = 10_000;

export interface NodeEvent {
  readonly number: number;
  readonly kind: EventKind;
  readonly text: string;
  readonly atMs: number;
}

export class EventRing {
  private readonly clock: Clock;
  private readonly kept: NodeEvent[] = [];
  private lastNumber = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(kind: EventKind, text: string): void {
    this.lastNumber += 1;
    const line = oneLine(text).slice(0, EVENT_LENGTH_MAX);
    this.kept.push({ number: this.lastNumber, kind, text: line, atMs: this.clock.now() });
    if (this.kept.length > EVENTS_KEPT) this.kept.shift();
  }

  /** The kept events after that number, oldest first. */
  after(number: number): EventReport[] {
    const now = this.clock.now();
    return this.kept
      .filter((it) => it.number > number)
      .map(({ atMs, ...event }) => ({ ...event, age_ms: Math.round(now - atMs) }));
  }
}

/** An event for counters that rose. */
interface Rise {
  readonly kind: EventKind;
  readonly counters: readonly CounterName[];
  text(count: number): string;
}

const RISES: readonly Rise[] = [
  {
    kind: "lost",
    counters: ["remote_pers_pages_lost"],
    text: (count) => `${pages(count)} lost: no node keeps a copy any more`,
  },
  {
    kind: "failed",
    counters: ["nbd_errors"],
    text: (count) => `requests of block devices failed: ${formatCount(count)}`,
  },
  {
    kind: "refused",
    counters: ["failed_pers_puts"],
    text: (count) => `${pages(count)} refused`,
  },
  {
    kind: "evicted",
    counters: ["evicted_eph_zpages", "foreign_evicted_eph_zpages"],
    text: (count) => `${pages(count)} evicted from ephemeral pools`,
  },
  {
    kind: "pressure",
    counters: ["lend_pressure_shrinks"],
    text: () => "the node lends less, since its machine is short of memory",
  },
];

/** What was told of a counter so far. */
interface Told {
  value: number;
  atMs: number;
}

type Member = NodeStats["members"][number];

/** Finds the events by comparing each report with the one before. */
export class EventSource {
  private readonly clock: Clock;
  private readonly ring: EventRing;
  private readonly told = new Map<EventKind, Told>();
  private before: Pick<NodeStats, "members" | "findings" | "knobs"> | null = null;
  /** Since when pages are at risk, and how many there were at most. Null: none is. */
  private risk: { sinceMs: number; most: number } | null = null;

  constructor(clock: Clock, ring: EventRing) {
    this.clock = clock;
    this.ring = ring;
  }

  /** Must be called about once a second. */
  observe(stats: NodeStats): void {
    this.observeVerdict(stats);
    this.observeDrain(stats);
    this.observeMembers(stats);
    this.observeRisk(stats);
    for (const rise of RISES) this.observeRise(rise, stats);
    const { members, findings, knobs } = stats;
    this.before = { members, findings, knobs };
  }

  private observeVerdict({ findings }: NodeStats): void {
    const [worst] = findings;
    if (worst === undefined || worst.name === this.before?.findings[0]?.name) return;
    this.ring.add("verdict", findingText(worst));
  }

  private observeDrain({ knobs }: NodeStats): void {
    const was = this.before?.knobs.draining ?? "0";
    if (knobs.draining === was || knobs.draining === undefined) return;
    if (knobs.draining === "1") this.ring.add("drained", "the node is being drained");
    else this.ring.add("undrained", "the node is in use again");
  }

  private observeMembers({ node, members }: NodeStats): void {
    if (this.before === null) return;
    const known = new Map(this.before.members.map((member) => [member.name, member]));
    for (const member of members) {
      if (member.name === node.name) continue;
      const was = known.get(member.name);
      const kind = memberEvent(was, member);
      if (kind !== null) this.ring.add(kind, `${quoted(member.name)} ${MEMBER_TEXTS[kind]}`);
      if (was !== undefined && member.drained !== was.drained) {
        const isDrained = member.drained;
        const what = isDrained ? "is drained" : "lends again";
        this.ring.add(isDrained ? "drained" : "undrained", `${quoted(member.name)} ${what}`);
      }
    }
  }

  private observeRisk({ repair }: NodeStats): void {
    const count = repair.pages_at_risk;
    const now = this.clock.now();
    if (count > 0) {
      this.risk ??= { sinceMs: now, most: 0 };
      this.risk.most = Math.max(this.risk.most, count);
    } else if (this.risk !== null) {
      const took = formatDuration(Math.round(now - this.risk.sinceMs));
      const what = `at most ${pages(this.risk.most)} at risk, for ${took}`;
      this.ring.add("repaired", `all pages have their copies: ${what}`);
      this.risk = null;
    }
  }

  private observeRise({ kind, counters: names, text }: Rise, { counters }: NodeStats): void {
    const value = names.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
    const now = this.clock.now();
    const told = this.told.get(kind);
    if (told === undefined) this.told.set(kind, { value, atMs: -QUIET_MS });
    else if (value > told.value && now - told.atMs >= QUIET_MS) {
      this.ring.add(kind, text(value - told.value));
      this.told.set(kind, { value, atMs: now });
    }
  }
}

const MEMBER_TEXTS = {
  joined: "joined the cluster",
  suspected: "does not answer",
  recovered: "answers again",
  died: "is dead",
  left: "left the cluster",
} as const;

function memberEvent(was: Member | undefined, is: Member): keyof typeof MEMBER_TEXTS | null {
  if (was?.state === is.state) return null;
  switch (is.state) {
    case "alive":
      return was === undefined || was.state === "left" ? "joined" : "recovered";
    case "suspect":
      return "suspected";
    case "dead":
      return was === undefined ? null : "died";
    case "left":
      return was === undefined ? null : "left";
  }
}

/** `"1 page was"`, `"1,234 pages were"`. */
function pages(count: number): string {
  return count === 1 ? "1 page was" : `${formatCount(count)} pages were`;
}
