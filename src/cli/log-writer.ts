/**
 * The log of a node as text for a person, or as JSON for a program that collects it.
 *
 *     2026-01-31T12:00:00.000Z ramster[n3] net: link to "n1" is up
 *     2026-01-31T12:00:00.000Z ramster[n3] net warn: Cannot link to "n2" at "10.0.0.2:7777": ...
 *     2026-01-31T12:00:00.000Z ramster[n3] warn: ...       the area "ramster" is left out
 *     <4>ramster[n3] net warn: ...                         for the journal: its level, no time
 *     {"time":"2026-01-31T12:00:00.000Z","level":"info","area":"net","node":3,"name":"n3",
 *      "line":"link to \"n1\" is up"}        (on one line)
 *
 * The journal has a time of its own, and takes the level of a line from its first characters
 * (sd-daemon(3), after syslog(3)).
 */
import type { LogCounters } from "../core/log.ts";
import { LOG_LEVELS, type LogArea, type LogLevel } from "../core/log-line.ts";
import type { LogFormat } from "../node/settings.ts";
import type { Output } from "./output.ts";

export interface LogForm {
  readonly log: LogFormat;
  /** Whether lines of text go to the journal of systemd. */
  readonly isForJournal: boolean;
}

/** Names the node that writes. Called for each line, since a node gets its number late. */
export type WhoWrites = () => { readonly number: number | null; readonly name: string };

/** The priorities of syslog(3). */
const PRIORITIES: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

export class LogWriter {
  private readonly format: LogForm;
  private readonly who: WhoWrites;
  private readonly output: Output;
  /** How many lines were dropped and not reported yet, by level. */
  private readonly dropped = new Map<LogLevel, number>();

  /** `counters` count the dropped lines. */
  constructor(format: LogForm, who: WhoWrites, output: Output, counters: LogCounters) {
    this.format = format;
    this.who = who;
    this.output = output;
    output.onDrop = (level) => {
      counters.log_lines_dropped += 1;
      this.dropped.set(level, (this.dropped.get(level) ?? 0) + 1);
    };
    output.onFlow = () => this.logDropped();
  }

  write(level: LogLevel, area: LogArea, line: string): void {
    this.output.write(this.text(level, area, line), level);
  }

  private text(level: LogLevel, area: LogArea, line: string): string {
    const { number, name } = this.who();
    if (this.format.log === "json") {
      return JSON.stringify({ time: isoTime(), level, area, node: number, name, line });
    }
    const words = [`ramster[${name}]`];
    if (area !== "ramster") words.push(area);
    if (level !== "info") words.push(level);
    const prefix = this.format.isForJournal ? `<${PRIORITIES[level]}>` : `${isoTime()} `;
    return `${prefix}${words.join(" ")}: ${line}`;
  }

  private logDropped(): void {
    const levels = LOG_LEVELS.filter((level) => this.dropped.has(level));
    const counts = levels.map((level) => `${this.dropped.get(level)} ${level}`);
    this.dropped.clear();
    this.write(
      "warn",
      "doors",
      `log lines dropped, since the reader did not read them: ${counts.join(", ")}`,
    );
  }
}

/** `2026-01-31T12:00:00.000Z` (RFC 3339). */
function isoTime(): string {
  return new Date().toISOString();
}
