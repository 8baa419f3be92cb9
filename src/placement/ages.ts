/**
 * Ages: in which epoch each zpage was last used, in 6 bits.
 *
 * An epoch lasts for a number of uses that grows with the store: the whole store is used six times
 * over before an age reaches AGE_KEPT. The numbers of epochs are used in turn. So that an old
 * zpage never looks new, a sweep over all zpages gives each that is older than AGE_KEPT that age
 * again, once in EPOCHS_PER_SWEEP epochs: no age reaches EPOCHS.
 *
 *     age:  0 ...................... AGE_KEPT ........ + EPOCHS_PER_SWEEP ..... EPOCHS
 *           used lately              the sweep sets it back to this
 *
 * How many zpages are of each age is counted, so that a bound between old and others is found
 * without a search.
 *
 * Not here: where the bits are, and the sweep (blocks.ts).
 */
import { assert } from "../core/assert.ts";
import type { Kind } from "../core/kind.ts";

export const EPOCH_BITS = 6;
const EPOCHS = 1 << EPOCH_BITS;
const EPOCH_MASK = EPOCHS - 1;
/** The age that very old zpages are kept at. */
export const AGE_KEPT = 47;
/** A sweep ends within this many epochs. */
export const EPOCHS_PER_SWEEP = 8;
/** An epoch has at least this many uses. */
const USES_MIN = 64;

assert(AGE_KEPT + 2 * EPOCHS_PER_SWEEP < EPOCHS);

export class Ages {
  /** The epoch of what is used now. */
  now = 0;
  private readonly counts = [new Float64Array(EPOCHS), new Float64Array(EPOCHS)] as const;
  private usesLeft = USES_MIN;

  /** A zpage was put or used. `usesPerEpoch` is for the epoch that may begin now. */
  used(usesPerEpoch: number): void {
    this.usesLeft -= 1;
    if (this.usesLeft > 0) return;
    this.now = (this.now + 1) & EPOCH_MASK;
    this.usesLeft = Math.max(USES_MIN, usesPerEpoch);
  }

  add(kind: Kind, epoch: number): void {
    const counts = this.counts[kind];
    counts[epoch] = (counts[epoch] ?? 0) + 1;
  }

  remove(kind: Kind, epoch: number): void {
    const counts = this.counts[kind];
    counts[epoch] = (counts[epoch] ?? 0) - 1;
  }

  ageOf(epoch: number): number {
    return (this.now - epoch) & EPOCH_MASK;
  }

  epochOf(age: number): number {
    return (this.now - age) & EPOCH_MASK;
  }

  /** The age from which on zpages are the oldest `count` or more of their kind. */
  oldestFrom(kind: Kind, count: number): number {
    const counts = this.counts[kind];
    let sum = 0;
    for (let age = EPOCHS - 1; age > 0; age -= 1) {
      sum += counts[this.epochOf(age)] ?? 0;
      if (sum >= count) return age;
    }
    return 0;
  }

  /** How many zpages of the kind are of the epoch. For checks. */
  countOf(kind: Kind, epoch: number): number {
    return this.counts[kind][epoch] ?? 0;
  }
}
