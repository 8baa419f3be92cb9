/**
 * LamportClock: orders what members of Serf say (hashicorp/serf, lamport.go), u64. It goes round as
 * that of Serf does: whoever has the key can say the last time there is, and after it comes 1.
 *
 * The later of two statements about a member wins (isLater). That order wraps around as well: a
 * time is later if it is ahead by less than half of all times. Serf compares plain numbers, by
 * which nothing would be later than the last one. In an order that wraps around, three times can
 * each be later than the next one. So a statement that is far ahead (isNear) is accepted and not
 * passed on, since it would travel in circles.
 */
import type { LTime } from "../gossip/serf-messages.ts";

const BITS = 64;
const HALF = 2n ** 63n;
/** More than all members of a cluster ever say. */
const NEAR = 2n ** 32n;

export class LamportClock {
  /** The time of what is said next. Never 0, which stands for no time at all. */
  upcoming: LTime = 1n;

  /** The next own time is after every time that was seen. */
  witness(time: LTime): void {
    if (time >= this.upcoming) this.upcoming = after(time);
  }

  /** As another one's clock says that it comes next there; 0: it has none. */
  witnessUpcoming(time: LTime): void {
    if (time !== 0n) this.witness(time - 1n);
  }

  /** The time of what is said now. */
  tick(): LTime {
    const now = this.upcoming;
    this.upcoming = after(now);
    return now;
  }
}

function after(time: LTime): LTime {
  return BigInt.asUintN(BITS, time + 1n) || 1n;
}

export function isLater(a: LTime, b: LTime): boolean {
  const ahead = BigInt.asUintN(BITS, a - b);
  return ahead !== 0n && ahead < HALF;
}

/** Whether `a`, which is later than `b`, is so by as much as can be. */
export function isNear(a: LTime, b: LTime): boolean {
  return BigInt.asUintN(BITS, a - b) < NEAR;
}
