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
import { Handle } from "../core/handle.ts";
import { CODECS_END, PINNED_OBJECTS, POOLS_PER_CLIENT_MAX, VERSION_END } from "../core/limits.ts";
import { RowList } from "../core/list.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { Table } from "../core/table.ts";
import { HashIndex, objectHashOf } from "./hash-index.ts";
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
import { Pool, type PoolOptions } from "./pool.ts";
import {
  OBJECT_FIRST,
  OBJECT_NEXT,
  OBJECT_OID,
  OBJECT_PAGES,
  OBJECT_POOL,
  OBJECT_PREV,
  PAGE_A,
  PAGE_B,
  PAGE_VERSION_LO,
  WORDS_PER_OBJECT,
} from "./rows.ts";
import { type Walk, Walks } from "./walk.ts";

/** The answer of `claim` to a version that is too old. */
export const CLAIM_STALE = -1;

/** The client that is the node itself. */
export const LOCAL_CLIENT = 0xffff;

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
  private readonly objects: Table;
  private readonly objectHash: HashIndex;
  private readonly pools: Array<Pool | null> = [null];
  private readonly clients = new Map<number, Array<Pool | null>>();
  private readonly ops: PageOps;
  /** For the hash of an object's oid. */
  private readonly scratch = new Handle();
  private lastVersion = 0;
  private nextPoolId = 0;
  readonly walks: Walks;

  constructor(memory: Memory, options: TmemOptions, ops: PageOps) {
    this.ops = ops;
    this.objects = new Table(memory, {
      rowCountMax: options.objectCountMax,
      wordsPerRow: WORDS_PER_OBJECT,
      pinnedRows: Math.min(options.pinnedPages ?? 0, PINNED_OBJECTS),
    });
    this.pages = new PageIndex(memory, this.objects, ops, options);
    this.walks = new Walks(this.pages, this);
    this.objectHash = new HashIndex(memory, this.objects, (object) => this.hashOfObject(object));
  }

  get pageCount(): number {
    return this.pages.pageCount;
  }

  get objectCount(): number {
    return this.objects.rowCount;
  }

  /** Bytes of all rows and buckets in use. */
  get usedBytes(): number {
    return this.pages.usedBytes + this.objects.usedBytes + this.objectHash.usedBytes;
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
    for (let i = 0; i < POOLS_PER_CLIENT_MAX; i += 1) {
      const id = (this.nextPoolId + i) % POOLS_PER_CLIENT_MAX;
      if (busy?.[id] === 1 || this.pool(client, id) !== null) continue;
      this.nextPoolId = id + 1;
      return this.addPool(client, id, options);
    }
    return null;
  }

  /**
   * The client's pool `id`, created if it does not exist. A holder's pools have the owner's ids.
   */
  autocreatePool(client: number, id: number, options: PoolOptions): Pool | Status {
    const pool = this.pool(client, id);
    if (pool !== null) {
      return pool.persistent === options.persistent ? pool : STATUS.POOL_MISMATCH;
    }
    if (id >= POOLS_PER_CLIENT_MAX) return STATUS.POOLS_FULL;
    return this.addPool(client, id, options);
  }

  pool(client: number, id: number): Pool | null {
    return this.clients.get(client)?.[id] ?? null;
  }

  poolsOf(client: number): Pool[] {
    return this.slotsOf(client).filter((pool) => pool !== null);
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
    this.slotsOf(pool.client)[pool.id] = null;
    pool.isDoomed = true;
    if (pool.pageCount === 0) this.forget(pool);
  }

  /** Moves all pages of the pool to a doomed pool. @returns that pool. */
  detach(pool: Pool): Pool {
    const { id, client, row, objects, byCodec } = pool;
    const doomed = new Pool({ id, client, row, objects, byCodec }, pool);
    doomed.isDoomed = true;
    doomed.pageCount = pool.pageCount;
    this.pools[row] = doomed;
    pool.row = this.freePoolRow();
    pool.objects = this.newObjectList();
    pool.removed(pool.pageCount);
    this.pools[pool.row] = pool;
    return doomed;
  }

  /** Moves all pages under the oid to a doomed pool. @returns that pool. */
  detachObject(pool: Pool, handle: Handle): Pool {
    const object = this.findObject(pool, handle);
    const count = this.objects.get(object, OBJECT_PAGES);
    const { id, client, byCodec } = pool;
    const row = this.freePoolRow();
    const doomed = new Pool({ id, client, row, objects: this.newObjectList(), byCodec }, pool);
    doomed.isDoomed = true;
    doomed.pageCount = count;
    this.pools[row] = doomed;
    this.walks.objectLeaves(object);
    this.objectHash.remove(object, this.hashOfObject(object));
    pool.objects.remove(object);
    pool.removed(count);
    this.objects.set(object, OBJECT_POOL, row);
    doomed.objects.append(object);
    this.objectHash.insert(object, this.hashOfObject(object));
    return doomed;
  }

  /** Removes a doomed pool that has no pages. */
  forget(pool: Pool): void {
    assert(pool.isDoomed && pool.pageCount === 0);
    this.pools[pool.row] = null;
  }

  // Pages by handle.

  /** The page under the handle, or 0. */
  find(pool: Pool, handle: Handle): number {
    const object = this.findObject(pool, handle);
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
    let object = this.findObject(pool, handle);
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
        this.objects.set(object, OBJECT_PAGES, this.objects.get(object, OBJECT_PAGES) + 1);
        pool.pageCount += 1;
      } else {
        if (this.objects.get(object, OBJECT_PAGES) === 0) this.removeObject(object);
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
    return this.lastVersion;
  }

  /** The newest version so far. No page owned here has a newer one. */
  get newestVersion(): number {
    return this.lastVersion;
  }

  /** Frees the storage of the page and removes it. */
  flush(page: number): void {
    this.ops.free(page);
    this.remove(page);
  }

  /** How many pages are under the oid. */
  pagesUnder(pool: Pool, handle: Handle): number {
    const object = this.findObject(pool, handle);
    return object === 0 ? 0 : this.objects.get(object, OBJECT_PAGES);
  }

  /** Frees and removes every page under the oid. @returns how many there were. */
  flushObject(pool: Pool, handle: Handle): number {
    const object = this.findObject(pool, handle);
    if (object === 0) return 0;
    // The object goes with its last page.
    const count = this.objects.get(object, OBJECT_PAGES);
    for (let left = count; left > 0; left -= 1) this.freeFirst(object);
    return count;
  }

  /** Begins to flush the pages up to `version`, of the pool or of one object. */
  beginWalk(pool: Pool, handle: Handle | null, version: number): Walk {
    return this.walks.begin(pool, version, handle && this.findObject(pool, handle));
  }

  /** Removes the page, and its object with its last page. The caller keeps or frees the storage. */
  remove(page: number): void {
    this.removePage(page, true);
  }

  /** Flushes the object's first page. The other ones follow, so none of them moves. */
  private freeFirst(object: number): void {
    const page = this.pages.first(object);
    this.ops.free(page);
    this.removePage(page, false);
  }

  private removePage(page: number, mayMove: boolean): void {
    const object = this.pages.objectOf(page);
    const pool = this.poolOfObject(object);
    this.walks.pageLeaves(page);
    this.count(pool, page, -1);
    this.pages.remove(page, mayMove);
    pool.removed(1);
    const left = this.objects.get(object, OBJECT_PAGES) - 1;
    this.objects.set(object, OBJECT_PAGES, left);
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
    this.pages.set(page, PAGE_A, this.pages.get(page, PAGE_A) | IN_TRANSIT_BIT);
    this.pages.set(page, PAGE_B, fetch);
  }

  /** The fetch has ended. The page is remote, with these copies. */
  endTransit(page: number, copies: number): void {
    this.pages.set(page, PAGE_A, this.pages.get(page, PAGE_A) & ~IN_TRANSIT_BIT);
    this.pages.set(page, PAGE_B, copies);
  }

  /** Where the page is from now on: its ref or its copies. It is not in transit. */
  setPlace(page: number, place: number): void {
    this.pages.set(page, PAGE_B, place);
  }

  /**
   * Writes the pampd: the second half of a put, or a page that moved. The version stays.
   */
  describe(page: number, tag: number, place: number, zpageBytes: number, codec: number): void {
    const pool = this.poolOf(page);
    this.count(pool, page, -1);
    const a = this.pages.get(page, PAGE_A);
    this.pages.set(page, PAGE_A, describe(a, tag, zpageBytes, codec));
    this.pages.set(page, PAGE_B, place);
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
    this.readOid(object, handle);
    handle.index = this.pages.indexOf(page) >>> 0;
    handle.pool = this.poolOfObject(object).id;
  }

  close(): void {
    this.pages.close();
    this.objects.close();
    this.objectHash.close();
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
    for (const pool of this.pools) {
      if (pool === null) continue;
      const byCodec = found.get(pool.byCodec) ?? new Int32Array(CODECS_END);
      found.set(pool.byCodec, byCodec);
      let poolPages = 0;
      let poolObjects = 0;
      for (let object = pool.objects.head; object !== 0; object = pool.objects.next(object)) {
        assert(this.objects.get(object, OBJECT_POOL) === pool.row, "pool of an object");
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
    assert(objects === this.objects.rowCount, "objects in all");
  }

  private verifyObject(object: number, visit: (page: number) => void): number {
    let inChain = this.objectHash.headOf(this.hashOfObject(object));
    while (inChain !== 0 && inChain !== object) inChain = this.objects.get(inChain, 0);
    assert(inChain === object, "object is not in its hash chain");
    const count = this.pages.verify(object, (page) => {
      assert(this.tag(page) !== TAG.NONE, "page without storage");
      visit(page);
    });
    assert(count > 0 && count === this.objects.get(object, OBJECT_PAGES), "pages of an object");
    return count;
  }

  private slotsOf(client: number): Array<Pool | null> {
    let slots = this.clients.get(client);
    if (slots === undefined) {
      slots = [];
      this.clients.set(client, slots);
    }
    return slots;
  }

  private addPool(client: number, id: number, options: PoolOptions): Pool {
    const row = this.freePoolRow();
    const pool = new Pool({ id, client, row, objects: this.newObjectList() }, options);
    this.pools[row] = pool;
    const slots = this.slotsOf(client);
    while (slots.length < id) slots.push(null);
    slots[id] = pool;
    return pool;
  }

  private freePoolRow(): number {
    const free = this.pools.indexOf(null, 1);
    return free === -1 ? this.pools.length : free;
  }

  private newObjectList(): RowList {
    return new RowList(this.objects, { prev: OBJECT_PREV, next: OBJECT_NEXT });
  }

  private findObject(pool: Pool, handle: Handle): number {
    const hash = objectHashOf(handle.oidHash(), pool.row);
    let object = this.objectHash.headOf(hash);
    while (object !== 0) {
      if (
        this.objects.get(object, OBJECT_OID + 1) === handle.oid0lo &&
        this.objects.get(object, OBJECT_POOL) === pool.row &&
        this.objects.get(object, OBJECT_OID) === handle.oid0hi &&
        this.objects.get(object, OBJECT_OID + 2) === handle.oid1hi &&
        this.objects.get(object, OBJECT_OID + 3) === handle.oid1lo &&
        this.objects.get(object, OBJECT_OID + 4) === handle.oid2hi &&
        this.objects.get(object, OBJECT_OID + 5) === handle.oid2lo
      ) {
        return object;
      }
      object = this.objects.get(object, 0);
    }
    return 0;
  }

  private addObject(pool: Pool, handle: Handle): number {
    const object = this.objects.take();
    if (object === 0) return 0;
    this.objects.set(object, OBJECT_OID, handle.oid0hi);
    this.objects.set(object, OBJECT_OID + 1, handle.oid0lo);
    this.objects.set(object, OBJECT_OID + 2, handle.oid1hi);
    this.objects.set(object, OBJECT_OID + 3, handle.oid1lo);
    this.objects.set(object, OBJECT_OID + 4, handle.oid2hi);
    this.objects.set(object, OBJECT_OID + 5, handle.oid2lo);
    this.objects.set(object, OBJECT_POOL, pool.row);
    this.objects.set(object, OBJECT_FIRST, 0);
    this.objects.set(object, OBJECT_PAGES, 0);
    pool.objects.append(object);
    this.objectHash.insert(object, objectHashOf(handle.oidHash(), pool.row));
    return object;
  }

  private removeObject(object: number): void {
    const pool = this.poolOfObject(object);
    this.objectHash.remove(object, this.hashOfObject(object));
    pool.objects.remove(object);
    this.objects.give(object);
  }

  private poolOfObject(object: number): Pool {
    const pool = this.pools[this.objects.get(object, OBJECT_POOL)];
    assert(pool !== undefined && pool !== null, "object without a pool");
    return pool;
  }

  private readOid(object: number, handle: Handle): void {
    handle.oid0hi = this.objects.get(object, OBJECT_OID);
    handle.oid0lo = this.objects.get(object, OBJECT_OID + 1);
    handle.oid1hi = this.objects.get(object, OBJECT_OID + 2);
    handle.oid1lo = this.objects.get(object, OBJECT_OID + 3);
    handle.oid2hi = this.objects.get(object, OBJECT_OID + 4);
    handle.oid2lo = this.objects.get(object, OBJECT_OID + 5);
  }

  private hashOfObject(object: number): number {
    this.readOid(object, this.scratch);
    return objectHashOf(this.scratch.oidHash(), this.objects.get(object, OBJECT_POOL));
  }
}
