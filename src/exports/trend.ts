/**
 * Trend: whether the reads of an export advance by a constant step. It uses the majority vote of
 * Leap (Al Maruf and Chowdhury, "Effectively Prefetching Remote Memory with Leap", 2020): the step
 * that most of the last reads have in common, whatever the others do. A few reads are examined
 * first, so a new step is found at once.
 */
import { assert } from "../core/assert.ts";

/** Steps that are remembered, and how many of them are looked at first. */
const STEPS = 32;
const STEPS_MIN = 4;

export class Trend {
  /** Pages to prefetch, and how many of them were read since the window was chosen. */
  window = 0;
  hits = 0;
  /** How many reads of this step and length are prefetched beyond the last read. */
  ahead = 0;
  private aheadStep = 0;
  private aheadCount = 0;
  private readonly steps = new Float64Array(STEPS);
  private count = 0;
  private last = 0;

  /** A read begins at the page. */
  add(page: number): void {
    this.steps[this.count % STEPS] = page - this.last;
    this.count += 1;
    this.last = page;
  }

  /** Updates `ahead` for the last read: one less if it followed the step, else zero. */
  follow(step: number, count: number): void {
    const isSame = step === this.aheadStep && count === this.aheadCount;
    const isNext = isSame && this.stepBefore(1) === step;
    this.ahead = isNext ? Math.max(0, this.ahead - 1) : 0;
    this.aheadStep = step;
    this.aheadCount = count;
  }

  /** @returns the step of more than half of the last reads, or 0 if there is none. */
  find(): number {
    const known = Math.min(STEPS, this.count - 1);
    for (let width = STEPS_MIN; width <= known; width *= 2) {
      const step = this.majority(width);
      if (step !== 0) return step;
    }
    return 0;
  }

  /** Boyer-Moore majority vote: a majority remains when unlike values cancel out in pairs. */
  private majority(width: number): number {
    let candidate = 0;
    let votes = 0;
    for (let i = 1; i <= width; i += 1) {
      const step = this.stepBefore(i);
      if (votes === 0) candidate = step;
      votes += step === candidate ? 1 : -1;
    }
    let count = 0;
    for (let i = 1; i <= width; i += 1) if (this.stepBefore(i) === candidate) count += 1;
    return 2 * count > width ? candidate : 0;
  }

  private stepBefore(back: number): number {
    const step = this.steps[(this.count - back) % STEPS];
    assert(step !== undefined);
    return step;
  }
}
