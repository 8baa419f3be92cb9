/**
 * Exit codes. Shells use 126 and higher. 13 .. 69 are free for new codes.
 *
 * Only main.ts ends the process. A command returns its code, or throws an error that `exitCodeOf`
 * maps.
 */
import { AssertionError } from "../core/assert.ts";
import { type ErrorCode, RamsterError } from "../core/errors.ts";
import { oneLine } from "../core/printable.ts";

export const EXIT = {
  DONE: 0,
  /** The command failed while it ran. */
  FAILED: 1,
  /** A flag or a setting is wrong. */
  BAD_USAGE: 2,
  /** The command could not start: an address is taken, nothing answers, or memory is missing. */
  NOT_STARTED: 3,
  /** `status --check`: what monitoring takes for a warning, and for a critical state. */
  CHECK_WARNING: 1,
  CHECK_CRITICAL: 2,
  /** Stress got a page with wrong bytes, or did not get a page. */
  STRESS_WRONG_PAGE: 10,
  /** Stress made no progress. */
  STRESS_NO_PROGRESS: 11,
  /** Stress lost a node that was not to stop. */
  STRESS_NODE_DIED: 12,
  /** An assertion failed: a bug. */
  ASSERTION: 70,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code for each failure from outside that reaches main.ts. */
const EXIT_OF_ERROR: Readonly<Record<ErrorCode, ExitCode>> = {
  ADDRESS_IN_USE: EXIT.NOT_STARTED,
  ADDRESS_UNREACHABLE: EXIT.NOT_STARTED,
  BAD_CONFIG: EXIT.BAD_USAGE,
  BAD_FRAME: EXIT.FAILED,
  BAD_HANDSHAKE: EXIT.NOT_STARTED,
  BAD_KEPT_MEMORY: EXIT.NOT_STARTED,
  CANNOT_LISTEN: EXIT.NOT_STARTED,
  CLOSED: EXIT.FAILED,
  COMMAND_FAILED: EXIT.FAILED,
  DISK_UNUSABLE: EXIT.NOT_STARTED,
  LOST: EXIT.FAILED,
  NO_DEVICE: EXIT.NOT_STARTED,
  NO_MEMORY: EXIT.NOT_STARTED,
  NOT_SUPPORTED: EXIT.FAILED,
  OUTPUT_FAILED: EXIT.FAILED,
  POOL_GONE: EXIT.FAILED,
  REFUSED: EXIT.FAILED,
  TIMED_OUT: EXIT.FAILED,
  UNKNOWN_SETTING: EXIT.BAD_USAGE,
  UNREACHABLE: EXIT.FAILED,
};

/** The exit code for an error. An error that is neither ours nor the system's is a bug. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof AssertionError) return EXIT.ASSERTION;
  if (error instanceof RamsterError) return EXIT_OF_ERROR[error.code];
  return isSystemError(error) || isOutOfMemory(error) ? EXIT.FAILED : EXIT.ASSERTION;
}

/** Whether it is an error of the operating system, which names the call. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "code" in error;
}

/** Whether the runtime could not get memory for an object. It reports only this message. */
function isOutOfMemory(error: unknown): boolean {
  return error instanceof RangeError && error.message === "Out of memory";
}

/** One line for a failure from outside. For a bug, everything that helps to find it. */
export function describeError(error: unknown): string {
  if (exitCodeOf(error) !== EXIT.ASSERTION) return oneLine((error as Error).message);
  if (!(error instanceof Error)) return oneLine(`A bug: ${String(error)} was thrown`);
  // The message may have text from outside in it.
  const lines = `A bug: ${error.stack ?? error.message}`.split("\n");
  return lines.map(oneLine).join("\n");
}
