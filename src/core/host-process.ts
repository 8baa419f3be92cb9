/**
 * What a process may ask of its kernel so that it can answer while the machine has no free memory,
 * given from outside: src/node/swap-mode.ts says what it takes, src/memory/linux-process.ts asks
 * Linux for it.
 */

/** Null: done. Else why not, as a person reads it: "mlockall: ENOMEM". */
export type Refusal = string | null;

export interface HostProcess {
  /**
   * What is resident stays so. What of the program and its memory is mapped becomes resident at
   * once; address space that is only reserved stays resident from its first touch on. To be called
   * when all is there.
   */
  lockMemory(): Refusal;
  /** What /proc says of it; null where it says nothing. */
  residence(): Residence | null;
  /** Where the kernel needs memory for this thread it does not wait for pages to be written out. */
  becomeIoFlusher(): Refusal;
  /** How many threads there are, and for how many of them that holds. */
  ioFlushers(): { readonly threads: number; readonly flushers: number } | null;
  /**
   * Starts the program once more in its own place, with the same arguments: each of its threads is
   * then what the calling one is now. Comes back only when that is refused.
   */
  startAgain(): Refusal;
  /** -1000 .. 1000, what the OOM killer adds; at -1000 it leaves the process alone. */
  setOomScore(score: number): Refusal;
  oomScore(): number | null;
}

export interface Residence {
  readonly residentBytes: number;
  readonly lockedBytes: number;
}
