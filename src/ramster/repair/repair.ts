import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import { COPIES_MAX, INDEX_SLICE, REPAIR_PAGES_MAX } from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { Slices } from "../../core/slices.ts";
import { STATUS, type Status } from "../../core/status.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import type { Spill } from "../../spill/spill.ts";
import { TAG } from "../../tmem/pampd.ts";
import { LOCAL_CLIENT } from "../../tmem/tmem.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { GET_ENTRY_BYTES, readGetVersion, type ZpageEntry } from "../../wire/peer-entries.ts";
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
import type { CopyRecords } from "../holders/copy-records.ts";
import { isEnough, isShort, mayLeaveDisk } from "../holders/enough.ts";
import type { Lenders } from "../holders/lenders.ts";
import type { Presence } from "../holders/presence.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Peers } from "../peers.ts";
import type { Repatriate } from "../repatriate/repatriate.ts";
import { type AtRisk, NOBODY } from "./at-risk.ts";
import { RecentRate } from "./recent-rate.ts";
import type { RepairBatch } from "./repair-batch.ts";
import { RepairSends, type RepairSink } from "./repair-sends.ts";
import { Unspill } from "./unspill.ts";

/** Pages in a row that nobody takes, before it is left at that for a moment. */
const BLOCKED_MAX = 16;

export class Repair implements RepairSink {
  private readonly zcache: Zcache;
  private readonly lenders: Lenders;
  private readonly repatriate: Repatriate;
  private readonly presence: Presence;
  private readonly remotePages: RemotePages;
  private readonly counters: RamsterCounters;
  private readonly clock: Clock;
  private readonly buggify: Buggify;
  private readonly spill: Spill | null;
  private readonly unspill: Unspill | null;
  private readonly isOpen: (node: number) => boolean;
  private readonly isSending: (page: number, version: number, node: number) => boolean;
  private readonly sends: RepairSends;
  private readonly atRisk: AtRisk;
  private readonly records: CopyRecords;
  private readonly handle = new Handle();
  /** Pages that are fetched or copied. */
  private inFlight = 0;
  /** Of them, those that are to leave the disk, and those that a holder wants to be rid of. */
  private inFlightOnDisk = 0;
  private inFlightLeaving = 0;
  /** RepairSink: of these, those that are fetched. */
  fetchesFromDisk = 0;
  private readonly rate: RecentRate;
  /** The next record to look at for pages at risk; 0: all are known. */
  private sweepAt = 0;
  private readonly looks: Slices;
  private pumpSoon = false;
  /** Not to be chosen: it wants to be rid of the page that is looked at. */
  private leaving = NOBODY;
  /** The lender that was chosen last, until a batch is over; -1: none. */
  private lastPlace = -1;
  private lastWanted = 1;
  private lastWantedDisk = false;

  constructor(
    parts: {
      memory: Memory;
      zcache: Zcache;
      peers: Peers;
      lenders: Lenders;
      atRisk: AtRisk;
      records: CopyRecords;
      repatriate: Repatriate;
      presence: Presence;
      remotePages: RemotePages;
      counters: RamsterCounters;
      clock: Clock;
      buggify: Buggify;
      spill: Spill | null;
      /** Whether a put may be sent there now. */
      isOpen: (node: number) => boolean;
      /** Whether remotify has sent the page there in that version, and waits for the answer. */
      isSending: (page: number, version: number, node: number) => boolean;
      /** Nothing leaves the node. */
      isHeld: () => boolean;
    },
    settings: { requestTimeoutMs: number },
  ) {
    this.zcache = parts.zcache;
    this.lenders = parts.lenders;
    this.atRisk = parts.atRisk;
    this.records = parts.records;
    this.repatriate = parts.repatriate;
    this.presence = parts.presence;
    this.remotePages = parts.remotePages;
    this.counters = parts.counters;
    this.clock = parts.clock;
    this.buggify = parts.buggify;
    this.spill = parts.spill;
    const { spill } = parts;
    const push = (page: number): void => this.atRisk.push(page, SPILL);
    this.unspill = spill === null ? null : new Unspill({ ...parts, spill, push });
    this.isOpen = parts.isOpen;
    this.isSending = parts.isSending;
    this.sends = new RepairSends({ ...parts, sink: this }, settings);
    this.rate = new RecentRate(parts.clock);
    this.looks = new Slices(parts.clock, () => this.look());
  }

  close(): void {
    this.looks.close();
  }

  /** Pages that it has found and has not dealt with: to be copied, or to leave their holder. */
  private get pagesLeft(): number {
    const { atRisk } = this;
    return atRisk.count - atRisk.onDiskCount + this.inFlight - this.inFlightOnDisk;
  }

  /** Of them, how many a second are dealt with, lately; null: not known, or none is left. */
  get pagesPerSecond(): number | null {
    return this.pagesLeft === 0 ? null : this.rate.perSecond;
  }

  /** Of them, those that a holder wants to be rid of. */
  get pagesLeaving(): number {
    return this.atRisk.leavingCount + this.inFlightLeaving;
  }

  /** Whether there is reason to keep links to lenders. */
  get wantsLender(): boolean {
    return this.atRisk.count + this.inFlight > 0 || this.unspill?.isBusy === true;
  }

  /** RECLAIM: a status for each page that the holder wants to be rid of. */
  onReclaim(node: number, channel: Channel, frame: Frame): void {
    if (!channel.begin(LANE.URGENT, frame.count)) return;
    for (let i = 0; i < frame.count; i += 1) {
      const at = frame.bodyAt + i * GET_ENTRY_BYTES;
      this.handle.read(frame.view, at);
      const status = this.reclaimed(node, readGetVersion(frame.view, at));
      channel.view.setUint8(channel.at + i, status);
    }
    channel.commitReply(MESSAGE.RECLAIM, frame.request, STATUS.OK, frame.count, frame.count);
    this.pumpAtEndOfTurn();
  }

  /** What will come of the page under `handle`. */
  private reclaimed(node: number, version: number): Status {
    const { tmem } = this.zcache;
    const pool = tmem.pool(LOCAL_CLIENT, this.handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, this.handle);
    if (page === 0 || tmem.version(page) !== version) return STATUS.NOT_FOUND;
    const tag = tmem.tag(page);
    // It is on its way there, and not all its holders have it yet.
    if (tag === TAG.LOCAL) return STATUS.OK;
    if (tag !== TAG.REMOTE) return STATUS.NOT_FOUND;
    if (!hasCopy(this.records.copiesOf(page), node)) {
      // It may have just got it, and its answer be on the way.
      return this.sends.has(page, version) ? STATUS.OK : STATUS.NOT_FOUND;
    }
    const kept = this.keptOf(page, node);
    const isSafe = isEnough(kept, node, this.lenders) || hasCopy(kept, SPILL) || this.hasRoomAtHome;
    if (!isSafe && this.placeFor(kept, node) < 0) return STATUS.NO_ROOM;
    this.atRisk.found(page, node);
    return STATUS.OK;
  }

  /** Who is there has changed: all records are looked at, a bounded piece at a time. */
  sweep(): void {
    this.sweepAt = 1;
    this.step();
  }

  /** Goes on with what is under way. Called now and then, and when a lender has room again. */
  step(): void {
    const { copiesWanted, wantsDiskCopy } = this.lenders;
    if (copiesWanted > this.lastWanted) this.sweepAt = 1;
    if (wantsDiskCopy && !this.lastWantedDisk) this.sweepAt = 1;
    this.lastWanted = copiesWanted;
    this.lastWantedDisk = wantsDiskCopy;
    if (this.sweepAt > 0) this.looks.go();
    else if (this.atRisk.count === 0 && this.atRisk.takeOverflow()) this.sweepAt = 1;
    this.unspill?.step();
    this.pump();
    if (this.pagesLeft === 0) this.rate.reset();
    else this.rate.note(this.atRisk.foundCount - this.pagesLeft);
  }

  /** Fetches pages while there is somebody to copy them to. */
  pump(): void {
    const { atRisk } = this;
    let blocked = 0;
    if (atRisk.onDiskCount === 0) this.unspill?.find();
    const waiting = atRisk.count;
    for (let left = Math.min(waiting, INDEX_SLICE); left > 0; left -= 1) {
      if (this.inFlight >= REPAIR_PAGES_MAX || blocked >= BLOCKED_MAX) return;
      atRisk.shift();
      const { page, from } = atRisk;
      if (this.mend(page, from)) continue;
      blocked += 1;
      this.atRisk.pushAgain(page, from);
    }
    if (waiting > INDEX_SLICE) this.pumpAtEndOfTurn();
  }

  /**
   * Brings pages home that are at risk and that nobody takes a copy of: at most so many, oldest
   * risk first. @returns how many are on their way.
   */
  bringHome(countMax: number): number {
    const { atRisk } = this;
    let count = 0;
    for (let left = Math.min(atRisk.count, INDEX_SLICE); left > 0 && count < countMax; left -= 1) {
      atRisk.shift();
      const { page, from } = atRisk;
      if (this.isStranded(page, from) && this.repatriate.bringHome(page)) count += 1;
      this.atRisk.pushAgain(page, from); // It may not get home.
    }
    return count;
  }

  /** Whether it lacks a copy, some holder has it, and no lender takes one. */
  private isStranded(page: number, from: number): boolean {
    if (from === SPILL || !this.isRemote(page)) return false;
    const copies = this.records.copiesOf(page);
    const kept = this.keptOf(page, from);
    if (!isShort(kept, this.lenders)) return false;
    return this.presence.presentOf(copies) !== NO_COPIES && this.placeFor(kept, from) < 0;
  }

  /** @returns whether something is done about it, or need not be; else it is tried again. */
  private mend(page: number, wished: number): boolean {
    // Of one that is on its way to a new holder the answer decides what else is to be done.
    const { tmem } = this.zcache;
    if (!this.isRemote(page) || this.sends.has(page, tmem.version(page))) return true;
    if (this.buggify("repair-later")) return false;
    const copies = this.records.copiesOf(page);
    // Who wanted to be rid of it may be gone, and others with it that this entry stands for.
    const from = wished !== NOBODY && hasCopy(copies, wished) ? wished : NOBODY;
    const kept = this.keptOf(page, from);
    if (from === SPILL ? mayLeaveDisk(kept, this.lenders) : !isShort(kept, this.lenders)) {
      if (from === NOBODY) return true;
      if (!this.isReached(kept)) return false;
      this.drop(page, from);
      return true;
    }
    // It is there for good, until there are more lenders.
    if (from === SPILL && isEnough(kept, from, this.lenders)) return true;
    if (this.presence.presentOf(copies) === NO_COPIES) return true; // A sweep finds it again.
    const place = this.placeFor(kept, from);
    if (place < 0) return this.mendWithoutPlace(page, from, kept);
    if (from === SPILL && !this.hasCreditFor(place)) return false;
    if (this.repatriate.copyElsewhere(page, from)) {
      this.fly(from, 1);
      if (from === SPILL) this.fetchesFromDisk += 1;
      return true;
    }
    return tmem.inTransit(page);
  }

  /** Nobody takes another copy. What a holder wants to be rid of may be on the disk, or come home. */
  private mendWithoutPlace(page: number, from: number, kept: Copies): boolean {
    if (from === NOBODY) return false;
    if (from !== SPILL && hasCopy(kept, SPILL)) return this.leaveToDisk(page, from, kept);
    // One that a lender has need not come home from the disk.
    const isWanted = from !== SPILL || kept === NO_COPIES;
    if (isWanted && this.hasRoomAtHome) return this.repatriate.bringHome(page);
    // What is on the disk is well kept there, and found there again.
    return from === SPILL && !this.lenders.hasUsable(this.lenders.copiesWanted);
  }

  /** The copy on the disk is enough. One that is to be the only one is read first: see onZpage. */
  private leaveToDisk(page: number, from: number, kept: Copies): boolean {
    if (copyCount(kept) > 1) {
      this.drop(page, from);
      return true;
    }
    if (!this.repatriate.checkOnDisk(page, from)) return false;
    this.fly(from, 1);
    return true;
  }

  /** Whether one more page may be sent there when it has been read: none is read in vain. */
  private hasCreditFor(node: number): boolean {
    return this.fetchesFromDisk + this.sends.fillingCount(node) < this.lenders.credit(node);
  }

  /** Where another copy goes, beside these: to a lender, else to the disk; -1: nowhere now. */
  private placeFor(kept: Copies, from: number): number {
    const { lenders, spill } = this;
    const atLenders = withoutCopy(kept, SPILL);
    this.leaving = from;
    if (copyCount(atLenders) < lenders.copiesWanted) {
      if (this.isStillPlace(atLenders)) return this.lastPlace;
      const node = lenders.choose(this.mayCopyTo, atLenders);
      this.lastPlace = node;
      if (node >= 0) return node;
    }
    if (from === SPILL || hasCopy(kept, SPILL) || spill?.isReady !== true) return -1;
    const isRefuge = from !== NOBODY && !this.hasRoomAtHome;
    return lenders.wantsDiskCopy || isRefuge ? SPILL : -1;
  }

  /** The pages of one batch go to the lender that was chosen for the first of them. */
  private isStillPlace(atLenders: Copies): boolean {
    const node = this.lastPlace;
    return node >= 0 && this.mayCopyTo(node) && !this.lenders.sharesZone(node, atLenders);
  }

  /**
   * A page that was to be copied elsewhere is here, or, null, not yet; page 0: it never will be,
   * since nobody has it, or it was put anew. `isOnDisk`: it came from the disk, and is good there.
   */
  onZpage(
    page: number,
    from: number,
    handle: Handle,
    zpage: ZpageEntry | null,
    isOnDisk: boolean,
  ): void {
    this.fly(from, -1);
    if (from === SPILL) this.fetchesFromDisk -= 1;
    if (page === 0 || !this.isRemote(page)) return;
    if (zpage === null) {
      this.atRisk.pushAgain(page, from);
      return;
    }
    const kept = this.keptOf(page, from);
    if (isEnough(kept, from, this.lenders)) return;
    const place = this.placeFor(kept, from);
    const batch = this.sends.batchFor(place, from, withoutCopy(kept, SPILL));
    if (batch === null) {
      const isKept = isOnDisk && place < 0 && hasCopy(kept, SPILL);
      if (isKept && hasCopy(this.records.copiesOf(page), from)) this.drop(page, from);
      else this.atRisk.pushAgain(page, from);
      return;
    }
    this.fly(from, 1);
    this.sends.append(batch, page, from, handle, zpage);
  }

  /** RepairSink: the new holder has it. What the record says decides what becomes of that. */
  onTaken(batch: RepairBatch, i: number): void {
    // One that died meanwhile keeps nothing.
    if (this.presence.isAbsent(batch.node)) this.onNotTaken(batch, i);
    else this.taken(batch, i);
  }

  /** RepairSink. */
  onNotTaken(batch: RepairBatch, i: number): void {
    this.atRisk.pushAgain(batch.pages[i] ?? 0, batch.from[i] ?? NOBODY);
  }

  /** RepairSink: if it has it, nobody asks for it. */
  onUnknown(batch: RepairBatch, i: number): void {
    this.surplus(batch, i);
    this.onNotTaken(batch, i);
  }

  /** RepairSink. */
  onOver(batch: RepairBatch): void {
    this.lastPlace = -1;
    for (let i = 0; i < batch.count; i += 1) this.fly(batch.from[i] ?? NOBODY, -1);
    // Those that wait for their memory get it now, and not at the next tick.
    this.remotePages.sendAllOwed();
    this.pumpAtEndOfTurn();
  }

  private pumpAtEndOfTurn(): void {
    if (this.pumpSoon) return;
    this.pumpSoon = true;
    this.clock.soon(() => {
      this.pumpSoon = false;
      this.pump();
    });
  }

  /** Looks for pages at risk among the next records. @returns whether to go on at once. */
  private look(): boolean {
    const { tmem } = this.zcache;
    const isBrief = this.buggify("short-walk");
    const end = Math.min(tmem.pageEnd, this.sweepAt + (isBrief ? 16 : INDEX_SLICE));
    for (let page = this.sweepAt; page < end; page += 1) {
      if (!this.isRemote(page)) continue;
      const present = this.keptOf(page, NOBODY);
      if (hasCopy(present, SPILL)) continue;
      if (present !== NO_COPIES && isShort(present, this.lenders)) this.atRisk.found(page);
    }
    this.sweepAt = end === tmem.pageEnd ? 0 : end;
    if (this.sweepAt > 0) return !isBrief;
    this.pumpAtEndOfTurn();
    return false;
  }

  /** Whether the row is a persistent page that is away. */
  private isRemote(page: number): boolean {
    const { tmem } = this.zcache;
    return tmem.isLive(page) && tmem.tag(page) === TAG.REMOTE && tmem.poolOf(page).persistent;
  }

  /**
   * Whether one of these is on the disk, or at a holder with a link, which tells whether it has
   * been restarted: no copy is given up for others that may be gone.
   */
  private isReached(kept: Copies): boolean {
    let isReached = false;
    for (let i = 0; i < copyCount(kept); i += 1) {
      const node = copyAt(kept, i);
      if (node === SPILL || this.remotePages.isReached(node)) isReached = true;
    }
    return isReached;
  }

  /** Copies at holders that are there, but for the one that wants to be rid of it. */
  private keptOf(page: number, from: number): Copies {
    const copies = this.records.copiesOf(page);
    return this.presence.presentOf(from === NOBODY ? copies : withoutCopy(copies, from));
  }

  private fly(from: number, count: number): void {
    this.inFlight += count;
    if (from === SPILL) this.inFlightOnDisk += count;
    else if (from !== NOBODY) this.inFlightLeaving += count;
  }

  private get hasRoomAtHome(): boolean {
    const { budget, frames } = this.zcache;
    return !budget.isOverLow(frames.framesUsed + 1);
  }

  /** There are enough without it. */
  private drop(page: number, from: number): void {
    const { tmem } = this.zcache;
    tmem.readHandle(page, this.handle);
    const next = this.without(this.records.copiesOf(page), page, from, tmem.version(page));
    this.records.setCopies(page, next);
    if (from === SPILL) this.counters.pages_unspilled += 1;
    else this.counters.copies_reclaimed += 1;
  }

  /** Without the copy there, of the page under `handle`, which is owed a flush. */
  private without(copies: Copies, page: number, node: number, version: number): Copies {
    // It may be chosen again for the same version one day.
    if (node === SPILL) this.spill?.free(page, this.zcache.tmem.zpageBytes(page));
    else this.remotePages.oweBeforePut(node, this.handle, version);
    return withoutCopy(copies, node);
  }

  /** Its flush, one day, has a place, too. */
  private readonly mayCopyTo = (node: number): boolean => {
    if (node === this.leaving || !this.isOpen(node)) return false;
    return this.remotePages.hasRoom(node, REPAIR_PAGES_MAX);
  };

  private taken(batch: RepairBatch, i: number): void {
    const { tmem } = this.zcache;
    const { node } = batch;
    const page = batch.pages[i] ?? 0;
    const version = batch.versions[i] ?? 0;
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    const isThere = tmem.isLive(page) && tmem.version(page) === version;
    const copies =
      isThere && tmem.tag(page) === TAG.REMOTE ? this.records.copiesOf(page) : NO_COPIES;
    if (hasCopy(copies, node)) return;
    const wished = batch.from[i] ?? NOBODY;
    // One that has come to the disk meanwhile may leave it for this.
    const onDisk = hasCopy(copies, SPILL) ? SPILL : NOBODY;
    const from = wished !== NOBODY && hasCopy(copies, wished) ? wished : onDisk;
    const kept = this.presence.presentOf(withoutCopy(copies, from));
    const isWanted = copies !== NO_COPIES && !isEnough(kept, from, this.lenders);
    if (isWanted && this.setTaken(batch, i, copies, kept, from)) return;
    this.surplus(batch, i);
  }

  /**
   * The page has another copy, in place of one that is gone or wants to be. @returns whether its
   * record has room for it.
   */
  private setTaken(
    batch: RepairBatch,
    i: number,
    copies: Copies,
    kept: Copies,
    from: number,
  ): boolean {
    const { node } = batch;
    const page = batch.pages[i] ?? 0;
    const version = batch.versions[i] ?? 0;
    const known = withCopy(kept, node);
    let next = copies;
    // The disk keeps its copy until there are enough without it.
    const isLeaving = from !== NOBODY && (from !== SPILL || mayLeaveDisk(known, this.lenders));
    if (isLeaving) next = this.without(next, page, from, version);
    const gone = this.presence.absentOf(next);
    if (gone >= 0 && (!isLeaving || copyCount(next) === COPIES_MAX)) {
      next = this.without(next, page, gone, version);
    }
    if (copyCount(next) === COPIES_MAX) return false;
    if (from === NOBODY) this.counters.copies_repaired += 1;
    else if (from !== SPILL) this.counters.copies_reclaimed += 1;
    else if (isLeaving) this.counters.pages_unspilled += 1;
    if (batch.spilled !== null) this.spill?.keep(batch.spilled, i, page);
    this.records.setCopies(page, withCopy(next, node));
    if (isShort(known, this.lenders)) this.atRisk.pushAgain(page, NOBODY);
    return true;
  }

  /**
   * Nobody asks for what the holder has, or may have. If it came home and is on its way there once
   * more, a flush would take what is named after that.
   */
  private surplus(batch: RepairBatch, i: number): void {
    if (batch.node === SPILL) return;
    const version = batch.versions[i] ?? 0;
    if (this.isSending(batch.pages[i] ?? 0, version, batch.node)) return;
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    this.remotePages.oweBeforePut(batch.node, this.handle, version);
  }
}
