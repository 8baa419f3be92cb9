/** A log line: its level, its area, and where it goes. */

/** From the most to the least important. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The part of a node that a line is about. */
export const LOG_AREAS = ["cluster", "net", "ramster", "doors"] as const;
export type LogArea = (typeof LOG_AREAS)[number];

/** Where lines go. */
export type LogSink = (level: LogLevel, area: LogArea, line: string) => void;
