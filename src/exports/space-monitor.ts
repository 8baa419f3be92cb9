/**
 * SpaceMonitor: whether a page may be written now, must wait, or is refused. It also logs when
 * space runs out.
 *
 *     a frame is free                               the write goes ahead
 *     space may still free up                       the write waits, up to --io-timeout: EIO
 *     everything has been full for NBD_FULL_MS      the write is tried; ENOSPC when that fails
 *
 * The last try is worth it: an overwrite frees the old page, and a small zpage may fit beside
 * another one in its frame.
 */
import type { Clock } from "../core/clock.ts";
import { NBD_FULL_MS, NBD_WARN_HYSTERESIS_PERCENT } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Ramster } from "../ramster/ramster.ts";

export interface SpaceMonitorParts {
  readonly ramster: Ramster;
  readonly clock: Clock;
  readonly log: Log;
  readonly warnAtPercent: () => number;
}

export class SpaceMonitor {
  private readonly parts: SpaceMonitorParts;
  private fullSinceMs: number | null = null;
  private isWarned = false;
  private isFullLogged = false;

  constructor(parts: SpaceMonitorParts) {
    this.parts = parts;
  }

  /** Whether to put a page now; else the request waits. */
  mayPut(): boolean {
    const { ramster, clock } = this.parts;
    if (ramster.zcache.tmem.frozen) return false; // A put would only flush the old page.
    if (ramster.hasRoom) return true;
    if (ramster.mustWait() || !ramster.space().isFull) {
      this.fullSinceMs = null;
      return false;
    }
    const now = clock.now();
    this.fullSinceMs ??= now;
    return now - this.fullSinceMs >= NBD_FULL_MS;
  }

  /** Whether use has passed the mark `warnAtPercent`, and has not fallen well below it since. */
  get isAboveMark(): boolean {
    return this.isWarned;
  }

  /** A write was refused: logged once, until space is below the mark again. */
  onRefused(): void {
    if (this.isFullLogged) return;
    this.isFullLogged = true;
    const where = "memory, lenders and disk are full";
    this.parts.log.write("error", "doors", `Cannot store pages of NBD exports: ${where}`);
  }

  /** Called every NBD_TICK_MS. */
  check(): void {
    if (this.parts.ramster.hasRoom) this.fullSinceMs = null;
    const { percentUsed: percent } = this.parts.ramster.space();
    const mark = this.parts.warnAtPercent();
    if (percent >= mark && !this.isWarned) {
      this.isWarned = true;
      const advice = "add a lender or memory before writes fail";
      const what = `${percent}% of the space for pages is used (mark: ${mark}%)`;
      this.parts.log.write("warn", "doors", `${what}: ${advice}`);
    }
    if (percent < mark - NBD_WARN_HYSTERESIS_PERCENT) {
      this.isWarned = false;
      this.isFullLogged = false;
    }
  }
}
