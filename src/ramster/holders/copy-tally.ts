/**
 * CopyTally: how many persistent pages have their copies at which set of nodes. With it the number
 * of pages that lack a copy is known at any moment, whoever has just died or come back, and without
 * a walk over the index.
 *
 * All pages of one batch go to the same nodes, so there are at most as many sets as batches that
 * are away, and as a rule as many as there are pairs of linked lenders.
 */
import { assert } from "../../core/assert.ts";
import { type Copies, sortedCopies } from "../copies.ts";

export class CopyTally {
  private readonly pages = new Map<Copies, number>();

  add(copies: Copies): void {
    const key = sortedCopies(copies);
    this.pages.set(key, (this.pages.get(key) ?? 0) + 1);
  }

  remove(copies: Copies): void {
    const key = sortedCopies(copies);
    const count = this.pages.get(key) ?? 0;
    assert(count > 0, "a page leaves a set of holders that has none");
    if (count === 1) this.pages.delete(key);
    else this.pages.set(key, count - 1);
  }

  /** Whether the other one counts the same. For tests. */
  verify(other: CopyTally): void {
    assert(this.pages.size === other.pages.size, "sets of holders");
    for (const [copies, count] of this.pages) {
      assert(other.pages.get(copies) === count, "pages with one set of holders");
    }
  }

  /** Pages whose copies meet the condition. */
  count(condition: (copies: Copies) => boolean): number {
    let sum = 0;
    for (const [copies, count] of this.pages) if (condition(copies)) sum += count;
    return sum;
  }
}
