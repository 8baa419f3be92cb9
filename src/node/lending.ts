/**
 * Lending: how much of what it was given a lender lends now. The one place that decides it, from
 * two sides: what its machine needs itself, and whether the node is drained. The lesser counts.
 *
 *     HostMemory --look--> lendLimit() --\
 *                                         min --> Foreign.setLimit, and what the others are told
 *     drained: nothing ------------------/
 *
 * What the machine does not tell is said once, and lent with care: without a word on caches only
 * what is free outright; without a word on waits with twice the reserve; and where the limit of the
 * node's cgroup cannot be seen, nothing, since beyond it the node is ended with all that it holds.
 * A reserve of 0 lends all, whatever is seen.
 *
 * Not here: what is decided (ramster/foreign/lend-limit.ts), and how pages
 * leave (ramster/foreign/foreign.ts).
 */
import type { Clock, TimerId } from "../core/clock.ts";
import type { Report } from "../core/figure.ts";
import type { LENDING_READ, MACHINE_READ } from "../core/figures.ts";
import type { HostMemory, MemorySeen, Unseen } from "../core/host-memory.ts";
import { FRAME_BYTES, HOST_LOOK_MS, LEND_STEPS } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import {
  isNoReserve,
  type LendState,
  lendLimit,
  lendNoMore,
  marginBytes,
  newLendState,
  type Reserve,
  reserveBytes,
} from "../ramster/foreign/lend-limit.ts";

/** Others are told at once when the limit has moved by this part of what was given. */
const TOLD_STEPS = LEND_STEPS / 8;

/** Lines that are said once: a limit that is changed over and over is not worth more. */
const SAID_MAX = 16;

/** "machine": nothing of it is known. */
const UNSEEN: Readonly<Record<Unseen | "machine", string>> = {
  available:
    "Cannot read /proc/meminfo: lends only memory that is free outright, not what caches hold. " +
    "A unit of systemd wants ProcSubset=all",
  limit:
    "Cannot see the memory limit of this node's cgroup: lends nothing more. " +
    "Mount the cgroup file system at /sys/fs/cgroup, or lend all of --memory with --reserve 0",
  waits:
    "Cannot see whether programs wait for memory (/proc/pressure): keeps twice as much " +
    "with --reserve auto. Linux wants psi=1 at its start",
  machine:
    "Cannot see how much memory this machine has: lends nothing more. " +
    "Mount /proc, or lend all of --memory with --reserve 0",
};

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
  /** While it gives memory back: since when, and what was resident then. */
  private giving: { sinceMs: number; resident: number } | null = null;
  private limitTold: number;
  /** What was said of it, once each. */
  private readonly said = new Set<string>();
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

  /** What it cannot see, while that makes it lend less than it might. */
  get unseen(): ReadonlyArray<Unseen | "machine"> {
    if (isNoReserve(this.currentReserve)) return [];
    return this.seen?.unseen ?? ["machine"];
  }

  /** While the node is drained it lends nothing, whatever the machine has. */
  setDrained(isDrained: boolean): void {
    this.drained = isDrained;
    this.apply();
  }

  snapshot(): Report<typeof LENDING_READ> & Partial<Report<typeof MACHINE_READ>> {
    const { seen } = this;
    const lends = {
      lend_limit_frames: this.foreign.limit,
      lend_pressure_shrinks: this.pressureShrinks,
    };
    if (seen === null) return lends;
    return {
      ...lends,
      machine_total_bytes: seen.totalBytes,
      machine_available_bytes: seen.availableBytes,
      machine_reserve_bytes: this.reserveOf(seen),
      ...(areWaitsSeen(seen) ? { machine_stall_percent: seen.stallPercent } : null),
    };
  }

  private look(): void {
    this.seen = this.host.look();
    this.decide(this.seen);
    this.say();
    this.apply();
    this.watchGiving();
  }

  private decide(seen: MemorySeen | null): void {
    const { frames } = this.foreign.zcache;
    const nowMs = this.clock.now();
    const resident = frames.framesUsed + frames.framesWarm;
    const isAll = isNoReserve(this.currentReserve);
    const reserve = isAll || seen === null ? 0 : this.reserveOf(seen);
    if (isAll || seen !== null) {
      lendLimit(this.state, {
        ...{ nowMs, resident, given: this.foreign.frameCountLent },
        total: inFrames(seen?.totalBytes ?? 0),
        available: inFrames(seen?.availableBytes ?? 0),
        reserve: Math.ceil(reserve / FRAME_BYTES),
        margin: inFrames(marginBytes(reserve)),
        stallPercent: seen?.stallPercent ?? 0,
      });
    }
    const isKnown = seen?.unseen.includes("limit") === false;
    if (!isAll && !isKnown) lendNoMore(this.state, { nowMs, resident });
  }

  private reserveOf(seen: MemorySeen): number {
    return reserveBytes(this.currentReserve, seen.totalBytes, areWaitsSeen(seen));
  }

  /** What cannot be seen, and whose limit it is that can be. */
  private say(): void {
    for (const what of this.unseen) this.sayOnce("warn", UNSEEN[what]);
    const { cgroup = null, totalBytes = 0 } = this.seen ?? {};
    if (cgroup === null || isNoReserve(this.currentReserve)) return;
    const limit = `${mibOf(totalBytes)} MiB`;
    this.sayOnce("info", `lends what the limit of cgroup "${cgroup}" leaves: ${limit}`);
  }

  private sayOnce(level: "warn" | "info", line: string): void {
    if (this.said.has(line) || (level === "info" && this.said.size >= SAID_MAX)) return;
    this.said.add(line);
    this.log.write(level, "ramster", line);
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
    const resident = frames.framesUsed + frames.framesWarm;
    const isOver = frames.framesUsed > this.state.limit;
    if (isOver && giving === null) {
      this.giving = { sinceMs: this.clock.now(), resident };
      this.pressureShrinks += 1;
      this.log.write("warn", "ramster", `gives memory back to its machine: ${this.reason()}`);
    } else if (!isOver && giving !== null) {
      this.giving = null;
      const mib = Math.max(0, mibOf((giving.resident - resident) * FRAME_BYTES));
      const seconds = ((this.clock.now() - giving.sinceMs) / 1000).toFixed(1);
      this.log.write("info", "ramster", `has given back ${mib} MiB in ${seconds} s`);
    }
  }

  private reason(): string {
    const { seen } = this;
    if (seen === null) return "";
    const { availableBytes, totalBytes, stallPercent } = seen;
    const reserve = this.reserveOf(seen);
    const have = `${mibOf(availableBytes)} of ${mibOf(totalBytes)} MiB are available`;
    const limit = mibOf(this.state.limit * FRAME_BYTES);
    return `${have}, ${mibOf(reserve)} are reserved, ${stallPercent} % stalls; lends ${limit} MiB`;
  }
}

function areWaitsSeen({ unseen }: MemorySeen): boolean {
  return !unseen.includes("waits");
}

function inFrames(bytes: number): number {
  return Math.floor(bytes / FRAME_BYTES);
}

function mibOf(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
