/** Counters of the disk tier, in pages, each with what it means that it moved. */
export class SpillCounters {
  /** A zpage was written. */
  spill_writes = 0;
  /** A zpage was read, whatever it was needed for. */
  spill_reads = 0;
  /** A zpage that the disk failed to write, or had no room for: the page stayed where it was. */
  spill_failed_writes = 0;
  /** A zpage that the disk failed to read. That its bytes are wrong is in fetch_corrupt. */
  spill_failed_reads = 0;
}
