/**
 * Drain: a node gets ready to leave, or to be on its own. It lends nothing any more and moves no
 * page away; the owners of what it holds take that elsewhere, and its own pages come home as far
 * as there is room.
 *
 * Before it stops a node drains what it holds for others, and only that: its own pages end with it.
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Foreign } from "../ramster/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { Lending } from "./lending.ts";

const POLL_MS = 100;
/** Nothing moved for so long: there is nowhere to move it. */
const STUCK_MS = 5000;

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

  /** It stays after all. */
  stop(): void {
    if (!this.on) return;
    this.on = false;
    this.ramster.setDraining(false);
    this.lending?.setDrained(false);
  }

  /**
   * Moves away what others keep here. Resolves when nothing is left, nothing moves any more, or
   * after `timeoutMs`.
   */
  async emptyForeign(timeoutMs: number): Promise<void> {
    const { foreign, clock, log } = this;
    if (foreign === null || timeoutMs === 0 || foreign.persistentCount === 0) return;
    const startMs = clock.now();
    const had = foreign.persistentCount;
    log.write("info", "ramster", `${had} pages of others are moved away before it stops`);
    this.lending?.setDrained(true);
    let left = had;
    let movedAtMs = startMs;
    while (left > 0 && clock.now() - startMs < timeoutMs && clock.now() - movedAtMs < STUCK_MS) {
      await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve));
      foreign.step();
      if (foreign.persistentCount < left) movedAtMs = clock.now();
      left = foreign.persistentCount;
    }
    if (left === 0) log.write("info", "ramster", `all ${had} pages of others were moved away`);
    else log.write("warn", "ramster", `Cannot move ${left} of ${had} pages of others away`);
  }
}
