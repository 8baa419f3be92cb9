/**
 * Drain: prepares a node for its end. A drained node lends nothing and moves no page away. Owners
 * move its foreign pages elsewhere, and its own pages come home as far as there is room.
 *
 * A node that stops drains only its foreign pages. Its own pages are discarded at its end.
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { Lending } from "./lending.ts";

const POLL_MS = 100;
/** When no page moved for this long, there is nowhere to move them. */
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

  /** Ends the drain: the node stays. */
  stop(): void {
    if (!this.on) return;
    this.on = false;
    this.ramster.setDraining(false);
    this.lending?.setDrained(false);
  }

  /**
   * Moves the foreign pages away. Resolves when none is left, when none moves any more, or after
   * `timeoutMs`. With 0 it resolves at once, and the pages are given up.
   *
   * @returns whether all foreign pages were moved.
   */
  async emptyForeign(timeoutMs: number): Promise<boolean> {
    const { foreign, clock, log } = this;
    this.logOwnPages();
    // An empty node too: pages that it accepted now would end with it.
    this.lending?.setDrained(true);
    if (foreign === null || timeoutMs === 0 || foreign.persistentCount === 0) return true;
    const startMs = clock.now();
    const had = foreign.persistentCount;
    log.write("info", "ramster", `${had} pages of others are moved away before it stops`);
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
      log.write("info", "ramster", `${left} of ${had} pages of others are left`);
    }
    if (left === 0) {
      log.write("info", "ramster", `all ${had} pages of others were moved away`);
      return true;
    }
    const why = isLate ? `not within ${timeoutMs} ms` : "nobody takes them";
    const line = `Cannot move ${left} of ${had} pages of others away: ${why}`;
    log.write("warn", "ramster", `${line}; they are of ${this.ownersText(foreign)}`);
    return false;
  }

  /** Logs how many own pages end with the node. Copies elsewhere are useless without its index. */
  private logOwnPages(): void {
    const count = this.ramster.zcache.tmem.pageCount;
    if (count > 0) this.log.write("info", "ramster", `discards ${count} own pages`);
  }

  /** `node 3 (12), node 5 (1, no link)`. */
  private ownersText(foreign: Foreign): string {
    const owners = [...foreign.pageCounts()].filter(([, count]) => count > 0);
    const texts = owners.map(([node, count]) => {
      return `node ${node} (${count}${foreign.isLinked(node) ? "" : ", no link"})`;
    });
    return texts.join(", ");
  }
}
