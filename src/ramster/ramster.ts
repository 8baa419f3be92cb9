/**
 * Ramster: the pages of this node, wherever they are. Doors call it. It connects the store of one
 * machine to the cluster.
 *
 *     put   -> zcache -> over the high mark? -> remotify -> holder
 *     get   -> local: decompressed at once   remote: repatriate -> holder -> the getter is called
 *     flush -> local: freed at once          remote: sent to the holder until it acknowledges it
 *
 * Pages that no lender takes go to the node's own disk, if there is one (src/spill).
 *
 * The index of the owner is the authority (src/ARCHITECTURE.md, "One rule"): a holder may drop an
 * ephemeral page and nothing else. Everything here is synchronous, except a get of a remote page.
 *
 * Not here: sockets (net), pages that are held for other nodes (foreign.ts).
 */

import { type ColdTier, openColdTier } from "../cold/cold-tier.ts";
import { ColdCounters, coldReport } from "../cold/counters.ts";
import type { Recompressor } from "../cold/recompressor.ts";
import type { Codec } from "../compress/codec.ts";
import type { Buggify } from "../core/buggify.ts";
import type { Clock } from "../core/clock.ts";
import type { Disk } from "../core/disk.ts";
import { withPrefix } from "../core/figure.ts";
import type { DENSITY_READ } from "../core/figures.ts";
import { Handle } from "../core/handle.ts";
import { POOLS_PER_CLIENT_MAX } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import type { Seal } from "../core/seal.ts";
import { Slices } from "../core/slices.ts";
import { STATUS, type Status } from "../core/status.ts";
import { Timers } from "../core/timers.ts";
import type { Channel } from "../net/channel.ts";
import { SpillCounters, spillReport } from "../spill/counters.ts";
import { Spill } from "../spill/spill.ts";
import { pageNumbersOf } from "../tmem/page-numbers.ts";
import type { PamOps } from "../tmem/pamops.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Pool, PoolOptions } from "../tmem/pool.ts";
import { LOCAL_CLIENT } from "../tmem/tmem.ts";
import type { Frame } from "../wire/framer.ts";
import { FLUSH_SCOPE, type Grant } from "../wire/peer-entries.ts";
import { Zcache } from "../zcache/zcache.ts";
import { type Copies, copyAt, copyCount, hasCopy, SPILL } from "./copies.ts";
import { RamsterCounters, type RamsterReport } from "./counters.ts";
import { DevicePages } from "./device-pages.ts";
import { AtRisk } from "./holders/at-risk.ts";
import { CopyRecords } from "./holders/copy-records.ts";
import { Flushes } from "./holders/flushes.ts";
import { Lenders, type Offer, type Replicas, type Target } from "./holders/lenders.ts";
import { Presence } from "./holders/presence.ts";
import { PutBatches } from "./holders/put-batches.ts";
import { RemotePages } from "./holders/remote-pages.ts";
import { newLatencies } from "./latencies.ts";
import type { Peers } from "./peers.ts";
import { remotifyBackoffMs } from "./policy.ts";
import { Remotify } from "./remotify/remotify.ts";
import { Audit } from "./repair/audit.ts";
import { type CopyState, copyReport, copyStateOf } from "./repair/copy-state.ts";
import { Losses } from "./repair/losses.ts";
import { Repair } from "./repair/repair.ts";
import { Restoring } from "./repair/restoring.ts";
import { Selfshrink } from "./repair/selfshrink.ts";
import { Fetches } from "./repatriate/fetches.ts";
import { Homecoming } from "./repatriate/homecoming.ts";
import { Repatriate } from "./repatriate/repatriate.ts";
import type { GetAndFree, GetSink } from "./repatriate/waiters.ts";
import { Seals } from "./seals.ts";
import type { RamsterSettings } from "./settings.ts";
import { type Space, spaceOf, spaceReport } from "./space.ts";

/** How many pages may be on their way home at the same time while the node is drained. */
const DRAIN_FETCHES = 1024;
/** The period of housekeeping: retries, expiries and trims. */
const TICK_MS = 100;

export interface RamsterEnvironment {
  readonly memory: Memory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly peers: Peers;
  readonly codec: Codec;
  readonly codecs: readonly Codec[];
  readonly seed: number;
  /** Seals pages that move away. Null: they are not sealed. */
  readonly cipher: Seal | null;
  readonly buggify: Buggify;
  /** The disk for pages that no lender takes. Null: there is none. */
  readonly disk: Disk | null;
  /** Compresses cold pages again. Null: they stay as they are. */
  readonly recompressor: Recompressor | null;
}

export class Ramster implements PamOps {
  readonly counters = new RamsterCounters();
  readonly spillCounters = new SpillCounters();
  readonly coldCounters = new ColdCounters();
  readonly latencies = newLatencies();
  readonly zcache: Zcache;
  readonly devicePages: DevicePages;
  readonly flushes: Flushes;
  readonly restoring: Restoring;
  readonly settings: RamsterSettings;
  private readonly peers: Peers;
  private readonly clock: Clock;
  private readonly spill: Spill | null;
  /** Null: cold pages stay as they are. */
  readonly cold: ColdTier | null;
  private readonly presence: Presence;
  private readonly remotePages: RemotePages;
  private readonly records: CopyRecords;
  private readonly lenders: Lenders;
  private readonly losses: Losses;
  private readonly remotify: Remotify;
  private readonly repatriate: Repatriate;
  private readonly homecoming: Homecoming;
  private readonly repair: Repair;
  private readonly audit: Audit;
  private readonly seals: Seals | null;
  private readonly handle = new Handle();
  private readonly selfshrink: Selfshrink;
  private readonly timers: Timers;
  private readonly trims: Slices;
  private readonly roomListeners: Array<() => void> = [];
  private pumpSoon = false;

  constructor(env: RamsterEnvironment, settings: RamsterSettings) {
    this.settings = settings;
    this.peers = env.peers;
    this.clock = env.clock;
    this.timers = new Timers(env.clock);
    const { counters, latencies, timers } = this;
    const presence = new Presence(env.memory);
    const pumpSoon = (): void => this.pumpAtEndOfTurn();
    const onRoom = (): void => this.notifyRoom();
    const zcache = new Zcache({ ...env, remote: this }, settings);
    const spill = this.openSpill(env, settings);
    this.cold = openColdTier({ ...env, zcache, counters: this.coldCounters }, settings);
    const base = { ...env, counters, latencies, presence, zcache, spill };
    const remotePages = new RemotePages({ ...base, onFlushed: pumpSoon }, settings);
    this.flushes = new Flushes({ ...base, remotePages, onSlice: onRoom, onPending: pumpSoon });
    const lenders = new Lenders({ ...base, remotePages }, settings);
    const fetches = new Fetches(env.memory);
    const atRisk = new AtRisk(spill);
    const records = new CopyRecords({ ...base, fetches, remotePages, atRisk });
    const { cipher } = env;
    this.seals = cipher === null ? null : new Seals({ ...base, cipher }, pageNumbersOf(settings));
    const holders = { ...base, remotePages, lenders, fetches, atRisk, records, seals: this.seals };
    const puts = new PutBatches(holders, settings);
    const retryGet = this.get.bind(this);
    const repatriate = new Repatriate({ ...holders, retryGet, onHome: pumpSoon }, settings);
    const remotify = new Remotify({ ...holders, puts, onRoom }, settings);
    this.losses = new Losses({ ...holders, puts });
    this.repair = new Repair({ ...holders, puts, remotify, repatriate });
    this.homecoming = new Homecoming(zcache, repatriate);
    const { homecoming, repair } = this;
    this.selfshrink = new Selfshrink({ timers, counters, homecoming, repair }, settings.selfshrink);
    this.audit = new Audit({ ...holders, puts }, settings);
    const { audit, losses } = this;
    this.restoring = new Restoring({ ...holders, losses, audit, repair, flushes: this.flushes });
    this.devicePages = new DevicePages(zcache, this.homecoming);
    this.trims = new Slices(env.clock, () => zcache.compact() || zcache.trim());
    this.zcache = zcache;
    this.presence = presence;
    this.spill = spill;
    this.remotePages = remotePages;
    this.lenders = lenders;
    this.records = records;
    this.repatriate = repatriate;
    this.remotify = remotify;
  }

  start(): void {
    this.spill?.step();
    const { trickle } = this.settings;
    this.timers.every("tick", TICK_MS, TICK_MS, () => this.tick());
    this.timers.every("trickle", trickle.firstMs, trickle.periodMs, () => {
      if (this.target !== null) this.remotify.allowTrickle(this.settings.trickle.frames);
    });
    this.selfshrink.start();
  }

  stop(): void {
    this.timers.stop();
  }

  /** Sets the period of selfshrink from now on. */
  setSelfshrinkInterval(intervalMs: number): void {
    this.settings.selfshrink.intervalMs = intervalMs;
    if (this.timers.has("selfshrink")) this.selfshrink.start();
  }

  /** Gives all memory back. Nothing may be called afterwards. */
  close(): void {
    this.stop();
    this.flushes.close();
    this.trims.close();
    this.losses.close();
    this.repair.close();
    this.repatriate.close();
    this.seals?.close();
    this.spill?.close();
    this.presence.close();
    this.cold?.close();
    this.zcache.close();
  }

  // What doors call.

  /** @returns null when there are too many pools, or their ids are still in use. */
  newPool(options: PoolOptions): Pool | null {
    const busy = new Uint8Array(POOLS_PER_CLIENT_MAX);
    this.repatriate.markPools(busy);
    this.flushes.markPools(LOCAL_CLIENT, busy);
    return this.zcache.tmem.newPool(LOCAL_CLIENT, options, busy);
  }

  pool(id: number): Pool | null {
    return this.zcache.tmem.pool(LOCAL_CLIENT, id);
  }

  pools(): Pool[] {
    return this.zcache.tmem.poolsOf(LOCAL_CLIENT);
  }

  /**
   * Stores the page at `source[at]`. @returns OK, or why it was refused. After a refusal nothing is
   * stored under the handle.
   */
  put(handle: Handle, source: Uint8Array, at: number): Status {
    const pool = this.pool(handle.pool);
    if (pool === null) return STATUS.UNKNOWN_POOL;
    const status = this.zcache.put(pool, handle, source, at);
    this.pumpAtEndOfTurn();
    return status;
  }

  /**
   * Whether a put may find no room now, but room is about to come free. The door may then
   * delay the put until `onRoom` calls, so that it is not refused.
   */
  mustWait(): boolean {
    if (this.hasRoom) return false;
    this.remotify.pump();
    return this.remotify.isProgressing || this.flushes.isBusy;
  }

  /** Whether a put of a persistent page certainly finds room. */
  get hasRoom(): boolean {
    return this.zcache.placement.hasRoom;
  }

  /** The space for pages of this node, here and elsewhere. */
  space(): Space {
    return spaceOf(this.zcache, this.lenders, this.spill, this.remotePages);
  }

  /** Calls `listener` whenever frames may have come free. */
  onRoom(listener: () => void): void {
    this.roomListeners.push(listener);
  }

  /**
   * Gets the page into `target[at]`.
   *
   * @returns OK when the page is in `target`, NOT_FOUND, LOST, or PENDING. With PENDING, `sink` is
   * called later with `token` and one of these or UNREACHABLE. `target` must stay valid until then.
   * NO_ROOM when too many gets wait. Without a `sink`, a remote page is PENDING, and is not
   * fetched.
   */
  get(
    handle: Handle,
    getAndFree: GetAndFree,
    target: Uint8Array,
    at: number,
    sink: GetSink | null,
    token: number,
  ): Status {
    const pool = this.pool(handle.pool);
    if (pool === null) return STATUS.UNKNOWN_POOL;
    const { tmem } = this.zcache;
    const page = tmem.find(pool, handle);
    if (page === 0) return this.zcache.missed(pool);
    if (tmem.tag(page) === TAG.LOST) return STATUS.LOST;
    if (tmem.tag(page) === TAG.REMOTE) {
      if (sink === null) return STATUS.PENDING;
      return this.repatriate.fetch(page, getAndFree, target, at, sink, token);
    }
    const status = this.zcache.deliver(page, handle, target, at);
    if (status !== STATUS.OK) {
      if (pool.persistent) return STATUS.LOST;
      tmem.flush(page);
      return this.zcache.missed(pool);
    }
    if (!pool.persistent) this.zcache.counters.cleancache_succ_gets += 1;
    if (getAndFree === 1 || (getAndFree === 0 && !pool.persistent)) tmem.flush(page);
    return STATUS.OK;
  }

  flushPage(handle: Handle): Status {
    const pool = this.pool(handle.pool);
    if (pool === null) return STATUS.UNKNOWN_POOL;
    const status = this.zcache.flushPage(pool, handle);
    this.pumpAtEndOfTurn();
    return status;
  }

  flushObject(handle: Handle): Status {
    const pool = this.pool(handle.pool);
    if (pool === null) return STATUS.UNKNOWN_POOL;
    return this.flushes.flushObject(pool, handle);
  }

  /**
   * Removes every page of the pool, and the pool itself with `destroy`. The pages are gone at once.
   * `onDone` is called when their memory is free. That may be before this returns.
   */
  flushPool(id: number, options: { destroy: boolean }, onDone: () => void = () => {}): Status {
    const pool = this.pool(id);
    if (pool === null) return STATUS.UNKNOWN_POOL;
    this.flushes.flushPool(pool, options, onDone);
    return STATUS.OK;
  }

  // What the cluster calls.

  linkUp(node: number, bootId: bigint): void {
    this.lenders.linkChanged(node);
    const wasAbsent = this.presence.isAbsent(node);
    const boot = this.presence.linked(node, bootId);
    this.remotePages.linkUp(node, boot, this.zcache.tmem.newestVersion);
    if (boot !== "same") this.losses.holderEmptied(node);
    this.audit.linkUp(node, boot);
    if (wasAbsent) this.repair.sweep();
    else this.repair.step();
    this.repatriate.linkReady(node);
    this.remotify.pump();
  }

  /** News: the node runs with this boot id. Only a link shows whether it still has pages. */
  holderBooted(node: number, bootId: bigint): void {
    const wasAbsent = this.presence.isAbsent(node);
    this.repatriate.signOfLife(node);
    this.presence.heard(node, bootId, this.remotePages.pageCount(node) > 0);
    if (this.presence.isInDoubt(node)) this.peers.want(node);
    else if (wasAbsent) this.repair.sweep();
  }

  linkDown(node: number): void {
    this.lenders.linkChanged(node);
  }

  /** The node grants this many pages in all on this link. */
  onGrant(node: number, { pages, epoch }: Grant): void {
    if (this.presence.granted(node, epoch)) this.losses.holderEmptied(node);
    this.lenders.onGrant(node, pages);
    this.repair.pump();
    this.remotify.pump();
  }

  /** A lender gives up pages of this node. */
  onReclaim(node: number, channel: Channel, frame: Frame): void {
    this.repair.onReclaim(node, channel, frame);
  }

  /** How many pages may now be sent to the node. */
  credit(node: number): number {
    return this.lenders.credit(node);
  }

  /** remote_target_nodenum: where pages go from now on. Remote pages stay where they are. */
  setTarget(target: Target): void {
    this.lenders.setTarget(target);
    this.remotify.retarget();
  }

  /**
   * While the node is drained, no page moves away, and remote pages come home as far as there is
   * room.
   */
  setDraining(isDraining: boolean): void {
    this.remotify.isDraining = isDraining;
    this.remotify.retarget();
  }

  get isDraining(): boolean {
    return this.remotify.isDraining;
  }

  get target(): Target {
    return this.lenders.currentTarget;
  }

  /** How many copies pages get that turn remote from now on. */
  setReplicas(replicas: Replicas): void {
    this.lenders.setReplicas(replicas);
    this.repair.step();
    this.remotify.retarget();
  }

  /** How many remote copies a persistent page is to have now. */
  get copiesWanted(): number {
    return this.lenders.copiesWanted;
  }

  /** How many zones have a lender. */
  get lenderZones(): number {
    return this.lenders.zones;
  }

  /** Whether pages that no lender takes go to a disk. */
  get hasDisk(): boolean {
    return this.spill !== null;
  }

  get replicas(): Replicas {
    return this.lenders.currentReplicas;
  }

  /** A node lends, so pages may go there with the target "auto". */
  setLender(node: number, offer: Offer): void {
    const isNew = !this.lenders.isCandidate(node);
    this.lenders.setOffer(node, offer);
    if (isNew) this.remotify.retarget();
  }

  /** The node lends nothing any more, or is gone. Pages that it holds are still fetched from it. */
  removeLender(node: number): void {
    this.lenders.remove(node);
  }

  /**
   * The node is dead. Gets that wait for a link to it end with UNREACHABLE now. Requests that were
   * sent on a link end with that link.
   */
  holderDead(node: number): void {
    this.lenders.remove(node);
    this.repatriate.holderDead(node);
    this.presence.died(node);
    this.peers.unwant(node);
    this.repair.sweep();
  }

  /**
   * The pages that the node kept with this boot id will not come back. Ignored if the last link had
   * another boot id, since the news is then late.
   */
  holderLeft(node: number, bootId: bigint): void {
    if (!this.presence.left(node, bootId)) return;
    this.remotePages.holderLeft(node);
    this.audit.holderLeft(node);
    this.losses.holderEmptied(node);
  }

  /** A link that was full has room again. */
  roomOnLink(node: number): void {
    this.repatriate.linkReady(node);
    this.remotePages.sendFlushes(node);
    this.remotify.pump();
  }

  pendingFlushCount(node: number): number {
    return this.remotePages.pendingFlushCount(node);
  }

  /** The nodes that keep pages of this node, or have pending flushes. */
  holders(): number[] {
    return this.remotePages.holderNodes();
  }

  remotePageCount(node: number): number {
    return this.remotePages.pageCount(node);
  }

  /** Why pages cannot be written to the disk. Null: they can, or there is no disk. */
  get spillTrouble(): string | null {
    return this.spill?.trouble ?? null;
  }

  snapshot(): RamsterReport {
    const state = this.copyState();
    return {
      ...this.zcache.snapshot(),
      ...withPrefix<"own_", typeof DENSITY_READ>("own_", this.zcache.density()),
      ...this.counters,
      ...spillReport(this.spillCounters, this.spill),
      ...coldReport(this.coldCounters, this.cold?.dictionaries ?? null),
      ...copyReport(state),
      no_copy_pages: state.pagesOutOfReach + state.pagesLost,
      one_copy_pages: this.remotePages.pagesWith(1),
      two_copy_pages: this.remotePages.pagesWith(2),
      three_copy_pages: this.remotePages.pagesWith(3),
      fetches_in_flight: this.repatriate.fetchCount,
      frames_in_flight: Math.ceil(this.remotify.framesInFlight),
      absent_copies: this.remotePages.absentTotal,
      reclaims_pending: this.repair.pagesGivenUp,
      ...spaceReport(this.space(), this.hasRoom),
      repair_pages_per_second: Math.round(this.repair.pagesPerSecond ?? 0),
    };
  }

  /** The current state of the copies of remote pages. */
  copyState(): CopyState {
    const { lostCount } = this.zcache.tmem;
    return copyStateOf(lostCount, this.lenders, this.remotePages, this.repair);
  }

  /** PamOps: a remote page leaves the index or is replaced. Its holders must flush it. */
  free(page: number): void {
    const { tmem } = this.zcache;
    const copies = this.records.copiesOf(page);
    if (tmem.inTransit(page)) this.repatriate.detach(page);
    this.records.removed(page, copies, tmem.zpageBytes(page));
    tmem.readHandle(page, this.handle);
    const version = tmem.version(page);
    for (let i = 0; i < copyCount(copies); i += 1) {
      const holder = copyAt(copies, i);
      if (holder === SPILL) this.records.freeOnDisk(page);
      else if (!this.flushes.takes(holder))
        this.remotePages.addFlush(holder, this.handle, version, FLUSH_SCOPE.PAGE);
    }
  }

  /** The copies of a remote page. For checks in tests. */
  copiesOf(page: number): Copies {
    return this.records.copiesOf(page);
  }

  /** Checks the store and the counts of remote pages. For tests. */
  verify(): void {
    this.zcache.verify();
    const { tmem } = this.zcache;
    const away: Array<{ page: number; copies: Copies; zpageBytes: number; persistent: boolean }> =
      [];
    tmem.verify((page, { persistent }) => {
      if (tmem.tag(page) !== TAG.REMOTE) return;
      const copies = this.records.copiesOf(page);
      away.push({ page, copies, zpageBytes: tmem.zpageBytes(page), persistent });
    });
    this.remotePages.verify(away);
    this.spill?.verify(away.filter(({ copies }) => hasCopy(copies, SPILL)));
  }

  private openSpill(env: RamsterEnvironment, settings: RamsterSettings): Spill | null {
    const { disk } = env;
    if (disk === null) return null;
    const onReady = (): void => this.pumpAtEndOfTurn();
    const { spillCounters: counters } = this;
    return new Spill(
      { ...env, disk, counters, backoffMs: remotifyBackoffMs, onReady },
      { byteCount: settings.spillBytes, pageNumbers: pageNumbersOf(settings) },
    );
  }

  /** Waits for the end of the turn, so that all pages of one turn are sent together. */
  private pumpAtEndOfTurn(): void {
    if (this.pumpSoon) return;
    this.pumpSoon = true;
    this.clock.soon(() => {
      this.pumpSoon = false;
      this.remotePages.sendAllFlushes();
      this.remotify.pump();
    });
  }

  /** Whether something waits for an answer of the node. */
  private isUsed(node: number): boolean {
    return this.repatriate.isWaitingFor(node) || this.audit.isFor(node);
  }

  private notifyRoom(): void {
    for (const listener of this.roomListeners) listener();
  }

  private tick(): void {
    this.repatriate.expire(TICK_MS);
    this.losses.step();
    this.repair.step();
    this.audit.step();
    this.spill?.step();
    this.cold?.step();
    this.remotePages.sendAllFlushes();
    this.remotify.pump();
    this.notifyRoom();
    this.trims.go();
    if (this.isDraining) this.homecoming.bring(DRAIN_FETCHES - this.repatriate.fetchCount);
    this.remotePages.eachHolder((node, flushCount) => {
      this.remotePages.collapseFlushes(node, this.zcache.tmem.newestVersion);
      const isWanted = this.remotify.wantsLender || this.repair.wantsLender;
      const lender = this.lenders.isCandidate(node) && isWanted;
      if (this.presence.isInDoubt(node)) this.peers.want(node);
      else if (flushCount === 0 && !lender && !this.isUsed(node)) this.peers.unwant(node);
    });
  }
}
