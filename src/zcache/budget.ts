/**
 * Budget: how many frames a store may use, and the two marks at which remotify begins and ends.
 *
 * Above the high mark pages move away until the low mark is reached. One mark alone would make
 * remotify start and stop with each page.
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
  frameCountMax = 0;
  highMarkPercent = 0;
  lowMarkPercent = 0;
  frameCountHigh = 0;
  frameCountLow = 0;

  constructor(options: BudgetOptions) {
    this.highMarkPercent = options.highMarkPercent;
    this.lowMarkPercent = options.lowMarkPercent;
    this.setFrameCountMax(options.frameCountMax);
  }

  /** Frames in use beyond the new bound stay in use; no further frame is taken. */
  setFrameCountMax(frameCountMax: number): void {
    assert(frameCountMax >= 0);
    this.frameCountMax = frameCountMax;
    this.setMarks(this.highMarkPercent, this.lowMarkPercent);
  }

  setMarks(highMarkPercent: number, lowMarkPercent: number): void {
    assert(lowMarkPercent <= highMarkPercent && highMarkPercent <= 100);
    this.highMarkPercent = highMarkPercent;
    this.lowMarkPercent = lowMarkPercent;
    this.frameCountHigh = Math.floor((this.frameCountMax * highMarkPercent) / 100);
    this.frameCountLow = Math.floor((this.frameCountMax * lowMarkPercent) / 100);
  }

  isOverHigh(framesUsed: number): boolean {
    return framesUsed > this.frameCountHigh;
  }

  isOverLow(framesUsed: number): boolean {
    return framesUsed > this.frameCountLow;
  }
}
