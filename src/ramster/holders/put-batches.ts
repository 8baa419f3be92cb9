/**
 * PutBatches: zpages on their way to holders, which are lenders or the node's own disk. Remotify
 * and repair share it.
 *
 *     remotify: open,   append...  send --+--> [ PUT to each holder, a write to the disk ]
 *     repair:   gather, append...  -------+      |--> a status for each page
 *               sent at the end of the turn      |--> refused, or not sent at all
 *                                                '--> no answer: PutSink.onUnknown
 *               after the last holder: PutSink.onDone, the batch is free, PutSink.onFree
 *
 * An opened batch is written into the message to its first holder, and copied into the messages to
 * the others. A gathered batch collects pages that come one by one.
 *
 * It knows what is being sent, so that no page is sent twice to one holder, or flushed while it is
 * on its way. A put goes out only behind the flushes of its holder (remote-pages.ts), and within
 * what the holder has granted (lenders.ts).
 *
 * Not here: which pages go to which holders, and what an answer means for a page (remotify.ts,
 * repair.ts).
 */

import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, type Handle } from "../../core/handle.ts";
import { type Kind, PERSISTENT } from "../../core/kind.ts";
import {
  COPIES_MAX,
  REMOTIFY_BATCH_BYTES,
  REMOTIFY_BATCH_COUNT_MAX,
  REMOTIFY_BATCHES_MAX,
  REPAIR_BATCHES_MAX,
  REPAIR_PAGES_MAX,
} from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { STATUS } from "../../core/status.ts";
import type { Zpage } from "../../core/zpage.ts";
import { type Channel, LANE, type ReplySink } from "../../net/channel.ts";
import { TAKEN_MAX } from "../../placement/placement.ts";
import type { SpillSink } from "../../spill/batch.ts";
import { NO_SECTOR } from "../../spill/sectors.ts";
import type { Spill } from "../../spill/spill.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { PUT_ENTRY_BYTES, writePutEntry } from "../../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../../wire/status.ts";
import { type Copies, copyAt, copyCount, hasCopy, NO_COPIES, SPILL, withCopy } from "../copies.ts";
import type { Latencies } from "../latencies.ts";
import type { Peers } from "../peers.ts";
import type { Lenders } from "./lenders.ts";
import type { Presence } from "./presence.ts";
import { DAMAGED, PutBatch, type PutSink, Staging } from "./put-batch.ts";
import type { RemotePages } from "./remote-pages.ts";
import { type Entries, spillEntries } from "./spill-entries.ts";

interface Parts {
  readonly memory: Memory;
  readonly peers: Peers;
  readonly lenders: Lenders;
  readonly presence: Presence;
  readonly remotePages: RemotePages;
  readonly spill: Spill | null;
  readonly latencies: Latencies;
  readonly clock: Clock;
  readonly buggify: Buggify;
}

export class PutBatches implements ReplySink, SpillSink {
  private readonly parts: Parts;
  private readonly requestTimeoutMs: number;
  private readonly opened: readonly PutBatch[];
  private readonly gathered: readonly PutBatch[];
  private readonly batches: readonly PutBatch[];
  /**
   * The buffer of an opened batch that goes only to the disk. The disk copies it before `send`
   * returns.
   */
  private staging: Staging | null = null;
  private isSendSoon = false;

  constructor(parts: Parts, settings: { requestTimeoutMs: number }) {
    this.parts = parts;
    this.requestTimeoutMs = settings.requestTimeoutMs;
    this.opened = Array.from({ length: REMOTIFY_BATCHES_MAX }, (_, index) => {
      return new PutBatch(index, REMOTIFY_BATCH_COUNT_MAX, null);
    });
    this.gathered = Array.from({ length: REPAIR_BATCHES_MAX }, (_, i) => {
      return new PutBatch(REMOTIFY_BATCHES_MAX + i, REPAIR_PAGES_MAX, new Staging());
    });
    this.batches = [...this.opened, ...this.gathered];
  }

  // What is being sent.

  /** Whether the page is in a batch in that version. */
  has(page: number, version: number): boolean {
    for (const batch of this.batches) if (batch.has(page, version)) return true;
    return false;
  }

  /** Whether a batch, which is not `than`, takes the page to the node in that version. */
  isOnWay(than: PutBatch | null, page: number, version: number, node: number): boolean {
    for (const batch of this.batches) {
      if (batch === than || !hasCopy(batch.holders, node)) continue;
      if (batch.has(page, version)) return true;
    }
    return false;
  }

  /** How many pages are gathered for the node and not sent. */
  gatheredCount(node: number): number {
    let count = 0;
    for (const { state, holders, count: pages } of this.gathered) {
      if (state === "filling" && copyAt(holders, 0) === node) count += pages;
    }
    return count;
  }

  /**
   * Whether a batch of the sender is under way whose pages are likely to be taken. A batch that
   * only tests whether the disk is still full does not count.
   */
  isHopeful(sink: PutSink): boolean {
    for (const { sink: sender, waiting, spilled } of this.batches) {
      if (sender === sink && waiting > 0 && spilled?.isProbe !== true) return true;
    }
    return false;
  }

  /**
   * The node lost all pages that it took, also in batches whose other holders have not answered.
   */
  holderEmptied(node: number): void {
    for (const batch of this.batches) if (batch.waiting > 0) batch.emptied(node);
  }

  // Sending.

  /** Whether a put may be sent to the node now. Requests a link when there is none. */
  readonly mayPutTo = (node: number): boolean => {
    const { presence, peers, remotePages, lenders } = this.parts;
    if (presence.isEmptied(node)) return false;
    if (peers.channelOf(node) !== null) {
      return remotePages.sendFlushes(node) && lenders.credit(node) >= TAKEN_MAX;
    }
    peers.want(node);
    return false;
  };

  /**
   * Whether the holder has room for this many more flushes, one for each page that it is to get.
   */
  hasFlushRoom(node: number, pageCount: number): boolean {
    let underWay = 0;
    for (const { waiting, count } of this.opened) if (waiting > 0) underWay += count;
    return this.parts.remotePages.hasRoom(node, underWay + pageCount);
  }

  /**
   * A batch to these holders, whose entries go straight into the message to the first of them. Must
   * be sent, or cancelled, in the same turn. @returns null when a holder has no room for one now.
   */
  open(sink: PutSink, holders: Copies, kind: Kind): PutBatch | null {
    const batch = this.opened.find(({ state }) => state === "free");
    if (batch === undefined) return null;
    // Ends with the first holder, since its message is the one that is written.
    let entries: Entries | null = null;
    for (let i = copyCount(holders) - 1; i >= 0; i -= 1) {
      entries = this.beginAt(copyAt(holders, i));
      if (entries === null) return null;
    }
    const isShort = this.parts.buggify("remotify-short-batch");
    const countMax = isShort ? TAKEN_MAX : REMOTIFY_BATCH_COUNT_MAX;
    batch.begin(sink, holders, kind, Math.min(countMax, this.roomAt(holders)));
    batch.entries = entries;
    return batch;
  }

  /** @returns the entries of a new message to the node, or the staging for the disk. */
  private beginAt(node: number): Entries | null {
    if (node === SPILL) {
      this.staging ??= new Staging();
      return this.staging;
    }
    const channel = this.parts.peers.channelOf(node);
    if (channel === null || !this.hasFlushRoom(node, REMOTIFY_BATCH_COUNT_MAX)) return null;
    return channel.begin(LANE.BULK, REMOTIFY_BATCH_BYTES) ? channel : null;
  }

  /** How many pages all of these holders take now. */
  private roomAt(holders: Copies): number {
    const { spill, lenders } = this.parts;
    let room = REMOTIFY_BATCH_COUNT_MAX;
    for (let i = 0; i < copyCount(holders); i += 1) {
      const node = copyAt(holders, i);
      room = Math.min(room, node === SPILL ? (spill?.countMax ?? 0) : lenders.credit(node));
    }
    return room;
  }

  /**
   * A batch that is being gathered, for a persistent page. The page goes to `node`, or to any
   * holder but `from` that may have a copy in addition to `atLenders`. If `node` is -1, only an
   * existing batch will do. @returns null when there is none now.
   */
  gather(sink: PutSink, node: number, from: number, atLenders: Copies): PutBatch | null {
    const { lenders, buggify } = this.parts;
    const toDisk = node === SPILL;
    for (const batch of this.gathered) {
      if (batch.state !== "filling") continue;
      const holder = copyAt(batch.holders, 0);
      if (holder === from || (holder === SPILL) !== toDisk) continue;
      if (!toDisk && lenders.sharesZone(holder, atLenders)) continue;
      if (batch.hasRoomFor(1)) return batch;
      this.send(batch);
    }
    const free = this.gathered.find(({ state }) => state === "free");
    if (free === undefined || node < 0) return null;
    const holders = withCopy(NO_COPIES, node);
    const countMax = buggify("repair-short-batch") ? 1 : REPAIR_PAGES_MAX;
    free.begin(sink, holders, PERSISTENT, Math.min(countMax, this.roomAt(holders)));
    free.entries = free.staging;
    return free;
  }

  /**
   * Adds the page. Its zpage is copied, unless it is already where it belongs: behind the entries
   * so far, and behind the header of its own entry.
   */
  append(batch: PutBatch, page: number, givenUpBy: number, handle: Handle, zpage: Zpage): void {
    const { entries, count, kind } = batch;
    const { version, checksum, zpageBytes, codec } = zpage;
    assert(entries !== null);
    const at = entries.at + batch.bodyBytes;
    const zpageAt = at + PUT_ENTRY_BYTES;
    writePutEntry(entries.view, at, handle, version, checksum, zpageBytes, codec, kind);
    if (zpage.bytes !== entries.bytes || zpage.at !== zpageAt) {
      this.parts.memory.copy(entries.bytes, zpageAt, zpage.bytes, zpage.at, zpageBytes);
    }
    batch.pages[count] = page;
    batch.givenUpBy[count] = givenUpBy;
    batch.versions[count] = version;
    batch.taken[count] = 0;
    handle.write(batch.handles, count * HANDLE_BYTES);
    batch.count = count + 1;
    batch.bodyBytes += PUT_ENTRY_BYTES + zpageBytes;
    if (batch.staging !== null) this.sendAtEndOfTurn();
  }

  /** Frees an opened batch that has no pages. */
  cancel(batch: PutBatch): void {
    assert(batch.count === 0);
    batch.state = "free";
  }

  /**
   * Sends the batch. @returns whether it went out to all its holders. A holder that it cannot go to
   * counts as refusing.
   */
  send(batch: PutBatch): boolean {
    batch.state = "sent";
    batch.sentAtMs = this.parts.clock.now();
    batch.waiting = copyCount(batch.holders);
    let sentCount = 0;
    // The message to the first holder is copied for the others, so it goes out last.
    for (let i = batch.waiting - 1; i >= 0; i -= 1) {
      if (this.sendTo(batch, i)) sentCount += 1;
      else this.answered(batch, false);
    }
    return sentCount === copyCount(batch.holders);
  }

  private sendTo(batch: PutBatch, replica: number): boolean {
    const { peers, lenders } = this.parts;
    const { count: pageCount, bodyBytes: byteCount } = batch;
    const node = copyAt(batch.holders, replica);
    const context = batch.index * COPIES_MAX + replica;
    if (node === SPILL) return this.writeToDisk(batch, context);
    // While pages were gathered, a flush may have come that a put must not overtake.
    if (batch.staging !== null && !this.parts.remotePages.sendFlushes(node)) return false;
    const channel = peers.channelOf(node);
    if (channel === null || !this.copyTo(channel, batch)) return false;
    const timeoutMs = this.requestTimeoutMs;
    if (channel.commitRequest(MESSAGE.PUT, pageCount, byteCount, this, context, timeoutMs) === 0) {
      return false;
    }
    lenders.noteSent(node, { pageCount, byteCount });
    return true;
  }

  /**
   * Copies the entries into a message, unless they were written there. @returns whether there is
   * room.
   */
  private copyTo(channel: Channel, { entries, staging, bodyBytes }: PutBatch): boolean {
    assert(entries !== null);
    if (staging !== null && !channel.begin(LANE.BULK, bodyBytes)) return false;
    if (channel === entries) return true;
    this.parts.memory.copy(channel.bytes, channel.at, entries.bytes, entries.at, bodyBytes);
    return true;
  }

  private writeToDisk(batch: PutBatch, context: number): boolean {
    const { spill } = this.parts;
    if (spill === null || !spill.isReady || batch.entries === null) return false;
    batch.spilled = spillEntries(spill, batch.entries, batch.count);
    return spill.write(batch.spilled, this, context);
  }

  private sendAtEndOfTurn(): void {
    if (this.isSendSoon) return;
    this.isSendSoon = true;
    this.parts.clock.soon(() => {
      this.isSendSoon = false;
      for (const batch of this.gathered) {
        if (batch.state === "filling" && !this.mayWait(batch)) this.send(batch);
      }
    });
  }

  /**
   * Pages that come one by one would each need a message. So while one message is under way to a
   * holder, further pages are gathered (Nagle's algorithm, RFC 896).
   */
  private mayWait(batch: PutBatch): boolean {
    if (!batch.hasRoomFor(1) || batch.sink?.mayGrow(batch) !== true) return false;
    return this.gathered.some((it) => it.state === "sent" && it.holders === batch.holders);
  }

  // Answers.

  /** ReplySink: a status for each zpage of the batch, from one of its holders. */
  onReply(context: number, reply: Frame): void {
    const { lenders, latencies, clock, remotePages } = this.parts;
    const batch = this.batchOf(context);
    const replica = context % COPIES_MAX;
    const node = copyAt(batch.holders, replica);
    latencies.remotify.add(clock.now() - batch.sentAtMs);
    const { handlerStatus } = reply;
    let refused = 0;
    for (let i = 0; i < batch.count; i += 1) {
      const status =
        handlerStatus === STATUS.OK ? reply.view.getUint8(reply.bodyAt + i) : handlerStatus;
      if (status === STATUS.OK) batch.taken[i] = (batch.taken[i] ?? 0) | (1 << replica);
      // Gathered zpages were checked when they came. A holder that finds them corrupt refuses them.
      else if (status === STATUS.CORRUPT && batch.staging === null) {
        batch.taken[i] = (batch.taken[i] ?? 0) | DAMAGED;
      } else refused += 1;
    }
    lenders.noteAnswered(node, batch.bodyBytes, refused === 0 ? "accepted" : "refused");
    this.answered(batch, true);
    remotePages.sendFlushes(node);
  }

  /** ReplySink. After a lost link or a late answer it is not known what the holder took. */
  onFailure(context: number, transportStatus: number): void {
    const batch = this.batchOf(context);
    const node = copyAt(batch.holders, context % COPIES_MAX);
    const hasDied = transportStatus === TRANSPORT_STATUS.DIED;
    const isLate = transportStatus === TRANSPORT_STATUS.TIMED_OUT;
    if (hasDied || isLate) {
      batch.sink?.onUnknown(batch, node);
    }
    // A lost link has a back-off of its own.
    const answer = hasDied ? "none" : isLate ? "late" : "refused";
    this.parts.lenders.noteAnswered(node, batch.bodyBytes, answer);
    this.answered(batch, false);
  }

  /** SpillSink: all pages with a place are on the disk, or none of them are. */
  onSpilled(context: number, isWritten: boolean): void {
    const { latencies, clock } = this.parts;
    const batch = this.batchOf(context);
    const { spilled } = batch;
    latencies.spill_write.add(clock.now() - batch.sentAtMs);
    for (let i = 0; i < batch.count && isWritten; i += 1) {
      if ((spilled?.sector(i) ?? NO_SECTOR) === NO_SECTOR) continue;
      batch.taken[i] = (batch.taken[i] ?? 0) | (1 << (context % COPIES_MAX));
    }
    this.answered(batch, true);
  }

  private batchOf(context: number): PutBatch {
    const batch = this.batches[Math.floor(context / COPIES_MAX)];
    assert(batch !== undefined && batch.waiting > 0, "reply to a batch that is not under way");
    return batch;
  }

  /** A holder has answered, or never will. After the last one the outcome of each page is known. */
  private answered(batch: PutBatch, isAnswered: boolean): void {
    batch.waiting -= 1;
    if (batch.waiting > 0) return;
    const { sink, spilled } = batch;
    sink?.onDone(batch);
    if (spilled !== null) this.parts.spill?.finish(spilled);
    batch.spilled = null;
    batch.state = "free";
    sink?.onFree(isAnswered);
    if (batch.staging !== null) this.sendAtEndOfTurn(); // Others may have waited for this.
  }
}
