/**
 * Trend: whether reads go through an export by even steps, as Leap finds it (Al Maruf and
 * Chowdhury, 2020): the step that most of the last reads have in common, however the others go
 * astray. Looked for in few of them first, so that a new course is seen at once.
 */
import { assert } from "../core/assert.ts";

/** Steps that are remembered, and the fewest that are looked at. */
const STEPS = 32;
const STEPS_MIN = 4;

export class Trend {
  /** Pages to be fetched ahead, and those of them that were read since that was decided. */
  window = 0;
  hits = 0;
  /** Reads of that step and length that have been fetched beyond the last one. */
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

  /** The last read went by this step, or did not: `ahead` is one less, or nothing. */
  follow(step: number, count: number): void {
    const isSame = step === this.aheadStep && count === this.aheadCount;
    const isNext = isSame && this.stepBefore(1) === step;
    this.ahead = isNext ? Math.max(0, this.ahead - 1) : 0;
    this.aheadStep = step;
    this.aheadCount = count;
  }

  /** The step of more than half of the last reads, or 0: there is none. */
  find(): number {
    const known = Math.min(STEPS, this.count - 1);
    for (let width = STEPS_MIN; width <= known; width *= 2) {
      const step = this.majority(width);
      if (step !== 0) return step;
    }
    return 0;
  }

  /** Boyer and Moore: the one that remains when each pair of unlike ones is struck out. */
  private majority(width: number): number {
    let candidate = 0;
    let votes = 0;
    for (let i = 1; i <= width; i += 1) {
      const step = this.stepBefore(i);
      if (votes === 0) candidate = step;
      votes += step === candidate ? 1 : -1;
    }
    let found = 0;
    for (let i = 1; i <= width; i += 1) if (this.stepBefore(i) === candidate) found += 1;
    return 2 * found > width ? candidate : 0;
  }

  private stepBefore(back: number): number {
    const step = this.steps[(this.count - back) % STEPS];
    assert(step !== undefined);
    return step;
  }
}
