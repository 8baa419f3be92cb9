/**
 * SpillBatch: zpages that are written to the disk together, in the layout of the disk. Pages in
 * consecutive sectors are one run, and one write.
 *
 *     bytes    | checksum, zpage, rest of the sector | checksum, zpage, rest | ...
 *     run 0    |-------------------------------------------------------------|
 *
 * Batches are reused. The rest of a sector has arbitrary bytes.
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

/** Is called once when a batch was written, or failed. */
export interface SpillSink {
  onSpilled(context: number, isWritten: boolean): void;
}

export class SpillBatch {
  state: "free" | "filling" | "sent" | "done" = "free";
  /** Pages in the batch, also those without sectors. */
  count = 0;
  runCount = 0;
  writesLeft = 0;
  hasFailed = false;
  /** Whether it is written to find out if there is room again. */
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

  /** The bytes of all pages that are still in the batch. */
  get byteCount(): number {
    return this.sectorTotal * SECTOR_BYTES;
  }

  /** The first sector of the page. NO_SECTOR: the batch has none for it. */
  sector(i: number): number {
    return this.sectors[i] ?? NO_SECTOR;
  }

  sectorCount(i: number): number {
    return this.sectorCounts[i] ?? 0;
  }

  /** The sectors of the page no longer belong to the batch. */
  forget(i: number): void {
    this.sectors[i] = NO_SECTOR;
  }

  runSector(run: number): number {
    return this.runSectors[run] ?? 0;
  }

  runSectorCount(run: number): number {
    return this.runSectorCounts[run] ?? 0;
  }

  /** Adds a page without sectors, so that numbers stay in step. */
  skip(): void {
    this.sectors[this.count] = NO_SECTOR;
    this.count += 1;
  }

  /** Adds a page with its sectors. */
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
