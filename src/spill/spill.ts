/**
 * Spill: the disk for persistent pages of this node. To the rest of ramster it is one more holder,
 * with the number SPILL. Here it is a file and the sectors of each page.
 *
 *     begin, add, add, ... -> write -> onSpilled -> keep or discard, each page -> finish
 *     read -> onRead                    free
 *
 * A table has the first sector of each page, by its number: one word, resident only where it is
 * used. The index has its length, codec and version. On the disk a zpage has only a checksum in
 * front, over handle, version and zpage. So the file is useless without the node, and wrong bytes
 * from the disk are found.
 *
 * Freed sectors may be written again at once. A read of them that is under way becomes stale.
 *
 * When the last page leaves, the file is truncated.
 *
 * The file has as much room as room.ts finds. A write that fails loses nothing: its pages are still
 * in memory.
 *
 * Not here: which pages come here and when they leave (ramster), the check of the checksum.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import type { Disk, DiskError, DiskRoom, DiskSink } from "../core/disk.ts";
import {
  SECTOR_BYTES,
  SECTORS_PER_PAGE_MAX,
  SPILL_CHECK_MS,
  SPILL_HEADER_BYTES,
  SPILL_READS_MAX,
  SPILL_WRITES_MAX,
  TABLE_KEEP_BYTES,
} from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Memory } from "../core/memory.ts";
import { Rows } from "../core/table.ts";
import { SpillBatch, type SpillSink } from "./batch.ts";
import type { SpillCounters } from "./counters.ts";
import { SpillRoom } from "./room.ts";
import { NO_SECTOR, Sectors } from "./sectors.ts";

/** The result of a read. `stale`: the page has left the disk, or has other sectors. */
export type ReadOutcome = "read" | "failed" | "stale";

export interface SpillReadSink {
  /** `read` has ended. If it succeeded, the zpage is at `bytes[at]` until this returns. */
  onRead(read: number, outcome: ReadOutcome, bytes: Uint8Array, at: number, checksum: number): void;
}

/** Below this there is no room for a frame: two pages. */
const SECTORS_FREE_MIN = 2 * SECTORS_PER_PAGE_MAX;
/** A full file takes pages again when this fraction of it is free. */
const RECOVERED = 1 / 64;
const READ_BYTES = SECTORS_PER_PAGE_MAX * SECTOR_BYTES;
/** Tokens of the disk: reads by their number, then batches, then the truncation. */
const TOKEN_TRUNCATE = SPILL_READS_MAX + SPILL_WRITES_MAX;

/** A read that is under way. */
class Read {
  /** 0: this object is unused. */
  page = 0;
  isStale = false;
  sink: SpillReadSink | null = null;
}

export class Spill implements DiskSink {
  pageCount = 0;
  private readonly memory: Memory;
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly counters: SpillCounters;
  private readonly onReady: () => void;
  private readonly room: SpillRoom;
  private readonly sectors: Sectors;
  /** By page: its first sector, plus one. 0: the page is not here. */
  private readonly firstSectors: Rows;
  private rowEnd = 1;
  private readonly batches: SpillBatch[] = [];
  private readonly reads = Array.from({ length: SPILL_READS_MAX }, () => new Read());
  private readonly readBytes = new Uint8Array(SPILL_READS_MAX * READ_BYTES);
  private readonly readView = new DataView(this.readBytes.buffer);
  private readsInFlight = 0;
  private isFull = false;
  private givenSinceFull = 0;
  private isTruncating = false;
  private readFailures = 0;
  private isReadingRoom = false;
  private nextCheckAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    parts: {
      memory: Memory;
      disk: Disk;
      clock: Clock;
      log: Log;
      counters: SpillCounters;
      /** The pause after so many failures in a row. */
      backoffMs: (failures: number) => number;
      /** Called when the spill takes pages again. */
      onReady: () => void;
    },
    options: {
      byteCount: number;
      /** The highest page number, and the highest one whose word is pinned. */
      pageNumbers: { readonly max: number; readonly pinnedMax: number };
    },
  ) {
    this.memory = parts.memory;
    this.disk = parts.disk;
    this.clock = parts.clock;
    this.log = parts.log;
    this.counters = parts.counters;
    this.onReady = parts.onReady;
    this.sectors = new Sectors(parts.memory, Math.floor(options.byteCount / SECTOR_BYTES));
    this.room = new SpillRoom(parts, this.sectors.sectorCount * SECTOR_BYTES);
    const { max: rowCountMax, pinnedMax: pinnedRows } = options.pageNumbers;
    this.firstSectors = new Rows(parts.memory, { rowCountMax, wordsPerRow: 1, pinnedRows });
  }

  get bytesUsed(): number {
    return this.sectors.usedCount * SECTOR_BYTES;
  }

  /** The room, used and free. */
  get bytesMax(): number {
    return this.room.bytesMax(this.bytesUsed);
  }

  /** --spill-size. */
  get bytesAsked(): number {
    return this.room.askedBytes;
  }

  /** Pages of batches that are being written. */
  get pagesInFlight(): number {
    const sent = this.batches.filter(({ state }) => state === "sent");
    return sent.reduce((sum, { count }) => sum + count, 0);
  }

  /** Why writes fail. Null: they do not. */
  get trouble(): string | null {
    return this.room.trouble;
  }

  /** Whether it takes pages: it has room, and no write has just failed. */
  get isTaking(): boolean {
    return this.hasRoom && !this.room.isPaused;
  }

  /** Whether a batch may succeed, now or soon. */
  get isUsable(): boolean {
    return (this.hasRoom || this.mayProbe) && !this.room.isPaused;
  }

  /** Whether a batch can be begun now. */
  get isReady(): boolean {
    if (!this.isUsable || this.isTruncating) return false;
    if (this.batches.length < SPILL_WRITES_MAX) return true;
    return this.batches.some(({ state }) => state === "free");
  }

  /** Whether it is worth waiting for the disk. */
  get isWell(): boolean {
    return this.hasRoom || this.isUsable;
  }

  get hasRoom(): boolean {
    return !this.isFull && this.sectorsTo(this.bytesMax) >= SECTORS_FREE_MIN;
  }

  /** How many pages of the largest size fit, apart from fragmentation. */
  get countMax(): number {
    const bytes = this.hasRoom ? this.bytesMax : this.room.probeBytes(this.bytesUsed);
    return Math.floor(this.sectorsTo(bytes) / SECTORS_PER_PAGE_MAX);
  }

  has(page: number): boolean {
    return this.sectorOf(page) !== NO_SECTOR;
  }

  /** An empty batch. Only while `isReady`. */
  begin(): SpillBatch {
    let batch = this.batches.find(({ state }) => state === "free");
    if (batch === undefined) {
      assert(this.batches.length < SPILL_WRITES_MAX);
      batch = new SpillBatch();
      this.batches.push(batch);
    }
    batch.begin(!this.hasRoom);
    return batch;
  }

  /**
   * Copies the zpage into the batch. Without free sectors it is not written, which is harmless.
   */
  add(
    batch: SpillBatch,
    checksum: number,
    source: Uint8Array,
    at: number,
    zpageBytes: number,
  ): void {
    const count = sectorsOf(zpageBytes);
    const sector = this.sectors.take(count);
    if (sector !== NO_SECTOR) {
      batch.append(this.memory, sector, count, checksum, source, at, zpageBytes);
      return;
    }
    this.isFull = true;
    this.givenSinceFull = 0;
    this.counters.spill_failed_writes += 1;
    batch.skip();
  }

  /**
   * Writes the batch, then calls `sink`. @returns false when none of its pages has sectors: then
   * `sink` is not called.
   */
  write(batch: SpillBatch, sink: SpillSink, context: number): boolean {
    if (batch.runCount === 0) return false;
    batch.state = "sent";
    batch.sink = sink;
    batch.context = context;
    batch.writesLeft = batch.runCount;
    const token = SPILL_READS_MAX + this.batches.indexOf(batch);
    let at = 0;
    for (let run = 0; run < batch.runCount; run += 1) {
      const byteCount = batch.runSectorCount(run) * SECTOR_BYTES;
      const position = batch.runSector(run) * SECTOR_BYTES;
      this.disk.write(position, batch.bytes, at, byteCount, this, token);
      at += byteCount;
    }
    return true;
  }

  /** Page `i` of a written batch is on the disk from now on. */
  keep(batch: SpillBatch, i: number, page: number): void {
    const sector = batch.sector(i);
    assert(sector !== NO_SECTOR && !this.has(page));
    batch.forget(i);
    this.firstSectors.set(page, 0, sector + 1);
    this.rowEnd = Math.max(this.rowEnd, page + 1);
    this.pageCount += 1;
  }

  /** Ends the batch: the sectors of pages that were not kept are freed. */
  finish(batch: SpillBatch): void {
    for (let i = 0; i < batch.count; i += 1) {
      const sector = batch.sector(i);
      if (sector !== NO_SECTOR) this.give(sector, batch.sectorCount(i));
    }
    batch.state = "free";
    batch.sink = null;
  }

  /**
   * Reads the page, then calls `sink`. @returns the number of the read, below SPILL_READS_MAX; -1
   * when as many are under way.
   */
  read(page: number, zpageBytes: number, sink: SpillReadSink): number {
    if (this.readsInFlight === SPILL_READS_MAX) return -1;
    const index = this.reads.findIndex((it) => it.page === 0);
    const read = this.reads[index];
    const sector = this.sectorOf(page);
    assert(read !== undefined && sector !== NO_SECTOR);
    read.page = page;
    read.isStale = false;
    read.sink = sink;
    this.readsInFlight += 1;
    const byteCount = SPILL_HEADER_BYTES + zpageBytes;
    const position = sector * SECTOR_BYTES;
    this.disk.read(position, this.readBytes, index * READ_BYTES, byteCount, this, index);
    return index;
  }

  /** Removes the page from the disk. */
  free(page: number, zpageBytes: number): void {
    const sector = this.sectorOf(page);
    assert(sector !== NO_SECTOR);
    if (this.readsInFlight > 0) {
      for (const read of this.reads) if (read.page === page) read.isStale = true;
    }
    this.firstSectors.set(page, 0, 0);
    this.pageCount -= 1;
    this.give(sector, sectorsOf(zpageBytes));
    if (this.pageCount > 0 || this.rowEnd * 4 <= TABLE_KEEP_BYTES) return;
    this.firstSectors.clear(this.rowEnd);
    this.rowEnd = 1;
  }

  /** Called periodically: asks the disk for its room. */
  step(): void {
    const now = this.clock.now();
    if (this.isReadingRoom || now < this.nextCheckAtMs) return;
    this.isReadingRoom = true;
    this.nextCheckAtMs = now + SPILL_CHECK_MS;
    // What is written meanwhile may still count as free, and must not count twice.
    const { writtenBytes } = this;
    this.disk.readRoom((room) => this.onRoom(room, writtenBytes));
  }

  private onRoom(room: DiskRoom | null, writtenBytes: number): void {
    this.isReadingRoom = false;
    const hadRoom = this.hasRoom;
    this.room.update(room, writtenBytes);
    if (this.sectors.limitTo(this.room.lengthMax)) this.isFull = false;
    if (!hadRoom && this.hasRoom) this.onReady();
  }

  /** DiskSink. */
  onDisk(token: number, error: DiskError | null): void {
    if (token < SPILL_READS_MAX) this.onReadDone(token, error);
    else if (token < TOKEN_TRUNCATE) this.onWriteDone(token - SPILL_READS_MAX, error);
    else this.onTruncated();
  }

  close(): void {
    this.disk.close();
    this.sectors.close();
    this.firstSectors.close();
  }

  /** Checks that each page has sectors of its own. Reads everything: for tests. */
  verify(pages: Iterable<{ page: number; zpageBytes: number }>): void {
    this.sectors.verify();
    const taken = new Set<number>();
    let count = 0;
    for (const { page, zpageBytes } of pages) {
      const sector = this.sectorOf(page);
      assert(sector !== NO_SECTOR, "A page on the disk has no sectors");
      for (let i = 0; i < sectorsOf(zpageBytes); i += 1) {
        assert(!taken.has(sector + i), "Two pages have the same sector");
        taken.add(sector + i);
      }
      count += 1;
    }
    assert(count === this.pageCount, "The number of pages on the disk is wrong");
    if (this.batches.every(({ state }) => state === "free")) {
      assert(taken.size === this.sectors.usedCount, "Used sectors belong to no page");
    }
  }

  /** The used bytes apart from those of writes under way, which may fail. */
  private get writtenBytes(): number {
    const sent = this.batches.filter(({ state }) => state === "sent");
    return Math.max(0, this.bytesUsed - sent.reduce((sum, it) => sum + it.byteCount, 0));
  }

  /** Whether one batch may be written to find out if there is room again. */
  private get mayProbe(): boolean {
    const bytes = this.room.probeBytes(this.bytesUsed);
    if (this.isFull || this.sectorsTo(bytes) < SECTORS_FREE_MIN) return false;
    return !this.batches.some((it) => it.isProbe && it.state !== "free");
  }

  /** The free sectors until so many bytes are used. */
  private sectorsTo(bytesMax: number): number {
    const sectors = Math.floor(bytesMax / SECTOR_BYTES) - this.sectors.usedCount;
    return Math.min(sectors, this.sectors.freeCount);
  }

  private sectorOf(page: number): number {
    return this.firstSectors.get(page, 0) - 1;
  }

  private give(sector: number, count: number): void {
    const isEmpty = this.sectors.give(sector, count);
    this.givenSinceFull += count;
    if (this.givenSinceFull >= (this.bytesMax / SECTOR_BYTES) * RECOVERED) this.isFull = false;
    if (!isEmpty) return;
    this.isFull = false;
    this.isTruncating = true;
    this.disk.truncate(0, this, TOKEN_TRUNCATE);
  }

  /** A failed truncation is harmless: the bytes are unused, and are overwritten. */
  private onTruncated(): void {
    this.isTruncating = false;
    this.onReady();
  }

  private onWriteDone(index: number, error: DiskError | null): void {
    const batch = this.batches[index];
    assert(batch?.state === "sent", "A write ended that was not begun");
    batch.writesLeft -= 1;
    if (error !== null) this.writeFailed(batch, error);
    if (batch.writesLeft > 0) return;
    batch.state = "done";
    if (!batch.hasFailed) this.written(batch);
    batch.sink?.onSpilled(batch.context, !batch.hasFailed);
  }

  private written(batch: SpillBatch): void {
    this.room.written(batch.isProbe);
    for (let i = 0; i < batch.count; i += 1) {
      if (batch.sector(i) !== NO_SECTOR) this.counters.spill_writes += 1;
    }
  }

  private writeFailed(batch: SpillBatch, error: DiskError): void {
    if (batch.hasFailed) return;
    batch.hasFailed = true;
    for (let i = 0; i < batch.count; i += 1) {
      if (batch.sector(i) !== NO_SECTOR) this.counters.spill_failed_writes += 1;
    }
    this.room.failed(error, this.writtenBytes);
    if (error.isFull) this.sectors.rewind();
  }

  private onReadDone(index: number, error: DiskError | null): void {
    const read = this.reads[index];
    assert(read !== undefined && read.page !== 0, "A read ended that was not begun");
    const { sink, isStale } = read;
    if (error === null) this.readFailures = 0;
    else if (!isStale) this.readFailed(error.reason);
    if (!isStale && error === null) this.counters.spill_reads += 1;
    const outcome = isStale ? "stale" : error === null ? "read" : "failed";
    const at = index * READ_BYTES;
    const checksum = this.readView.getUint32(at);
    sink?.onRead(index, outcome, this.readBytes, at + SPILL_HEADER_BYTES, checksum);
    // The bytes of the read are no longer used.
    read.page = 0;
    read.sink = null;
    this.readsInFlight -= 1;
  }

  private readFailed(reason: string): void {
    this.counters.spill_failed_reads += 1;
    if (this.readFailures === 0) {
      this.log.write("warn", "ramster", `Cannot read from the spill file: ${reason}`);
    }
    this.readFailures += 1;
  }
}

function sectorsOf(zpageBytes: number): number {
  return Math.ceil((SPILL_HEADER_BYTES + zpageBytes) / SECTOR_BYTES);
}
