/**
 * Foreign: pages that are held for other nodes. A holder is a simple store under (owner, pool, oid,
 * index) and version. It answers PUT, GET, FLUSH and AUDIT. It makes one decision: it may evict an
 * ephemeral page when there is no frame.
 *
 * The owner is the node at the other end of the link, never a number in a payload. When an owner
 * comes back with another boot id, its pages are purged, since the index that named them is gone.
 *
 * Foreign pages have a store of their own with its own budget. So they never take room from pages
 * of this node, and are never remotified again.
 *
 * The limit of what a lender lends may shrink while it runs. Then ephemeral pages are evicted,
 * nothing more is granted, and owners are asked to move persistent pages elsewhere (reclaim.ts).
 * Persistent pages stay until the owners have done so.
 */

import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { withPrefix } from "../../core/figure.ts";
import type { DENSITY_READ } from "../../core/figures.ts";
import { Handle } from "../../core/handle.ts";
import { PERSISTENT } from "../../core/kind.ts";
import { FLUSH_SLICE, PAGE_BYTES } from "../../core/limits.ts";
import { Slices } from "../../core/slices.ts";
import { STATUS, type Status } from "../../core/status.ts";
import { emptyZpage, type Zpage } from "../../core/zpage.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import type { PamOps } from "../../tmem/pamops.ts";
import type { Pool } from "../../tmem/pool.ts";
import { NO_JOB, Reaper } from "../../tmem/reaper.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  GRANT_BYTES,
  PUT_ENTRY_BYTES,
  readGetVersion,
  readPutEntry,
  readPutKind,
  writeGetReplyEntry,
  writeGrant,
} from "../../wire/peer-entries.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { ForeignCounters, type ForeignReport } from "../counters.ts";
import { Audits } from "./audits.ts";
import { ForeignFlushes } from "./foreign-flushes.ts";
import { Grants } from "./grants.ts";
import { Reclaim } from "./reclaim.ts";

interface Owner {
  bootId: bigint;
  /** Identifies the pages kept for the owner: see GRANT in wire/PROTOCOL.md. */
  epoch: number;
  /** The previous boot id, whose pages are gone. Null when there was none. */
  bootIdBefore: bigint | null;
  /** Null while there is no link. */
  channel: Channel | null;
  /** The seed of the checksums of its pages. */
  seed: number;
}

/**
 * Free frames that a lender below its full limit does not return to the operating system: 1 MiB.
 */
const WARM_FRAMES_MAX = 256;

/** Foreign pages are never remote, so no remote page is ever freed here. */
export const NEVER_REMOTE: PamOps = {
  free(): void {
    assert(false, "a foreign page is never remote");
  },
};

export class Foreign {
  readonly counters = new ForeignCounters();
  readonly zcache: Zcache;
  readonly grants: Grants;
  /** The most pages held for one node. It may be lowered. Pages beyond it stay. */
  pagesPerOwnerMax: number;
  /** The frames that the node may lend by its configuration. `limit` may be lower. */
  readonly frameCountLent: number;
  private readonly reclaim: Reclaim;
  private readonly reaper: Reaper;
  private readonly flushes: ForeignFlushes;
  private readonly audits: Audits;
  private readonly steps: Slices;
  private readonly seedOf: (bootId: bigint) => number;
  private readonly buggify: Buggify;
  private readonly owners = new Map<number, Owner>();
  private lastEpoch: number;
  private readonly handle = new Handle();
  private readonly entry: Zpage;

  constructor(
    parts: {
      zcache: Zcache;
      clock: Clock;
      seedOf: (bootId: bigint) => number;
      /** Requests a link to an owner. */
      want: (node: number) => void;
      buggify: Buggify;
    },
    settings: {
      requestTimeoutMs: number;
      /** The most pages held for one node. Null: as many as fit. */
      pagesPerOwnerMax: number | null;
      /** All epochs are above it. */
      epochBefore?: number;
    },
  ) {
    this.pagesPerOwnerMax = settings.pagesPerOwnerMax ?? Number.POSITIVE_INFINITY;
    this.zcache = parts.zcache;
    this.lastEpoch = settings.epochBefore ?? 0;
    this.frameCountLent = parts.zcache.budget.frameCountMax;
    const channelOf = (node: number): Channel | null => this.owners.get(node)?.channel ?? null;
    this.reclaim = new Reclaim({ ...parts, channelOf, counters: this.counters }, settings);
    const { tmem } = this.zcache;
    this.reaper = new Reaper({ ...parts, tmem, onSlice: () => this.onFreed() });
    const { reaper } = this;
    const onFlushed = (pageCount: number): void => {
      this.counters.foreign_flushes += pageCount;
      this.onFreed();
    };
    this.flushes = new ForeignFlushes({ tmem, reaper, onFlushed });
    this.audits = new Audits(tmem);
    this.grants = new Grants(parts.zcache, parts.buggify);
    this.steps = new Slices(parts.clock, () => this.stepSlice());
    this.seedOf = parts.seedOf;
    this.buggify = parts.buggify;
    this.entry = emptyZpage();
  }

  /** The frames that the node lends now. */
  get limit(): number {
    return this.zcache.budget.frameCountMax;
  }

  /**
   * Lends at most this many frames from now on. With 0, owners are asked to move all pages
   * elsewhere.
   */
  setLimit(frameCount: number): void {
    this.zcache.setFrameCountMax(Math.min(frameCount, this.frameCountLent));
    this.step();
  }

  /** Gives back frames over the limit, or grants frames under it. Called at each tick. */
  step(): void {
    this.steps.go();
  }

  /** @returns whether more can be given back at once. */
  private stepSlice(): boolean {
    const { frames } = this.zcache;
    if (this.buggify("foreign-evicted")) this.zcache.placement.evict(PERSISTENT);
    if (!this.evictOver(FLUSH_SLICE / 2)) return true;
    if (frames.framesUsed > this.limit) this.reclaim.step(this.limit);
    else if (this.buggify("foreign-reclaimed")) this.reclaim.step(frames.framesUsed >> 1);
    else this.reclaim.stop();
    const isScattered = this.zcache.compact();
    this.grantAll();
    if (isScattered) return true;
    if (this.limit === this.frameCountLent) return this.zcache.trim();
    return this.mustTrim && frames.trim();
  }

  /**
   * Evicts ephemeral pages over the limit, about `pageCountMax` of them. @returns whether no more
   * have to be evicted, or can be.
   */
  private evictOver(pageCountMax: number): boolean {
    const { frames, placement, counters } = this.zcache;
    const end = counters.evicted_eph_zpages + pageCountMax;
    while (frames.framesUsed > this.limit) {
      if (counters.evicted_eph_zpages >= end) return false;
      if (!placement.evict(PERSISTENT)) return true;
    }
    return true;
  }

  /** Over the limit, each free frame is returned. Under it, a few are kept to save system calls. */
  private get mustTrim(): boolean {
    const { framesUsed, framesWarm } = this.zcache.frames;
    if (framesWarm === 0) return false;
    return framesUsed + framesWarm > this.limit || framesWarm > WARM_FRAMES_MAX;
  }

  /** A node has linked. Its pages from before a restart are purged. */
  linkUp(node: number, bootId: bigint, channel: Channel): void {
    const known = this.owners.get(node);
    const isBack = known !== undefined && known.bootId === bootId;
    if (known !== undefined && !isBack) this.counters.foreign_purged_pages += this.purge(node);
    const bootIdBefore = known?.bootId ?? null;
    const seed = this.seedOf(bootId);
    if (!isBack) this.lastEpoch += 1;
    const owner = isBack ? known : { bootId, epoch: this.lastEpoch, bootIdBefore, seed, channel };
    owner.channel = channel;
    this.owners.set(node, owner);
    this.grants.open(node);
    this.grantTo(node, channel, { isFirst: true });
  }

  linkDown(node: number): void {
    this.flushes.drop(node);
    this.grants.close(node);
    const owner = this.owners.get(node);
    if (owner !== undefined) owner.channel = null;
  }

  /** Grants free frames to borrowers that have used half of their grant. */
  private grantAll(): void {
    for (const [node, { channel }] of this.owners)
      if (channel !== null) this.grantTo(node, channel);
  }

  /**
   * News of a node without a link: it runs with this boot id. Pages of earlier boots are dropped,
   * since it may never link here again. Late news, of a boot before that of the last link, is
   * ignored.
   *
   * @returns how many pages were dropped.
   */
  ownerBooted(node: number, bootId: bigint): number {
    const owner = this.owners.get(node);
    if (owner === undefined || owner.channel !== null) return 0;
    if (owner.bootId === bootId || owner.bootIdBefore === bootId) return 0;
    return this.ownerGone(node);
  }

  /** The owner with this boot id stops. @returns how many pages were dropped. */
  ownerLeft(node: number, bootId: bigint): number {
    return this.owners.get(node)?.bootId === bootId ? this.ownerGone(node) : 0;
  }

  /** The node is gone for good, together with its index. @returns how many pages were dropped. */
  ownerGone(node: number): number {
    const count = this.purge(node);
    this.counters.foreign_purged_pages += count;
    return count;
  }

  /**
   * Drops every page held for the node. The pages are out of reach at once. @returns how many there
   * were.
   */
  purge(node: number): number {
    const count = this.pageCount(node);
    this.flushes.drop(node);
    for (const pool of this.zcache.tmem.poolsOf(node)) this.reaper.destroyPool(pool, NO_JOB);
    this.owners.delete(node);
    return count;
  }

  /** PUT: a status for each zpage. */
  onPut(node: number, channel: Channel, frame: Frame): boolean {
    const owner = this.owners.get(node);
    if (owner === undefined || !channel.begin(LANE.URGENT, frame.count)) return false;
    const { counters, entry, handle } = this;
    const { view } = frame;
    const granted = this.grants.take(node, frame.count);
    counters.foreign_over_grant += frame.count - granted;
    entry.bytes = frame.bytes;
    let at = frame.bodyAt;
    for (let i = 0; i < frame.count; i += 1) {
      readPutEntry(view, at, handle, entry);
      const persistent = readPutKind(view, at) === PERSISTENT;
      entry.at = at + PUT_ENTRY_BYTES;
      const status =
        i < granted
          ? this.put(node, owner, persistent, handle, entry)
          : this.refuse(node, handle, entry);
      if (status === STATUS.OK) counters.foreign_puts += 1;
      else counters.foreign_failed_puts += 1;
      channel.view.setUint8(channel.at + i, status);
      at = entry.at + entry.zpageBytes;
    }
    this.countPeaks();
    channel.commitReply(MESSAGE.PUT, frame.request, STATUS.OK, frame.count, frame.count);
    this.grantTo(node, channel);
    return true;
  }

  /** GET: sends version, checksum and zpage of each page. Nothing is removed (two phases). */
  onGet(node: number, channel: Channel, frame: Frame): boolean {
    const entryBytesMax = GET_REPLY_ENTRY_BYTES + PAGE_BYTES;
    if (!channel.begin(LANE.URGENT, frame.count * entryBytesMax)) return false;
    let at = channel.at;
    for (let i = 0; i < frame.count; i += 1) {
      const entryAt = frame.bodyAt + i * GET_ENTRY_BYTES;
      this.handle.read(frame.view, entryAt);
      const page = this.find(node, this.handle, readGetVersion(frame.view, entryAt));
      if (page === 0) {
        this.counters.foreign_failed_gets += 1;
        writeGetReplyEntry(channel.view, at, 0, 0, 0, 0, STATUS.NOT_FOUND);
        at += GET_REPLY_ENTRY_BYTES;
        continue;
      }
      this.counters.foreign_gets += 1;
      const { version, checksum, zpageBytes, codec } = this.zcache.readZpage(
        page,
        channel.bytes,
        at + GET_REPLY_ENTRY_BYTES,
      );
      writeGetReplyEntry(channel.view, at, version, checksum, zpageBytes, codec, STATUS.OK);
      at += GET_REPLY_ENTRY_BYTES + zpageBytes;
    }
    const bodyBytes = at - channel.at;
    channel.commitReply(MESSAGE.GET, frame.request, STATUS.OK, frame.count, bodyBytes);
    return true;
  }

  /** FLUSH: removes a page, object or pool, up to a version. */
  onFlush(node: number, channel: Channel, frame: Frame): boolean {
    return this.flushes.serve(node, channel, frame);
  }

  /** AUDIT: lists pages of the owner. */
  onAudit(node: number, channel: Channel, frame: Frame): boolean {
    return this.audits.serve(node, channel, frame);
  }

  /** Gives all memory back. Nothing may be called afterwards. */
  close(): void {
    this.reaper.close();
    this.steps.close();
    this.zcache.close();
  }

  /** Frames came free. They are granted, or given back if the store is still over the limit. */
  private onFreed(): void {
    if (this.steps.isGoing) return;
    if (this.zcache.frames.framesUsed > this.limit) this.reclaim.step(this.limit);
    else this.grantAll();
  }

  /** How many pages of both kinds are held for the node. */
  pageCount(node: number): number {
    return this.zcache.tmem.poolsOf(node).reduce((sum, pool) => sum + pool.pageCount, 0);
  }

  isLinked(node: number): boolean {
    return this.owners.get(node)?.channel != null;
  }

  /** How many persistent pages are held for all owners. */
  get persistentCount(): number {
    return this.zcache.placement.counters.zpages[PERSISTENT];
  }

  /** The boot id with which an owner stored its pages here. Null: there are none. For checks. */
  bootIdOf(node: number): bigint | null {
    return this.owners.get(node)?.bootId ?? null;
  }

  /** How many pages are held for each node. */
  pageCounts(): Map<number, number> {
    return new Map([...this.owners.keys()].map((node) => [node, this.pageCount(node)]));
  }

  snapshot(): ForeignReport {
    const { zpages, zbytes } = this.zcache.placement.counters;
    return {
      ...this.counters,
      ...withPrefix<"lent_", typeof DENSITY_READ>("lent_", this.zcache.density()),
      foreign_eph_pages: zpages[0],
      foreign_pers_pages: zpages[1],
      foreign_zbytes: zbytes[0] + zbytes[1],
      foreign_frames_used: this.zcache.frames.framesUsed,
      foreign_granted_pages: this.grants.outstanding,
      foreign_frames_max: this.limit,
      foreign_evicted_eph_zpages: this.zcache.counters.evicted_eph_zpages,
      foreign_corrupt_pages: this.zcache.counters.corrupt_pages,
    };
  }

  /** The first GRANT on a link (`isFirst`) is sent even if it grants nothing. */
  private grantTo(node: number, channel: Channel, { isFirst } = { isFirst: false }): void {
    const owner = this.owners.get(node);
    if (owner === undefined || !this.grants.isShort(node)) return;
    if (!channel.begin(LANE.URGENT, GRANT_BYTES)) return; // A grant that is counted must be sent.
    const pages = this.grants.renew(node, this.pagesPerOwnerMax - this.pageCount(node));
    if (pages === 0 && !isFirst) return;
    writeGrant(channel.view, channel.at, { pages, epoch: owner.epoch });
    channel.commitNotice(MESSAGE.GRANT, GRANT_BYTES);
  }

  /** Refuses a put for lack of room. The earlier version under the handle is gone. */
  private refuse(node: number, handle: Handle, entry: Zpage): Status {
    this.flushes.flushPage(node, handle, entry.version);
    return STATUS.NO_ROOM;
  }

  private put(
    node: number,
    owner: Owner,
    persistent: boolean,
    handle: Handle,
    entry: Zpage,
  ): Status {
    if (this.limit === 0 || this.buggify("foreign-refused"))
      return this.refuse(node, handle, entry);
    const pool = this.poolFor(node, handle.pool, persistent);
    if (typeof pool === "number") return pool;
    return this.zcache.putZpage(pool, handle, entry, owner.seed);
  }

  /** The pool with the owner's id, made at the first put (zcache_autocreate_pool). */
  private poolFor(node: number, id: number, persistent: boolean): Pool | Status {
    const pool = this.zcache.tmem.pool(node, id);
    if (pool !== null && pool.persistent === persistent) return pool;
    const options = { persistent, storeWhole: true };
    const status = this.zcache.tmem.autocreatePool(node, id, options);
    if (status !== STATUS.POOL_MISMATCH || pool === null || pool.pageCount > 0) return status;
    // The owner destroyed its pool, and reused the id for the other kind. The old pool is empty.
    this.zcache.tmem.removePool(pool);
    return this.zcache.tmem.autocreatePool(node, id, options);
  }

  /** The page under the handle if it is held in exactly this version, else 0. */
  private find(node: number, handle: Handle, version: number): number {
    const { tmem } = this.zcache;
    const pool = tmem.pool(node, handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, handle);
    return page !== 0 && tmem.version(page) === version ? page : 0;
  }

  private countPeaks(): void {
    const { zpages } = this.zcache.placement.counters;
    const { counters } = this;
    counters.foreign_eph_pages_max = Math.max(counters.foreign_eph_pages_max, zpages[0]);
    counters.foreign_pers_pages_max = Math.max(counters.foreign_pers_pages_max, zpages[1]);
  }
}
