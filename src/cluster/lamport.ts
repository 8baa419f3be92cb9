/**
 * LamportClock: orders what members of Serf say (hashicorp/serf, lamport.go), u64. Times go round:
 * of two the one is later that is less than half of all ahead. Serf compares them as plain numbers;
 * but whoever has the key can say the last one there is, and nothing would be later ever again.
 */
import type { LTime } from "../gossip/serf-messages.ts";

const BITS = 64;
const HALF = 2n ** 63n;

export class LamportClock {
  time: LTime = 1n;

  /** The next own time is after every time that was seen. */
  witness(time: LTime): void {
    if (isLater(time, this.time)) this.time = time;
  }

  /** Never 0, which stands for no time at all. */
  next(): LTime {
    this.time = BigInt.asUintN(BITS, this.time + 1n) || 1n;
    return this.time;
  }
}

export function isLater(a: LTime, b: LTime): boolean {
  const ahead = aheadOf(a, b);
  return ahead !== 0n && ahead < HALF;
}

/** How far `a` is ahead of `b`. */
export function aheadOf(a: LTime, b: LTime): bigint {
  return BigInt.asUintN(BITS, a - b);
}
