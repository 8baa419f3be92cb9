/**
 * Drain: prepares a node to stop. A drained node lends nothing and moves no page away. Owners move
 * its foreign pages elsewhere, and its own pages come home as far as there is room.
 *
 * A node that stops drains only its foreign pages. Its own pages are discarded.
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { Lending } from "./lending.ts";

const POLL_MS = 100;
/** When no page moved for this long, the rest has nowhere to go. */
const STUCK_MS = 5000;
/** How often the progress is logged. */
const PROGRESS_MS = 5000;

export class Drain {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly ramster: Ramster;
  private readonly foreign: Foreign | null;
  private readonly lending: Lending | null;
  private on = false;

  constructor(parts: {
    clock: Clock;
    log: Log;
    ramster: Ramster;
    foreign: Foreign | null;
    lending: Lending | null;
  }) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.ramster = parts.ramster;
    this.foreign = parts.foreign;
    this.lending = parts.lending;
  }

  get isOn(): boolean {
    return this.on;
  }

  start(): void {
    if (this.on) return;
    this.on = true;
    this.ramster.setDraining(true);
    this.lending?.setDrained(true);
  }

  /** Ends the drain, since the node is to stay. */
  stop(): void {
    if (!this.on) return;
    this.on = false;
    this.ramster.setDraining(false);
    this.lending?.setDrained(false);
  }

  /**
   * Moves the foreign pages away. Resolves when none is left, when none moves any more, or after
   * `timeoutMs`. With a timeout of 0 it resolves at once, and the pages are given up.
   *
   * @returns whether all foreign pages were moved.
   */
  async emptyForeign(timeoutMs: number): Promise<boolean> {
    const { foreign, clock, log } = this;
    this.logOwnPages();
    // Also for an empty node, since pages that it accepted now would end with it.
    this.lending?.setDrained(true);
    if (foreign === null || timeoutMs === 0 || foreign.persistentCount === 0) return true;
    const startMs = clock.now();
    const had = foreign.persistentCount;
    log.write("info", "ramster", `moving ${had} pages of other nodes away before this node stops`);
    let left = had;
    let movedAtMs = startMs;
    let loggedAtMs = startMs;
    let isLate = false;
    while (left > 0 && !isLate && clock.now() - movedAtMs < STUCK_MS) {
      await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve));
      foreign.step();
      if (foreign.persistentCount < left) movedAtMs = clock.now();
      left = foreign.persistentCount;
      isLate = clock.now() - startMs >= timeoutMs;
      if (clock.now() - loggedAtMs < PROGRESS_MS) continue;
      loggedAtMs = clock.now();
      log.write("info", "ramster", `${left} of ${had} pages of other nodes are still here`);
    }
    if (left === 0) {
      // An owner that has another copy drops the one here. The answer is the same.
      const where = "their owners have other copies, or took them home";
      log.write("info", "ramster", `all ${had} pages of other nodes have left: ${where}`);
      return true;
    }
    const why = isLate ? `not within ${timeoutMs} ms` : "no lender takes them";
    const line = `Cannot move ${left} of ${had} pages of other nodes away: ${why}`;
    log.write("warn", "ramster", `${line}; their owners are ${this.ownersText(foreign)}`);
    return false;
  }

  /** Logs how many own pages are discarded. Their copies are useless without this node's index. */
  private logOwnPages(): void {
    const count = this.ramster.zcache.tmem.pageCount;
    if (count > 0)
      this.log.write("info", "ramster", `discarding ${count} own pages: this node stops`);
  }

  /** `"a" (12), "b" (1, no link)`. */
  private ownersText(foreign: Foreign): string {
    const owners = [...foreign.pageCounts()].filter(([, count]) => count > 0);
    const texts = owners.map(([node, count]) => {
      return `${this.log.names.of(node)} (${count}${foreign.isLinked(node) ? "" : ", no link"})`;
    });
    return texts.join(", ");
  }
}
