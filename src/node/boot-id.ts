/** Boot id: which start of a node it is that speaks. What others hold for another one is gone. */
import type { Random } from "../core/random.ts";

/** 64 random bits. */
export function newBootId(random: Random): bigint {
  return (BigInt(random.u32()) << 32n) | BigInt(random.u32());
}
