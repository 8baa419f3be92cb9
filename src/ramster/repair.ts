/**
 * Repair: gives pages that lost a copy another one, in the background.
 *
 *     a holder died, or came back empty, a copy was bad, there are more lenders --> at risk
 *       at risk, oldest first --> fetched from a holder that is left --> [ PUT batch to a new one ]
 *         --> taken: the record names the new holder in place of one that is gone
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
import { STATUS } from "../core/status.ts";
import { LANE, type ReplySink } from "../net/channel.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import {
  FLUSH_SCOPE,
  PUT_ENTRY_BYTES,
  writePutEntry,
  type ZpageEntry,
} from "../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { PERSISTENT } from "../zbud/zbud.ts";
import type { Zcache } from "../zcache/zcache.ts";
import { AtRisk } from "./at-risk.ts";
import { type Copies, copyCount, hasCopy, NO_COPIES, withCopy, withoutCopy } from "./copies.ts";
import type { RamsterCounters } from "./counters.ts";
import type { Lenders } from "./lenders.ts";
import type { Peers } from "./peers.ts";
import type { RemotePages } from "./remote-pages.ts";
import type { Repatriate } from "./repatriate.ts";

/** Pages in a row that nobody takes, before it is left at that for a moment. */
const BLOCKED_MAX = 16;

/** Zpages on their way to a new holder. Made once, used over and over. */
class Batch {
  readonly pages = new Int32Array(REPAIR_PAGES_MAX);
  readonly versions = new Float64Array(REPAIR_PAGES_MAX);
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
  private readonly isOpen: (node: number) => boolean;
  private readonly requestTimeoutMs: number;
  private readonly atRisk = new AtRisk();
  private readonly batches = Array.from({ length: REPAIR_BATCHES_MAX }, () => new Batch());
  private readonly handle = new Handle();
  /** Pages that are fetched or copied. */
  private inFlight = 0;
  /** The next record to look at for pages at risk; 0: all are known. */
  private sweepAt = 0;
  private sendSoon = false;
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
      /** Whether a put may be sent there now. */
      isOpen: (node: number) => boolean;
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
    this.isOpen = parts.isOpen;
    this.requestTimeoutMs = settings.requestTimeoutMs;
  }

  /** Pages that are known to have fewer copies than they should. */
  get pagesAtRisk(): number {
    return this.atRisk.count + this.inFlight;
  }

  /** Whether there is reason to keep links to lenders. */
  get wantsLender(): boolean {
    return this.pagesAtRisk > 0;
  }

  /** A copy of the page is gone. */
  copyLost(page: number): void {
    this.atRisk.push(page);
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
  }

  /** Fetches pages while there is somebody to copy them to. */
  pump(): void {
    let blocked = 0;
    for (let left = this.atRisk.count; left > 0; left -= 1) {
      if (this.inFlight >= REPAIR_PAGES_MAX || blocked >= BLOCKED_MAX) return;
      const page = this.atRisk.shift();
      const present = this.presentOf(page);
      if (present === NO_COPIES || !this.isShort(present)) continue;
      if (this.lenders.choose(this.mayCopyTo, present) < 0) {
        blocked += 1;
        this.atRisk.push(page);
      } else if (this.repatriate.copyElsewhere(page)) {
        this.inFlight += 1;
      } else if (!this.zcache.tmem.inTransit(page)) {
        blocked += 1;
        this.atRisk.push(page);
      }
    }
  }

  /**
   * A page that was to be copied elsewhere is here, or, null, cannot be had; then nobody may have
   * it, or it was put anew.
   */
  onZpage(page: number, handle: Handle, zpage: ZpageEntry | null): void {
    this.inFlight -= 1;
    if (zpage === null) return;
    const present = this.presentOf(page);
    if (present === NO_COPIES || !this.isShort(present)) return;
    const batch = this.batchFor(present);
    if (batch === null) {
      this.atRisk.push(page);
      return;
    }
    this.inFlight += 1;
    this.append(batch, page, handle, zpage);
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
        this.atRisk.push(batch.pages[i] ?? 0);
      }
    }
    this.finish(batch);
    if (refused === 0) this.lenders.noteAccepted(batch.node);
    else this.lenders.noteRefused(batch.node);
    this.pump();
  }

  /** ReplySink: what the holder took is unknown, so it is owed a flush of all. */
  onFailure(context: number, transportStatus: number): void {
    const batch = this.batchOf(context);
    for (let i = 0; i < batch.count; i += 1) {
      this.handle.read(batch.handles, i * HANDLE_BYTES);
      this.remotePages.oweBeforePut(batch.node, this.handle, batch.versions[i] ?? 0);
      this.atRisk.push(batch.pages[i] ?? 0);
    }
    this.finish(batch);
    if (transportStatus !== TRANSPORT_STATUS.DIED) this.lenders.noteRefused(batch.node);
  }

  /** Looks for pages at risk among the next records. */
  private look(): void {
    const { tmem } = this.zcache;
    const end = Math.min(tmem.pageEnd, this.sweepAt + INDEX_ROWS_PER_STEP);
    for (let page = this.sweepAt; page < end; page += 1) {
      const present = this.presentOf(page);
      if (present !== NO_COPIES && this.isShort(present)) this.atRisk.push(page);
    }
    this.sweepAt = end === tmem.pageEnd ? 0 : end;
  }

  /** Copies of a persistent remote page at holders that are there; of any other page none. */
  private presentOf(page: number): Copies {
    const { tmem } = this.zcache;
    if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) return NO_COPIES;
    if (!tmem.poolOf(page).persistent) return NO_COPIES;
    return this.remotePages.presentOf(this.repatriate.copiesOf(page));
  }

  private isShort(present: Copies): boolean {
    return copyCount(present) < this.lenders.copiesWanted;
  }

  /** One that goes to a holder which may take a copy beside these, or null: there is none now. */
  private batchFor(present: Copies): Batch | null {
    for (const batch of this.batches) {
      if (batch.state !== "filling" || this.lenders.sharesZone(batch.node, present)) continue;
      if (batch.hasRoom) return batch;
      this.send(batch);
    }
    const free = this.batches.find(({ state }) => state === "free");
    const node = this.lenders.choose(this.mayCopyTo, present);
    if (free === undefined || node < 0) return null;
    free.state = "filling";
    free.node = node;
    free.count = 0;
    free.countMax = Math.min(REPAIR_PAGES_MAX, this.lenders.credit(node));
    free.bodyBytes = 0;
    return free;
  }

  /** Its flush, one day, has a place, too. */
  private readonly mayCopyTo = (node: number): boolean => {
    return this.isOpen(node) && this.remotePages.hasRoom(node, REPAIR_PAGES_MAX);
  };

  private append(batch: Batch, page: number, handle: Handle, zpage: ZpageEntry): void {
    const { version, checksum, zpageBytes, codec } = zpage;
    const { count, bodyBytes } = batch;
    writePutEntry(
      ...([batch.view, bodyBytes, handle, version] as const),
      ...([checksum, zpageBytes, codec, PERSISTENT] as const),
    );
    this.memory.copy(batch.bytes, bodyBytes + PUT_ENTRY_BYTES, zpage.bytes, zpage.at, zpageBytes);
    batch.pages[count] = page;
    batch.versions[count] = version;
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
    for (let i = 0; i < count; i += 1) this.atRisk.push(batch.pages[i] ?? 0);
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
    const present = this.remotePages.presentOf(copies);
    if (present === NO_COPIES || !this.isShort(present)) {
      this.remotePages.oweBeforePut(node, this.handle, version);
      return;
    }
    const next = this.replaceAbsent(copies, version);
    this.remotePages.copyAdded(node);
    this.repatriate.setCopies(page, withCopy(next, node));
    this.counters.copies_repaired += 1;
    if (this.isShort(withCopy(present, node))) this.atRisk.push(page);
  }

  /** Without one of those that are gone, if there is one: a flush is waiting for it. */
  private replaceAbsent(copies: Copies, version: number): Copies {
    const absent = this.remotePages.absentOf(copies);
    if (absent < 0) return copies;
    this.remotePages.copyRemoved(absent);
    this.remotePages.owe(absent, this.handle, version, FLUSH_SCOPE.PAGE);
    return withoutCopy(copies, absent);
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
