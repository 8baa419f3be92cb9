/**
 * Lending: decides how much memory a lender lends now. That depends on what its machine needs
 * itself, and on whether the node is drained.
 *
 *     HostMemory --read--> lendLimit() --\
 *                                         min --> Foreign.setLimit, and offers to other nodes
 *     drained: nothing ------------------/
 *
 * When the machine does not show something, that is logged once, and the node lends less:
 *   - unknown caches: it lends only free memory
 *   - unknown waits: it keeps twice the reserve
 *   - unknown cgroup limit: it lends nothing more, since beyond the limit the kernel would end the
 *     node with all its pages
 * With a reserve of 0 the node lends everything, even if the machine shows nothing.
 *
 * Not here: the formula (ramster/foreign/lend-limit.ts), and how pages leave (ramster/foreign).
 */
import type { Clock, TimerId } from "../core/clock.ts";
import type { Report } from "../core/figure.ts";
import type { LENDING_READ, MACHINE_READ } from "../core/figures.ts";
import type { HostMemory, MemorySeen, Unseen } from "../core/host-memory.ts";
import { FRAME_BYTES, HOST_CHECK_MS, LEND_STEPS } from "../core/limits.ts";
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

/** A change of the limit by this part of the memory to lend is announced at once. */
const ANNOUNCE_STEPS = LEND_STEPS / 8;

/** The most limits of cgroups that are logged, so that one that keeps changing cannot fill the log. */
const LINES_MAX = 16;

/** The line for each thing that is not shown. "machine": nothing is known about its memory. */
const UNSEEN: Readonly<Record<Unseen | "machine", string>> = {
  available:
    "Cannot read /proc/meminfo: lending only free memory, not that of caches. " +
    "In a systemd unit, set ProcSubset=all",
  limit:
    "Cannot see the memory limit of this node's cgroup: lending nothing more. " +
    "Mount the cgroup file system at /sys/fs/cgroup, or lend all of --memory with --reserve 0",
  waits:
    "Cannot see whether programs wait for memory (/proc/pressure): keeping twice as much " +
    "with --reserve auto. Boot Linux with psi=1",
  machine:
    "Cannot see how much memory this machine has: lending nothing more. " +
    "Mount /proc, or lend all of --memory with --reserve 0",
};

export class Lending {
  /** How often it began to give memory back because the machine was short of memory. */
  pressureShrinks = 0;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly host: HostMemory;
  private readonly foreign: Foreign;
  /** Tells other nodes how much is lent. */
  private readonly announce: () => void;
  private readonly state: LendState;
  private currentReserve: Reserve;
  private seen: MemorySeen | null = null;
  private drained = false;
  /** While the node gives memory back: when that began, and the resident frames at that time. */
  private giving: { sinceMs: number; resident: number } | null = null;
  private announcedLimit: number;
  /** What is not shown, as far as it was logged. */
  private readonly loggedUnseen = new Set<Unseen | "machine">();
  /** The limits of cgroups that were logged. */
  private readonly loggedLines = new Set<string>();
  /** Whether the log says that the machine has nothing to lend. */
  private isIdleLogged = false;
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
    this.announcedLimit = parts.foreign.frameCountLent;
  }

  /** Reads the memory now, and then every HOST_CHECK_MS. */
  start(): void {
    this.check();
    const tick = (): void => {
      this.timer = this.clock.after(HOST_CHECK_MS, tick);
      this.check();
    };
    this.timer = this.clock.after(HOST_CHECK_MS, tick);
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  get reserve(): Reserve {
    return this.currentReserve;
  }

  /** Changes the reserve, with effect at once. */
  setReserve(reserve: Reserve): void {
    this.currentReserve = reserve;
    this.check();
  }

  /** What the machine does not show, where that makes the node lend less. */
  get unseen(): ReadonlyArray<Unseen | "machine"> {
    if (isNoReserve(this.currentReserve)) return [];
    return this.seen?.unseen ?? ["machine"];
  }

  /** A drained node lends nothing. */
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

  private check(): void {
    this.seen = this.host.read();
    this.decide(this.seen);
    this.logUnseen();
    this.apply();
    this.watchGiving();
    this.watchIdle();
  }

  private decide(seen: MemorySeen | null): void {
    const { frames } = this.foreign.zcache;
    const nowMs = this.clock.now();
    const resident = frames.framesUsed + frames.framesWarm;
    const isAll = isNoReserve(this.currentReserve);
    const reserve = isAll || seen === null ? 0 : this.reserveOf(seen);
    if (isAll || seen !== null) {
      lendLimit(this.state, {
        nowMs,
        resident,
        given: this.foreign.frameCountLent,
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

  /** Logs what the machine does not show, and which cgroup's limit counts. */
  private logUnseen(): void {
    const isEmpty = this.foreign.zcache.frames.framesUsed === 0;
    for (const what of this.unseen) {
      if (this.loggedUnseen.has(what)) continue;
      this.loggedUnseen.add(what);
      const line = UNSEEN[what];
      this.log.write("warn", "ramster", isEmpty ? line.replace("nothing more", "nothing") : line);
    }
    const { cgroup = null, totalBytes = 0 } = this.seen ?? {};
    if (cgroup === null || isNoReserve(this.currentReserve)) return;
    const limit = `${mibOf(totalBytes)} MiB`;
    const line = `lending is limited by cgroup "${cgroup}", which has ${limit}`;
    if (this.loggedLines.has(line) || this.loggedLines.size >= LINES_MAX) return;
    this.loggedLines.add(line);
    this.log.write("info", "ramster", line);
  }

  private apply(): void {
    const { foreign } = this;
    const limit = this.drained ? 0 : this.state.limit;
    if (limit === foreign.limit) foreign.step();
    else foreign.setLimit(limit);
    const moved = Math.abs(limit - this.announcedLimit);
    if (moved === 0 || (moved * ANNOUNCE_STEPS < foreign.frameCountLent && limit > 0)) return;
    this.announcedLimit = limit;
    this.announce();
  }

  /** Logs when the node begins to give memory back, and when that is done. */
  private watchGiving(): void {
    const { frames } = this.foreign.zcache;
    const { giving } = this;
    const resident = frames.framesUsed + frames.framesWarm;
    const isOver = frames.framesUsed > this.state.limit;
    if (isOver && giving === null) {
      this.giving = { sinceMs: this.clock.now(), resident };
      this.pressureShrinks += 1;
      this.log.write("warn", "ramster", `giving memory back to the machine: ${this.reason()}`);
    } else if (!isOver && giving !== null) {
      this.giving = null;
      const mib = Math.max(0, mibOf((giving.resident - resident) * FRAME_BYTES));
      const seconds = ((this.clock.now() - giving.sinceMs) / 1000).toFixed(1);
      this.log.write("info", "ramster", `gave ${mib} MiB back in ${seconds} s`);
    }
  }

  /** Logs that nothing is lent, unless another line says why, and when that is over. */
  private watchIdle(): void {
    const isIdle = this.state.limit === 0;
    const isExplained = this.seen === null || this.seen.unseen.includes("limit");
    if (isIdle === this.isIdleLogged || (isIdle && (isExplained || this.giving !== null))) return;
    this.isIdleLogged = isIdle;
    const limit = `${mibOf(this.state.limit * FRAME_BYTES)} MiB`;
    if (isIdle) this.log.write("warn", "ramster", `lending nothing: ${this.reason()}`);
    else this.log.write("info", "ramster", `lending again: ${limit}`);
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
