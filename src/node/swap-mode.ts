/**
 * Swap mode: what it takes to sit under the swap of the kernel that a node itself runs on.
 *
 *     kernel needs memory -> writes a page out -> nbd -> this node -> needs memory? -> kernel ...
 *
 * A page that is swapped out comes here when no memory is free, so taking it must need none. Four
 * things are asked of the kernel and then looked at, since having asked is not having:
 *
 *     memory      program, heap, frames and records are resident and locked: nothing of the node is
 *                 ever swapped out, to itself, nor read from a disk while its kernel waits for it
 *     io flusher  where a thread of the node needs memory all the same, the kernel does not find it
 *                 by writing pages out, which would wait for the node
 *     oom killer  it takes the programs that fill the memory, not the one that empties it
 *     room        frames and records are touched before the first page comes (storeOptions in
 *                 node.ts): memory that is held, see core/memory.ts
 *
 * So a node in swap mode gives back no memory of its own: it is as large when it is empty as when
 * it is full, and what `FramePool.trim` and `Table.give` return to the operating system otherwise
 * stays. What it lends to others still comes and goes; that too is locked while it is there.
 *
 * What sockets read lies in the runtime's heap, and is freed within a turn or at the next
 * collection (src/core/buffers.ts, src/core/collector.ts). Room for some of that is made, and
 * locked, before the first page, too. What else is in that heap, compiled code above all, is not
 * held: it grows by some 37 MiB in the first minute under load. Without that room it grows by 43,
 * and with four times as much by 29.
 *
 * Not here: the order of a shutdown, swapoff before the node stops (src/cli/swap/swap.ts, and the
 * units in systemd/).
 */

import { freeBuffer } from "../core/buffers.ts";
import { RamsterError } from "../core/errors.ts";
import type { HostProcess, Refusal } from "../core/host-process.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
import type { Log } from "../core/log.ts";

/** "strict": a node for which one of them does not hold does not run. */
export const SWAP_SETTINGS = ["off", "on", "strict"] as const;

/** The OOM killer leaves a process with this alone. */
const OOM_SCORE_NEVER = -1000;

/** 8 MiB: more of it costs more memory than it saves later. */
const CHUNKS_TOUCHED = 128;
const CHUNK_BYTES = 64 * 1024;

/** One thing that was asked for: what holds, or why it does not. */
interface Finding {
  readonly holds: boolean;
  readonly line: string;
}

export class SwapMode {
  private readonly host: HostProcess | null;
  private readonly log: Log;
  private readonly isStrict: boolean;

  /** `host`: null where there is none that this program can ask. */
  constructor(host: HostProcess | null, log: Log, options: { isStrict: boolean }) {
    this.host = host;
    this.log = log;
    this.isStrict = options.isStrict;
  }

  /**
   * To be called before there is anything else: the process may start once more
   * (HostProcess.startAgain). Throws RamsterError NO_DEVICE in one line when one thing does not
   * hold and it must.
   */
  begin(): void {
    this.report(this.host === null ? [NO_HOST] : [flushing(this.host), sparing(this.host)]);
  }

  /** To be called when all memory is there, before the node is open to anybody. Throws likewise. */
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
    const mib = Math.ceil(seen.residentBytes / BYTES_PER_MIB);
    return { holds: true, line: `memory is locked, ${mib}MiB of it` };
  }
  const why = refusal ?? "the kernel says that it is not locked";
  return { holds: false, line: `memory may be swapped out: ${why}` };
}

function flushing(host: HostProcess): Finding {
  let refusal: Refusal = null;
  if (host.ioFlushers()?.flushers === 0) {
    refusal = host.becomeIoFlusher();
    // Threads that the runtime has started before are none yet, so the program starts once more.
    if (refusal === null) refusal = host.startAgain();
  }
  const seen = host.ioFlushers();
  const holds = seen !== null && seen.threads === seen.flushers;
  if (holds) return { holds, line: "all threads are IO flushers" };
  const count = seen === null ? "unknown which" : `${seen.flushers} of ${seen.threads}`;
  const why = refusal === null ? "" : `: ${refusal}`;
  const line = `some threads are no IO flushers (${count} are), swap may deadlock${why}`;
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
