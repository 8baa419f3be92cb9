/**
 * Budget: how many frames a store may use, and the two marks between which it moves pages away.
 *
 * Two marks instead of one avoid flapping at the limit: over the high mark pages leave until the
 * low mark is reached.
 */
import { assert } from "../core/assert.ts";

export interface BudgetOptions {
  frameCountMax: number;
  /** Percent of frameCountMax, 1 .. 100. */
  highMarkPercent: number;
  /** Percent of frameCountMax, at most the high mark. */
  lowMarkPercent: number;
}

export class Budget {
  readonly frameCountMax: number;
  readonly frameCountHigh: number;
  readonly frameCountLow: number;

  constructor(options: BudgetOptions) {
    assert(options.frameCountMax >= 1);
    assert(options.lowMarkPercent <= options.highMarkPercent && options.highMarkPercent <= 100);
    this.frameCountMax = options.frameCountMax;
    this.frameCountHigh = Math.floor((options.frameCountMax * options.highMarkPercent) / 100);
    this.frameCountLow = Math.floor((options.frameCountMax * options.lowMarkPercent) / 100);
  }

  isOverHigh(framesUsed: number): boolean {
    return framesUsed > this.frameCountHigh;
  }

  isOverLow(framesUsed: number): boolean {
    return framesUsed > this.frameCountLow;
  }
}
