/**
 * Copies: which nodes hold a remote page, packed into one word: the place in its record.
 *
 *     31 30 | 29 ... 20 | 19 ... 10 | 9 ... 0
 *     count |   third   |  second   |  first       node numbers, 10 bits each
 *
 * The highest number is no node's: it is the disk of the owner, which keeps a copy as a holder
 * does.
 *
 * A word is signed, as the tables have it. All functions are pure.
 */
import { assert } from "../core/assert.ts";
import { COPIES_MAX, NODES_MAX } from "../core/limits.ts";

/** A word as above. */
export type Copies = number;

const NODE_BITS = 10;
const NODE_MASK = 2 ** NODE_BITS - 1;
const COUNT_SHIFT = 3 * NODE_BITS;
/** The owner's own disk, where it has one. */
export const SPILL = NODE_MASK;
assert(NODES_MAX <= SPILL);

/** No node. A record has it only while it is made. */
export const NO_COPIES: Copies = 0;

export function copyCount(copies: Copies): number {
  return copies >>> COUNT_SHIFT;
}

/** The node of copy 0 .. copyCount - 1. */
export function copyAt(copies: Copies, index: number): number {
  return (copies >>> (index * NODE_BITS)) & NODE_MASK;
}

export function hasCopy(copies: Copies, node: number): boolean {
  for (let i = 0; i < copyCount(copies); i += 1) if (copyAt(copies, i) === node) return true;
  return false;
}

/** One more, behind the others. */
export function withCopy(copies: Copies, node: number): Copies {
  const count = copyCount(copies);
  assert(count < COPIES_MAX && node >= 0 && node <= NODE_MASK && !hasCopy(copies, node));
  const nodes = copies & ~(COPIES_MAX << COUNT_SHIFT);
  return nodes | (node << (count * NODE_BITS)) | ((count + 1) << COUNT_SHIFT);
}

/** The same copies in order of their nodes: one word for each set of nodes. */
export function sortedCopies(copies: Copies): Copies {
  let sorted: Copies = NO_COPIES;
  for (let last = -1; copyCount(sorted) < copyCount(copies); ) {
    let next = NODE_MASK;
    for (let i = 0; i < copyCount(copies); i += 1) {
      const node = copyAt(copies, i);
      if (node > last && node < next) next = node;
    }
    sorted = withCopy(sorted, next);
    last = next;
  }
  return sorted;
}

/** The others, in their order. */
export function withoutCopy(copies: Copies, node: number): Copies {
  let rest: Copies = NO_COPIES;
  for (let i = 0; i < copyCount(copies); i += 1) {
    if (copyAt(copies, i) !== node) rest = withCopy(rest, copyAt(copies, i));
  }
  return rest;
}
