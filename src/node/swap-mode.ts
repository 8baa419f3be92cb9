/**
 * Swap mode: makes it safe for a node to hold the swap of the kernel that it runs on.
 *
 *     kernel needs memory -> writes a page out -> nbd -> this node -> needs memory? -> kernel ...
 *
 * A page is swapped out when no memory is free, so a node must take it without allocating memory.
 * Four things are requested from the kernel and then checked, since a request may not be granted:
 *
 *     memory      program, heap, frames and records are resident and locked. No part of the node is
 *                 swapped out to itself, or read from a disk while the kernel waits for the node
 *     io flusher  when a thread of the node needs memory, the kernel does not free any by writing
 *                 pages out, since that write would wait for the node
 *     oom killer  the kernel kills the programs that fill the memory, not the node
 *     room        frames and records are touched before the first page comes (ownStoreOptions in
 *                 node.ts). This memory is pinned, see core/memory.ts
 *
 * So a node in swap mode gives back no memory of its own, and is as large when it is empty as when
 * it is full. `FramePool.trim` and `Table.give` return nothing to the operating system. Memory that
 * it lends still grows and shrinks. That memory is locked while it is in use.
 *
 * Bytes that sockets read are in the runtime's heap, and are freed within a turn or at the next
 * collection (src/core/buffers.ts, src/core/collector.ts). Room for some of them is also made and
 * locked before the first page. The rest of that heap is not pinned. It grows in the first minutes
 * under load, mostly by what the compiler of the runtime needs.
 *
 * Not here: the order of a shutdown, with swapoff before the node stops (src/cli/swap/swap.ts, and
 * the units in packaging/systemd/).
 */

import { freeBuffer } from "../core/buffers.ts";
import type { Clock } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import type { HostProcess, Refusal } from "../core/host-process.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import type { Log } from "../core/log.ts";

/** With "strict" a node exits when one of the conditions does not hold. */
export const SWAP_SETTINGS = ["off", "on", "strict"] as const;

/** The OOM killer never kills a process with this score. */
const OOM_SCORE_NEVER = -1000;

/**
 * Settings of the runtime, which it reads as the program starts. Its compiler takes memory for the
 * functions that it compiles, and this memory is locked for good. So it compiles one function at a
 * time, also on a machine with many cores, and puts less of other functions into it. With that a
 * node takes 15 to 20 MiB less, and a put up to half a microsecond more. (JavaScriptCore,
 * runtime/OptionsList.h)
 */
const COMPILER = {
  BUN_JSC_globalInliningPlanBudgetForFTL: "500",
  BUN_JSC_minNumberOfWorklistThreads: "2",
  BUN_JSC_maxNumberOfWorklistThreads: "2",
  BUN_JSC_numberOfDFGCompilerThreads: "1",
  BUN_JSC_numberOfFTLCompilerThreads: "1",
  BUN_JSC_numberOfWasmCompilerThreads: "1",
  BUN_JSC_numberOfGCMarkers: "1",
};

/** 8 MiB. More would cost more memory than it saves later. */
const CHUNKS_TOUCHED = 128;
const CHUNK_BYTES = 64 * 1024;

/** How often progress is logged. */
const PROGRESS_MS = 5000;

/** Memory that is to become resident, in slices: see Holding. */
interface Holdable {
  readonly pendingBytes: number;
  /** `pause` is called after each slice, and ends it with false. */
  touch(pause: () => Promise<boolean>): Promise<void>;
}

/** The outcome of one request: what holds, or why it does not. */
interface Finding {
  readonly holds: boolean;
  readonly line: string;
}

export class SwapMode {
  private readonly host: HostProcess | null;
  private readonly log: Log;
  private readonly isStrict: boolean;

  /** `host` is null where this program cannot make requests to the kernel. */
  constructor(host: HostProcess | null, log: Log, options: { isStrict: boolean }) {
    this.host = host;
    this.log = log;
    this.isStrict = options.isStrict;
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
   * Makes the memory for pages resident. That takes a while, so progress is logged, and `stop` ends
   * it.
   */
  async touch(holding: Holdable, { clock, stop }: { clock: Clock; stop: AbortSignal }) {
    const all = mibOf(holding.pendingBytes);
    if (all === 0) return;
    this.log.write("info", "ramster", `swap mode: locking ${all} MiB`);
    let loggedAtMs = clock.now();
    await holding.touch(async () => {
      // Signals come in between.
      await new Promise<void>((resolve) => void clock.after(0, resolve));
      const now = clock.now();
      if (now - loggedAtMs >= PROGRESS_MS) {
        loggedAtMs = now;
        const done = all - mibOf(holding.pendingBytes);
        this.log.write("info", "ramster", `swap mode: ${done} of ${all} MiB are resident`);
      }
      return !stop.aborted;
    });
  }

  /**
   * Must be called when all memory is allocated, and before the node listens. Throws as `begin`
   * does.
   */
  lock(): void {
    if (this.host === null) return;
    const chunks = Array.from({ length: CHUNKS_TOUCHED }, () => {
      return new Uint8Array(CHUNK_BYTES).fill(1);
    });
    this.report([locking(this.host)]);
    for (const chunk of chunks) freeBuffer(chunk);
  }

  private report(findings: readonly Finding[]): void {
    for (const { holds, line } of findings) {
      this.log.write(holds ? "info" : "warn", "ramster", `swap mode: ${line}`);
    }
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

function mibOf(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_MIB);
}
