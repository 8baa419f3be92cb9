/**
 * Swap mode: makes it safe for a node to hold the swap of the kernel that it runs on.
 *
 *     kernel needs memory -> writes a page out -> nbd -> this node -> needs memory? -> kernel ...
 *
 * A page is swapped out when no memory is free, so a node must take it without allocating memory.
 * These are requested from the kernel and then checked, since a request may not be granted:
 *
 *     memory      program, heap, frames and records are resident and locked. No part of the node is
 *                 swapped out to itself, or read from a disk while the kernel waits for the node
 *     io flusher  when a thread of the node needs memory, the kernel does not free any by writing
 *                 pages out, since that write would wait for the node
 *     oom killer  the kernel kills the programs that fill the memory, not the node
 *     real time   its threads go before those of other programs, which look for memory in vain, and
 *                 may use some of the memory that the kernel keeps free (ALLOC_MIN_RESERVE in
 *                 mm/page_alloc.c). Others have 5 % of the time by default
 *     kept memory is on a file system that is never swapped out, since nobody locks it between two
 *                 processes (src/memory/keep-folder.ts)
 *     room        frames and records are touched before the first page comes (ownStoreOptions in
 *                 store-options.ts). It is pinned, see core/memory.ts
 *
 * So a node in swap mode gives back no memory of its own, and is as large when it is empty as when
 * it is full. `FramePool.trim` and `Table.give` return nothing to the operating system. Memory that
 * it lends still grows and shrinks. That memory is locked while it is in use.
 *
 * The heap of the runtime is not pinned. It grows in the first minutes under load, by what its
 * compiler makes and by what sockets read. So once memory is locked, the node rehearses
 * (src/rehearsal). What is freed of locked memory stays resident, for the next use.
 *
 * Not here: the order of a shutdown, with swapoff before the node stops (src/cli/swap/swap.ts, and
 * the units in packaging/systemd/).
 */

import type { Clock } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import type { HostProcess, Refusal } from "../core/host-process.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";

/** With "strict" a node exits when one of the conditions does not hold, except for real time. */
export const SWAP_SETTINGS = ["off", "on", "strict"] as const;

/** The OOM killer never kills a process with this score. */
export const OOM_SCORE_NEVER = -1000;

/**
 * Settings of the runtime, which it reads as the program starts. Its compiler takes memory for the
 * functions that it compiles, and this memory is locked for good. So it compiles one function at a
 * time, also on a machine with many cores, and leaves its last stage out. With that a node takes 25
 * to 30 MiB less, and a put 1 us more; a get takes the same. (JavaScriptCore,
 * runtime/OptionsList.h)
 */
const COMPILER = {
  BUN_JSC_useFTLJIT: "0",
  BUN_JSC_minNumberOfWorklistThreads: "1",
  BUN_JSC_maxNumberOfWorklistThreads: "1",
  BUN_JSC_numberOfDFGCompilerThreads: "1",
  BUN_JSC_numberOfWasmCompilerThreads: "1",
  BUN_JSC_numberOfGCMarkers: "1",
};

/** How often progress is logged. */
const PROGRESS_MS = 5000;

/**
 * How often new memory is locked. A page that was just touched is not swapped out for a while. The
 * runtime starts threads again that have ended for lack of work, and a page of a stack that was
 * swapped out has stopped a node for ever.
 */
const LOCK_MS = 1000;

/** Memory that is to become resident, in slices: see Holding. */
interface Holdable {
  readonly pendingBytes: number;
  /** `pause` is called after each slice, and ends it with false. */
  touch(pause: () => Promise<boolean>): Promise<void>;
}

/**
 * Makes the process as large as it gets under load (src/rehearsal). It is told how large it is.
 * Rejects when it cannot.
 */
export type Rehearsal = (residentBytes: () => number) => Promise<{ readonly requestCount: number }>;

export interface Entry {
  readonly holding: Holdable;
  readonly rehearsal: Rehearsal;
  /**
   * Whether what is new may be locked now. The engine ends the process if the memory of a
   * WebAssembly instance is locked while it is made, as a Worker does when it starts.
   */
  readonly mayLock: () => boolean;
  /** Whether the kernel may swap out memory that is kept, once this process has died. */
  readonly keptMayBeSwapped: boolean;
  /** A signal ends the entry. */
  readonly stop: AbortSignal;
}

/** The outcome of one request: what holds, or why it does not. */
interface Finding {
  readonly holds: boolean;
  readonly line: string;
}

export class SwapMode {
  private readonly host: HostProcess | null;
  private readonly log: Log;
  private readonly clock: Clock;
  private readonly isStrict: boolean;
  private readonly timers: Timers;

  /** `host` is null where this program cannot make requests to the kernel. */
  constructor(host: HostProcess | null, env: { log: Log; clock: Clock }, setting: "on" | "strict") {
    this.host = host;
    this.log = env.log;
    this.clock = env.clock;
    this.timers = new Timers(env.clock);
    this.isStrict = setting === "strict";
  }

  /**
   * Must be called before everything else, since the process may start once more
   * (HostProcess.startAgain). With "strict" it throws RamsterError NO_DEVICE in one line when a
   * condition does not hold.
   */
  begin(): void {
    const { host } = this;
    if (host === null) this.report([NO_HOST]);
    else this.report([flushing(host, prepare(host)), sparing(host)]);
  }

  /**
   * Takes the memory that the node will need, while the machine still has it. Must be called when
   * all of it is allocated, and before the node listens. A signal ends it. Rejects as `begin`
   * throws. `leave` must follow.
   */
  async enter({ holding, rehearsal, mayLock, keptMayBeSwapped, stop }: Entry): Promise<void> {
    if (keptMayBeSwapped) this.report([SWAPPED]);
    await this.touch(holding, stop);
    if (stop.aborted) return;
    const isLocked = this.lock();
    // Memory that is not locked would be given back.
    if (isLocked) await this.rehearse(rehearsal, stop);
    if (stop.aborted) return;
    this.precede();
    if (isLocked)
      this.timers.every("lock", 0, LOCK_MS, () => {
        if (mayLock()) this.host?.lockNewMemory();
      });
  }

  leave(): void {
    this.timers.stop();
  }

  /**
   * Makes the memory for pages resident. That takes a while, so progress is logged.
   */
  private async touch(holding: Holdable, stop: AbortSignal): Promise<void> {
    const { clock } = this;
    // Kept regions are touched also if a predecessor has done so: then they are mapped here too.
    const all = mibOf(holding.pendingBytes);
    if (all > 0) this.log.write("info", "ramster", `swap mode: locking ${all} MiB`);
    let loggedAtMs = clock.now();
    await holding.touch(async () => {
      // Signals come in between.
      await new Promise<void>((resolve) => void clock.after(0, resolve));
      const now = clock.now();
      if (all > 0 && now - loggedAtMs >= PROGRESS_MS) {
        loggedAtMs = now;
        const done = all - mibOf(holding.pendingBytes);
        this.log.write("info", "ramster", `swap mode: ${done} of ${all} MiB are resident`);
      }
      return !stop.aborted;
    });
  }

  private lock(): boolean {
    if (this.host === null) return false;
    const finding = locking(this.host);
    this.report([finding]);
    return finding.holds;
  }

  private async rehearse(rehearsal: Rehearsal, stop: AbortSignal): Promise<void> {
    if (this.host === null) return;
    const finding = await rehearsing(this.host, rehearsal);
    if (!stop.aborted) this.report([finding]);
  }

  /** "strict" does not demand it: some kernels give no real-time priority to anybody. */
  private precede(): void {
    if (this.host !== null) this.write(preceding(this.host));
  }

  private write({ holds, line }: Finding): void {
    this.log.write(holds ? "info" : "warn", "ramster", `swap mode: ${line}`);
  }

  private report(findings: readonly Finding[]): void {
    for (const finding of findings) this.write(finding);
    const missing = findings.filter(({ holds }) => !holds);
    if (!this.isStrict || missing.length === 0) return;
    const why = missing.map(({ line }) => line).join("; ");
    throw new RamsterError("NO_DEVICE", `Cannot run with --swap "strict": ${why}`);
  }
}

const NO_HOST: Finding = {
  holds: false,
  line: "unavailable: no C library for bun:ffi",
};

const SWAPPED: Finding = {
  holds: false,
  line: "a successor may wait for itself: what is kept may be swapped out, use --keep auto as root",
};

function locking(host: HostProcess): Finding {
  const refusal = host.lockMemory();
  const seen = host.residence();
  const isLocked = seen !== null && seen.lockedBytes >= seen.residentBytes;
  if (refusal === null && isLocked) {
    return { holds: true, line: `memory is locked, ${mibOf(seen.residentBytes)}MiB of it` };
  }
  const why = refusal ?? "the kernel reports that it is not locked";
  return { holds: false, line: `memory may be swapped out: ${why}` };
}

async function rehearsing(host: HostProcess, run: Rehearsal): Promise<Finding> {
  const residentBytes = (): number => host.residence()?.residentBytes ?? 0;
  const before = residentBytes();
  try {
    const { requestCount } = await run(residentBytes);
    const moreBytes = Math.max(0, residentBytes() - before);
    const line = `${requestCount} requests were rehearsed, and took ${mibOf(moreBytes)}MiB`;
    return { holds: true, line };
  } catch (error) {
    if (!(error instanceof RamsterError)) throw error;
    const why = error.message;
    return { holds: false, line: `it may run out of memory under load, no rehearsal: ${why}` };
  }
}

/** Starts the program once more, unless that was done. @returns why something was refused. */
function prepare(host: HostProcess): Refusal {
  const isFlusher = host.ioFlushers()?.flushers !== 0;
  const refusal = isFlusher ? null : host.becomeIoFlusher();
  // Threads that the runtime started before are no IO flushers, and its settings are not ours.
  const wasDone = (isFlusher || refusal !== null) && host.hasVariables(COMPILER);
  return wasDone ? refusal : (host.startAgain(COMPILER) ?? refusal);
}

function flushing(host: HostProcess, refusal: Refusal): Finding {
  const seen = host.ioFlushers();
  const holds = seen !== null && seen.threads === seen.flushers;
  if (holds) return { holds, line: "all threads are IO flushers" };
  const count = seen === null ? "unknown which" : `${seen.flushers} of ${seen.threads}`;
  const why = refusal === null ? "" : `: ${refusal}`;
  const line = `some threads are not IO flushers (${count} are), swap may deadlock${why}`;
  return { holds, line };
}

function sparing(host: HostProcess): Finding {
  let refusal: Refusal = null;
  if (host.oomScore() !== OOM_SCORE_NEVER) refusal = host.setOomScore(OOM_SCORE_NEVER);
  const score = host.oomScore();
  if (score === OOM_SCORE_NEVER) {
    return { holds: true, line: "the OOM killer spares this process" };
  }
  const why = refusal ?? `oom_score_adj is ${score}`;
  return { holds: false, line: `the OOM killer may end this process: ${why}` };
}

function preceding(host: HostProcess): Finding {
  const refusal = host.takePriority();
  const seen = host.priorities();
  if (seen !== null && seen.threads === seen.realTime) {
    return { holds: true, line: "its threads have real-time priority" };
  }
  const why = refusal ?? "the kernel reports that they have no real-time priority";
  return { holds: false, line: `its threads may wait for other programs, swap may stall: ${why}` };
}

function mibOf(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_MIB);
}
