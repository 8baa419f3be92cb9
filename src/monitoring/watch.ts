/**
 * Watch: looks at the node's own report once a second. It logs findings that endanger pages or
 * leave them without a place, when they begin and when they are over. It notes events, and tells
 * live watchers.
 *
 * A warning must last SETTLE_MS before it is logged, since a join or the start of a lender takes a
 * moment.
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";
import type { Finding, FindingName, NodeStats } from "../wire/stats.ts";
import { EventSource } from "./events.ts";
import { findingText } from "./finding-text.ts";
import type { Live } from "./live.ts";

const CHECK_MS = 1000;
const SETTLE_MS = 5000;

/** The findings that nothing else logs. */
const LOGGED: ReadonlySet<FindingName> = new Set([
  "lost",
  "out_of_reach",
  "one_copy",
  "few_copies",
  "nowhere",
]);

interface Condition {
  readonly finding: Finding;
  readonly sinceMs: number;
  isLogged: boolean;
}

export class Watch {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly report: () => NodeStats;
  private readonly events: EventSource;
  private readonly live: Live;
  private readonly timers: Timers;
  private readonly conditions = new Map<FindingName, Condition>();

  /** `report` gives the node's counters and state (NodeAdmin). */
  constructor(parts: { clock: Clock; log: Log; live: Live }, report: () => NodeStats) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.report = report;
    this.events = new EventSource(parts.clock, parts.live.events);
    this.live = parts.live;
    this.timers = new Timers(parts.clock);
  }

  start(): void {
    this.timers.every("check", CHECK_MS, CHECK_MS, () => this.check());
  }

  stop(): void {
    this.timers.stop();
  }

  private check(): void {
    const stats = this.report();
    this.events.observe(stats);
    this.live.observe(stats);
    const found = stats.findings.filter(({ name }) => LOGGED.has(name));
    for (const finding of found) this.noteFinding(finding);
    const names = new Set(found.map(({ name }) => name));
    const over = [...this.conditions.keys()].filter((name) => !names.has(name));
    for (const name of over) if (!isMoot(name, stats)) this.end(name);
  }

  private noteFinding(finding: Finding): void {
    const { name, level } = finding;
    const now = this.clock.now();
    const condition = this.conditions.get(name) ?? { finding, sinceMs: now, isLogged: false };
    this.conditions.set(name, condition);
    if (condition.isLogged || (level < 2 && now - condition.sinceMs < SETTLE_MS)) return;
    condition.isLogged = true;
    this.log.write(level < 2 ? "warn" : "error", "ramster", findingText(finding));
  }

  private end(name: FindingName): void {
    const condition = this.conditions.get(name);
    this.conditions.delete(name);
    if (condition?.isLogged !== true) return;
    this.log.write("info", "ramster", `over: ${condition.finding.reason}`);
  }
}

/** Whether the finding is absent only because no page moves away now. */
function isMoot(name: FindingName, { knobs, repair }: NodeStats): boolean {
  if (name === "lost" || name === "out_of_reach") return false;
  return knobs.draining === "1" || (name !== "nowhere" && repair.copies_possible === 0);
}
