/**
 * The log of a node as text for a person, or as JSON for a program that collects it.
 *
 *     ramster[n3] net: link to node 1 is up
 *     ramster[n3] net warn: Cannot link to node 2 at "10.0.0.2:7777": connection refused
 *     ramster[n3] warn: pages have nowhere to go: ...     the area "ramster" is left out
 *     2026-01-31 12:00:00 ramster[n3] net: ...            on a terminal and in a file
 *     {"time":"2026-01-31T12:00:00.000Z","level":"info","area":"net","node":3,"name":"n3",
 *      "line":"link to node 1 is up"}        (on one line)
 */
import type { LogCounters } from "../core/log.ts";
import { LOG_LEVELS, type LogArea, type LogLevel } from "../core/log-line.ts";
import type { LogFormat } from "../node/settings.ts";
import type { Output } from "./output.ts";

export interface LogForm {
  readonly log: LogFormat;
  /** Whether lines of text begin with the time. Where a program reads them, it adds its own. */
  readonly showsTime: boolean;
}

/** Names the node that writes. Called for each line, since a node gets its number late. */
export type WhoWrites = () => { readonly number: number | null; readonly name: string };

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
      const time = new Date().toISOString();
      return JSON.stringify({ time, level, area, node: number, name, line });
    }
    const time = this.format.showsTime ? `${localTime(new Date())} ` : "";
    const words = [`ramster[${name}]`];
    if (area !== "ramster") words.push(area);
    if (level !== "info") words.push(level);
    return `${time}${words.join(" ")}: ${line}`;
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

/** `2026-01-31 12:00:00`, in the time zone of the machine. */
function localTime(at: Date): string {
  const [year, ...rest] = [
    at.getFullYear(),
    at.getMonth() + 1,
    at.getDate(),
    at.getHours(),
    at.getMinutes(),
    at.getSeconds(),
  ];
  const [month, day, hour, minute, second] = rest.map((it) => String(it).padStart(2, "0"));
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
}
