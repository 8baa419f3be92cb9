/**
 * How long to wait before the next dial. The ceiling doubles with each failure up to a maximum, and
 * the upper half is drawn at random. So nodes that lost a peer at the same instant do not all dial
 * it at the same instant.
 */
import { assert } from "../core/assert.ts";

/**
 * @param attempt failures in a row so far, from 0.
 * @param draw a random number in 0 .. 2^32 - 1.
 * @returns milliseconds, between half of the ceiling for this attempt and that ceiling.
 */
export function backoffMs(
  attempt: number,
  draw: number,
  bounds: { readonly minMs: number; readonly maxMs: number },
): number {
  assert(attempt >= 0 && bounds.minMs > 0 && bounds.minMs <= bounds.maxMs);
  // The exponent is bounded: 2 ** attempt would be Infinity after 1024 failures.
  const ceilingMs = Math.min(bounds.maxMs, bounds.minMs * 2 ** Math.min(attempt, 30));
  return ceilingMs / 2 + (ceilingMs / 2) * (draw / 4294967296);
}
