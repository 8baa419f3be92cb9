/**
 * zcache: the store of one machine. It compresses pages, places them in frames and counts them. It
 * accepts, refuses and evicts pages.
 *
 * One staging array serves every page. The placement writes its header in front of the zpage there,
 * and reads it back with the zpage. So a page goes into its frame, and comes out, with one copy:
 *
 *      0        32        40                64                                 64 + zpage bytes
 *      | handle | version | . . . . header | zpage                             |
 *      `--- checksum: 0 .. 40             `-- and then the zpage, from the owner's seed
 *
 * A node has two stores: one for its own pages (client LOCAL_CLIENT) and one for foreign pages.
 * Each has its own budget, index and frames, so that neither can use up the other's
 * (src/DEFECTS.md, 25).
 *
 * The policy is that of docs/original.md, "Accept or refuse": newest beats oldest, persistent beats
 * ephemeral. A refused put leaves nothing under its handle. Remote pages have their records in this
 * index too. Their copies are freed through `remote`.
 *
 * Not here: peers, and when to move pages (ramster).
 */

import { CHECKSUM_PREFIX_BYTES, CHECKSUM_ZPAGE_OFFSET, Checksummer } from "../compress/checksum.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { fillPage, NOT_SAME_FILLED, sameFilledWord } from "../compress/same-filled.ts";
import { assert } from "../core/assert.ts";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import type { Journal } from "../core/journal.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES, ZPAGE_BYTES_MAX } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { writeVersion } from "../core/version.ts";
import { emptyZpage, type Zpage } from "../core/zpage.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import { openPlacement } from "../placement/open-placement.ts";
import type { Order, Placement, PlacementName, PlacementSink } from "../placement/placement.ts";
import type { PageOps, PamOps } from "../tmem/pamops.ts";
import { sameFilledCheck, TAG } from "../tmem/pampd.ts";
import type { Pool } from "../tmem/pool.ts";
import { CLAIM_STALE, Tmem } from "../tmem/tmem.ts";
import { Budget, type BudgetOptions } from "./budget.ts";
import {
  countEviction,
  countPeaks,
  countSameFilled,
  ZcacheCounters,
  type ZcacheReport,
} from "./counters.ts";
import { bytesByCodec, type DensityReport, densityOf, pagesByCodec } from "./density.ts";
import { PutOperation } from "./put-operation.ts";
import { restoreZcache } from "./restore-zcache.ts";
import { verifyZcache } from "./verify-zcache.ts";

const VERSION_AT = HANDLE_BYTES;
const ZPAGE_AT = CHECKSUM_ZPAGE_OFFSET;

assert(VERSION_AT + 8 === CHECKSUM_PREFIX_BYTES);

/** Steps of compaction in one turn: some 12 us, and 50 us in one turn of ten. Reads come between. */
const COMPACT_STEPS = 4;
/** Evictions for one put. More than one are needed only where the limit was lowered. */
const EVICTIONS_MAX = 64;

export interface ZcacheOptions extends BudgetOptions {
  pageCountMax: number;
  objectCountMax: number;
  placement: PlacementName;
  order: Order;
  /** Frames, and records of this many pages, are pinned (core/memory.ts). Default 0: nothing is. */
  pinnedPages?: number;
  /** Persistent pages that compress to more are refused, or stored whole. */
  persZpageBytesMax: number;
  /** A larger persistent page is accepted only while the mean of the store is at most this. */
  persZpageMeanBytes: number;
}

export interface ZcacheParts {
  memory: Memory;
  /** The codec that pages are compressed with. */
  codec: Codec;
  /** By codec id: the codecs that can decompress. */
  codecs: readonly Codec[];
  /** Frees the copies of a remote page. */
  remote: PamOps;
  /** The seed of the checksums of the node's own pages: see `ownerSeed`. */
  seed: number;
}

export class Zcache implements PageOps, PlacementSink {
  readonly counters = new ZcacheCounters();
  readonly tmem: Tmem;
  readonly placement: Placement;
  readonly frames: FramePool;
  readonly budget: Budget;
  private readonly memory: Memory;
  private readonly journal: Journal | null;
  private readonly operation: PutOperation;
  private readonly codec: Codec;
  private readonly codecs: readonly Codec[];
  private readonly remote: PamOps;
  private readonly seed: number;
  private readonly options: ZcacheOptions;
  private readonly checksummer: Checksummer;
  private readonly staging: Uint8Array;
  private readonly view: DataView;
  private readonly scratchHandle = new Handle();
  private readonly staged: Zpage;

  constructor(parts: ZcacheParts, options: ZcacheOptions) {
    this.memory = parts.memory;
    this.journal = parts.memory.journal;
    this.codec = parts.codec;
    this.codecs = parts.codecs;
    this.remote = parts.remote;
    this.seed = parts.seed;
    this.options = options;
    this.budget = new Budget(options);
    const pinned = (options.pinnedPages ?? 0) > 0;
    const { frames, placement } = openPlacement(parts.memory, this, { ...options, pinned });
    this.frames = frames;
    this.placement = placement;
    this.operation = new PutOperation(parts.memory.journal, placement);
    this.tmem = new Tmem(parts.memory, options, this);
    this.checksummer = new Checksummer(parts.memory);
    this.staging = this.checksummer.scratch;
    this.view = new DataView(this.staging.buffer, this.staging.byteOffset);
    this.staged = emptyZpage(this.staging, ZPAGE_AT);
  }

  /** Whether pages outlive the process. */
  get isKept(): boolean {
    return this.journal !== null;
  }

  /**
   * Stores the page at `source[at]` under the handle.
   *
   * @returns OK, or why it was refused. A refused put leaves nothing under the handle, and removes
   * the page that was there.
   */
  put(pool: Pool, handle: Handle, source: Uint8Array, at: number): Status {
    if (!pool.persistent) this.counters.cleancache_puts += 1;
    if (this.tmem.frozen) {
      this.counters.put_to_flush += 1;
      this.flushPage(pool, handle);
      return STATUS.FROZEN;
    }
    const word = sameFilledWord(source, at);
    if (word === NOT_SAME_FILLED) this.placement.makeReady();
    const version = this.tmem.nextVersion();
    this.operation.begin();
    const page = this.tmem.claim(pool, handle, version);
    let status: Status = STATUS.OK;
    if (page === 0) status = STATUS.INDEX_FULL;
    else if (word === NOT_SAME_FILLED) {
      status = this.compressAndPlace(pool, handle, page, source, at);
    } else {
      this.tmem.describe(page, TAG.SAME_FILLED, word, sameFilledCheck(word), CODEC.RAW);
      countSameFilled(this.counters);
    }
    if (page !== 0 && status !== STATUS.OK) this.tmem.remove(page);
    this.operation.end();
    if (page === 0) this.counters.failed_alloc += 1;
    return status === STATUS.OK ? STATUS.OK : this.refused(pool, status);
  }

  /**
   * Stores a zpage that another node compressed (the original's "raw" put), with the version that
   * it came with. The owner has already applied the rules on size. Here only the budget and the
   * checksum can refuse it.
   *
   * @returns OK; CORRUPT; STALE when a newer version is stored here; or why it was refused, and
   * then nothing is left under the handle.
   */
  putZpage(pool: Pool, handle: Handle, zpage: Zpage, seed: number): Status {
    const size = zpage.zpageBytes;
    const whole = zpage.codec === CODEC.RAW;
    if (whole ? size !== PAGE_BYTES : size < 1 || size > ZPAGE_BYTES_MAX) return STATUS.BAD_REQUEST;
    if (zpage.version === 0) return STATUS.BAD_REQUEST; // No put gives this version.
    this.memory.copy(this.staging, ZPAGE_AT, zpage.bytes, zpage.at, size);
    if (this.checksumOf(handle, zpage.version, size, seed) !== zpage.checksum) {
      this.counters.corrupt_pages += 1;
      return STATUS.CORRUPT;
    }
    this.placement.makeReady();
    this.operation.begin();
    const page = this.tmem.claim(pool, handle, zpage.version);
    let status: Status = STATUS.OK;
    if (page === CLAIM_STALE) status = STATUS.STALE;
    else if (page === 0) {
      this.counters.failed_alloc += 1;
      status = this.refused(pool, STATUS.INDEX_FULL);
    } else if (this.placeZpage(pool, page, size, zpage.codec, zpage.checksum) === 0) {
      this.tmem.remove(page);
      status = this.refused(pool, STATUS.NO_ROOM);
    }
    this.operation.end();
    return status;
  }

  /**
   * Stores the zpage of a remote page here. The record, handle and version stay; the descriptor
   * becomes local. Never evicts. @returns whether there was a frame.
   */
  localify(page: number, zpage: Zpage): boolean {
    const pool = this.tmem.poolOf(page);
    this.memory.copy(this.staging, ZPAGE_AT, zpage.bytes, zpage.at, zpage.zpageBytes);
    const kind = kindOf(pool);
    const { zpageBytes, checksum } = zpage;
    this.placement.makeReady();
    this.journal?.begin();
    let ref = this.placeStaged(page, kind, zpageBytes, checksum);
    if (ref === 0) {
      this.journal?.end();
      if (!this.placement.makeFrame()) return false;
      this.journal?.begin();
      ref = this.placeStaged(page, kind, zpageBytes, checksum);
    }
    if (ref !== 0) this.tmem.describe(page, TAG.LOCAL, ref, zpageBytes, zpage.codec);
    this.journal?.end();
    countPeaks(this.counters, this.placement.counters, this.tmem.objectCount);
    return ref !== 0;
  }

  /**
   * Writes a local page, one of the node's own, to `target[at]`. `handle` is that of the page.
   *
   * @returns OK, or CORRUPT when the checksum does not match. The page then stays, so that it does
   * not become a miss.
   */
  deliver(page: number, handle: Handle, target: Uint8Array, at: number): Status {
    if (this.tmem.tag(page) === TAG.SAME_FILLED) {
      fillPage(this.tmem.place(page), target, at);
      return STATUS.OK;
    }
    this.placement.touch(this.tmem.place(page));
    return this.unpack(handle, this.stage(page), target, at) ? STATUS.OK : STATUS.CORRUPT;
  }

  /**
   * Checks a zpage that came back against handle and version, and decompresses it to `target[at]`.
   */
  deliverZpage(handle: Handle, zpage: Zpage, target: Uint8Array, at: number): boolean {
    this.memory.copy(this.staging, ZPAGE_AT, zpage.bytes, zpage.at, zpage.zpageBytes);
    return this.unpack(handle, zpage, target, at);
  }

  /** Whether the zpage of a local page, one of the node's own, matches its checksum. */
  isIntactHere(page: number, handle: Handle): boolean {
    const { version, zpageBytes, checksum } = this.stage(page);
    return this.checksumOf(handle, version, zpageBytes, this.seed) === checksum;
  }

  /** Whether a zpage that came back matches its checksum, for handle and version. */
  isIntact(handle: Handle, zpage: Zpage): boolean {
    if (this.checksumZpage(handle, zpage) === zpage.checksum) return true;
    this.counters.corrupt_pages += 1;
    return false;
  }

  /** The checksum of the zpage with handle and version, as one of the node's own pages. */
  checksumZpage(handle: Handle, zpage: Zpage): number {
    this.memory.copy(this.staging, ZPAGE_AT, zpage.bytes, zpage.at, zpage.zpageBytes);
    return this.checksumOf(handle, zpage.version, zpage.zpageBytes, this.seed);
  }

  /**
   * Copies the zpage of a local page to `target[at]`, unchecked. Overwrites HEADER_BYTES in front
   * of it. The result is one object, valid until the next call.
   */
  readZpage(page: number, target: Uint8Array, at: number): Zpage {
    assert(this.tmem.tag(page) === TAG.LOCAL);
    return this.copyZpage(page, target, at);
  }

  /**
   * Copies the zpage of a local page, one of the node's own, to `target[at]`. @returns whether it
   * matches its checksum.
   */
  copyIntact(page: number, target: Uint8Array, at: number): boolean {
    this.tmem.readHandle(page, this.scratchHandle);
    if (!this.isIntactHere(page, this.scratchHandle)) return false;
    this.memory.copy(target, at, this.staging, ZPAGE_AT, this.tmem.zpageBytes(page));
    return true;
  }

  /**
   * Replaces the zpage of a local page, one of the node's own, with the one at `source[at]`, which
   * is the same page in fewer bytes (src/cold). The version stays. The page must not be leaving.
   *
   * @returns false when there is no room for that, and then nothing has changed.
   */
  replaceZpage(
    page: number,
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    codec: number,
  ): boolean {
    const { tmem, placement, scratchHandle } = this;
    assert(placement.cold !== null && tmem.tag(page) === TAG.LOCAL);
    tmem.readHandle(page, scratchHandle);
    this.memory.copy(this.staging, ZPAGE_AT, source, at, zpageBytes);
    const checksum = this.checksumOf(scratchHandle, tmem.version(page), zpageBytes, this.seed);
    const { cold } = placement;
    this.journal?.begin();
    const ref = cold.replace(tmem.place(page), this.staging, ZPAGE_AT, zpageBytes, checksum);
    if (ref !== 0) tmem.describe(page, TAG.LOCAL, ref, zpageBytes, codec);
    this.journal?.end();
    return ref !== 0;
  }

  /**
   * Stores a lost page under the handle, unless a page is there. A block whose write was refused
   * must not read as never written.
   */
  lose(pool: Pool, handle: Handle): void {
    if (this.tmem.find(pool, handle) !== 0) return;
    const version = this.tmem.nextVersion();
    this.journal?.begin();
    const page = this.tmem.claim(pool, handle, version);
    if (page > 0) this.tmem.describe(page, TAG.LOST, 0, 0, CODEC.RAW);
    this.journal?.end();
  }

  /** Counts a get that found no page. @returns NOT_FOUND, or LOST when pages may be missing. */
  missed({ persistent, isDamaged }: Pool): Status {
    if (!persistent) this.counters.cleancache_failed_gets += 1;
    return persistent && isDamaged ? STATUS.LOST : STATUS.NOT_FOUND;
  }

  /** @returns OK when there was a page, else NOT_FOUND. */
  flushPage(pool: Pool, handle: Handle): Status {
    this.counters.flush_total += 1;
    if (!pool.persistent) this.counters.cleancache_invalidates += 1;
    const page = this.tmem.find(pool, handle);
    if (page === 0) return STATUS.NOT_FOUND;
    this.counters.flush_found += 1;
    this.tmem.flush(page);
    return STATUS.OK;
  }

  /** PageOps: frees what the page's descriptor points at. */
  free(page: number): void {
    const tag = this.tmem.tag(page);
    if (tag === TAG.LOCAL) {
      const ref = this.tmem.place(page);
      if (!this.operation.takes(ref)) this.placement.free(ref);
    } else if (tag === TAG.SAME_FILLED) this.counters.same_filled_pages -= 1;
    else if (tag === TAG.REMOTE) this.remote.free(page);
  }

  /** PageOps: others may know the number of a page whose copies are remote, or under way. */
  mayRenumber(page: number): boolean {
    const tag = this.tmem.tag(page);
    if (tag === TAG.LOCAL) return !this.placement.isLeaving(this.tmem.place(page));
    return tag === TAG.SAME_FILLED || tag === TAG.LOST;
  }

  /** PageOps. */
  renumbered(page: number): void {
    if (this.tmem.tag(page) === TAG.LOCAL) this.placement.setPage(this.tmem.place(page), page);
  }

  /** The page is remote from now on, with these copies. Its zpage here is freed. */
  turnRemote(page: number, copies: number): void {
    const { tmem } = this;
    this.journal?.begin();
    this.placement.free(tmem.place(page));
    tmem.describe(page, TAG.REMOTE, copies, tmem.zpageBytes(page), tmem.codec(page));
    this.journal?.end();
  }

  /** PlacementSink: an ephemeral page was evicted. */
  onEvict(page: number, ref: number): void {
    assert(this.tmem.tag(page) === TAG.LOCAL && this.tmem.place(page) === ref);
    this.counters.evicted_eph_zpages += 1;
    this.tmem.remove(page);
  }

  /** PlacementSink. */
  onMove(page: number, ref: number): void {
    assert(this.tmem.tag(page) === TAG.LOCAL);
    this.tmem.setPlace(page, ref);
  }

  /** How many frames may be used from now on. Frames in use beyond that stay in use. */
  setFrameCountMax(frameCountMax: number): void {
    this.budget.setFrameCountMax(frameCountMax);
    this.frames.limit = frameCountMax;
  }

  /** Makes a bounded number of frames free. @returns whether it is worth to go on. */
  compact(): boolean {
    for (let left = COMPACT_STEPS; left > 0; left -= 1) {
      if (!this.placement.compact()) return false;
    }
    return true;
  }

  /**
   * Gives a bounded number of warm free frames back to the operating system, if there are many.
   * @returns whether there are more.
   */
  trim(): boolean {
    const keep = Math.max(this.frames.framesUsed >>> 3, (1024 * 1024) / FRAME_BYTES);
    return this.frames.framesWarm > keep && this.frames.trim();
  }

  snapshot(): ZcacheReport {
    return {
      ...this.placement.counters.snapshot(),
      ...this.counters,
      obj_count: this.tmem.objectCount,
      page_count: this.tmem.pageCount,
      ...pagesByCodec(this.tmem.byCodec),
      ...bytesByCodec(this.tmem.bytesByCodec),
      frames_used: this.frames.framesUsed,
      frames_max: this.budget.frameCountMax,
    };
  }

  density(): DensityReport {
    const { zpages, zbytes } = this.placement.counters;
    return densityOf({
      zpages: zpages[EPHEMERAL] + zpages[PERSISTENT],
      zbytes: zbytes[EPHEMERAL] + zbytes[PERSISTENT],
      frames: this.frames.framesUsed,
      metadataBytes: this.tmem.usedBytes + this.placement.metadataBytes,
    });
  }

  /**
   * Makes the store again from the kept memory of a predecessor. `isGood` is asked once for each
   * remote page, whose copies it counts.
   *
   * @returns false when that is not possible.
   */
  restore(isGood: (page: number, pool: Pool) => boolean): boolean {
    assert(this.journal !== null);
    return restoreZcache(this, this.journal, isGood);
  }

  /**
   * Checks the index, the placement, and that each local page is that of its zpage. Cost: all
   * pages. For tests.
   */
  verify(): void {
    verifyZcache(this);
  }

  close(): void {
    this.tmem.close();
    this.placement.close();
    this.frames.close();
  }

  private compressAndPlace(
    pool: Pool,
    handle: Handle,
    page: number,
    source: Uint8Array,
    at: number,
  ): Status {
    const sizeMax = pool.persistent ? this.options.persZpageBytesMax : ZPAGE_BYTES_MAX;
    let codec = this.codec.id;
    let size = this.codec.compress(source, at, this.staging, ZPAGE_AT, sizeMax);
    if (size === 0) {
      if (!pool.storeWhole) {
        this.counters.compress_poor += 1;
        return STATUS.COMPRESS_POOR;
      }
      this.counters.stored_whole += 1;
      codec = CODEC.RAW;
      size = PAGE_BYTES;
      this.memory.copy(this.staging, ZPAGE_AT, source, at, PAGE_BYTES);
    } else if (pool.persistent && !pool.storeWhole && this.isMeanPoor(size)) {
      this.counters.mean_compress_poor += 1;
      return STATUS.MEAN_COMPRESS_POOR;
    }
    const checksum = this.checksumOf(handle, this.tmem.version(page), size, this.seed);
    return this.placeZpage(pool, page, size, codec, checksum) === 0 ? STATUS.NO_ROOM : STATUS.OK;
  }

  /** Pages that compress well are always accepted, so the mean can fall again. */
  private isMeanPoor(zpageBytes: number): boolean {
    if (zpageBytes <= this.options.persZpageMeanBytes) return false;
    const { zbytes, zpages } = this.placement.counters;
    return (
      zpages[PERSISTENT] > 0 &&
      zbytes[PERSISTENT] / zpages[PERSISTENT] > this.options.persZpageMeanBytes
    );
  }

  /** Writes handle and version in front of the staged zpage. @returns the checksum of all. */
  private checksumOf(handle: Handle, version: number, zpageBytes: number, seed: number): number {
    handle.write(this.view, 0);
    writeVersion(this.view, VERSION_AT, version);
    const prefix = this.checksummer.prefix(CHECKSUM_PREFIX_BYTES, seed);
    return this.checksummer.zpage(zpageBytes, prefix);
  }

  /**
   * Places the staged zpage and describes the page. @returns its ref, or 0 when there is no room.
   */
  private placeZpage(
    pool: Pool,
    page: number,
    zpageBytes: number,
    codec: number,
    checksum: number,
  ): number {
    const kind = kindOf(pool);
    let ref = this.placeStaged(page, kind, zpageBytes, checksum);
    if (ref === 0) {
      this.operation.split();
      const isFree = this.placement.makeFrame();
      this.operation.begin();
      if (isFree || this.journal !== null) {
        ref = this.placeStaged(page, kind, zpageBytes, checksum);
      }
    }
    if (ref === 0) {
      this.counters.failed_getfreepages += 1;
      ref = this.evictAndPlace(page, kind, zpageBytes, checksum);
      if (ref === 0) return 0;
    }
    this.tmem.describe(page, TAG.LOCAL, ref, zpageBytes, codec);
    countPeaks(this.counters, this.placement.counters, this.tmem.objectCount);
    return ref;
  }

  private evictAndPlace(page: number, kind: Kind, zpageBytes: number, checksum: number): number {
    for (let left = EVICTIONS_MAX; left > 0; left -= 1) {
      this.operation.split();
      const isEvicted = this.placement.evict(kind);
      this.operation.begin();
      countEviction(this.counters, kind, isEvicted);
      if (!isEvicted) return 0;
      const ref = this.placeStaged(page, kind, zpageBytes, checksum);
      if (ref !== 0) return ref;
    }
    return 0;
  }

  private placeStaged(page: number, kind: Kind, zpageBytes: number, checksum: number): number {
    return this.placement.put(this.staging, ZPAGE_AT, zpageBytes, kind, page, checksum);
  }

  /** Copies the zpage of a local page to staging. */
  private stage(page: number): Zpage {
    return this.copyZpage(page, this.staging, ZPAGE_AT);
  }

  private copyZpage(page: number, target: Uint8Array, at: number): Zpage {
    const { staged, tmem } = this;
    staged.bytes = target;
    staged.at = at;
    staged.zpageBytes = tmem.zpageBytes(page);
    staged.codec = tmem.codec(page);
    staged.version = tmem.version(page);
    staged.checksum = this.placement.read(tmem.place(page), staged.zpageBytes, target, at);
    return staged;
  }

  /** Checks the staged zpage and decompresses it to `target[at]`. */
  private unpack(handle: Handle, zpage: Zpage, target: Uint8Array, at: number): boolean {
    const { zpageBytes } = zpage;
    const codec = this.codecs[zpage.codec];
    if (
      codec !== undefined &&
      this.checksumOf(handle, zpage.version, zpageBytes, this.seed) === zpage.checksum &&
      codec.decompress(this.staging, ZPAGE_AT, zpageBytes, target, at)
    ) {
      return true;
    }
    this.counters.corrupt_pages += 1;
    return false;
  }

  private refused(pool: Pool, status: Status): Status {
    if (pool.persistent) this.counters.failed_pers_puts += 1;
    else this.counters.failed_eph_puts += 1;
    return status;
  }
}

function kindOf(pool: Pool): Kind {
  return pool.persistent ? PERSISTENT : EPHEMERAL;
}
