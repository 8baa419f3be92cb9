/**
 * Repair: gives another copy to pages that lack one, and moves copies away from a holder that gives
 * them up. That is a lender that needs its memory (RECLAIM), or the disk when lenders have room.
 *
 *     copy lost, RECLAIM, sweep, unspill --> AtRisk, oldest first
 *         --> mend --> nothing to do any more, or enough copies without that holder's: dropped
 *                  |-> fetched (repatriate.ts) --> onZpage --> [ gathered, PUT ] --> onDone:
 *                  |                               the record names the new holder, if it needs it
 *                  |-> no holder takes it: comes home, if a holder gives it up and there is room
 *                  '-> none of these: back into the queue
 *
 * A copy is flushed only once a new one is confirmed, or when another holder with a link has one.
 * So it is never given up for a copy that may be gone. The version in the record decides whether an
 * answer still counts (compare-and-swap).
 *
 * A sweep visits all records, a slice a turn. It runs when holders went or came back, when more
 * copies are wanted, and when the queue overflowed. At most REPAIR_PAGES_MAX pages are under way.
 *
 * Not here: which copies are enough (enough.ts), which pages may leave the disk (unspill.ts).
 */

import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import { COPIES_MAX, INDEX_SLICE, REPAIR_PAGES_MAX } from "../../core/limits.ts";
import { Slices } from "../../core/slices.ts";
import { STATUS, type Status } from "../../core/status.ts";
import type { Zpage } from "../../core/zpage.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import type { Spill } from "../../spill/spill.ts";
import { TAG } from "../../tmem/pampd.ts";
import { LOCAL_CLIENT } from "../../tmem/tmem.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { GET_ENTRY_BYTES, readGetVersion } from "../../wire/peer-entries.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import {
  type Copies,
  copyAt,
  copyCount,
  hasCopy,
  NO_COPIES,
  SPILL,
  withCopy,
  withoutCopy,
} from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import { type AtRisk, NOBODY } from "../holders/at-risk.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import { isEnough, isShort, mayLeaveDisk } from "../holders/enough.ts";
import type { Lenders } from "../holders/lenders.ts";
import type { Presence } from "../holders/presence.ts";
import type { PutBatch, PutSink } from "../holders/put-batch.ts";
import type { PutBatches } from "../holders/put-batches.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Remotify } from "../remotify/remotify.ts";
import type { Repatriate, ZpageSink } from "../repatriate/repatriate.ts";
import { RecentRate } from "./recent-rate.ts";
import { Unspill } from "./unspill.ts";

/** How many pages may find no holder before repair waits for the next step. */
const BLOCKED_MAX = 16;

interface Parts {
  readonly zcache: Zcache;
  readonly lenders: Lenders;
  readonly presence: Presence;
  readonly records: CopyRecords;
  readonly remotePages: RemotePages;
  readonly puts: PutBatches;
  readonly remotify: Remotify;
  readonly repatriate: Repatriate;
  readonly atRisk: AtRisk;
  readonly spill: Spill | null;
  readonly counters: RamsterCounters;
  readonly clock: Clock;
  readonly buggify: Buggify;
}

export class Repair implements PutSink, ZpageSink {
  private readonly parts: Parts;
  private readonly unspill: Unspill | null;
  private readonly handle = new Handle();
  /** How many pages are being fetched or copied. */
  private inFlight = 0;
  /** How many of them are to leave the disk, and how many a lender gives up. */
  private inFlightOnDisk = 0;
  private inFlightGivenUp = 0;
  /** How many pages are being read from the disk, to go to lenders. */
  private fetchesFromDisk = 0;
  private readonly rate: RecentRate;
  /** The next record that the sweep visits. 0: there is no sweep. */
  private sweepAt = 0;
  private readonly sweeps: Slices;
  private isPumpSoon = false;
  /** The holder that gives up the current page, so it must not be chosen. */
  private givingUp = NOBODY;
  /** The lender that was chosen last, until a batch is over. -1: none. */
  private lastNode = -1;
  private lastWanted = 1;
  private lastWantedDisk = false;

  constructor(parts: Parts) {
    this.parts = parts;
    const { spill } = parts;
    this.unspill = spill === null ? null : new Unspill({ ...parts, spill });
    this.rate = new RecentRate(parts.clock);
    this.sweeps = new Slices(parts.clock, () => this.sweepSlice());
  }

  close(): void {
    this.sweeps.close();
  }

  /** How many known pages are still to be copied, or to leave their holder. */
  private get pagesLeft(): number {
    const { atRisk } = this.parts;
    return atRisk.count - atRisk.onDiskCount + this.inFlight - this.inFlightOnDisk;
  }

  /** How many of them a second were repaired lately. Null: not known, or none is left. */
  get pagesPerSecond(): number | null {
    return this.pagesLeft === 0 ? null : this.rate.perSecond;
  }

  /** How many of them a lender gives up. */
  get pagesGivenUp(): number {
    return this.parts.atRisk.givenUpCount + this.inFlightGivenUp;
  }

  /** Whether there is reason to keep links to lenders. */
  get wantsLender(): boolean {
    return this.parts.atRisk.count + this.inFlight > 0 || this.unspill?.isBusy === true;
  }

  /** RECLAIM: replies with a status for each page that the lender gives up. */
  onReclaim(node: number, channel: Channel, frame: Frame): void {
    if (!channel.begin(LANE.URGENT, frame.count)) return;
    for (let i = 0; i < frame.count; i += 1) {
      const at = frame.bodyAt + i * GET_ENTRY_BYTES;
      this.handle.read(frame.view, at);
      const status = this.reclaimed(node, this.handle, readGetVersion(frame.view, at));
      channel.view.setUint8(channel.at + i, status);
    }
    channel.commitReply(MESSAGE.RECLAIM, frame.request, STATUS.OK, frame.count, frame.count);
    this.pumpAtEndOfTurn();
  }

  /** The answer for the page under `handle`. */
  private reclaimed(node: number, handle: Handle, version: number): Status {
    const { zcache, records, puts, lenders, atRisk } = this.parts;
    const { tmem } = zcache;
    const pool = tmem.pool(LOCAL_CLIENT, handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, handle);
    if (page === 0 || tmem.version(page) !== version) return STATUS.NOT_FOUND;
    const tag = tmem.tag(page);
    // The page is on its way to the lender, and not all its holders have it yet.
    if (tag === TAG.LOCAL) return STATUS.OK;
    if (tag !== TAG.REMOTE) return STATUS.NOT_FOUND;
    if (!hasCopy(records.copiesOf(page), node)) {
      // The lender may have just got the page, and its answer may be on the way.
      return puts.has(page, version) ? STATUS.OK : STATUS.NOT_FOUND;
    }
    const kept = this.keptOf(page, node);
    const isSafe = isEnough(kept, node, lenders) || hasCopy(kept, SPILL) || this.hasRoomAtHome;
    if (!isSafe && this.holderFor(kept, node) < 0) return STATUS.NO_ROOM;
    atRisk.pushNew(page, node);
    return STATUS.OK;
  }

  /** Holders went or came back. Starts a sweep over all records. */
  sweep(): void {
    this.sweepAt = 1;
    this.step();
  }

  /** Continues the repair. Called regularly, and when a lender has room again. */
  step(): void {
    const { atRisk, lenders } = this.parts;
    const { copiesWanted, wantsDiskCopy } = lenders;
    if (copiesWanted > this.lastWanted) this.sweepAt = 1;
    if (wantsDiskCopy && !this.lastWantedDisk) this.sweepAt = 1;
    this.lastWanted = copiesWanted;
    this.lastWantedDisk = wantsDiskCopy;
    if (this.sweepAt > 0) this.sweeps.go();
    else if (atRisk.count === 0 && atRisk.takeOverflow()) this.sweepAt = 1;
    this.unspill?.step();
    this.pump();
    if (this.pagesLeft === 0) this.rate.reset();
    else this.rate.note(atRisk.foundCount - this.pagesLeft);
  }

  /** Fetches pages while a holder can take copies. */
  pump(): void {
    const { atRisk } = this.parts;
    let blocked = 0;
    if (atRisk.onDiskCount === 0) this.unspill?.find();
    const waiting = atRisk.count;
    for (let left = Math.min(waiting, INDEX_SLICE); left > 0; left -= 1) {
      if (this.inFlight >= REPAIR_PAGES_MAX || blocked >= BLOCKED_MAX) return;
      atRisk.shift();
      const { page, from } = atRisk;
      if (this.mend(page, from)) continue;
      blocked += 1;
      atRisk.pushAgain(page, from);
    }
    if (waiting > INDEX_SLICE) this.pumpAtEndOfTurn();
  }

  /**
   * Brings home pages at risk that no holder takes a copy of, at most `countMax`, oldest first.
   * @returns how many are on their way.
   */
  bringHome(countMax: number): number {
    const { atRisk, repatriate } = this.parts;
    let count = 0;
    for (let left = Math.min(atRisk.count, INDEX_SLICE); left > 0 && count < countMax; left -= 1) {
      atRisk.shift();
      const { page, from } = atRisk;
      if (this.isStranded(page, from) && repatriate.bringHome(page)) count += 1;
      atRisk.pushAgain(page, from); // The page may not get home, so it stays in the queue.
    }
    return count;
  }

  /** Whether the page lacks a copy, some holder has one, and no lender takes one. */
  private isStranded(page: number, from: number): boolean {
    if (from === SPILL || !this.isRemote(page)) return false;
    const { records, presence, lenders } = this.parts;
    const kept = this.keptOf(page, from);
    if (!isShort(kept, lenders)) return false;
    const present = presence.presentOf(records.copiesOf(page));
    return present !== NO_COPIES && this.holderFor(kept, from) < 0;
  }

  /** @returns false when the page must be tried again. */
  private mend(page: number, givenUpBy: number): boolean {
    const { zcache, puts, buggify, records, lenders, presence, repatriate } = this.parts;
    const { tmem } = zcache;
    // When the page is on its way to a new holder, the answer decides what else to do.
    if (!this.isRemote(page) || puts.has(page, tmem.version(page))) return true;
    if (buggify("repair-later")) return false;
    const copies = records.copiesOf(page);
    // The holder that gave it up may be gone. The page may then lack a copy.
    const from = givenUpBy !== NOBODY && hasCopy(copies, givenUpBy) ? givenUpBy : NOBODY;
    const kept = this.keptOf(page, from);
    const isWhole = from === SPILL ? mayLeaveDisk(kept, lenders) : !isShort(kept, lenders);
    if (isWhole) {
      if (from === NOBODY) return true;
      if (!this.isReached(kept)) return false;
      this.drop(page, from);
      return true;
    }
    // The page stays on the disk until there are more lenders.
    if (from === SPILL && isEnough(kept, from, lenders)) return true;
    if (presence.presentOf(copies) === NO_COPIES) return true; // A sweep will find the page again.
    const node = this.holderFor(kept, from);
    if (node < 0) return this.mendWithoutHolder(page, from, kept);
    if (from === SPILL && !this.hasCreditFor(node)) return false;
    if (repatriate.copyElsewhere(page, from, this)) return this.fetching(from);
    return tmem.inTransit(page);
  }

  /** The page is on its way here, and onZpage decides what is done with it. */
  private fetching(from: number): true {
    this.fly(from, 1);
    if (from === SPILL) this.fetchesFromDisk += 1;
    return true;
  }

  /**
   * No holder takes another copy. A page that a holder gives up may stay on the disk, or come home.
   */
  private mendWithoutHolder(page: number, from: number, kept: Copies): boolean {
    const { lenders, repatriate } = this.parts;
    if (from === NOBODY) return false;
    if (from !== SPILL && hasCopy(kept, SPILL)) return this.leaveToDisk(page, from, kept);
    // A page on the disk that a lender also has need not come home.
    const isWanted = from !== SPILL || kept === NO_COPIES;
    if (isWanted && this.hasRoomAtHome) {
      return repatriate.bringHomeFor(page, from, this) && this.fetching(from);
    }
    // A page on the disk is safe, and unspill.ts will find it again.
    return from === SPILL && !lenders.hasUsable(lenders.copiesWanted);
  }

  /** The copy on the disk is enough. If it becomes the only one, it is read first: see onZpage. */
  private leaveToDisk(page: number, from: number, kept: Copies): boolean {
    if (copyCount(kept) > 1) {
      this.drop(page, from);
      return true;
    }
    if (!this.parts.repatriate.checkOnDisk(page, from, this)) return false;
    this.fly(from, 1);
    return true;
  }

  /** Whether one more page may be sent there after it is read, so that none is read for nothing. */
  private hasCreditFor(node: number): boolean {
    const { puts, lenders } = this.parts;
    return this.fetchesFromDisk + puts.gatheredCount(node) < lenders.credit(node);
  }

  /**
   * Where another copy goes, in addition to these: to a lender, else to the disk. -1: nowhere now.
   */
  private holderFor(kept: Copies, from: number): number {
    const { lenders, spill } = this.parts;
    const atLenders = withoutCopy(kept, SPILL);
    this.givingUp = from;
    if (copyCount(atLenders) < lenders.copiesWanted) {
      if (this.mayFollow(atLenders)) return this.lastNode;
      const node = lenders.choose(this.mayCopyTo, atLenders);
      this.lastNode = node;
      if (node >= 0) return node;
    }
    if (from === SPILL || hasCopy(kept, SPILL) || spill?.isReady !== true) return -1;
    const isRefuge = from !== NOBODY && !this.hasRoomAtHome;
    return lenders.wantsDiskCopy || isRefuge ? SPILL : -1;
  }

  /** The pages of one batch go to the lender that was chosen for the first of them. */
  private mayFollow(atLenders: Copies): boolean {
    const node = this.lastNode;
    return node >= 0 && this.mayCopyTo(node) && !this.parts.lenders.sharesZone(node, atLenders);
  }

  /** ZpageSink. */
  onZpage(
    page: number,
    from: number,
    handle: Handle,
    zpage: Zpage | null,
    isOnDisk: boolean,
  ): void {
    const { atRisk, lenders, puts, records } = this.parts;
    this.fly(from, -1);
    if (from === SPILL) this.fetchesFromDisk -= 1;
    if (page === 0 || !this.isRemote(page)) return;
    if (zpage === null) {
      atRisk.pushAgain(page, from);
      return;
    }
    const kept = this.keptOf(page, from);
    if (isEnough(kept, from, lenders)) return;
    const node = this.holderFor(kept, from);
    const batch = puts.gather(this, node, from, withoutCopy(kept, SPILL));
    if (batch === null) {
      const isKept = isOnDisk && node < 0 && hasCopy(kept, SPILL);
      if (isKept && hasCopy(records.copiesOf(page), from)) this.drop(page, from);
      else atRisk.pushAgain(page, from);
      return;
    }
    this.fly(from, 1);
    puts.append(batch, page, from, handle, zpage);
  }

  /** PutSink: the holder may have a page, but no record names that copy. */
  onUnknown(batch: PutBatch): void {
    for (let i = 0; i < batch.count; i += 1) this.surplus(batch, i);
  }

  /** PutSink: the record decides about a page that the new holder has. */
  onDone(batch: PutBatch): void {
    const { presence, atRisk } = this.parts;
    // A holder that died meanwhile keeps nothing.
    const isThere = !presence.isAbsent(copyAt(batch.holders, 0));
    for (let i = 0; i < batch.count; i += 1) {
      const from = batch.givenUpBy[i] ?? NOBODY;
      if (isThere && batch.isTaken(i)) this.taken(batch, i);
      else atRisk.pushAgain(batch.pages[i] ?? 0, from);
      this.fly(from, -1);
    }
    this.lastNode = -1;
  }

  /**
   * PutSink: sends flushes at once, so that lenders need not wait for the next tick to get memory
   * back.
   */
  onFree(): void {
    this.parts.remotePages.sendAllFlushes();
    this.pumpAtEndOfTurn();
  }

  /** PutSink: a batch may grow, since pages come from the disk one by one. */
  mayGrow(batch: PutBatch): boolean {
    return batch.givenUpBy[0] === SPILL && this.fetchesFromDisk > 0;
  }

  private pumpAtEndOfTurn(): void {
    if (this.isPumpSoon) return;
    this.isPumpSoon = true;
    this.parts.clock.soon(() => {
      this.isPumpSoon = false;
      this.pump();
    });
  }

  /** Looks for pages at risk among the next records. @returns whether to continue at once. */
  private sweepSlice(): boolean {
    const { zcache, buggify, lenders, atRisk } = this.parts;
    const { tmem } = zcache;
    const isBrief = buggify("short-walk");
    let left = isBrief ? 16 : INDEX_SLICE;
    let page = this.sweepAt;
    for (; page < tmem.pageEnd && left > 0; page = tmem.pageAfter(page), left -= 1) {
      if (!this.isRemote(page)) continue;
      const present = this.keptOf(page, NOBODY);
      if (hasCopy(present, SPILL)) continue;
      if (present !== NO_COPIES && isShort(present, lenders)) atRisk.pushNew(page);
    }
    this.sweepAt = page < tmem.pageEnd ? page : 0;
    if (this.sweepAt > 0) return !isBrief;
    this.pumpAtEndOfTurn();
    return false;
  }

  /** Whether the row is a remote persistent page. */
  private isRemote(page: number): boolean {
    const { tmem } = this.parts.zcache;
    return tmem.isLive(page) && tmem.tag(page) === TAG.REMOTE && tmem.poolOf(page).persistent;
  }

  /**
   * Whether one of these is on the disk, or at a holder whose link shows that it still has the
   * copy.
   */
  private isReached(kept: Copies): boolean {
    let isReached = false;
    for (let i = 0; i < copyCount(kept); i += 1) {
      const node = copyAt(kept, i);
      if (node === SPILL || this.parts.remotePages.isReached(node)) isReached = true;
    }
    return isReached;
  }

  /** The copies that count, except that of the holder that gives it up. */
  private keptOf(page: number, from: number): Copies {
    const { records, presence } = this.parts;
    const copies = records.copiesOf(page);
    return presence.presentOf(from === NOBODY ? copies : withoutCopy(copies, from));
  }

  private fly(from: number, count: number): void {
    this.inFlight += count;
    if (from === SPILL) this.inFlightOnDisk += count;
    else if (from !== NOBODY) this.inFlightGivenUp += count;
  }

  private get hasRoomAtHome(): boolean {
    const { budget, frames } = this.parts.zcache;
    return !budget.isOverLow(frames.framesUsed + 1);
  }

  /** Drops the copy at `from`, since there are enough without it. */
  private drop(page: number, from: number): void {
    const { zcache, records, counters } = this.parts;
    const { tmem } = zcache;
    tmem.readHandle(page, this.handle);
    const next = this.without(records.copiesOf(page), page, from, this.handle);
    records.setCopies(page, next);
    if (from === SPILL) counters.pages_unspilled += 1;
    else counters.copies_reclaimed += 1;
  }

  /**
   * @returns the copies without the one at the node, which is flushed. The page is under `handle`.
   */
  private without(copies: Copies, page: number, node: number, handle: Handle): Copies {
    const { zcache, records, remotePages } = this.parts;
    if (node === SPILL) records.freeOnDisk(page);
    // The holder may be chosen again for the same version, so a put must wait for the flush.
    else remotePages.addFlushBeforePut(node, handle, zcache.tmem.version(page));
    return withoutCopy(copies, node);
  }

  /** Whether the node may get another copy now. There must also be room for its later flush. */
  private readonly mayCopyTo = (node: number): boolean => {
    const { puts } = this.parts;
    if (node === this.givingUp || !puts.mayPutTo(node)) return false;
    return puts.hasFlushRoom(node, REPAIR_PAGES_MAX);
  };

  private taken(batch: PutBatch, i: number): void {
    const { zcache, records, presence, lenders } = this.parts;
    const { tmem } = zcache;
    const node = copyAt(batch.holders, 0);
    const page = batch.pages[i] ?? 0;
    const isThere = tmem.isLive(page) && tmem.version(page) === batch.versions[i];
    const isRemote = isThere && tmem.tag(page) === TAG.REMOTE;
    const copies = isRemote ? records.copiesOf(page) : NO_COPIES;
    if (hasCopy(copies, node)) return;
    const givenUpBy = batch.givenUpBy[i] ?? NOBODY;
    // A page that came to the disk meanwhile may leave it, now that it has this copy.
    const onDisk = hasCopy(copies, SPILL) ? SPILL : NOBODY;
    const from = givenUpBy !== NOBODY && hasCopy(copies, givenUpBy) ? givenUpBy : onDisk;
    const kept = presence.presentOf(withoutCopy(copies, from));
    const isWanted = copies !== NO_COPIES && !isEnough(kept, from, lenders);
    if (isWanted && this.setTaken(batch, i, copies, kept, from)) return;
    this.surplus(batch, i);
  }

  /**
   * The page has another copy, instead of one that is gone or given up. @returns whether its record
   * has room for the copy.
   */
  private setTaken(
    batch: PutBatch,
    i: number,
    copies: Copies,
    kept: Copies,
    from: number,
  ): boolean {
    const { presence, records, counters, lenders, spill, atRisk } = this.parts;
    const node = copyAt(batch.holders, 0);
    const page = batch.pages[i] ?? 0;
    const known = withCopy(kept, node);
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    let next = copies;
    // The disk keeps its copy until there are enough other copies.
    const mayGo = from !== NOBODY && (from !== SPILL || mayLeaveDisk(known, lenders));
    if (mayGo) next = this.without(next, page, from, this.handle);
    const gone = presence.absentOf(next);
    if (gone >= 0 && (!mayGo || copyCount(next) === COPIES_MAX)) {
      next = this.without(next, page, gone, this.handle);
    }
    if (copyCount(next) === COPIES_MAX) return false;
    if (from === NOBODY) counters.copies_repaired += 1;
    else if (from !== SPILL) counters.copies_reclaimed += 1;
    else if (mayGo) counters.pages_unspilled += 1;
    if (batch.spilled !== null) spill?.keep(batch.spilled, i, page);
    records.setCopies(page, withCopy(next, node));
    if (isShort(known, lenders)) atRisk.pushAgain(page, NOBODY);
    return true;
  }

  /**
   * The holder has, or may have, a copy that no record names, so it is flushed. But if the page
   * came home and is on its way there again, a flush would remove the copy that the record will
   * name.
   */
  private surplus(batch: PutBatch, i: number): void {
    const { puts, remotePages } = this.parts;
    const node = copyAt(batch.holders, 0);
    if (node === SPILL) return;
    const version = batch.versions[i] ?? 0;
    if (puts.isOnWay(batch, batch.pages[i] ?? 0, version, node)) return;
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    remotePages.addFlushBeforePut(node, this.handle, version);
  }
}
