/**
 * LamportClock: orders the messages of Serf (hashicorp/serf, lamport.go), u64. It wraps around as
 * that of Serf does: anyone with the key can forge the last time, and 1 comes after it.
 *
 * The later of two statements about a member wins (isLater). That order wraps around too: a
 * time is later if it is ahead by less than half of all times. Serf compares plain numbers, by
 * which nothing would be later than the last one. In an order that wraps around, three times can
 * each be later than the next one. So a statement that is far ahead (isNear) is accepted and not
 * passed on, since it would travel in circles.
 */
import type { LTime } from "../gossip/serf-messages.ts";

const BITS = 64;
const HALF = 2n ** 63n;
/** More than all messages of a cluster. */
const NEAR = 2n ** 32n;

export class LamportClock {
  /** The time of the next message. Never 0, which stands for no time. */
  upcoming: LTime = 1n;

  /** Moves the clock past a time that was seen. */
  witness(time: LTime): void {
    if (time >= this.upcoming) this.upcoming = after(time);
  }

  /** Moves the clock to the next time of another member's clock. 0: that has none. */
  witnessUpcoming(time: LTime): void {
    if (time !== 0n) this.witness(time - 1n);
  }

  /** @returns the time of a message that is sent now. */
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

/** Whether `a`, which is later than `b`, is ahead by no more than an honest cluster can be. */
export function isNear(a: LTime, b: LTime): boolean {
  return BigInt.asUintN(BITS, a - b) < NEAR;
}
