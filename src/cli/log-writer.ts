/**
 * The log of a node as text for a person, or as JSON for a program that collects it.
 *
 *     ramster[3] net: link to node 1 is up
 *     ramster[3] net warn: Cannot link to node 2 at "10.0.0.2:7777": connection refused
 *     {"time":"2026-01-31T12:00:00.000Z","level":"info","area":"net","node":3,"name":"n3",
 *      "line":"link to node 1 is up"}        (on one line)
 */
import type { LogCounters } from "../core/log.ts";
import { LOG_LEVELS, type LogArea, type LogLevel } from "../core/log-line.ts";
import type { LogFormat } from "../node/settings.ts";
import type { Output } from "./output.ts";

/** Names the node that writes. Called for each line, since a node gets its number late. */
export type WhoWrites = () => { readonly number: number | null; readonly name: string };

export class LogWriter {
  private readonly format: LogFormat;
  private readonly who: WhoWrites;
  private readonly output: Output;
  /** How many lines were dropped and not reported yet, by level. */
  private readonly dropped = new Map<LogLevel, number>();

  /** `counters` count the dropped lines. */
  constructor(format: LogFormat, who: WhoWrites, output: Output, counters: LogCounters) {
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
    if (this.format === "json") {
      const time = new Date().toISOString();
      return JSON.stringify({ time, level, area, node: number, name, line });
    }
    const weight = level === "info" ? "" : ` ${level}`;
    return `ramster[${number ?? name}] ${area}${weight}: ${line}`;
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
