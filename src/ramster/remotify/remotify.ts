/**
 * Remotify: copies the oldest zpages to a lender in batches and, when it has them, turns their
 * records remote.
 *
 *     oldest live frame -> zombie -> [ PUT batch, to each of its holders; several under way ]
 *       -> accepted by all: the record turns remote, the zpage is freed
 *       -> refused, link lost: the frame goes back to the LRU
 *
 * The version in the record decides (compare-and-swap): a page that was put anew or flushed while
 * its zpage travelled is left as it is, and the holder is sent a flush of its copy. Unlike the
 * original a batch that fails leaves no zombie, and whoever may have taken a page flushes it.
 *
 * Persistent pages that no lender takes, or that want a copy there, go to the node's own disk, if
 * it has one, in the same batches. It is the last resort, and only under pressure.
 *
 * Works while frames are over the high mark, until the low mark (frames under way count as gone),
 * and in the original's slow trickle when that is switched on. Flushes owed to a lender always go
 * first on its channel.
 *
 * Not here: which lenders, and how many (lenders.ts), and when to try: ramster.ts calls `pump`.
 */
import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import {
  COPIES_MAX,
  PAGE_BYTES,
  REMOTIFY_BATCH_BYTES,
  REMOTIFY_BATCH_COUNT_MAX,
  REMOTIFY_BATCHES_MAX,
  REMOTIFY_PATIENCE_MS,
  SPILL_PATIENCE_MS,
  ZBUD_HEADER_BYTES,
} from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { STATUS } from "../../core/status.ts";
import { type Channel, LANE, type ReplySink } from "../../net/channel.ts";
import type { SpillSink } from "../../spill/batch.ts";
import { NO_SECTOR } from "../../spill/sectors.ts";
import type { Spill } from "../../spill/spill.ts";
import { TAG } from "../../tmem/pampd.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  FLUSH_SCOPE,
  PUT_ENTRY_BYTES,
  writePutEntry,
  type ZpageEntry,
} from "../../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../../wire/status.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../zbud/zbud.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { type Copies, copyAt, copyCount, hasCopy, NO_COPIES, SPILL, withCopy } from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import { type Lenders, PAGES_PER_FRAME } from "../holders/lenders.ts";
import type { Presence } from "../holders/presence.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Latencies } from "../latencies.ts";
import type { Peers } from "../peers.ts";
import type { AtRisk } from "../repair/at-risk.ts";
import type { Seals } from "../seals.ts";
import { type Entries, spillEntries } from "../spill-entries.ts";
import { DAMAGED, RemotifyBatch, Staging } from "./remotify-batch.ts";

/** In the zbud header, as zcache writes it. */
const HEADER_CHECKSUM_OFFSET = 12;

export interface RemotifySettings {
  persEnabled: boolean;
  ephEnabled: boolean;
  requestTimeoutMs: number;
}

export class Remotify implements ReplySink, SpillSink {
  /** Frames that are zombies because their zpages are under way. */
  framesInFlight = 0;
  /** Nothing leaves while this is set; what is away stays there. */
  isHeld = false;
  private readonly memory: Memory;
  private readonly zcache: Zcache;
  private readonly peers: Peers;
  private readonly lenders: Lenders;
  private readonly presence: Presence;
  private readonly seals: Seals | null;
  private readonly spill: Spill | null;
  private readonly remotePages: RemotePages;
  private readonly counters: RamsterCounters;
  private readonly latencies: Latencies;
  private readonly clock: Clock;
  private readonly buggify: Buggify;
  private readonly settings: RemotifySettings;
  private readonly onRoom: () => void;
  private readonly atRisk: AtRisk;
  private readonly records: CopyRecords;
  private readonly batches = Array.from(
    { length: REMOTIFY_BATCHES_MAX },
    () => new RemotifyBatch(),
  );
  private readonly handle = new Handle();
  private readonly entry: ZpageEntry;
  private staging: Staging | null = null;
  private batchesInFlight = 0;
  private relieving = false;
  /** Frames of each kind that the trickle may still take in this period. */
  private readonly trickle: [number, number] = [0, 0];
  /** When a batch was last accepted, or there was a new reason to hope that one will be. */
  private progressAtMs = 0;
  /** Since when lenders that may take pages have taken none; infinite: they do. */
  private lendersWaitSinceMs = Number.POSITIVE_INFINITY;

  constructor(
    parts: {
      memory: Memory;
      zcache: Zcache;
      peers: Peers;
      lenders: Lenders;
      presence: Presence;
      /** Null: pages leave as they are. */
      seals: Seals | null;
      spill: Spill | null;
      remotePages: RemotePages;
      counters: RamsterCounters;
      latencies: Latencies;
      clock: Clock;
      buggify: Buggify;
      /** Called when frames came free. */
      onRoom: () => void;
      atRisk: AtRisk;
      records: CopyRecords;
    },
    settings: RemotifySettings,
  ) {
    this.memory = parts.memory;
    this.zcache = parts.zcache;
    this.peers = parts.peers;
    this.lenders = parts.lenders;
    this.presence = parts.presence;
    this.seals = parts.seals;
    this.spill = parts.spill;
    this.remotePages = parts.remotePages;
    this.counters = parts.counters;
    this.latencies = parts.latencies;
    this.clock = parts.clock;
    this.buggify = parts.buggify;
    this.onRoom = parts.onRoom;
    this.atRisk = parts.atRisk;
    this.records = parts.records;
    this.settings = settings;
    const nothing = { zpageBytes: 0, codec: 0, checksum: 0, version: 0 };
    this.entry = { bytes: new Uint8Array(0), at: 0, ...nothing };
  }

  /** Frames in use that are not about to be freed. */
  get framesHeld(): number {
    return this.zcache.frames.framesUsed - this.framesInFlight;
  }

  /**
   * Whether frames are coming free, or did until a moment ago: a put that finds none may wait for
   * them. When every lender is full or refuses, or none has answered for REMOTIFY_PATIENCE_MS, and
   * the disk is full or fails, it may not.
   */
  get isProgressing(): boolean {
    if (this.areBatchesHopeful) return true;
    if (this.isHeld) return false;
    const isRecent = this.clock.now() - this.progressAtMs < REMOTIFY_PATIENCE_MS;
    if (!isRecent) return false;
    return this.lenders.hasUsable(this.lenders.copiesWanted) || this.spill?.isTaking === true;
  }

  /** Of one that only finds out whether the disk is still full nobody expects a frame. */
  private get areBatchesHopeful(): boolean {
    if (this.batchesInFlight === 0) return false;
    return this.batches.some(({ waiting, spilled }) => waiting > 0 && spilled?.isProbe !== true);
  }

  /** Whether there is reason to keep links to lenders. */
  get wantsLender(): boolean {
    return this.relieving || this.trickle[0] + this.trickle[1] > 0 || this.batchesInFlight > 0;
  }

  /** Lets the trickle move up to `frameCount` frames of each enabled kind in the coming period. */
  allowTrickle(frameCount: number): void {
    this.trickle[EPHEMERAL] = this.settings.ephEnabled ? frameCount : 0;
    this.trickle[PERSISTENT] = this.settings.persEnabled ? frameCount : 0;
    this.pump();
  }

  /** There is another target, or a new lender: a new reason to hope. */
  retarget(): void {
    this.progressAtMs = this.clock.now();
    this.lendersWaitSinceMs = Number.POSITIVE_INFINITY;
    this.pump();
  }

  /**
   * Sends batches while there is a reason, a lender, and room under way. Called after puts, replies
   * and ticks.
   */
  pump(): void {
    const { budget } = this.zcache;
    if (budget.isOverHigh(this.framesHeld)) {
      if (!this.relieving) this.progressAtMs = this.clock.now();
      this.relieving = true;
    } else if (!budget.isOverLow(this.framesHeld)) {
      this.relieving = false;
    }
    if (!this.wantsLender) return;
    while (this.batchesInFlight < REMOTIFY_BATCHES_MAX) {
      const kind = this.kindToMove();
      if (kind === null || this.buggify("remotify-later")) return;
      const holders = this.chooseHolders(kind);
      if (holders === NO_COPIES || !this.sendBatch(holders, kind)) return;
    }
  }

  /** Whether a put may be sent there now. Asks for a link where there is none. */
  readonly isOpen = (node: number): boolean => {
    if (this.presence.isEmptied(node)) return false;
    if (this.peers.channelOf(node) !== null) {
      return this.remotePages.sendOwed(node) && this.lenders.credit(node) >= PAGES_PER_FRAME;
    }
    this.peers.want(node);
    return false;
  };

  /** Whether the page is on its way there in that version, and this decides what becomes of it. */
  readonly isSending = (page: number, version: number, node: number): boolean => {
    for (const batch of this.batches) {
      if (batch.waiting === 0 || !hasCopy(batch.holders, node)) continue;
      for (let i = 0; i < batch.count; i += 1) {
        if (batch.pages[i] === page && batch.versions[i] === version) return true;
      }
    }
    return false;
  };

  /** The node has nothing any more of what it took, and others may not have answered yet. */
  holderEmptied(node: number): void {
    for (const batch of this.batches) if (batch.waiting > 0) batch.emptied(node);
  }

  /** As many as the pages are to have copies; none when there are not so many now. */
  private chooseHolders(kind: Kind): Copies {
    const holders = this.chooseLenders(kind === PERSISTENT ? this.lenders.copiesWanted : 1);
    if (kind !== PERSISTENT || this.spill === null) return holders;
    if (holders !== NO_COPIES) {
      this.lendersWaitSinceMs = Number.POSITIVE_INFINITY;
      if (!this.lenders.wantsDiskCopy) return holders;
      return this.spill.isReady ? withCopy(holders, SPILL) : NO_COPIES;
    }
    if (!this.relieving || !this.spill.isReady || this.mayLendersTake()) return NO_COPIES;
    return withCopy(NO_COPIES, SPILL);
  }

  private chooseLenders(wanted: number): Copies {
    let holders: Copies = NO_COPIES;
    for (let i = 0; i < wanted; i += 1) {
      const node = this.lenders.choose(this.isOpen, holders);
      if (node < 0) return NO_COPIES;
      holders = withCopy(holders, node);
    }
    return holders;
  }

  /** Whether lenders that take nothing now are worth waiting for, before the disk is used. */
  private mayLendersTake(): boolean {
    if (!this.lenders.hasUsable(this.lenders.copiesWanted)) return false;
    const now = this.clock.now();
    this.lendersWaitSinceMs = Math.min(this.lendersWaitSinceMs, now);
    return now - this.lendersWaitSinceMs < SPILL_PATIENCE_MS;
  }

  /** ReplySink: a status for each zpage of the batch, from one of its holders. */
  onReply(context: number, reply: Frame): void {
    const batch = this.batchOf(context);
    const replica = context % COPIES_MAX;
    const node = copyAt(batch.holders, replica);
    this.latencies.remotify.add(this.clock.now() - batch.sentAtMs);
    let refused = 0;
    for (let i = 0; i < batch.count; i += 1) {
      const { handlerStatus } = reply;
      const status =
        handlerStatus === STATUS.OK ? reply.view.getUint8(reply.bodyAt + i) : handlerStatus;
      if (status === STATUS.OK) batch.taken[i] = (batch.taken[i] ?? 0) | (1 << replica);
      else if (status === STATUS.CORRUPT) batch.taken[i] = (batch.taken[i] ?? 0) | DAMAGED;
      else refused += 1;
    }
    this.lenders.noteAnswered(node, batch.bodyBytes, refused === 0 ? "accepted" : "refused");
    this.answered(batch);
    this.remotePages.sendOwed(node);
    this.pump();
  }

  /**
   * ReplySink: no answer. When the link was lost or it was late, what the holder took is unknown,
   * so it is owed a flush of all.
   */
  onFailure(context: number, transportStatus: number): void {
    const batch = this.batchOf(context);
    const node = copyAt(batch.holders, context % COPIES_MAX);
    if (
      transportStatus === TRANSPORT_STATUS.DIED ||
      transportStatus === TRANSPORT_STATUS.TIMED_OUT
    ) {
      for (let i = 0; i < batch.count; i += 1) this.oweAgain(batch, i, node);
    }
    // A lost link has a back-off of its own.
    const answer = transportStatus === TRANSPORT_STATUS.DIED ? "none" : "refused";
    this.lenders.noteAnswered(node, batch.bodyBytes, answer);
    this.answered(batch);
  }

  /** SpillSink: all of the batch that had a place is on the disk, or none of it. */
  onSpilled(context: number, isWritten: boolean): void {
    const batch = this.batchOf(context);
    const { spilled } = batch;
    this.latencies.spill_write.add(this.clock.now() - batch.sentAtMs);
    for (let i = 0; i < batch.count && isWritten; i += 1) {
      if ((spilled?.sector(i) ?? NO_SECTOR) === NO_SECTOR) continue;
      batch.taken[i] = (batch.taken[i] ?? 0) | (1 << (context % COPIES_MAX));
    }
    this.answered(batch);
    this.pump();
  }

  private batchOf(context: number): RemotifyBatch {
    const batch = this.batches[Math.floor(context / COPIES_MAX)];
    assert(batch !== undefined && batch.waiting > 0, "reply to a batch that is not under way");
    return batch;
  }

  /** One holder has answered, or never will. After the last it is known what becomes of each page. */
  private answered(batch: RemotifyBatch): void {
    batch.waiting -= 1;
    if (batch.waiting > 0) return;
    this.batchesInFlight -= 1;
    this.framesInFlight -= batch.frameCount;
    // One that died meanwhile has answered, and keeps nothing.
    const areThere = this.presence.presentOf(batch.holders) === batch.holders;
    const all = 2 ** copyCount(batch.holders) - 1;
    let accepted = 0;
    for (let i = 0; i < batch.count; i += 1) {
      if (areThere && batch.taken[i] === all) {
        accepted += 1;
        this.accepted(batch, i);
      } else this.failed(batch, i);
    }
    if (batch.spilled !== null) this.spill?.finish(batch.spilled);
    batch.spilled = null;
    if (accepted > 0) this.progressAtMs = this.clock.now();
    this.onRoom();
  }

  /**
   * Ephemeral pages first, as in the original; under pressure those that stay here are the first to
   * be evicted.
   */
  private kindToMove(): Kind | null {
    const { ephEnabled, persEnabled } = this.settings;
    if (this.isHeld) return null;
    const { zbud, budget } = this.zcache;
    const relieve = this.relieving && budget.isOverLow(this.framesHeld);
    const mayMove = (kind: Kind): boolean => {
      return (relieve || this.trickle[kind] > 0) && zbud.hasLive(kind);
    };
    if (ephEnabled && mayMove(EPHEMERAL)) return EPHEMERAL;
    if (persEnabled && mayMove(PERSISTENT)) return PERSISTENT;
    return null;
  }

  /** @returns whether a batch went out, to all of them. */
  private sendBatch(holders: Copies, kind: Kind): boolean {
    const index = this.batches.findIndex(({ waiting }) => waiting === 0);
    const batch = this.batches[index];
    assert(batch !== undefined);
    const first = this.beginBatch(copyAt(holders, 0));
    if (first === null) return false;
    for (let i = 1; i < copyCount(holders); i += 1) {
      if (copyAt(holders, i) !== SPILL && this.beginBatch(copyAt(holders, i)) === null)
        return false;
    }
    this.fill(batch, holders, first, kind);
    if (batch.count === 0) return false;
    this.batchesInFlight += 1;
    this.framesInFlight += batch.frameCount;
    batch.sentAtMs = this.clock.now();
    batch.waiting = copyCount(holders);
    // The first is read for the others, so it is sent last.
    let sentCount = 0;
    for (let i = copyCount(holders) - 1; i >= 0; i -= 1) {
      const context = index * COPIES_MAX + i;
      if (copyAt(holders, i) === SPILL) {
        if (this.writeToDisk(batch, context, first)) sentCount += 1;
        continue;
      }
      const channel = this.peers.channelOf(copyAt(holders, i));
      if (channel !== null && channel !== first) {
        this.memory.copy(channel.bytes, channel.at, first.bytes, first.at, batch.bodyBytes);
      }
      if (this.commit(batch, context, channel)) sentCount += 1;
    }
    return sentCount === copyCount(holders);
  }

  /** Of the disk alone the staging. */
  private beginBatch(node: number): Entries | null {
    if (node !== SPILL) return this.beginOn(node);
    this.staging ??= new Staging();
    return this.staging;
  }

  /** The channel to it, with room for a batch, or null. */
  private beginOn(node: number): Channel | null {
    const channel = this.peers.channelOf(node);
    const pageCount = this.countInFlight() + REMOTIFY_BATCH_COUNT_MAX;
    if (channel === null || !this.remotePages.hasRoom(node, pageCount)) return null;
    return channel.begin(LANE.BULK, REMOTIFY_BATCH_BYTES) ? channel : null;
  }

  /** Sends what is written; a holder that it cannot be sent to has answered: it took nothing. */
  private commit(batch: RemotifyBatch, context: number, channel: Channel | null): boolean {
    const { count, bodyBytes } = batch;
    const timeoutMs = this.settings.requestTimeoutMs;
    const isSent =
      channel !== null &&
      channel.commitRequest(MESSAGE.PUT, count, bodyBytes, this, context, timeoutMs) !== 0;
    const node = copyAt(batch.holders, context % COPIES_MAX);
    if (isSent) this.lenders.noteSent(node, { pageCount: count, byteCount: bodyBytes });
    else this.answered(batch);
    return isSent;
  }

  /** Writes its entries to the disk. If there is no place for any of them that is its answer. */
  private writeToDisk(batch: RemotifyBatch, context: number, entries: Entries): boolean {
    const { spill } = this;
    assert(spill !== null);
    batch.spilled = spillEntries(spill, entries, batch.count);
    if (spill.write(batch.spilled, this, context)) return true;
    this.answered(batch);
    return false;
  }

  private fill(batch: RemotifyBatch, holders: Copies, entries: Entries, kind: Kind): void {
    const { zbud, budget, tmem } = this.zcache;
    batch.count = 0;
    batch.frameCount = 0;
    batch.bodyBytes = 0;
    batch.holders = holders;
    batch.kind = kind;
    const frameBytesMax = PAGES_PER_FRAME * (PUT_ENTRY_BYTES + PAGE_BYTES);
    const isShort = this.buggify("remotify-short-batch");
    let countMax = isShort ? PAGES_PER_FRAME : REMOTIFY_BATCH_COUNT_MAX;
    for (let i = 0; i < copyCount(holders); i += 1) {
      const node = copyAt(holders, i);
      const room = node === SPILL ? (this.spill?.countMax ?? 0) : this.lenders.credit(node);
      countMax = Math.min(countMax, room);
    }
    while (
      batch.frameCount < REMOTIFY_BATCH_COUNT_MAX &&
      batch.bodyBytes + frameBytesMax <= REMOTIFY_BATCH_BYTES &&
      batch.count + PAGES_PER_FRAME <= countMax
    ) {
      const relieve = this.relieving && budget.isOverLow(this.framesHeld - batch.frameCount);
      if (!relieve && this.trickle[kind] === 0) return;
      const frame = zbud.makeZombie(kind);
      if (frame === 0) return;
      if (!relieve) this.trickle[kind] -= 1;
      batch.frameCount += 1;
      for (let ref = frame * 2; ref <= frame * 2 + 1; ref += 1) {
        if (zbud.zpageBytes(ref) === 0) continue;
        const page = zbud.ownerOf(ref);
        if (tmem.isLive(page)) this.append(batch, entries, ref);
        else tmem.flush(page); // It is doomed: there is no need to send it.
      }
    }
  }

  /**
   * Writes the zpage as an entry. Its zbud header lands where the entry's own header goes, and is
   * read first.
   *
   * One that is damaged must not be sealed, or written to a disk: it stays here, in a zombie, until
   * it is flushed, and whoever asks for it is told.
   */
  private append(batch: RemotifyBatch, entries: Entries, ref: number): void {
    const { tmem, zbud } = this.zcache;
    const page = zbud.ownerOf(ref);
    const zpageBytes = zbud.zpageBytes(ref);
    const at = entries.at + batch.bodyBytes;
    const zpageAt = at + PUT_ENTRY_BYTES;
    const headerAt = zpageAt - ZBUD_HEADER_BYTES;
    const whole = zpageBytes === PAGE_BYTES;
    zbud.read(ref, zpageBytes, entries.bytes, whole ? zpageAt : headerAt);
    const { entry } = this;
    entry.bytes = entries.bytes;
    entry.at = zpageAt;
    entry.zpageBytes = zpageBytes;
    entry.codec = tmem.codec(page);
    entry.version = tmem.version(page);
    entry.checksum = whole
      ? zbud.wholeChecksum(ref) >>> 0
      : entries.view.getUint32(headerAt + HEADER_CHECKSUM_OFFSET);
    tmem.readHandle(page, this.handle);
    // A disk takes what it gets; lenders check it, and so does a seal.
    const isChecked = hasCopy(batch.holders, SPILL);
    if (isChecked && !this.zcache.isIntact(this.handle, entry)) return;
    if (this.seals?.seal(page, this.handle, entry) === false) return;
    const { version, checksum, codec } = entry;
    writePutEntry(entries.view, at, this.handle, version, checksum, zpageBytes, codec, batch.kind);
    const i = batch.count;
    batch.pages[i] = page;
    batch.refs[i] = ref;
    batch.versions[i] = version;
    batch.taken[i] = 0;
    this.handle.write(batch.handles, i * HANDLE_BYTES);
    batch.count += 1;
    batch.bodyBytes += PUT_ENTRY_BYTES + zpageBytes;
  }

  /** Whether the record still is what was sent: the same page, version and place. */
  private isUnchanged(batch: RemotifyBatch, i: number): boolean {
    const { tmem } = this.zcache;
    const page = batch.pages[i] ?? 0;
    return (
      tmem.isLive(page) &&
      tmem.version(page) === batch.versions[i] &&
      tmem.tag(page) === TAG.LOCAL &&
      tmem.place(page) === batch.refs[i]
    );
  }

  /** All holders have it. */
  private accepted(batch: RemotifyBatch, i: number): void {
    const { holders } = batch;
    if (!this.isUnchanged(batch, i)) {
      this.counters.remotify_raced += 1;
      this.handle.read(batch.handles, i * HANDLE_BYTES);
      const version = batch.versions[i] ?? 0;
      for (let copy = 0; copy < copyCount(holders); copy += 1) {
        const node = copyAt(holders, copy);
        if (node === SPILL) continue; // It was not kept there.
        this.remotePages.owe(node, this.handle, version, FLUSH_SCOPE.PAGE);
      }
      return;
    }
    const { tmem } = this.zcache;
    const page = batch.pages[i] ?? 0;
    const zpageBytes = tmem.zpageBytes(page);
    this.records.turnRemote(page, holders);
    if (batch.spilled !== null) this.spill?.keep(batch.spilled, i, page);
    this.counters.remoted_zbytes += zpageBytes;
    if (batch.kind === EPHEMERAL) {
      this.counters.eph_pages_remoted += 1;
      return;
    }
    this.counters.pers_pages_remoted += 1;
    // More are wanted than when it was sent.
    const isShort = copyCount(holders) < this.lenders.copiesWanted;
    if (isShort && !hasCopy(holders, SPILL)) this.atRisk.found(page);
  }

  /**
   * Not all have it, and those that do must not keep it. The local copy stays. Its frame is a
   * zombie only for this batch, so it goes back to the LRU.
   */
  private failed(batch: RemotifyBatch, i: number): void {
    if (batch.kind === PERSISTENT) this.counters.pers_pages_remote_failed += 1;
    else this.counters.eph_pages_remote_failed += 1;
    const taken = batch.taken[i] ?? 0;
    for (let copy = 0; copy < copyCount(batch.holders); copy += 1) {
      if ((taken & (1 << copy)) !== 0) this.oweAgain(batch, i, copyAt(batch.holders, copy));
    }
    if (!this.isUnchanged(batch, i)) return;
    if ((taken & DAMAGED) !== 0 && !this.isIntactHere(batch, i)) return;
    const frame = (batch.refs[i] ?? 0) >>> 1;
    if (this.zcache.zbud.isZombie(frame)) this.zcache.zbud.resurrect(frame);
  }

  /** One that is damaged where it lies would be refused over and over: it stays in its zombie. */
  private isIntactHere(batch: RemotifyBatch, i: number): boolean {
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    return this.zcache.isIntactHere(batch.pages[i] ?? 0, this.handle);
  }

  /** The node may have it, and may be sent the same again. */
  private oweAgain(batch: RemotifyBatch, i: number, node: number): void {
    if (node === SPILL) return; // What is not kept there has no place any more.
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    this.remotePages.oweBeforePut(node, this.handle, batch.versions[i] ?? 0);
  }

  private countInFlight(): number {
    let count = 0;
    for (const batch of this.batches) if (batch.waiting > 0) count += batch.count;
    return count;
  }
}
