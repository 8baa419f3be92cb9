/**
 * Turns: how much a connection may do before others have theirs. All that have something to do get
 * together what eight get alone, so that a round is short however many they are.
 */
import { NBD_SLICE, NBD_SLICE_MIN } from "../core/limits.ts";

const WHOLE_SLICES = 8;

export class Turns {
  /** Connections that wait for theirs. */
  waiting = 0;

  /** In the units of NBD_SLICE. */
  get units(): number {
    const share = (WHOLE_SLICES * NBD_SLICE) / Math.max(WHOLE_SLICES, this.waiting);
    return Math.max(NBD_SLICE_MIN, Math.floor(share));
  }
}
