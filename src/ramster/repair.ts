/**
 * Repair: gives pages that lost a copy another one, and moves copies away from holders that need
 * their memory themselves, in the background.
 *
 *     a holder died, or came back empty, a copy was bad, there are more lenders --> at risk
 *     a holder asks for it to be taken back (RECLAIM)                           --> at risk
 *       at risk, oldest first --> fetched from one of its holders --> [ PUT batch to a new one ]
 *         --> taken: the record names the new holder in place of the one that is gone, or wants to
 *             be rid of it, which is owed a flush
 *
 * Where nobody has room a page that is to be taken back comes home, if there is room.
 *
 * A holder that is dead keeps its place in the records until another one has taken it: when it
 * comes back in the same boot, its copies are as good as before, and those that were replaced
 * meanwhile are flushed there, by version. So nothing is copied twice.
 *
 * As in remotify the version decides: what was put anew or flushed while its copy was made is owed
 * a flush at the new holder. REPAIR_PAGES_MAX pages at most are under way, so that the reads of
 * others wait for a fraction of a millisecond.
 *
 * Not here: how bytes come (repatriate.ts), which lender (lenders.ts).
 */
import { assert } from "../core/assert.ts";
import type { Buggify } from "../core/buggify.ts";
import type { Clock } from "../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import {
  INDEX_ROWS_PER_STEP,
  PAGE_BYTES,
  REMOTIFY_BATCH_BYTES,
  REPAIR_BATCHES_MAX,
  REPAIR_PAGES_MAX,
} from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { type Channel, LANE, type ReplySink } from "../net/channel.ts";
import { TAG } from "../tmem/pampd.ts";
import { LOCAL_CLIENT } from "../tmem/tmem.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import {
  GET_ENTRY_BYTES,
  PUT_ENTRY_BYTES,
  readGetVersion,
  writePutEntry,
  type ZpageEntry,
} from "../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { PERSISTENT } from "../zbud/zbud.ts";
import type { Zcache } from "../zcache/zcache.ts";
import { AtRisk, NOBODY } from "./at-risk.ts";
import { type Copies, copyCount, hasCopy, NO_COPIES, withCopy, withoutCopy } from "./copies.ts";
import type { RamsterCounters } from "./counters.ts";
import type { Lenders } from "./lenders.ts";
import type { Peers } from "./peers.ts";
import { RecentRate } from "./recent-rate.ts";
import type { RemotePages } from "./remote-pages.ts";
import type { Repatriate } from "./repatriate.ts";

/** Pages at risk that are looked at in one step, for one to bring home: some milliseconds. */
const HOMEWARD_LOOKS = 65_536;
/** Pages in a row that nobody takes, before it is left at that for a moment. */
const BLOCKED_MAX = 16;

/** Zpages on their way to a new holder. Made once, used over and over. */
class Batch {
  readonly pages = new Int32Array(REPAIR_PAGES_MAX);
  readonly versions = new Float64Array(REPAIR_PAGES_MAX);
  /** Who wants to be rid of it, or NOBODY. */
  readonly from = new Int32Array(REPAIR_PAGES_MAX);
  readonly handles = new DataView(new ArrayBuffer(REPAIR_PAGES_MAX * HANDLE_BYTES));
  readonly bytes = new Uint8Array(REMOTIFY_BATCH_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  state: "free" | "filling" | "sent" = "free";
  node = 0;
  count = 0;
  countMax = 0;
  bodyBytes = 0;

  get hasRoom(): boolean {
    const bytes = this.bodyBytes + PUT_ENTRY_BYTES + PAGE_BYTES;
    return this.count < this.countMax && bytes <= this.bytes.byteLength;
  }
}

export class Repair implements ReplySink {
  private readonly memory: Memory;
  private readonly zcache: Zcache;
  private readonly peers: Peers;
  private readonly lenders: Lenders;
  private readonly repatriate: Repatriate;
  private readonly remotePages: RemotePages;
  private readonly counters: RamsterCounters;
  private readonly clock: Clock;
  private readonly buggify: Buggify;
  private readonly isOpen: (node: number) => boolean;
  private readonly isSending: (page: number, version: number, node: number) => boolean;
  private readonly requestTimeoutMs: number;
  private readonly atRisk = new AtRisk();
  private readonly batches = Array.from({ length: REPAIR_BATCHES_MAX }, () => new Batch());
  private readonly handle = new Handle();
  /** Pages that are fetched or copied. */
  private inFlight = 0;
  /** Pages that were ever found to be at risk: those that are so no more tell how fast it goes. */
  private found = 0;
  private readonly rate: RecentRate;
  /** The next record to look at for pages at risk; 0: all are known. */
  private sweepAt = 0;
  private sendSoon = false;
  /** Not to be chosen: it wants to be rid of the page that is looked at. */
  private leaving = NOBODY;
  private lastWanted = 1;

  constructor(
    parts: {
      memory: Memory;
      zcache: Zcache;
      peers: Peers;
      lenders: Lenders;
      repatriate: Repatriate;
      remotePages: RemotePages;
      counters: RamsterCounters;
      clock: Clock;
      buggify: Buggify;
      /** Whether a put may be sent there now. */
      isOpen: (node: number) => boolean;
      /** Whether remotify has sent the page there in that version, and waits for the answer. */
      isSending: (page: number, version: number, node: number) => boolean;
    },
    settings: { requestTimeoutMs: number },
  ) {
    this.memory = parts.memory;
    this.zcache = parts.zcache;
    this.peers = parts.peers;
    this.lenders = parts.lenders;
    this.repatriate = parts.repatriate;
    this.remotePages = parts.remotePages;
    this.counters = parts.counters;
    this.clock = parts.clock;
    this.buggify = parts.buggify;
    this.isOpen = parts.isOpen;
    this.isSending = parts.isSending;
    this.requestTimeoutMs = settings.requestTimeoutMs;
    this.rate = new RecentRate(parts.clock);
  }

  /** Pages that are known to have fewer copies than they should, or that a holder wants rid of. */
  get pagesAtRisk(): number {
    return this.atRisk.count + this.inFlight;
  }

  /** Of them, how many a second are no more, lately; null: not known. */
  get pagesPerSecond(): number | null {
    return this.pagesAtRisk === 0 ? null : this.rate.perSecond;
  }

  /** Whether there is reason to keep links to lenders. */
  get wantsLender(): boolean {
    return this.pagesAtRisk > 0;
  }

  /** A copy of the page is gone. */
  copyLost(page: number): void {
    this.find(page, NOBODY);
  }

  private find(page: number, from: number): void {
    this.found += 1;
    this.atRisk.push(page, from);
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
    this.clock.soon(() => this.pump());
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
    if (tag !== TAG.REMOTE || !hasCopy(this.repatriate.copiesOf(page), node)) {
      return STATUS.NOT_FOUND;
    }
    const kept = this.keptOf(page, node);
    const isEnough = copyCount(kept) >= this.lenders.copiesWanted;
    this.leaving = node;
    if (!isEnough && this.lenders.choose(this.mayCopyTo, kept) < 0 && !this.hasRoomAtHome) {
      return STATUS.NO_ROOM;
    }
    this.find(page, node);
    return STATUS.OK;
  }

  /** Who is there has changed: all records are looked at, a bounded piece at a time. */
  sweep(): void {
    this.sweepAt = 1;
    this.step();
  }

  /** Goes on with what is under way. Called now and then, and when a lender has room again. */
  step(): void {
    const wanted = this.lenders.copiesWanted;
    if (wanted > this.lastWanted) this.sweepAt = 1;
    this.lastWanted = wanted;
    if (this.sweepAt > 0) this.look();
    else if (this.atRisk.count === 0 && this.atRisk.takeOverflow()) this.sweepAt = 1;
    this.pump();
    if (this.pagesAtRisk === 0) this.rate.reset();
    else this.rate.note(this.found - this.pagesAtRisk);
  }

  /** Fetches pages while there is somebody to copy them to. */
  pump(): void {
    const { atRisk } = this;
    let blocked = 0;
    for (let left = atRisk.count; left > 0; left -= 1) {
      if (this.inFlight >= REPAIR_PAGES_MAX || blocked >= BLOCKED_MAX) return;
      atRisk.shift();
      const { page, from } = atRisk;
      if (this.mend(page, from)) continue;
      blocked += 1;
      atRisk.push(page, from);
    }
  }

  /**
   * Brings pages home that are at risk and that nobody takes a copy of: at most so many, oldest
   * risk first. @returns how many are on their way.
   */
  bringHome(countMax: number): number {
    const { atRisk } = this;
    let count = 0;
    for (
      let left = Math.min(atRisk.count, HOMEWARD_LOOKS);
      left > 0 && count < countMax;
      left -= 1
    ) {
      atRisk.shift();
      const { page, from } = atRisk;
      if (this.isStranded(page, from) && this.repatriate.bringHome(page)) count += 1;
      else atRisk.push(page, from);
    }
    return count;
  }

  /** Whether it lacks a copy, some holder has it, and no lender takes one. */
  private isStranded(page: number, from: number): boolean {
    if (!this.isRemote(page)) return false;
    const copies = this.repatriate.copiesOf(page);
    const kept = this.keptOf(page, from);
    if (!this.isShort(kept) || this.remotePages.presentOf(copies) === NO_COPIES) return false;
    this.leaving = from;
    return this.lenders.choose(this.mayCopyTo, kept) < 0;
  }

  /** @returns whether something is done about it, or need not be; else it is tried again. */
  private mend(page: number, from: number): boolean {
    // Of one that is on its way to a new holder the answer decides what else is to be done.
    if (!this.isRemote(page) || this.isCopying(page)) return true;
    if (this.buggify("repair-later")) return false;
    const copies = this.repatriate.copiesOf(page);
    if (from !== NOBODY && !hasCopy(copies, from)) return true;
    const kept = this.keptOf(page, from);
    if (!this.isShort(kept)) {
      if (from !== NOBODY) this.drop(page, from);
      return true;
    }
    if (this.remotePages.presentOf(copies) === NO_COPIES) return true; // A sweep finds it again.
    this.leaving = from;
    if (this.lenders.choose(this.mayCopyTo, kept) < 0) {
      return from !== NOBODY && this.hasRoomAtHome && this.repatriate.bringHome(page);
    }
    if (this.repatriate.copyElsewhere(page, from)) {
      this.inFlight += 1;
      return true;
    }
    return this.zcache.tmem.inTransit(page);
  }

  /**
   * A page that was to be copied elsewhere is here, or, null, not yet; page 0: it never will be,
   * since nobody has it, or it was put anew.
   */
  onZpage(page: number, from: number, handle: Handle, zpage: ZpageEntry | null): void {
    this.inFlight -= 1;
    if (page === 0 || !this.isRemote(page)) return;
    if (zpage === null) {
      this.atRisk.push(page, from);
      return;
    }
    const kept = this.keptOf(page, from);
    if (!this.isShort(kept)) return;
    const batch = this.batchFor(kept, from);
    if (batch === null) {
      this.atRisk.push(page, from);
      return;
    }
    this.inFlight += 1;
    this.append(batch, page, from, handle, zpage);
    if (this.sendSoon) return;
    this.sendSoon = true;
    this.clock.soon(() => {
      this.sendSoon = false;
      for (const it of this.batches) if (it.state === "filling") this.send(it);
    });
  }

  /** ReplySink: a status for each zpage of the batch. */
  onReply(context: number, reply: Frame): void {
    const batch = this.batchOf(context);
    let refused = 0;
    for (let i = 0; i < batch.count; i += 1) {
      const isTaken =
        reply.handlerStatus === STATUS.OK && reply.view.getUint8(reply.bodyAt + i) === STATUS.OK;
      // One that died meanwhile keeps nothing.
      if (isTaken && !this.remotePages.isAbsent(batch.node)) this.taken(batch, i);
      else {
        refused += 1;
        this.again(batch, i);
      }
    }
    this.finish(batch);
    if (refused === 0) this.lenders.noteAccepted(batch.node);
    else this.lenders.noteRefused(batch.node);
    // Those that wait for their memory get it now, and not at the next tick.
    this.remotePages.sendAllOwed();
    this.pump();
  }

  /** ReplySink: what the holder took is unknown, so it is owed a flush of all. */
  onFailure(context: number, transportStatus: number): void {
    const batch = this.batchOf(context);
    for (let i = 0; i < batch.count; i += 1) {
      this.surplus(batch, i);
      this.again(batch, i);
    }
    this.finish(batch);
    if (transportStatus !== TRANSPORT_STATUS.DIED) this.lenders.noteRefused(batch.node);
  }

  /** Looks for pages at risk among the next records. */
  private look(): void {
    const { tmem } = this.zcache;
    const rows = this.buggify("short-walk") ? 16 : INDEX_ROWS_PER_STEP;
    const end = Math.min(tmem.pageEnd, this.sweepAt + rows);
    for (let page = this.sweepAt; page < end; page += 1) {
      if (!this.isRemote(page)) continue;
      const present = this.keptOf(page, NOBODY);
      if (present !== NO_COPIES && this.isShort(present)) this.find(page, NOBODY);
    }
    this.sweepAt = end === tmem.pageEnd ? 0 : end;
  }

  /** Whether the row is a persistent page that is away. */
  private isRemote(page: number): boolean {
    const { tmem } = this.zcache;
    return tmem.isLive(page) && tmem.tag(page) === TAG.REMOTE && tmem.poolOf(page).persistent;
  }

  /** Copies at holders that are there, but for the one that wants to be rid of it. */
  private keptOf(page: number, from: number): Copies {
    const copies = this.repatriate.copiesOf(page);
    return this.remotePages.presentOf(from === NOBODY ? copies : withoutCopy(copies, from));
  }

  private isShort(copies: Copies): boolean {
    return copyCount(copies) < this.lenders.copiesWanted;
  }

  private get hasRoomAtHome(): boolean {
    const { budget, frames } = this.zcache;
    return !budget.isOverLow(frames.framesUsed + 1);
  }

  /** There are enough without it. */
  private drop(page: number, from: number): void {
    const { tmem } = this.zcache;
    tmem.readHandle(page, this.handle);
    const next = this.without(this.repatriate.copiesOf(page), from, tmem.version(page));
    this.repatriate.setCopies(page, next);
    this.counters.copies_reclaimed += 1;
  }

  /** Without the copy there, of the page under `handle`, which is owed a flush. */
  private without(copies: Copies, node: number, version: number): Copies {
    this.remotePages.copyRemoved(node);
    // It may be chosen again for the same version one day.
    this.remotePages.oweBeforePut(node, this.handle, version);
    return withoutCopy(copies, node);
  }

  /** One that goes to a holder which may take a copy beside these, or null: there is none now. */
  private batchFor(kept: Copies, from: number): Batch | null {
    this.leaving = from;
    for (const batch of this.batches) {
      if (batch.state !== "filling" || batch.node === from) continue;
      if (this.lenders.sharesZone(batch.node, kept)) continue;
      if (batch.hasRoom) return batch;
      this.send(batch);
    }
    const free = this.batches.find(({ state }) => state === "free");
    const node = this.lenders.choose(this.mayCopyTo, kept);
    if (free === undefined || node < 0) return null;
    free.state = "filling";
    free.node = node;
    free.count = 0;
    const countMax = this.buggify("repair-short-batch") ? 1 : REPAIR_PAGES_MAX;
    free.countMax = Math.min(countMax, this.lenders.credit(node));
    free.bodyBytes = 0;
    return free;
  }

  /** Its flush, one day, has a place, too. */
  private readonly mayCopyTo = (node: number): boolean => {
    if (node === this.leaving || !this.isOpen(node)) return false;
    return this.remotePages.hasRoom(node, REPAIR_PAGES_MAX);
  };

  private append(
    batch: Batch,
    page: number,
    from: number,
    handle: Handle,
    zpage: ZpageEntry,
  ): void {
    const { version, checksum, zpageBytes, codec } = zpage;
    const { count, bodyBytes } = batch;
    writePutEntry(
      ...([batch.view, bodyBytes, handle, version] as const),
      ...([checksum, zpageBytes, codec, PERSISTENT] as const),
    );
    this.memory.copy(batch.bytes, bodyBytes + PUT_ENTRY_BYTES, zpage.bytes, zpage.at, zpageBytes);
    batch.pages[count] = page;
    batch.versions[count] = version;
    batch.from[count] = from;
    handle.write(batch.handles, count * HANDLE_BYTES);
    batch.count = count + 1;
    batch.bodyBytes = bodyBytes + PUT_ENTRY_BYTES + zpageBytes;
  }

  private send(batch: Batch): void {
    const { node, count, bodyBytes } = batch;
    const channel = this.peers.channelOf(node);
    const context = this.batches.indexOf(batch);
    batch.state = "sent";
    if (channel?.begin(LANE.BULK, bodyBytes) === true) {
      this.memory.copy(channel.bytes, channel.at, batch.bytes, 0, bodyBytes);
      const timeoutMs = this.requestTimeoutMs;
      if (channel.commitRequest(MESSAGE.PUT, count, bodyBytes, this, context, timeoutMs) !== 0) {
        this.lenders.noteSent(node, { pageCount: count, byteCount: bodyBytes });
        return;
      }
    }
    for (let i = 0; i < count; i += 1) this.again(batch, i);
    this.finish(batch);
  }

  /** The new holder has it. What the record says decides what becomes of that. */
  private taken(batch: Batch, i: number): void {
    const { tmem } = this.zcache;
    const { node } = batch;
    const page = batch.pages[i] ?? 0;
    const version = batch.versions[i] ?? 0;
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    const isThere = tmem.isLive(page) && tmem.version(page) === version;
    const copies =
      isThere && tmem.tag(page) === TAG.REMOTE ? this.repatriate.copiesOf(page) : NO_COPIES;
    if (hasCopy(copies, node)) return;
    const from = batch.from[i] ?? NOBODY;
    const isLeaving = from !== NOBODY && hasCopy(copies, from);
    const kept = this.remotePages.presentOf(isLeaving ? withoutCopy(copies, from) : copies);
    if (copies === NO_COPIES || !this.isShort(kept)) {
      this.surplus(batch, i);
      return;
    }
    const gone = isLeaving ? from : this.remotePages.absentOf(copies);
    const next = gone < 0 ? copies : this.without(copies, gone, version);
    if (isLeaving) this.counters.copies_reclaimed += 1;
    else this.counters.copies_repaired += 1;
    this.remotePages.copyAdded(node);
    this.repatriate.setCopies(page, withCopy(next, node));
    if (this.isShort(withCopy(kept, node))) this.atRisk.push(page, NOBODY);
  }

  /**
   * Nobody asks for what the holder has, or may have. If it came home and is on its way there once
   * more, a flush would take what is named after that.
   */
  private surplus(batch: Batch, i: number): void {
    const version = batch.versions[i] ?? 0;
    if (this.isSending(batch.pages[i] ?? 0, version, batch.node)) return;
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    this.remotePages.oweBeforePut(batch.node, this.handle, version);
  }

  private isCopying(page: number): boolean {
    const version = this.zcache.tmem.version(page);
    for (const { state, pages, versions, count } of this.batches) {
      for (let i = 0; state !== "free" && i < count; i += 1) {
        if (pages[i] === page && versions[i] === version) return true;
      }
    }
    return false;
  }

  /** It was not taken. */
  private again(batch: Batch, i: number): void {
    this.atRisk.push(batch.pages[i] ?? 0, batch.from[i] ?? NOBODY);
  }

  private batchOf(context: number): Batch {
    const batch = this.batches[context];
    assert(batch?.state === "sent", "reply to a batch that is not under way");
    return batch;
  }

  private finish(batch: Batch): void {
    this.inFlight -= batch.count;
    batch.state = "free";
  }
}
