/**
 * SpillBatch: zpages on their way to the disk together, as they will lie there. Pages whose sectors
 * lie side by side are one run, and one write.
 *
 *     bytes    | checksum, zpage, rest of the sector | checksum, zpage, rest | ...
 *     run 0    |-------------------------------------------------------------|
 *
 * Made once, used over and over; what is left in the rest of a sector means nothing.
 */
import {
  REMOTIFY_BATCH_BYTES,
  REMOTIFY_BATCH_COUNT_MAX,
  SECTOR_BYTES,
  SPILL_HEADER_BYTES,
} from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { NO_SECTOR } from "./sectors.ts";

const BYTES_MAX =
  REMOTIFY_BATCH_BYTES + REMOTIFY_BATCH_COUNT_MAX * (SPILL_HEADER_BYTES + SECTOR_BYTES);

/** Told once what has become of a batch. */
export interface SpillSink {
  onSpilled(context: number, isWritten: boolean): void;
}

export class SpillBatch {
  state: "free" | "filling" | "sent" | "done" = "free";
  /** Pages, those included that have no place. */
  count = 0;
  runCount = 0;
  writesLeft = 0;
  hasFailed = false;
  /** Whether it is written to see if there is room again. */
  isProbe = false;
  sink: SpillSink | null = null;
  context = 0;
  readonly bytes = new Uint8Array(BYTES_MAX);
  private readonly view = new DataView(this.bytes.buffer);
  private readonly sectors = new Int32Array(REMOTIFY_BATCH_COUNT_MAX);
  private readonly sectorCounts = new Uint8Array(REMOTIFY_BATCH_COUNT_MAX);
  private readonly runSectors = new Int32Array(REMOTIFY_BATCH_COUNT_MAX);
  private readonly runSectorCounts = new Int32Array(REMOTIFY_BATCH_COUNT_MAX);
  private sectorTotal = 0;

  begin(isProbe: boolean): void {
    this.state = "filling";
    this.isProbe = isProbe;
    this.count = 0;
    this.runCount = 0;
    this.sectorTotal = 0;
    this.hasFailed = false;
  }

  /** Bytes of all pages that are still in the batch. */
  get byteCount(): number {
    return this.sectorTotal * SECTOR_BYTES;
  }

  /** The first sector of the page, or NO_SECTOR: it is not, or no longer, the batch's. */
  sector(i: number): number {
    return this.sectors[i] ?? NO_SECTOR;
  }

  sectorCount(i: number): number {
    return this.sectorCounts[i] ?? 0;
  }

  /** Somebody else has the sectors of the page from now on. */
  forget(i: number): void {
    this.sectors[i] = NO_SECTOR;
  }

  runSector(run: number): number {
    return this.runSectors[run] ?? 0;
  }

  runSectorCount(run: number): number {
    return this.runSectorCounts[run] ?? 0;
  }

  /** A page that there is no place for. It has a number all the same. */
  skip(): void {
    this.sectors[this.count] = NO_SECTOR;
    this.count += 1;
  }

  /** A page, with the sectors that it is to have. */
  append(
    memory: Memory,
    sector: number,
    sectorCount: number,
    checksum: number,
    source: Uint8Array,
    at: number,
    zpageBytes: number,
  ): void {
    const i = this.count;
    const to = this.sectorTotal * SECTOR_BYTES;
    this.view.setUint32(to, checksum);
    memory.copy(this.bytes, to + SPILL_HEADER_BYTES, source, at, zpageBytes);
    this.sectors[i] = sector;
    this.sectorCounts[i] = sectorCount;
    const run = this.runCount - 1;
    const runEnd = run < 0 ? NO_SECTOR : this.runSector(run) + this.runSectorCount(run);
    if (sector === runEnd) {
      this.runSectorCounts[run] = this.runSectorCount(run) + sectorCount;
    } else {
      this.runSectors[run + 1] = sector;
      this.runSectorCounts[run + 1] = sectorCount;
      this.runCount += 1;
    }
    this.sectorTotal += sectorCount;
    this.count = i + 1;
  }
}
