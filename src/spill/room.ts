/**
 * SpillRoom: how large the file can be, and whether its writes succeed.
 *
 *     asked      --spill-size
 *     system     the room in the file system, which changes as other files grow
 *     refused    the size at which a write found no space: a quota may be invisible
 *     broken     zero, while writes fail for another reason
 *
 * The least counts. After a failed write there is a pause, longer with each failure in a row. Then
 * one batch, a probe, is written. When it succeeds, `refused` and `broken` end.
 * `refused` also ends when the file system has more room than before.
 */
import type { Clock } from "../core/clock.ts";
import type { DiskError, DiskRoom } from "../core/disk.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import type { Log } from "../core/log.ts";

/** Failed writes in a row after which the disk counts as broken. */
const FAILURES_BROKEN = 3;
/** There is room again when the file system has this fraction of --spill-size more than before. */
const MORE = 1 / 64;
/** A file that is full repeatedly is logged once in this time. */
const LOG_PAUSE_MS = 60_000;
const UNLIMITED = Number.POSITIVE_INFINITY;

export class SpillRoom {
  readonly askedBytes: number;
  /** How long the file can be: the room in the file system, and the longest file it allows. */
  lengthMax = UNLIMITED;
  /** Why writes fail. Null: the last one succeeded. */
  trouble: string | null = null;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly backoffMs: (failures: number) => number;
  private refusedBytes = UNLIMITED;
  /** The least `lengthMax` since then. */
  private lengthLow = UNLIMITED;
  private failures = 0;
  private isBroken = false;
  private isShort = false;
  private pausedUntilMs = 0;
  private loggedAtMs = Number.NEGATIVE_INFINITY;
  /** Whether the trouble was logged, so that its end must be logged too. */
  private isLogged = false;

  constructor(
    parts: { clock: Clock; log: Log; backoffMs: (failures: number) => number },
    askedBytes: number,
  ) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.backoffMs = parts.backoffMs;
    this.askedBytes = askedBytes;
  }

  /** The room, used and free. */
  bytesMax(usedBytes: number): number {
    const tried = this.isBroken ? 0 : this.refusedBytes;
    return Math.max(usedBytes, Math.min(this.askedBytes, this.lengthMax, tried));
  }

  /** The room after a probe that succeeds. */
  probeBytes(usedBytes: number): number {
    if (!this.isBroken && this.refusedBytes === UNLIMITED) return usedBytes;
    return Math.max(usedBytes, Math.min(this.askedBytes, this.lengthMax));
  }

  get isPaused(): boolean {
    return this.clock.now() < this.pausedUntilMs;
  }

  /** Takes the room that the disk reports. `writtenBytes`: when it was asked. */
  update(room: DiskRoom | null, writtenBytes: number): void {
    // Recent writes may not be allocated yet.
    const has = room === null ? 0 : Math.max(room.allocatedBytes, writtenBytes);
    const bytes = room === null ? UNLIMITED : Math.min(has + room.availableBytes, room.lengthMax);
    this.lengthMax = bytes;
    this.lengthLow = Math.min(this.lengthLow, bytes);
    const hasMore = bytes !== UNLIMITED && bytes >= this.lengthLow + this.askedBytes * MORE;
    if (hasMore && this.refusedBytes !== UNLIMITED) this.recovered("has room again");
    const isAmple = bytes >= this.askedBytes * (1 + MORE);
    if (!this.isShort && bytes < this.askedBytes) {
      this.isShort = true;
      const what = `has room for ${mibOf(bytes)} of the ${mibOf(this.askedBytes)} of --spill-size`;
      this.log.write("warn", "ramster", `The file system of the spill file ${what}`);
    } else if (this.isShort && isAmple) {
      this.isShort = false;
      this.log.write("info", "ramster", "The file system of the spill file has room for all of it");
    }
  }

  /** A write failed. `writtenBytes`: without its own bytes. */
  failed({ isFull, reason }: DiskError, writtenBytes: number): void {
    this.failures += 1;
    if (isFull) {
      this.refusedBytes = writtenBytes;
      this.lengthLow = UNLIMITED;
    } else if (this.failures >= FAILURES_BROKEN) this.isBroken = true;
    const now = this.clock.now();
    this.pausedUntilMs = now + this.backoffMs(this.failures);
    if (this.trouble === null && now - this.loggedAtMs >= LOG_PAUSE_MS) {
      this.loggedAtMs = now;
      this.isLogged = true;
      const next = "its pages stay in memory, and it is tried again";
      this.log.write("warn", "ramster", `Cannot write to the spill file: ${reason}: ${next}`);
    }
    this.trouble = reason;
  }

  /** A write succeeded. `isProbe`: it was tried although the file had no room. */
  written(isProbe: boolean): void {
    this.failures = 0;
    this.isBroken = false;
    const isStillFull = this.refusedBytes !== UNLIMITED && !isProbe;
    if (this.trouble !== null && !isStillFull) this.recovered("is written to again");
  }

  private recovered(what: string): void {
    this.refusedBytes = UNLIMITED;
    if (this.isBroken) return;
    this.trouble = null;
    if (this.isLogged) this.log.write("info", "ramster", `The spill file ${what}`);
    this.isLogged = false;
  }
}

function mibOf(bytes: number): string {
  return `${Math.floor(bytes / BYTES_PER_MIB)}MiB`;
}
