/**
 * The memory of the machine that a node is on, given from outside: what a lender looks at to see
 * whether its machine needs back what is lent.
 */

export interface MemorySeen {
  readonly totalBytes: number;
  /** What programs could still get without anything being swapped out. */
  readonly availableBytes: number;
  /** Percent of the last ten seconds in which some program waited for memory. */
  readonly stallPercent: number;
}

export interface HostMemory {
  /** Null where the machine does not say. */
  look(): MemorySeen | null;
}
