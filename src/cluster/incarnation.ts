/**
 * Incarnation: a member's count of the changes of its own state, u32. It wraps around from the last
 * number to 1, and `a` is newer than `b` if it is ahead by less than half of all (RFC 1982).
 *
 * memberlist compares plain numbers. Below 2^31 the result is the same, and a member with one
 * change a second gets there after 60 years. But anyone with the key can forge 2^32 - 1 for any
 * member. By plain numbers nothing is newer, so that the member could never object or return under
 * its name. Here it objects with 1 and is heard. Members that run memberlist hear it once they have
 * forgotten the old number: 30 s after they took the member for dead.
 *
 * In an order that wraps around, three claims can each be newer than the next one, and gossip would
 * send them in circles. So a claim that is far ahead (isNear) is accepted, and spreads by push/pull
 * alone. A circle of near claims takes more claims than there are members.
 */
const COUNT = 2 ** 32;
/** More changes than a member makes while others remember it: 12 days of one a second. */
const NEAR = 2 ** 20;

/** The next incarnation. Never 0: to memberlist that is the one of an unknown member. */
export function nextIncarnation(incarnation: number): number {
  return incarnation + 1 === COUNT ? 1 : incarnation + 1;
}

/** Whether `a` is newer than `b`. */
export function isNewer(a: number, b: number): boolean {
  const ahead = (a - b) >>> 0;
  return ahead !== 0 && ahead < COUNT / 2;
}

/** Whether `a`, which is not older than `b`, is ahead by no more than an honest member can be. */
export function isNear(a: number, b: number): boolean {
  return (a - b) >>> 0 < NEAR;
}
