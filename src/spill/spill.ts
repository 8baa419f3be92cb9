/**
 * Spill: the node's own persistent pages that are on its disk. To the rest of ramster it is one
 * more holder, under the number SPILL; here it is one file and the places of pages in it.
 *
 *     begin, add, add, ... -> write -> onSpilled -> keep or discard, each page -> finish
 *     read -> onRead                    free
 *
 * By page, a row of the index, there is its first sector: one word, resident only where it is used.
 * How long it is, its codec and its version are in the index alone; on the disk a zpage has just
 * its checksum in front, which is over handle, version and zpage. So what is in the file means
 * nothing without the node, and whatever a disk may give in place of what was written does not pass
 * for a page.
 *
 * Sectors that come free may be written to at once. A read of them that is under way is told so: it
 * is stale, whatever it brings.
 *
 * When the last page leaves, the file is cut to nothing.
 *
 * It `hasRoom` for as much as can really be had (room.ts). A write that fails loses nothing: its
 * pages are still where they were.
 *
 * Not here: which pages come here and when they leave (ramster), whether bytes are right.
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

/** What became of a read. `stale`: the page is not there any more, or not in that place. */
export type ReadOutcome = "read" | "failed" | "stale";

export interface SpillReadSink {
  /** `read` has ended. The zpage is at `bytes[at]` until this returns, if it was read. */
  onRead(read: number, outcome: ReadOutcome, bytes: Uint8Array, at: number, checksum: number): void;
}

/** Below that there is room for no frame as it is: two pages. */
const SECTORS_FREE_MIN = 2 * SECTORS_PER_PAGE_MAX;
/** A full file takes pages again when such a part of it has come free. */
const RECOVERED = 1 / 64;
const READ_BYTES = SECTORS_PER_PAGE_MAX * SECTOR_BYTES;
/** Tokens of the disk: reads by their number, then batches, then the truncation. */
const TOKEN_TRUNCATE = SPILL_READS_MAX + SPILL_WRITES_MAX;

/** A read that is under way. */
class Read {
  /** 0: it is not in use. */
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
  /** By page: its first sector, plus one; 0: it is not here. */
  private readonly places: Rows;
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
  private isLooking = false;
  private nextCheckAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    parts: {
      memory: Memory;
      disk: Disk;
      clock: Clock;
      log: Log;
      counters: SpillCounters;
      /** How long it is left alone after so many failures in a row. */
      backoffMs: (failures: number) => number;
      /** It takes pages again. */
      onReady: () => void;
    },
    options: { byteCount: number; pageCountMax: number; pinnedPages?: number | undefined },
  ) {
    this.memory = parts.memory;
    this.disk = parts.disk;
    this.clock = parts.clock;
    this.log = parts.log;
    this.counters = parts.counters;
    this.onReady = parts.onReady;
    this.sectors = new Sectors(parts.memory, Math.floor(options.byteCount / SECTOR_BYTES));
    this.room = new SpillRoom(parts, this.sectors.sectorCount * SECTOR_BYTES);
    const { pageCountMax: rowCountMax, pinnedPages: pinnedRows } = options;
    this.places = new Rows(parts.memory, { rowCountMax, wordsPerRow: 1, pinnedRows });
  }

  get bytesUsed(): number {
    return this.sectors.usedCount * SECTOR_BYTES;
  }

  /** What can be had, used and free. */
  get bytesMax(): number {
    return this.room.bytesMax(this.bytesUsed);
  }

  /** What was asked for. */
  get bytesAsked(): number {
    return this.room.askedBytes;
  }

  /** Pages of batches that are being written. */
  get pagesInFlight(): number {
    const sent = this.batches.filter(({ state }) => state === "sent");
    return sent.reduce((sum, { count }) => sum + count, 0);
  }

  /** Why writes fail; null: they do not. */
  get trouble(): string | null {
    return this.room.trouble;
  }

  /** Whether it takes pages: there is room, and no write has just failed. */
  get isTaking(): boolean {
    return this.hasRoom && !this.room.isPaused;
  }

  /** Whether a batch is worth a try, now or in a moment. */
  get isUsable(): boolean {
    return (this.hasRoom || this.mayProbe) && !this.room.isPaused;
  }

  /** Whether a batch can be begun now. */
  get isReady(): boolean {
    if (!this.isUsable || this.isTruncating) return false;
    if (this.batches.length < SPILL_WRITES_MAX) return true;
    return this.batches.some(({ state }) => state === "free");
  }

  /** Whether it is worth waiting for it. */
  get isWell(): boolean {
    return this.hasRoom || this.isUsable;
  }

  get hasRoom(): boolean {
    return !this.isFull && this.sectorsTo(this.bytesMax) >= SECTORS_FREE_MIN;
  }

  /** So many pages have a place for sure, but for fragments. */
  get countMax(): number {
    const bytes = this.hasRoom ? this.bytesMax : this.room.probeBytes(this.bytesUsed);
    return Math.floor(this.sectorsTo(bytes) / SECTORS_PER_PAGE_MAX);
  }

  has(page: number): boolean {
    return this.placeOf(page) !== NO_SECTOR;
  }

  /** An empty batch. Only while it `isReady`. */
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
   * Copies the zpage into the batch. One that there is no place for is not written, that is all.
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
   * Writes the batch, and has `sink` told. @returns false when none of its pages has a place: then
   * nobody is told.
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

  /** Page `i` of a batch that is written is on the disk from now on. */
  keep(batch: SpillBatch, i: number, page: number): void {
    const sector = batch.sector(i);
    assert(sector !== NO_SECTOR && !this.has(page));
    batch.forget(i);
    this.places.set(page, 0, sector + 1);
    this.rowEnd = Math.max(this.rowEnd, page + 1);
    this.pageCount += 1;
  }

  /** The batch is over: what was not kept has no place any more. */
  finish(batch: SpillBatch): void {
    for (let i = 0; i < batch.count; i += 1) {
      const sector = batch.sector(i);
      if (sector !== NO_SECTOR) this.give(sector, batch.sectorCount(i));
    }
    batch.state = "free";
    batch.sink = null;
  }

  /**
   * Reads the page, and has `sink` told. @returns the read, 0 .. SPILL_READS_MAX - 1; -1 when so
   * many are under way.
   */
  read(page: number, zpageBytes: number, sink: SpillReadSink): number {
    if (this.readsInFlight === SPILL_READS_MAX) return -1;
    const index = this.reads.findIndex((it) => it.page === 0);
    const read = this.reads[index];
    const sector = this.placeOf(page);
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

  /** The page leaves the disk. */
  free(page: number, zpageBytes: number): void {
    const sector = this.placeOf(page);
    assert(sector !== NO_SECTOR);
    if (this.readsInFlight > 0) {
      for (const read of this.reads) if (read.page === page) read.isStale = true;
    }
    this.places.set(page, 0, 0);
    this.pageCount -= 1;
    this.give(sector, sectorsOf(zpageBytes));
    if (this.pageCount > 0 || this.rowEnd * 4 <= TABLE_KEEP_BYTES) return;
    this.places.clear(this.rowEnd);
    this.rowEnd = 1;
  }

  /** Called now and then: asks the disk how much it has. */
  step(): void {
    const now = this.clock.now();
    if (this.isLooking || now < this.nextCheckAtMs) return;
    this.isLooking = true;
    this.nextCheckAtMs = now + SPILL_CHECK_MS;
    this.disk.readRoom((room) => this.onRoom(room));
  }

  private onRoom(room: DiskRoom | null): void {
    this.isLooking = false;
    const hadRoom = this.hasRoom;
    this.room.seen(room, this.bytesUsed);
    this.sectors.limitTo(this.room.lengthMax);
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
    this.places.close();
  }

  /** Each page that is said to be here has a place of its own. Cost: everything. For tests. */
  verify(pages: Iterable<{ page: number; zpageBytes: number }>): void {
    this.sectors.verify();
    const taken = new Set<number>();
    let count = 0;
    for (const { page, zpageBytes } of pages) {
      const sector = this.placeOf(page);
      assert(sector !== NO_SECTOR, "a page on disk without a place");
      for (let i = 0; i < sectorsOf(zpageBytes); i += 1) {
        assert(!taken.has(sector + i), "a sector of two pages");
        taken.add(sector + i);
      }
      count += 1;
    }
    assert(count === this.pageCount, "pages on disk");
    if (this.batches.every(({ state }) => state === "free")) {
      assert(taken.size === this.sectors.usedCount, "sectors that are nobody's");
    }
  }

  /** Whether one batch may find out if there is room again. */
  private get mayProbe(): boolean {
    const bytes = this.room.probeBytes(this.bytesUsed);
    if (this.isFull || this.sectorsTo(bytes) < SECTORS_FREE_MIN) return false;
    return !this.batches.some((it) => it.isProbe && it.state !== "free");
  }

  /** Sectors that are free until so many bytes are used. */
  private sectorsTo(bytesMax: number): number {
    const sectors = Math.floor(bytesMax / SECTOR_BYTES) - this.sectors.usedCount;
    return Math.min(sectors, this.sectors.freeCount);
  }

  private placeOf(page: number): number {
    return this.places.get(page, 0) - 1;
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

  /** Whether it was cut or not: what is in it means nothing, and is written over. */
  private onTruncated(): void {
    this.isTruncating = false;
    this.onReady();
  }

  private onWriteDone(index: number, error: DiskError | null): void {
    const batch = this.batches[index];
    assert(batch?.state === "sent", "a write that nobody asked for");
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
    // What is under way may not be written either.
    const sent = this.batches.filter(({ state }) => state === "sent");
    const sentBytes = sent.reduce((sum, it) => sum + it.byteCount, 0);
    this.room.failed(error, Math.max(0, this.bytesUsed - sentBytes));
    if (error.isFull) this.sectors.rewind();
  }

  private onReadDone(index: number, error: DiskError | null): void {
    const read = this.reads[index];
    assert(read !== undefined && read.page !== 0, "a read that nobody asked for");
    const { sink, isStale } = read;
    if (error === null) this.readFailures = 0;
    else if (!isStale) this.readFailed(error.reason);
    if (!isStale && error === null) this.counters.spill_reads += 1;
    const outcome = isStale ? "stale" : error === null ? "read" : "failed";
    const at = index * READ_BYTES;
    const checksum = this.readView.getUint32(at);
    sink?.onRead(index, outcome, this.readBytes, at + SPILL_HEADER_BYTES, checksum);
    // Its bytes are used no more.
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
