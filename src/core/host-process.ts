/**
 * What a process may ask of its kernel to keep serving while the machine has no free memory, given
 * from outside. src/node/swap-mode.ts explains it. src/memory/linux-process.ts does it on Linux.
 */

/** Null: done. Otherwise the reason for a person: "mlockall: ENOMEM". */
export type Refusal = string | null;

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string>>;

export interface HostProcess {
  /**
   * Locks resident memory. What is mapped of the program and its memory becomes resident at once.
   * Address space that is only reserved is locked from its first touch on. Call it when everything
   * is allocated.
   */
  lockMemory(): Refusal;
  /** Locks what was mapped since, such as stacks of new threads. It takes no time if nothing was. */
  lockNewMemory(): Refusal;
  /** The state that /proc shows; null where it shows none. */
  residence(): Residence | null;
  /** Memory for this thread is then found without waiting for pages to be written (prctl(2)). */
  becomeIoFlusher(): Refusal;
  /** How many threads there are, and how many are IO flushers. */
  ioFlushers(): { readonly threads: number; readonly flushers: number } | null;
  /**
   * Gives all threads a real-time priority (sched(7)), except those that have lowered theirs. When
   * no memory is free, the kernel then gives them some of what it keeps for itself.
   */
  takePriority(): Refusal;
  /** How many threads there are that have not lowered their priority, and how many are real-time. */
  priorities(): { readonly threads: number; readonly realTime: number } | null;
  /**
   * Replaces the process with a new start of the program, with the same arguments and these
   * variables in its environment. Each new thread then has the state of the calling one. Returns
   * only when that is refused.
   */
  startAgain(variables: Variables): Refusal;
  /** Whether this start of the program has these variables. */
  hasVariables(variables: Variables): boolean;
  /** -1000 .. 1000, which the OOM killer adds. At -1000 it never ends the process (proc(5)). */
  setOomScore(score: number): Refusal;
  oomScore(): number | null;
}

export interface Residence {
  readonly residentBytes: number;
  readonly lockedBytes: number;
}
