/** A log line: how important it is, what it is about, and where it goes. */

/** From what stops something to what only its developers want to know. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What a line is about, by the folder that it comes from. */
export const LOG_AREAS = ["cluster", "net", "ramster", "doors"] as const;
export type LogArea = (typeof LOG_AREAS)[number];

/** Where lines go. */
export type LogSink = (level: LogLevel, area: LogArea, line: string) => void;
