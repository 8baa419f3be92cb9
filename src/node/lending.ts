/**
 * Lending: how much of what it was given a lender lends now. The one place that decides it, from
 * two sides: what its machine needs itself, and whether the node is drained. The lesser counts.
 *
 *     HostMemory --look--> lendLimit() --\
 *                                         min --> Foreign.setLimit, and what the others are told
 *     drained: nothing ------------------/
 *
 * Not here: what is decided (ramster/lend-limit.ts), and how pages leave (ramster/foreign.ts).
 */
import type { Clock, TimerId } from "../core/clock.ts";
import type { HostMemory, MemorySeen } from "../core/host-memory.ts";
import { FRAME_BYTES, HOST_LOOK_MS, LEND_STEPS } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Foreign } from "../ramster/foreign.ts";
import {
  type LendState,
  lendLimit,
  marginBytes,
  newLendState,
  type Reserve,
  reserveBytes,
} from "../ramster/lend-limit.ts";

/** Others are told at once when the limit has moved by this part of what was given. */
const TOLD_STEPS = LEND_STEPS / 8;

export class Lending {
  /** How often it began to give memory back because the machine was short of it. */
  pressureShrinks = 0;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly host: HostMemory;
  private readonly foreign: Foreign;
  /** Has the others told how much is lent. */
  private readonly announce: () => void;
  private readonly state: LendState;
  private currentReserve: Reserve;
  private seen: MemorySeen | null = null;
  private drained = false;
  /** While it gives memory back: since when, and what was held then. */
  private giving: { sinceMs: number; held: number } | null = null;
  private limitTold: number;
  private timer: TimerId | null = null;

  constructor(
    parts: {
      clock: Clock;
      log: Log;
      hostMemory: HostMemory;
      foreign: Foreign;
      announce: () => void;
    },
    settings: { reserve: Reserve },
  ) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.host = parts.hostMemory;
    this.foreign = parts.foreign;
    this.announce = parts.announce;
    this.currentReserve = settings.reserve;
    this.state = newLendState(parts.foreign.frameCountLent);
    this.limitTold = parts.foreign.frameCountLent;
  }

  /** Looks now, and from then on. */
  start(): void {
    this.look();
    const tick = (): void => {
      this.timer = this.clock.after(HOST_LOOK_MS, tick);
      this.look();
    };
    this.timer = this.clock.after(HOST_LOOK_MS, tick);
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  get reserve(): Reserve {
    return this.currentReserve;
  }

  /** Counts at once. */
  setReserve(reserve: Reserve): void {
    this.currentReserve = reserve;
    this.look();
  }

  /** While the node is drained it lends nothing, whatever the machine has. */
  setDrained(isDrained: boolean): void {
    this.drained = isDrained;
    this.apply();
  }

  snapshot(into: Record<string, number>): void {
    into.lend_limit_frames = this.foreign.limit;
    into.lend_pressure_shrinks = this.pressureShrinks;
    if (this.seen === null) return;
    into.machine_total_bytes = this.seen.totalBytes;
    into.machine_available_bytes = this.seen.availableBytes;
    into.machine_stall_percent = this.seen.stallPercent;
    into.machine_reserve_bytes = reserveBytes(this.currentReserve, this.seen.totalBytes);
  }

  private look(): void {
    this.seen = this.host.look();
    if (this.seen !== null) this.decide(this.seen);
    this.apply();
    this.watchGiving();
  }

  private decide(seen: MemorySeen): void {
    const { frames } = this.foreign.zcache;
    const reserve = reserveBytes(this.currentReserve, seen.totalBytes);
    lendLimit(this.state, {
      nowMs: this.clock.now(),
      available: inFrames(seen.availableBytes),
      reserve: Math.ceil(reserve / FRAME_BYTES),
      margin: inFrames(marginBytes(reserve)),
      stallPercent: seen.stallPercent,
      given: this.foreign.frameCountLent,
      held: frames.framesUsed + frames.framesWarm,
    });
  }

  private apply(): void {
    const { foreign } = this;
    const limit = this.drained ? 0 : this.state.limit;
    if (limit === foreign.limit) foreign.step();
    else foreign.setLimit(limit);
    const told = Math.abs(limit - this.limitTold);
    if (told === 0 || (told * TOLD_STEPS < foreign.frameCountLent && limit > 0)) return;
    this.limitTold = limit;
    this.announce();
  }

  /** Says when it begins to give memory back to its machine, and when that is done. */
  private watchGiving(): void {
    const { frames } = this.foreign.zcache;
    const { giving } = this;
    const held = frames.framesUsed + frames.framesWarm;
    const isOver = frames.framesUsed > this.state.limit;
    if (isOver && giving === null) {
      this.giving = { sinceMs: this.clock.now(), held };
      this.pressureShrinks += 1;
      this.log.write("warn", "ramster", `gives memory back to its machine: ${this.reason()}`);
    } else if (!isOver && giving !== null) {
      this.giving = null;
      const mib = Math.max(0, mibOf((giving.held - held) * FRAME_BYTES));
      const seconds = ((this.clock.now() - giving.sinceMs) / 1000).toFixed(1);
      this.log.write("info", "ramster", `has given back ${mib} MiB in ${seconds} s`);
    }
  }

  private reason(): string {
    const { seen } = this;
    if (seen === null) return "";
    const { availableBytes, totalBytes, stallPercent } = seen;
    const reserve = reserveBytes(this.currentReserve, totalBytes);
    const have = `${mibOf(availableBytes)} of ${mibOf(totalBytes)} MiB are available`;
    const limit = mibOf(this.state.limit * FRAME_BYTES);
    return `${have}, ${mibOf(reserve)} are reserved, ${stallPercent} % stalls; lends ${limit} MiB`;
  }
}

function inFrames(bytes: number): number {
  return Math.floor(bytes / FRAME_BYTES);
}

function mibOf(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
