/**
 * Boot id: a random number of each start of a node. Pages that belong to another boot id are
 * useless.
 */
import type { Random } from "../core/random.ts";

/** @returns 64 random bits. */
export function newBootId(random: Random): bigint {
  return (BigInt(random.u32()) << 32n) | BigInt(random.u32());
}
