/**
 * Failures that come from outside: sockets, peers, bytes, settings. Handle them by `code`, never by
 * text.
 *
 * Three kinds of failure are never mixed. A bug is an assertion (assert.ts). An expected outcome,
 * such as a miss or a refusal, is a `Status` (status.ts). Everything else is one of these.
 */

/** Every code there is, with what it means. Codes are only ever added. */
export const ERROR_CODES = {
  ADDRESS_IN_USE: "the address or socket path to listen on is taken",
  ADDRESS_UNREACHABLE: "nothing answers at the address",
  BAD_CONFIG: "a flag or setting is wrong",
  BAD_FRAME: "bytes that are no frame of the protocol",
  BAD_HANDSHAKE:
    "the other side speaks another protocol, version or page size, or is not who was expected",
  BAD_KEPT_MEMORY: "memory that an earlier process kept is not what this one can go on with",
  CANNOT_LISTEN: "the address to listen on is none of this machine's, or not for this user",
  CLOSED: "the connection or client was closed",
  COMMAND_FAILED: "a program that was started has failed",
  DISK_UNUSABLE: "the file for pages on disk cannot be made",
  LOST: "a persistent page that was accepted cannot be brought back",
  NO_DEVICE: "the machine lacks what swap takes",
  NO_MEMORY: "there is no address space, or no memory, for what is to be reserved",
  NOT_SUPPORTED: "the other side does not know this request",
  OUTPUT_FAILED: "standard output, or the file that was to be made, cannot be written",
  POOL_GONE: "the pool was destroyed, or its node has restarted",
  REFUSED: "the other side understood and refused",
  TIMED_OUT: "no answer before the deadline",
  UNKNOWN_SETTING: "the node has no setting and no counter of that name",
  UNREACHABLE: "the holder of a remote page does not answer now; a later get may succeed",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class RamsterError extends Error {
  override readonly name: string = "RamsterError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Bytes that break the protocol. The stream that carried them is closed. */
export class WireError extends RamsterError {
  override readonly name = "WireError";
}

/** A peer, or the link to it, cannot do what was requested. */
export class PeerError extends RamsterError {
  override readonly name = "PeerError";
}

/** A flag, a setting or an environment that the user can correct. */
export class ConfigError extends RamsterError {
  override readonly name = "ConfigError";
}

/** `Cannot use address "x": `, which some parsers put before the reason. */
const PREFIX = /^Cannot use [^"]*"(?:[^"\\]|\\.)*": /;

/** The reason of an error that begins with the value that cannot be used. */
export function reasonOf(error: ConfigError): string {
  return error.message.replace(PREFIX, "");
}

/** A longer value would hide the rest of the message. */
const QUOTED_LENGTH_MAX = 100;

/** A value from outside, within quotes, for a message. */
export function quoted(text: string): string {
  const isLong = text.length > QUOTED_LENGTH_MAX;
  return JSON.stringify(isLong ? `${text.slice(0, QUOTED_LENGTH_MAX)}...` : text);
}
