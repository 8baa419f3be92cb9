/**
 * RepairSends: zpages on their way to a new holder, a lender or the disk, gathered in batches.
 *
 *     append --> [ batch, filling ] --end of the turn--> [ PUT, or a write ] --> onTaken, for each
 *                                                                   |--> refused: onNotTaken
 *                                                                   '--> no answer: onUnknown
 *
 * Not here: which pages, where to, and what becomes of them (repair.ts).
 */
import { assert } from "../../core/assert.ts";
import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, type Handle } from "../../core/handle.ts";
import { REPAIR_BATCHES_MAX, REPAIR_PAGES_MAX } from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { STATUS } from "../../core/status.ts";
import { LANE, type ReplySink } from "../../net/channel.ts";
import type { SpillSink } from "../../spill/batch.ts";
import { NO_SECTOR } from "../../spill/sectors.ts";
import type { Spill } from "../../spill/spill.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { PUT_ENTRY_BYTES, writePutEntry, type ZpageEntry } from "../../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../../wire/status.ts";
import { PERSISTENT } from "../../zbud/zbud.ts";
import { type Copies, SPILL } from "../copies.ts";
import type { Lenders } from "../holders/lenders.ts";
import type { Peers } from "../peers.ts";
import { spillEntries } from "../spill-entries.ts";
import { RepairBatch } from "./repair-batch.ts";

/** Told of each page of a batch, and then that it is over. */
export interface RepairSink {
  onTaken(batch: RepairBatch, i: number): void;
  onNotTaken(batch: RepairBatch, i: number): void;
  /** The holder may have it. */
  onUnknown(batch: RepairBatch, i: number): void;
  onOver(batch: RepairBatch): void;
  /** Pages that are on their way from the disk, to go to lenders. */
  readonly fetchesFromDisk: number;
}

export class RepairSends implements ReplySink, SpillSink {
  private readonly memory: Memory;
  private readonly peers: Peers;
  private readonly lenders: Lenders;
  private readonly spill: Spill | null;
  private readonly clock: Clock;
  private readonly buggify: Buggify;
  private readonly sink: RepairSink;
  private readonly requestTimeoutMs: number;
  private readonly batches = Array.from({ length: REPAIR_BATCHES_MAX }, () => new RepairBatch());
  private sendSoon = false;

  constructor(
    parts: {
      memory: Memory;
      peers: Peers;
      lenders: Lenders;
      spill: Spill | null;
      clock: Clock;
      buggify: Buggify;
      sink: RepairSink;
    },
    settings: { requestTimeoutMs: number },
  ) {
    this.memory = parts.memory;
    this.peers = parts.peers;
    this.lenders = parts.lenders;
    this.spill = parts.spill;
    this.clock = parts.clock;
    this.buggify = parts.buggify;
    this.sink = parts.sink;
    this.requestTimeoutMs = settings.requestTimeoutMs;
  }

  /**
   * A batch for a page that goes to `place`, or to whoever else may have a copy beside these; null:
   * there is none now. `place` -1: nobody new.
   */
  batchFor(place: number, from: number, atLenders: Copies): RepairBatch | null {
    const toDisk = place === SPILL;
    for (const batch of this.batches) {
      if (batch.state !== "filling" || batch.node === from) continue;
      if ((batch.node === SPILL) !== toDisk) continue;
      if (!toDisk && this.lenders.sharesZone(batch.node, atLenders)) continue;
      if (batch.hasRoom) return batch;
      this.send(batch);
    }
    const free = this.batches.find(({ state }) => state === "free");
    if (free === undefined || place < 0) return null;
    const room = toDisk ? (this.spill?.countMax ?? 0) : this.lenders.credit(place);
    const countMax = this.buggify("repair-short-batch") ? 1 : REPAIR_PAGES_MAX;
    free.state = "filling";
    free.node = place;
    free.count = 0;
    free.countMax = Math.min(countMax, room);
    free.bodyBytes = 0;
    return free;
  }

  append(batch: RepairBatch, page: number, from: number, handle: Handle, zpage: ZpageEntry): void {
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
    this.sendAtEndOfTurn();
  }

  /** Whether the page is on its way in that version. */
  has(page: number, version: number): boolean {
    for (const { state, pages, versions, count } of this.batches) {
      for (let i = 0; state !== "free" && i < count; i += 1) {
        if (pages[i] === page && versions[i] === version) return true;
      }
    }
    return false;
  }

  /** Pages that are about to be sent there. */
  fillingCount(node: number): number {
    let count = 0;
    for (const it of this.batches) {
      if (it.state === "filling" && it.node === node) count += it.count;
    }
    return count;
  }

  /** ReplySink: a status for each zpage of the batch. */
  onReply(context: number, reply: Frame): void {
    const batch = this.batchOf(context);
    let refused = 0;
    for (let i = 0; i < batch.count; i += 1) {
      const isTaken =
        reply.handlerStatus === STATUS.OK && reply.view.getUint8(reply.bodyAt + i) === STATUS.OK;
      if (isTaken) this.sink.onTaken(batch, i);
      else {
        refused += 1;
        this.sink.onNotTaken(batch, i);
      }
    }
    const answer = refused === 0 ? "accepted" : "refused";
    this.lenders.noteAnswered(batch.node, batch.bodyBytes, answer);
    this.finish(batch);
  }

  /** ReplySink: what the holder took is unknown. */
  onFailure(context: number, transportStatus: number): void {
    const batch = this.batchOf(context);
    for (let i = 0; i < batch.count; i += 1) this.sink.onUnknown(batch, i);
    const answer = transportStatus === TRANSPORT_STATUS.DIED ? "none" : "refused";
    this.lenders.noteAnswered(batch.node, batch.bodyBytes, answer);
    this.finish(batch);
  }

  /** SpillSink. */
  onSpilled(context: number, isWritten: boolean): void {
    const batch = this.batchOf(context);
    for (let i = 0; i < batch.count; i += 1) {
      if (isWritten && batch.spilled?.sector(i) !== NO_SECTOR) this.sink.onTaken(batch, i);
      else this.sink.onNotTaken(batch, i);
    }
    this.finish(batch);
  }

  private sendAtEndOfTurn(): void {
    if (this.sendSoon) return;
    this.sendSoon = true;
    this.clock.soon(() => {
      this.sendSoon = false;
      for (const it of this.batches) if (it.state === "filling" && !this.mayGrow(it)) this.send(it);
    });
  }

  /**
   * Pages come from the disk one by one, and each would go in a message of its own: while one is
   * under way to the same holder the others are gathered (Nagle's rule).
   */
  private mayGrow({ node, from, hasRoom }: RepairBatch): boolean {
    if (from[0] !== SPILL || !hasRoom || this.sink.fetchesFromDisk === 0) return false;
    return this.batches.some((it) => it.state === "sent" && it.node === node);
  }

  private send(batch: RepairBatch): void {
    const { node, count, bodyBytes } = batch;
    const channel = this.peers.channelOf(node);
    const context = this.batches.indexOf(batch);
    batch.state = "sent";
    if (node === SPILL) return this.writeToDisk(batch, context);
    if (channel?.begin(LANE.BULK, bodyBytes) === true) {
      this.memory.copy(channel.bytes, channel.at, batch.bytes, 0, bodyBytes);
      const timeoutMs = this.requestTimeoutMs;
      if (channel.commitRequest(MESSAGE.PUT, count, bodyBytes, this, context, timeoutMs) !== 0) {
        this.lenders.noteSent(node, { pageCount: count, byteCount: bodyBytes });
        return;
      }
    }
    this.notSent(batch);
  }

  private writeToDisk(batch: RepairBatch, context: number): void {
    const { spill } = this;
    if (spill?.isReady === true) {
      const { bytes, view, count } = batch;
      batch.spilled = spillEntries(spill, { bytes, view, at: 0 }, count);
      if (spill.write(batch.spilled, this, context)) return;
    }
    this.notSent(batch);
  }

  private notSent(batch: RepairBatch): void {
    for (let i = 0; i < batch.count; i += 1) this.sink.onNotTaken(batch, i);
    this.finish(batch);
  }

  private batchOf(context: number): RepairBatch {
    const batch = this.batches[context];
    assert(batch?.state === "sent", "reply to a batch that is not under way");
    return batch;
  }

  private finish(batch: RepairBatch): void {
    if (batch.spilled !== null) this.spill?.finish(batch.spilled);
    batch.spilled = null;
    batch.state = "free";
    this.sink.onOver(batch);
    this.sendAtEndOfTurn();
  }
}
