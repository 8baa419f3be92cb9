/**
 * Copies: which nodes hold a remote page, packed into one word. The word is the `place` in the
 * page's record.
 *
 *     31 30 | 29 ... 20 | 19 ... 10 | 9 ... 0
 *     count |   third   |  second   |  first       node numbers, 10 bits each
 *
 * The highest number belongs to no node. It stands for the owner's disk, which keeps a copy as a
 * holder does.
 *
 * A word is signed, as it is in the tables. All functions are pure.
 */
import { assert } from "../core/assert.ts";
import { COPIES_MAX, NODES_MAX } from "../core/limits.ts";

/** A word with the layout above. */
export type Copies = number;

const NODE_BITS = 10;
const NODE_MASK = 2 ** NODE_BITS - 1;
const COUNT_SHIFT = 3 * NODE_BITS;
/** Stands for the owner's own disk, if it has one. */
export const SPILL = NODE_MASK;
assert(NODES_MAX <= SPILL);

/** No copies. A record has this value only while it is made. */
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

/** @returns the copies with one more behind the others. */
export function withCopy(copies: Copies, node: number): Copies {
  const count = copyCount(copies);
  assert(count < COPIES_MAX && node >= 0 && node <= NODE_MASK && !hasCopy(copies, node));
  const nodes = copies & ~(COPIES_MAX << COUNT_SHIFT);
  return nodes | (node << (count * NODE_BITS)) | ((count + 1) << COUNT_SHIFT);
}

/** The same copies in order of their nodes, so that each set of nodes has one word. */
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

/** @returns the copies without that of `node`, in their order. */
export function withoutCopy(copies: Copies, node: number): Copies {
  let rest: Copies = NO_COPIES;
  for (let i = 0; i < copyCount(copies); i += 1) {
    if (copyAt(copies, i) !== node) rest = withCopy(rest, copyAt(copies, i));
  }
  return rest;
}
