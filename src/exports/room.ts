/**
 * NbdRoom: whether a page may be written now, must wait, or cannot be taken; and who is told that
 * room is running out.
 *
 *     there is a frame                                  written
 *     frames are coming free, or may, be it later       waits, until its time is up: EIO
 *     everything is full, and has been for NBD_FULL_MS  tried: a place beside another page may do
 *
 * An overwrite frees what it overwrites, so a try is worth it; when it fails it is ENOSPC.
 */
import type { Clock } from "../core/clock.ts";
import { NBD_FULL_MS, NBD_WARN_HYSTERESIS_PERCENT } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Ramster } from "../ramster/ramster.ts";

export class NbdRoom {
  private readonly ramster: Ramster;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly warnAtPercent: () => number;
  private fullSinceMs: number | null = null;
  private isWarned = false;
  private isFullLogged = false;

  constructor(
    parts: { ramster: Ramster; clock: Clock; log: Log },
    settings: { warnAtPercent: () => number },
  ) {
    this.ramster = parts.ramster;
    this.clock = parts.clock;
    this.log = parts.log;
    this.warnAtPercent = settings.warnAtPercent;
  }

  /** Whether to put a page now; else it waits. */
  mayPut(): boolean {
    const { ramster } = this;
    if (ramster.zcache.tmem.frozen) return false; // A put would only flush.
    if (ramster.hasFrame) return true;
    if (ramster.mustWait() || !ramster.space().isFull) {
      this.fullSinceMs = null;
      return false;
    }
    const now = this.clock.now();
    this.fullSinceMs ??= now;
    return now - this.fullSinceMs >= NBD_FULL_MS;
  }

  /** Of all there is, in percent. */
  get percentUsed(): number {
    const { bytesUsed, bytesMax } = this.ramster.space();
    return Math.floor((100 * bytesUsed) / Math.max(1, bytesMax));
  }

  get isAboveMark(): boolean {
    return this.isWarned;
  }

  /** A write was refused. */
  refused(): void {
    if (this.isFullLogged) return;
    this.isFullLogged = true;
    const where = "memory, lenders and disk are full";
    this.log.write("error", "doors", `Cannot store pages of NBD exports: ${where}`);
  }

  /** Called now and then. */
  look(): void {
    if (this.ramster.hasFrame) this.fullSinceMs = null;
    const percent = this.percentUsed;
    const mark = this.warnAtPercent();
    if (percent >= mark && !this.isWarned) {
      this.isWarned = true;
      const what = `${percent}% of what there is for pages is used: the mark is ${mark}%`;
      this.log.write("warn", "doors", what);
    }
    if (percent < mark - NBD_WARN_HYSTERESIS_PERCENT) {
      this.isWarned = false;
      this.isFullLogged = false;
    }
  }
}
