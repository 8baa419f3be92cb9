/**
 * Assertions, active in every build. An assertion that fails is a bug of ours: the process stops
 * with exit code 70. Bytes from outside never reach one; they are checked by decoders and answered
 * with a typed error.
 */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Stops the process by throwing when `condition` does not hold. */
export function assert(condition: boolean, message = "assertion failed"): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types rule out, such as the default of a switch over a closed union. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
