/**
 * tmem: the index. From (client, pool, oid, index) to a page with its version and descriptor
 * (pampd.ts).
 *
 *     pools        few, objects of JavaScript
 *     objects      rows: oid, pool, list of pages;       hash over pool and oid
 *     pages        singles and leaves (page-index.ts);   hash over object row and index
 *
 * The original has a tree of objects, each with a radix tree of pages. Here hashes with intrusive
 * lists give the same operations. Flushing an object or a pool costs only the pages in it.
 *
 * Rules (docs/original.md, "Coherency"): a put first removes the page under its handle (`claim`)
 * and never overwrites it in place, so a put that fails leaves nothing. Every put gets a new
 * version. A frozen index accepts no put.
 *
 * The number of a page stays the same while its copies are remote, or under way. Otherwise it may
 * change when another page of the same object is put or removed: only tmem and placement keep it.
 *
 * Invariants, checked by verify(), beside those of page-index.ts:
 *   1. An object is in the hash under its pool and oid, and on its pool's list.
 *   2. An object has at least one page. Counts of pools and objects are those of their lists.
 *
 * A flushed object or pool may first be *doomed* (reaper.ts): its pages are then in a pool without
 * a name until they are freed.
 *
 * Not here: bytes, frames, peers. Storage is freed through PageOps.
 */
import { assert } from "../core/assert.ts";
import type { Handle } from "../core/handle.ts";
import type { Journal } from "../core/journal.ts";
import { CODECS_END, POOLS_PER_CLIENT_MAX, VERSION_BLOCK, VERSION_END } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { indexHashOf } from "./hash-index.ts";
import { type ObjectSums, Objects } from "./objects.ts";
import { PageIndex } from "./page-index.ts";
import type { PageOps } from "./pamops.ts";
import {
  codecOfWord,
  describe,
  hasZpage,
  IN_TRANSIT_BIT,
  sizeOfWord,
  TAG,
  TAG_MASK,
  VERSION_HI_SHIFT,
} from "./pampd.ts";
import type { Pool, PoolOptions } from "./pool.ts";
import { Pools } from "./pools.ts";
import { PAGE_A, PAGE_B, PAGE_VERSION_LO } from "./rows.ts";
import { type Walk, Walks } from "./walk.ts";

/** The answer of `claim` to a version that is too old. */
export const CLAIM_STALE = -1;

/** The client that is the node itself. */
export const LOCAL_CLIENT = 0xffff;

/** What is true of a page that a predecessor left. */
export const VERDICT = {
  GOOD: 0,
  /** Its bytes cannot be had: a get is an error. */
  LOST: 1,
  /** It is as if it had never been put. */
  GONE: 2,
} as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

export interface TmemOptions {
  pageCountMax: number;
  objectCountMax: number;
  /** Entries and hash buckets of this many pages are pinned (entries.ts). */
  pinnedPages?: number;
}

export class Tmem {
  /** While true, every put fails and flushes its handle: docs/original.md, "Coherency", rule 8. */
  frozen = false;
  /** Pages with a zpage, here or at holders, by codec id. */
  readonly byCodec = new Int32Array(CODECS_END);
  /** The bytes of their zpages. */
  readonly bytesByCodec = new Float64Array(CODECS_END);
  /** Pages whose copies are all lost. */
  lostCount = 0;
  private readonly pages: PageIndex;
  private readonly objects: Objects;
  private readonly pools: Pools;
  private readonly journal: Journal | null;
  private readonly ops: PageOps;
  private lastVersion = 0;
  /** The last version that a successor will not use. */
  private versionEnd = Number.POSITIVE_INFINITY;
  readonly walks: Walks;

  constructor(memory: Memory, options: TmemOptions, ops: PageOps) {
    this.ops = ops;
    this.journal = memory.journal;
    if (memory.journal !== null) this.versionEnd = 0;
    this.objects = new Objects(memory, options);
    this.pools = new Pools(memory, this.objects.rows);
    this.pages = new PageIndex(memory, this.objects.rows, ops, options);
    this.walks = new Walks(this.pages, this);
  }

  get pageCount(): number {
    return this.pages.pageCount;
  }

  get objectCount(): number {
    return this.objects.count;
  }

  /** Bytes of all rows and buckets in use. */
  get usedBytes(): number {
    return this.pages.usedBytes + this.objects.usedBytes;
  }

  /** How many pages got another number so far: see PageIndex. */
  get moveCount(): number {
    return this.pages.moveCount;
  }

  /** One past the highest page number in use: the bound of a scan with `pageAfter`. */
  get pageEnd(): number {
    return this.pages.end;
  }

  /** The next number that may be that of a page. A scan begins with that after 0. */
  pageAfter(page: number): number {
    return this.pages.after(page);
  }

  // Pools.

  /**
   * @returns the new pool, or null when the client has POOLS_PER_CLIENT_MAX. Ids are used in turn,
   * so that a freed id is reused last. Ids marked with 1 in `busy` are skipped.
   */
  newPool(client: number, options: PoolOptions, busy: Uint8Array | null = null): Pool | null {
    const id = this.pools.isFull ? -1 : this.pools.freeId(client, busy);
    return id === -1 ? null : this.pools.add(client, id, options);
  }

  /**
   * The client's pool `id`, created if it does not exist. A holder's pools have the owner's ids.
   */
  autocreatePool(client: number, id: number, options: PoolOptions): Pool | Status {
    const pool = this.pool(client, id);
    if (pool !== null) {
      return pool.persistent === options.persistent ? pool : STATUS.POOL_MISMATCH;
    }
    if (id >= POOLS_PER_CLIENT_MAX || this.pools.isFull) return STATUS.POOLS_FULL;
    return this.pools.add(client, id, options);
  }

  pool(client: number, id: number): Pool | null {
    return this.pools.named(client, id);
  }

  poolsOf(client: number): Pool[] {
    return this.pools.of(client);
  }

  /** Frees and removes up to `countMax` pages of the pool. @returns how many. */
  flushSome(pool: Pool, countMax: number): number {
    let count = 0;
    while (count < countMax && pool.objects.head !== 0) {
      this.freeFirst(pool.objects.head);
      count += 1;
    }
    return count;
  }

  /** Takes the pool's name away. Its pages are doomed until `forget`. */
  removePool(pool: Pool): void {
    this.pools.doom(pool);
    if (pool.pageCount === 0) this.forget(pool);
  }

  /** Moves all pages of the pool to a doomed pool. @returns that pool. */
  detach(pool: Pool): Pool {
    const doomed = this.pools.detach(pool);
    doomed.pageCount = pool.pageCount;
    pool.removed(pool.pageCount);
    return doomed;
  }

  /** Moves all pages under the oid to a doomed pool. @returns that pool. */
  detachObject(pool: Pool, handle: Handle): Pool {
    const object = this.objects.find(pool.row, handle);
    const count = this.objects.pageCount(object);
    this.walks.objectLeaves(object);
    pool.objects.remove(object);
    pool.removed(count);
    this.journal?.begin();
    const doomed = this.pools.addDoomed(pool);
    this.objects.moveTo(object, doomed.row);
    this.journal?.end();
    doomed.pageCount = count;
    doomed.objects.append(object);
    return doomed;
  }

  /** Removes a doomed pool that has no pages. */
  forget(pool: Pool): void {
    assert(pool.isDoomed && pool.pageCount === 0);
    this.pools.remove(pool);
  }

  // Pages by handle.

  /** The page under the handle, or 0. */
  find(pool: Pool, handle: Handle): number {
    const object = this.objects.find(pool.row, handle);
    return object === 0 ? 0 : this.pages.find(object, handle.index);
  }

  /**
   * First half of a put. Frees the page under the handle, and returns one with `version` and
   * without storage, maybe under another number. The caller then stores the bytes and calls
   * `describe`, or `remove` if they were refused. It must not wait in between.
   *
   * @returns the page. 0: the index is full or frozen, and nothing is left under the handle.
   * CLAIM_STALE: the handle has a newer version, and nothing has changed.
   */
  claim(pool: Pool, handle: Handle, version: number): number {
    let object = this.objects.find(pool.row, handle);
    let page = object === 0 ? 0 : this.pages.find(object, handle.index);
    if (page !== 0) {
      if (this.version(page) > version) return CLAIM_STALE;
      this.ops.free(page);
      if (this.frozen) {
        this.remove(page);
        return 0;
      }
      this.count(pool, page, -1);
      this.pages.set(page, PAGE_A, TAG.NONE);
      page = this.pages.putAgain(page);
    } else {
      if (this.frozen) return 0;
      if (object === 0) object = this.addObject(pool, handle);
      if (object === 0) return 0;
      page = this.pages.add(object, handle.index);
      if (page !== 0) {
        this.objects.notePage(object, handle.index);
        this.objects.setPageCount(object, this.objects.pageCount(object) + 1);
        pool.pageCount += 1;
      } else {
        if (this.objects.pageCount(object) === 0) this.removeObject(object);
        return 0;
      }
    }
    assert(version > 0 && version < VERSION_END);
    pool.noteVersion(version);
    this.pages.set(page, PAGE_VERSION_LO, version | 0);
    const versionHi = Math.floor(version / 4294967296);
    this.pages.set(page, PAGE_A, (versionHi << VERSION_HI_SHIFT) | TAG.NONE);
    return page;
  }

  /** The next version of a page owned here. Versions only grow while this index lives. */
  nextVersion(): number {
    this.lastVersion += 1;
    if (this.lastVersion > this.versionEnd) this.reserveVersions();
    return this.lastVersion;
  }

  private reserveVersions(): void {
    this.versionEnd += VERSION_BLOCK;
    this.journal?.begin();
    this.pools.rows.setVersionEnd(this.versionEnd);
    this.journal?.end();
  }

  /** The newest version so far. No page owned here has a newer one. */
  get newestVersion(): number {
    return this.lastVersion;
  }

  /** Frees the storage of the page and removes it. */
  flush(page: number): void {
    this.journal?.begin();
    this.ops.free(page);
    this.removePage(page, true);
    this.journal?.end();
  }

  /** How many pages are under the oid. */
  pagesUnder(pool: Pool, handle: Handle): number {
    const object = this.objects.find(pool.row, handle);
    return object === 0 ? 0 : this.objects.pageCount(object);
  }

  /** Frees and removes every page under the oid. @returns how many there were. */
  flushObject(pool: Pool, handle: Handle): number {
    const object = this.objects.find(pool.row, handle);
    if (object === 0) return 0;
    // The object goes with its last page.
    const count = this.objects.pageCount(object);
    for (let left = count; left > 0; left -= 1) this.freeFirst(object);
    return count;
  }

  /** Begins to flush the pages up to `version`, of the pool or of one object. */
  beginWalk(pool: Pool, handle: Handle | null, version: number): Walk {
    return this.walks.begin(pool, version, handle && this.objects.find(pool.row, handle));
  }

  /** Removes the page, and its object with its last page. The caller keeps or frees the storage. */
  remove(page: number): void {
    this.journal?.begin();
    this.removePage(page, true);
    this.journal?.end();
  }

  /** Flushes the object's first page. The other ones follow, so none of them moves. */
  private freeFirst(object: number): void {
    const page = this.pages.first(object);
    this.journal?.begin();
    this.ops.free(page);
    this.removePage(page, false);
    this.journal?.end();
  }

  private removePage(page: number, mayMove: boolean): void {
    const object = this.pages.objectOf(page);
    const pool = this.poolOfObject(object);
    this.walks.pageLeaves(page);
    this.count(pool, page, -1);
    this.objects.notePage(object, this.pages.indexOf(page));
    this.pages.remove(page, mayMove);
    pool.removed(1);
    const left = this.objects.pageCount(object) - 1;
    this.objects.setPageCount(object, left);
    if (left === 0) this.removeObject(object);
  }

  // Pages by number.

  /**
   * Whether the number is that of a page with a name. For scans, and for numbers that were kept
   * across a wait.
   */
  isLive(page: number): boolean {
    return this.isTaken(page) && !this.poolOf(page).isDoomed;
  }

  /** Whether the number is that of a page, doomed or not. */
  isTaken(page: number): boolean {
    return this.pages.isTaken(page);
  }

  version(page: number): number {
    const hi = this.pages.get(page, PAGE_A) >>> VERSION_HI_SHIFT;
    return hi * 4294967296 + (this.pages.get(page, PAGE_VERSION_LO) >>> 0);
  }

  tag(page: number): number {
    return this.pages.get(page, PAGE_A) & TAG_MASK;
  }

  zpageBytes(page: number): number {
    return sizeOfWord(this.pages.get(page, PAGE_A));
  }

  codec(page: number): number {
    return codecOfWord(this.pages.get(page, PAGE_A));
  }

  /**
   * Where the page is: word B of the pampd. By the tag it is a ref, a repeated word, or the
   * copies; while in transit, the row of the fetch.
   */
  place(page: number): number {
    return this.pages.get(page, PAGE_B);
  }

  inTransit(page: number): boolean {
    return (this.pages.get(page, PAGE_A) & IN_TRANSIT_BIT) !== 0;
  }

  /** A fetch of the remote page begins. Until `endTransit` the page's place is the fetch's row. */
  startTransit(page: number, fetch: number): void {
    this.journal?.begin();
    this.pages.set(page, PAGE_A, this.pages.get(page, PAGE_A) | IN_TRANSIT_BIT);
    this.pages.set(page, PAGE_B, fetch);
    this.journal?.end();
  }

  /** The fetch has ended. The page is remote, with these copies. */
  endTransit(page: number, copies: number): void {
    this.journal?.begin();
    this.pages.set(page, PAGE_A, this.pages.get(page, PAGE_A) & ~IN_TRANSIT_BIT);
    this.pages.set(page, PAGE_B, copies);
    this.journal?.end();
  }

  /** Where the page is from now on: its ref or its copies. It is not in transit. */
  setPlace(page: number, place: number): void {
    this.journal?.begin();
    this.pages.set(page, PAGE_B, place);
    this.journal?.end();
  }

  /**
   * Writes the pampd: the second half of a put, or a page that moved. The version stays.
   */
  describe(page: number, tag: number, place: number, zpageBytes: number, codec: number): void {
    const pool = this.poolOf(page);
    this.count(pool, page, -1);
    const a = this.pages.get(page, PAGE_A);
    this.journal?.begin();
    this.pages.set(page, PAGE_A, describe(a, tag, zpageBytes, codec));
    this.pages.set(page, PAGE_B, place);
    this.journal?.end();
    this.count(pool, page, 1);
  }

  /** Counts the zpage of the page by its codec, if it has one. Counts a page that is lost. */
  private count(pool: Pool, page: number, by: number): void {
    const a = this.pages.get(page, PAGE_A);
    if ((a & TAG_MASK) === TAG.LOST) this.lostCount += by;
    if (!hasZpage(a)) return;
    const codec = codecOfWord(a);
    pool.byCodec[codec] = (pool.byCodec[codec] ?? 0) + by;
    this.byCodec[codec] = (this.byCodec[codec] ?? 0) + by;
    this.bytesByCodec[codec] = (this.bytesByCodec[codec] ?? 0) + by * sizeOfWord(a);
  }

  poolOf(page: number): Pool {
    return this.poolOfObject(this.pages.objectOf(page));
  }

  /** Fills `handle` with that of the page. */
  readHandle(page: number, handle: Handle): void {
    const object = this.pages.objectOf(page);
    this.objects.readOid(object, handle);
    handle.index = this.pages.indexOf(page) >>> 0;
    handle.pool = this.poolOfObject(object).id;
  }

  /**
   * Makes the index again from the kept memory of a predecessor. `judge` is asked once for each
   * page, whose pool, handle and descriptor it may read. Where flipped bits have hidden a page, no
   * one knows which it was. Then all pools are marked as damaged: see Pool.
   *
   * @returns false when that is not possible.
   */
  restore(judge: (page: number, pool: Pool) => Verdict): boolean {
    const { objects, pages, pools } = this;
    // A successor that ended in here has left sums that do not match.
    const wasCut = pools.rows.isRestoring;
    pools.rows.setRestoring(true);
    if (!pools.restore()) return false;
    this.versionEnd = pools.rows.versionEnd;
    this.lastVersion = this.versionEnd;
    const isPool = (row: number, object: number): boolean => {
      if (!pools.rows.isUsed(row)) return false;
      pools.at(row).objects.append(object);
      return true;
    };
    if (!objects.restore(isPool)) return false;
    const { rowEnd } = objects.rows;
    const sums = { found: new Int32Array(rowEnd), kept: new Int32Array(rowEnd) };
    const isObject = (object: number): boolean => objects.isTaken(object);
    const isPage = (page: number): boolean => this.restorePage(page, sums, judge);
    if (!pages.restore(isObject, isPage)) return false;
    if (!objects.restoreSums(sums) && !wasCut) pools.markDamaged();
    for (const pool of [...pools.all()]) {
      this.removeEmpty(pool);
      if (pool.isDoomed && pool.pageCount === 0) this.forget(pool);
    }
    pools.rows.setRestoring(false);
    return true;
  }

  /** Whether the page has a version that was given, after a takeover. */
  hasPossibleVersion(page: number): boolean {
    const version = this.version(page);
    return version > 0 && version <= this.versionEnd;
  }

  /** Whether flipped bits have hidden pages of the pool, or of another one. */
  get isDamaged(): boolean {
    return this.pools.isDamaged;
  }

  /** Removes objects without pages: none was good. */
  private removeEmpty(pool: Pool): void {
    for (let object = pool.objects.head; object !== 0; ) {
      const next = pool.objects.next(object);
      if (this.objects.pageCount(object) === 0) this.removeObject(object);
      object = next;
    }
  }

  private restorePage(
    page: number,
    sums: ObjectSums,
    judge: (page: number, pool: Pool) => Verdict,
  ): boolean {
    const object = this.pages.objectOf(page);
    const pool = this.poolOfObject(object);
    const hash = indexHashOf(this.pages.indexOf(page));
    sums.found[object] = (sums.found[object] ?? 0) ^ hash;
    const verdict = judge(page, pool);
    if (verdict === VERDICT.GONE) return false;
    sums.kept[object] = (sums.kept[object] ?? 0) ^ hash;
    if (verdict === VERDICT.LOST) {
      this.pages.set(page, PAGE_VERSION_LO, 1); // Its version may be one that cannot be.
      this.pages.set(page, PAGE_A, describe(0, TAG.LOST, 0, 0));
    }
    this.objects.setPageCount(object, this.objects.pageCount(object) + 1);
    pool.pageCount += 1;
    pool.noteVersion(this.version(page));
    this.count(pool, page, 1);
    return true;
  }

  close(): void {
    this.pages.close();
    this.pools.close();
    this.objects.close();
  }

  /**
   * Checks every invariant of the head comment and calls `visit` with each page. Cost: everything.
   * For tests.
   */
  verify(visit: (page: number, pool: Pool) => void): void {
    /** By counts of zpages, which a pool shares with those of its pages that are being freed. */
    const found = new Map<Int32Array, Int32Array>();
    let pages = 0;
    let lost = 0;
    let objects = 0;
    let zbytes = 0;
    for (const pool of this.pools.all()) {
      const byCodec = found.get(pool.byCodec) ?? new Int32Array(CODECS_END);
      found.set(pool.byCodec, byCodec);
      let poolPages = 0;
      let poolObjects = 0;
      for (let object = pool.objects.head; object !== 0; object = pool.objects.next(object)) {
        assert(this.objects.poolOf(object) === pool.row, "pool of an object");
        poolPages += this.verifyObject(object, (page) => {
          const a = this.pages.get(page, PAGE_A);
          if ((a & TAG_MASK) === TAG.LOST) lost += 1;
          if (hasZpage(a)) {
            byCodec[codecOfWord(a)] = (byCodec[codecOfWord(a)] ?? 0) + 1;
            zbytes += sizeOfWord(a);
          }
          visit(page, pool);
        });
        poolObjects += 1;
        assert(poolObjects <= pool.objects.count, "object list is longer than its count");
      }
      assert(poolObjects === pool.objects.count, "count of objects");
      assert(poolPages === pool.pageCount, "pages of a pool");
      pages += poolPages;
      objects += poolObjects;
    }
    for (const [counted, seen] of found) {
      assert(counted.join() === seen.join(), "zpages of a pool by codec");
    }
    for (const [codec, count] of this.byCodec.entries()) {
      const seen = [...found.values()].reduce((sum, it) => sum + (it[codec] ?? 0), 0);
      assert(count === seen, "zpages by codec");
    }
    assert(zbytes === this.bytesByCodec.reduce((sum, it) => sum + it), "bytes by codec");
    assert(pages === this.pages.pageCount, "pages in all");
    assert(lost === this.lostCount, "lost pages");
    this.pages.verifyCount();
    assert(objects === this.objects.count, "objects in all");
  }

  private verifyObject(object: number, visit: (page: number) => void): number {
    assert(this.objects.isInChain(object), "object is not in its hash chain");
    const count = this.pages.verify(object, (page) => {
      assert(this.tag(page) !== TAG.NONE, "page without storage");
      visit(page);
    });
    assert(count > 0 && count === this.objects.pageCount(object), "pages of an object");
    return count;
  }

  private addObject(pool: Pool, handle: Handle): number {
    const object = this.objects.add(pool.row, handle);
    if (object !== 0) pool.objects.append(object);
    return object;
  }

  private removeObject(object: number): void {
    this.poolOfObject(object).objects.remove(object);
    this.objects.remove(object);
  }

  private poolOfObject(object: number): Pool {
    return this.pools.at(this.objects.poolOf(object));
  }
}
