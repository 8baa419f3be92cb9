/**
 * Selfshrink: brings some remote pages home now and then. Pages at risk that no holder takes a copy
 * of come home even while the number of remote pages grows.
 *
 * Not here: how many pages (policy.ts).
 */
import type { Timers } from "../../core/timers.ts";
import type { RamsterCounters } from "../counters.ts";
import { type SelfshrinkState, selfshrink } from "../policy.ts";
import type { Homecoming } from "../repatriate/homecoming.ts";
import type { Repair } from "./repair.ts";

interface Parts {
  readonly timers: Timers;
  readonly counters: RamsterCounters;
  readonly homecoming: Homecoming;
  readonly repair: Repair;
}

type SelfshrinkSettings = Parameters<typeof selfshrink>[2] & {
  readonly enabled: boolean;
  readonly intervalMs: number;
};

export class Selfshrink {
  private readonly parts: Parts;
  private readonly settings: SelfshrinkSettings;
  private readonly state: SelfshrinkState = { lastPages: 0, inertiaLeft: 0 };

  /** `settings` may change at any time. `start` follows a change of the period. */
  constructor(parts: Parts, settings: SelfshrinkSettings) {
    this.parts = parts;
    this.settings = settings;
  }

  /** The period counts from now on. */
  start(): void {
    const { intervalMs } = this.settings;
    this.parts.timers.every("selfshrink", intervalMs, intervalMs, () => {
      if (this.settings.enabled) this.step();
    });
  }

  private step(): void {
    const { counters, homecoming, repair } = this.parts;
    const pages = counters.remote_pers_pages + counters.remote_eph_pages;
    const count = selfshrink(this.state, pages, this.settings);
    const risky = repair.bringHome(Math.min(this.settings.pagesMax, homecoming.room));
    homecoming.bring(count - risky);
  }
}
