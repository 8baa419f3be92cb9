/**
 * The memory of the machine that a node is on, given from outside: what a lender looks at to see
 * whether its machine needs back what is lent.
 */

/**
 * What a machine does not tell.
 *
 *     available   what caches would give back: only what is free outright is counted
 *     limit       which limit the cgroup of the node has: there may be a tighter one than is known
 *     waits       how long programs wait for memory
 */
export type Unseen = "available" | "limit" | "waits";

export interface MemorySeen {
  readonly totalBytes: number;
  /** What programs could still get without anything being swapped out. */
  readonly availableBytes: number;
  /** Percent of the last ten seconds in which some program waited for memory; 0 if unseen. */
  readonly stallPercent: number;
  /** The cgroup whose limit this is; null: it is what the machine has. */
  readonly cgroup: string | null;
  readonly unseen: readonly Unseen[];
}

export interface HostMemory {
  /** Null where the machine does not say. */
  look(): MemorySeen | null;
}

/** What may be held for good: a refusal must not rest on a guess that is too low. */
export function holdableBytes(seen: MemorySeen | null): number {
  if (seen === null) return Number.POSITIVE_INFINITY;
  const isGuess = seen.cgroup === null && seen.unseen.includes("available");
  return isGuess ? Number.POSITIVE_INFINITY : seen.availableBytes;
}
