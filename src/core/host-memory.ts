/**
 * The memory of the machine that a node runs on, and what the process uses, given from outside.
 * From it a lender decides whether its machine needs memory back.
 */

/**
 * What a machine does not show.
 *
 *     available   what caches would give back: only free memory is counted
 *     limit       the limit of the node's cgroup: it may be lower than is known
 *     waits       how long programs wait for memory
 */
export type Unseen = "available" | "limit" | "waits";

export interface MemorySeen {
  readonly totalBytes: number;
  /** What programs could still allocate before anything is swapped out. */
  readonly availableBytes: number;
  /** Percent of the last ten seconds in which some program waited for memory; 0 if unseen. */
  readonly stallPercent: number;
  /** The cgroup whose limit this is; null: the machine's own memory. */
  readonly cgroup: string | null;
  readonly unseen: readonly Unseen[];
}

export interface HostMemory {
  /** Null where the machine does not show it. */
  read(): MemorySeen | null;
  /** What this process uses. What is not shown is missing. */
  process(): Partial<ProcessUse>;
}

export interface ProcessUse {
  readonly residentBytes: number;
  readonly virtualBytes: number;
  /** How long it ran, in user and kernel mode. */
  readonly cpuSeconds: number;
  /** The Unix time at which it began. */
  readonly startSeconds: number;
  readonly openDescriptors: number;
  readonly descriptorsMax: number;
}

/** How much may be pinned. When in doubt it is much: no refusal may rest on too low a guess. */
export function holdableBytes(seen: MemorySeen | null): number {
  if (seen === null) return Number.POSITIVE_INFINITY;
  const isGuess = seen.cgroup === null && seen.unseen.includes("available");
  return isGuess ? Number.POSITIVE_INFINITY : seen.availableBytes;
}
