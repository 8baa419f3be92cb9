/**
 * FairShare: how much work a connection may do in one turn before others have theirs. Up to eight
 * waiting connections get a whole NBD_SLICE each. More of them share those eight slices, so a round
 * stays short however many connections there are.
 */
import { NBD_SLICE, NBD_SLICE_MIN } from "../core/limits.ts";

const WHOLE_SLICES = 8;

export class FairShare {
  /** Connections that wait for their turn. */
  waiting = 0;

  /** The share of one connection, in the units of NBD_SLICE. */
  get units(): number {
    const share = (WHOLE_SLICES * NBD_SLICE) / Math.max(WHOLE_SLICES, this.waiting);
    return Math.max(NBD_SLICE_MIN, Math.floor(share));
  }
}
