/**
 * Incarnation: how often a member has said something new of itself, u32. They go round: after the
 * last comes 1, and of two the one is newer that is less than half of all ahead (RFC 1982).
 *
 * memberlist compares them as plain numbers. As long as nobody goes past 2^31 it is the same; and
 * no member gets there by itself in 60 years of one change a second. But whoever has the key can
 * say 2^32 - 1 of any member. By plain numbers nothing is ever newer, so that this member could not
 * object to anything again, and could not come back under its name. Here it says 1 and is heard.
 * A member of memberlist's own hears it when it has forgotten the old one: 30 s after it took it
 * for dead.
 *
 * In an order that goes round three claims can each be newer than the next one, and gossip would
 * carry them in circles. So a claim that is far ahead (isNear) is believed and not gossiped: it
 * travels by push/pull alone. A circle of near ones takes more claims than there are members.
 */
const COUNT = 2 ** 32;
/** Changes of one member while another one has it in mind: 12 days of one a second. */
const NEAR = 2 ** 20;

/** Never 0: to memberlist that is the incarnation of one that it does not know. */
export function nextIncarnation(incarnation: number): number {
  return incarnation + 1 === COUNT ? 1 : incarnation + 1;
}

/** Whether `a` is newer than `b`. */
export function isNewer(a: number, b: number): boolean {
  const ahead = (a - b) >>> 0;
  return ahead !== 0 && ahead < COUNT / 2;
}

/** Whether `a`, which is not older than `b`, is so by as much as it can be in good faith. */
export function isNear(a: number, b: number): boolean {
  return (a - b) >>> 0 < NEAR;
}
