/**
 * CopyTally: how many persistent pages have their copies at each set of nodes. So the number of
 * pages that lack a copy is known without a walk over the index, even when a node has just died or
 * come back.
 *
 * All pages of one batch go to the same nodes. So there are rarely more sets than pairs of linked
 * lenders.
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

  /** Checks that the other tally has the same counts. For tests. */
  verify(other: CopyTally): void {
    assert(this.pages.size === other.pages.size, "sets of holders");
    for (const [copies, count] of this.pages) {
      assert(other.pages.get(copies) === count, "pages with one set of holders");
    }
  }

  /** How many pages have copies that meet the condition. */
  count(condition: (copies: Copies) => boolean): number {
    let sum = 0;
    for (const [copies, count] of this.pages) if (condition(copies)) sum += count;
    return sum;
  }
}
