/**
 * Log: what happens to a node, one line an event, and the level that is written for each area.
 *
 * Not here: how often a kind of line is written (log-limiter.ts), and where lines go
 * (src/cli/log-writer.ts).
 */
import { ConfigError } from "./errors.ts";
import { countersOf } from "./figure.ts";
import { LOG_COUNTED } from "./figures.ts";
import { LOG_LINE_LENGTH_MAX } from "./limits.ts";
import type { LogLimiter } from "./log-limiter.ts";
import { LOG_AREAS, LOG_LEVELS, type LogArea, type LogLevel, type LogSink } from "./log-line.ts";
import { NodeNames } from "./node-names.ts";
import { oneLine } from "./printable.ts";

/** Lines that were not written, and why. */
export const LogCounters = countersOf(LOG_COUNTED);
export type LogCounters = InstanceType<typeof LogCounters>;

export interface LogOptions {
  /** None: no limit. */
  readonly limiter?: LogLimiter;
  readonly counters?: LogCounters;
}

export class Log {
  readonly counters: LogCounters;
  /** What lines call other nodes. */
  readonly names = new NodeNames();
  private readonly sink: LogSink;
  private readonly limiter: LogLimiter | null;
  /** By area: the least important level that is written. */
  private readonly levels = new Map<LogArea, LogLevel>();

  constructor(sink: LogSink, { limiter, counters }: LogOptions = {}) {
    this.sink = sink;
    this.limiter = limiter ?? null;
    this.counters = counters ?? new LogCounters();
  }

  /**
   * `line` may have text from outside as it came. The part that differs from other lines of its
   * kind is within quotes, a number, or after ": " (log-limiter.ts).
   */
  write(level: LogLevel, area: LogArea, line: string): void {
    if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(this.levelOf(area))) return;
    const isLong = line.length > LOG_LINE_LENGTH_MAX;
    const text = oneLine(isLong ? `${line.slice(0, LOG_LINE_LENGTH_MAX)}...` : line);
    if (this.limiter === null || this.limiter.admits(level, area, text)) {
      this.sink(level, area, text);
    } else {
      this.counters.log_lines_suppressed += 1;
    }
  }

  setLevels(levels: readonly AreaLevel[]): void {
    for (const { areas, level } of levels) for (const area of areas) this.levels.set(area, level);
  }

  /** The level of each area. */
  areaLevels(): AreaLevel[] {
    return LOG_AREAS.map((area) => ({ areas: [area], level: this.levelOf(area) }));
  }

  private levelOf(area: LogArea): LogLevel {
    return this.levels.get(area) ?? "info";
  }
}

export interface AreaLevel {
  readonly areas: readonly LogArea[];
  readonly level: LogLevel;
}

/**
 * `LEVEL` for all areas, or `AREA=LEVEL`. Throws ConfigError BAD_CONFIG, which says what to write.
 */
export function parseLogLevel(text: string): AreaLevel {
  const parts = text.split("=");
  const level = LOG_LEVELS.find((it) => it === parts.at(-1));
  const areas = parts.length === 1 ? LOG_AREAS : LOG_AREAS.filter((it) => it === parts[0]);
  if (parts.length <= 2 && level !== undefined && areas.length > 0) return { areas, level };
  const words = `${LOG_AREAS.join(", ")} and ${LOG_LEVELS.join(", ")}`;
  throw new ConfigError("BAD_CONFIG", `write LEVEL or AREA=LEVEL, of ${words}`);
}
